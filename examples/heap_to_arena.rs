//! A small service on its way from the heap to an arena per request, one step at a time, each measured: the programs of
//! the crate's `guide::heap_to_arena`.
//!
//! ```sh
//! cargo run --release --example heap_to_arena --features allocation-tracking
//! ```
//!
//! The service admits VMs: a line names a tenant and eight VMs with their cores and labels; the reply says how many cores the tenant has
//! now and in which zones. Each step answers the same lines with the same bytes. Times are medians over rounds in which the steps
//! take turns; allocator calls are counted by the library's own tracker, which costs the heap's steps a tenth of each allocation,
//! so that the first of them is slower here than untracked by that much.
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use blixard_arena::arena::allocator_api2;
use blixard_arena::collections::{FlatMap, String as ArenaString, Vec as ArenaVec};
use blixard_arena::intern::{InternedString, StringPool};
use blixard_arena::pool::SMALL_BUFFER_POOL;
use blixard_arena::tracking::{AllocationTracker, TrackingAllocator};
use blixard_arena::{Arena, ArenaOptions, ArenaPool, BudgetExceeded};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

const ROUNDS: usize = 15;

/// Requests: `tenant vm:cores:key=value,key=value;vm:…`.
fn lines() -> Vec<String> {
    let mut state = 7_u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut line = |request: u64| {
        let mut line = format!("tenant-{:02} ", below(20));
        for vm in 0..8 {
            let (cores, zone) = (1 + below(16), below(3));
            write!(line, "vm-{request}-{vm}:{cores}:zone=eu-{zone},tier=web,disk=nvme-{};", below(4))
                .unwrap_or_default();
        }
        line.pop();
        line
    };
    (0..512).map(&mut line).collect()
}

/// The VMs of a line: name, cores, labels.
fn vms(list: &str) -> impl Iterator<Item = (&str, u32, impl Iterator<Item = (&str, &str)>)> {
    list.split(';').map(|vm| {
        let mut fields = vm.split(':');
        let (name, cores) = (fields.next().unwrap_or(""), fields.next().and_then(|text| text.parse().ok()));
        (name, cores.unwrap_or(0), fields.next().unwrap_or("").split(',').filter_map(|label| label.split_once('=')))
    })
}

/// A step of the guide: a service that answers lines.
trait Service {
    fn answer(&mut self, line: &str) -> usize;
    /// The last reply, for the comparison.
    fn reply(&self) -> &[u8];
}

/// 0: plain std.
#[derive(Default)]
struct OnTheHeap {
    cores: HashMap<String, u64>,
    reply: Vec<u8>,
}

struct HeapVm {
    name: String,
    cores: u32,
    labels: HashMap<String, String>,
}

impl Service for OnTheHeap {
    fn answer(&mut self, line: &str) -> usize {
        let (tenant, list) = line.split_once(' ').unwrap_or((line, ""));
        let vms: Vec<HeapVm> = vms(list)
            .map(|(name, cores, labels)| HeapVm {
                name: name.to_owned(),
                cores,
                labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            })
            .collect();
        let total = self.cores.entry(tenant.to_owned()).or_insert(0);
        *total += vms.iter().map(|vm| u64::from(vm.cores)).sum::<u64>();
        let zones: Vec<String> = vms.iter().map(|vm| format!("{} in {}", vm.name, vm.labels["zone"])).collect();
        self.reply = format!("{tenant} has {total} cores: {}", zones.join(", ")).into_bytes();
        self.reply.len()
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

/// 1: the same collections, by others, with their memory in the request's arena.
struct AllocatorSwapped {
    arenas: ArenaPool,
    cores: HashMap<String, u64>,
    reply: Vec<u8>,
}

impl Service for AllocatorSwapped {
    fn answer(&mut self, line: &str) -> usize {
        let arena = &*self.arenas.acquire();
        let (tenant, list) = line.split_once(' ').unwrap_or((line, ""));
        let mut kept = allocator_api2::vec::Vec::new_in(arena);
        for (name, cores, labels) in vms(list) {
            let mut map = hashbrown::HashMap::with_hasher_in(hashbrown::DefaultHashBuilder::default(), arena);
            for (key, value) in labels {
                map.insert(&*arena.alloc_str(key), &*arena.alloc_str(value));
            }
            kept.push((&*arena.alloc_str(name), cores, map));
        }
        let total = self.cores.entry(tenant.to_owned()).or_insert(0);
        *total += kept.iter().map(|vm| u64::from(vm.1)).sum::<u64>();
        let mut zones = allocator_api2::vec::Vec::new_in(arena);
        zones.extend(kept.iter().map(|(name, _, labels)| &*arena.format(format_args!("{name} in {}", labels["zone"]))));
        self.reply = format!("{tenant} has {total} cores: {}", zones.join(", ")).into_bytes();
        self.reply.len()
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

type Vm<'a> = (&'a str, u32, FlatMap<&'a str, &'a str, &'a Arena>);

/// The request as the library's own collections hold it; `try_` calls, so that a request over budget is an error.
fn build<'a>(arena: &'a Arena, list: &str) -> Result<ArenaVec<Vm<'a>, &'a Arena>, BudgetExceeded> {
    let mut kept = ArenaVec::new_in(arena);
    for (name, cores, labels) in vms(list) {
        let mut map = FlatMap::new_in(arena);
        for (key, value) in labels {
            map.try_insert(&*arena.try_alloc_str(key)?, &*arena.try_alloc_str(value)?)?;
        }
        kept.try_push((&*arena.try_alloc_str(name)?, cores, map))?;
    }
    Ok(kept)
}

/// The reply, joined in the arena, where it grows in place.
fn worded<'a>(arena: &'a Arena, tenant: &str, total: u64, kept: &[Vm<'a>]) -> &'a str {
    let mut reply = ArenaString::new_in(arena);
    reply.push_concat((tenant, " has ", total, " cores: "));
    for (at, (name, _, labels)) in kept.iter().enumerate() {
        reply.push_concat((if at == 0 { "" } else { ", " }, *name, " in ", labels["zone"]));
    }
    reply.into_str()
}

/// 2: the library's collections, the reply still on the heap.
struct OwnCollections {
    arenas: ArenaPool,
    cores: HashMap<String, u64>,
    reply: Vec<u8>,
}

impl Service for OwnCollections {
    fn answer(&mut self, line: &str) -> usize {
        let arena = &*self.arenas.acquire();
        let (tenant, list) = line.split_once(' ').unwrap_or((line, ""));
        let Ok(kept) = build(arena, list) else { return 0 };
        let total = self.cores.entry(tenant.to_owned()).or_insert(0);
        *total += kept.iter().map(|vm| u64::from(vm.1)).sum::<u64>();
        self.reply = worded(arena, tenant, *total, &kept).as_bytes().to_vec();
        self.reply.len()
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

/// 3: what outlives the request is recycled too: tenants are interned, replies lie in pooled buffers. 4: its arenas have a budget.
struct Whole {
    arenas: ArenaPool,
    tenants: StringPool,
    cores: HashMap<InternedString, u64>,
    reply: Option<blixard_arena::pool::Buffer>,
}

impl Service for Whole {
    fn answer(&mut self, line: &str) -> usize {
        let arena = &*self.arenas.acquire();
        let (tenant, list) = line.split_once(' ').unwrap_or((line, ""));
        let Ok(kept) = build(arena, list) else { return 0 };
        let total = self.cores.entry(self.tenants.intern(tenant)).or_insert(0);
        *total += kept.iter().map(|vm| u64::from(vm.1)).sum::<u64>();
        let mut reply = SMALL_BUFFER_POOL.acquire();
        reply.extend_from_slice(worded(arena, tenant, *total, &kept).as_bytes());
        self.reply.insert(reply).len()
    }

    fn reply(&self) -> &[u8] {
        self.reply.as_deref().map_or(&[], |reply| reply)
    }
}

/// What all steps do before they keep anything.
struct Parsing;

impl Service for Parsing {
    fn answer(&mut self, line: &str) -> usize {
        let list = line.split_once(' ').map_or("", |(_, list)| list);
        let labels = vms(list)
            .map(|(name, _, labels)| labels.fold(name.len(), |sum, (key, value)| sum + key.len() + value.len()));
        labels.sum()
    }

    fn reply(&self) -> &[u8] {
        &[]
    }
}

fn main() {
    let lines = lines();
    let bounded = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
    let whole = |arenas| Box::new(Whole { arenas, tenants: StringPool::new(), cores: HashMap::new(), reply: None });
    let heap = HashMap::new;
    let mut steps: [(&str, Box<dyn Service>); 6] = [
        ("0 plain std", Box::new(OnTheHeap::default())),
        (
            "1 other collections in an arena",
            Box::new(AllocatorSwapped { arenas: ArenaPool::new(), cores: heap(), reply: Vec::new() }),
        ),
        ("2 our collections", Box::new(OwnCollections { arenas: ArenaPool::new(), cores: heap(), reply: Vec::new() })),
        ("3 names interned, replies pooled", whole(ArenaPool::new())),
        ("4 a budget of 64 KiB", whole(bounded)),
        ("parsing alone, part of each", Box::new(Parsing)),
    ];
    for line in &lines {
        let [first, others @ .., _] = &mut steps;
        first.1.answer(line);
        for (name, step) in others {
            step.answer(line);
            assert_eq!(step.reply(), first.1.reply(), "{name}");
        }
    }
    let mut times = [const { Vec::new() }; 6];
    let mut calls = [0; 6];
    for round in 0..ROUNDS {
        for turn in 0..steps.len() {
            let at = if round % 2 == 0 { turn } else { steps.len() - 1 - turn };
            let section = AllocationTracker::new("step");
            let begun = Instant::now();
            for line in &lines {
                black_box(steps[at].1.answer(black_box(line)));
            }
            times[at].push(begun.elapsed());
            calls[at] = section.finish().heap.map_or(0, |heap| heap.allocations + heap.reallocations + heap.frees);
        }
    }
    let requests = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let medians = times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2] / requests
    });
    println!("{:34} {:>12} {:>32} {:>16}", "step", "a request", "step 0 over it, without parsing", "allocator calls");
    let [.., parsing] = medians;
    for (((name, _), time), calls) in steps.iter().zip(medians).zip(calls) {
        let own = |time: Duration| time.saturating_sub(parsing).as_secs_f64();
        let faster = if own(time) > 0.0 { format!("{:.1}", own(medians[0]) / own(time)) } else { String::new() };
        println!(
            "{name:34} {time:>12.2?} {faster:>32} {:>16.2}",
            f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / f64::from(requests)
        );
    }
    let greedy = format!("tenant-00 {}", lines.iter().map(|line| &line[10..]).collect::<Vec<_>>().join(";"));
    println!(
        "a request of 4,096 VMs over that budget is answered with {} bytes, and the next one with {}",
        steps[4].1.answer(&greedy),
        steps[4].1.answer(&lines[0])
    );
}
