//! The sharing of a request and nothing else: every VM has a tenant with limits and a flavour, and both are configs that
//! the service holds and all requests share.
//!
//! A VM's line, config, proposal and decision refer to both. On the heap each of them has its own counts, one clone per use, as in code
//! that passes `Arc`s about. Pooled, the proposal has them, since it may outlive the request, and the others borrow
//! from it. In an arena the catalogue itself is adopted, one count for the whole request, and everything borrows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use blixard_arena::ArenaPool;
use blixard_arena::arena::AnyArena;
use blixard_arena::pool::{Pooled, TypedObjectPool};
use control_plane::scheduler::Resources;
use xxhash_rust::xxh3::Xxh3;

use super::{Form, Parsed, add_text, no_form};
use crate::request::VmRequest;
use crate::strategy::Name;

thread_local! {
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Clones and drops of [`Counted`] on this thread so far.
pub(super) fn operations() -> u64 {
    OPERATIONS.get()
}

/// Each of its clones and drops is one of an `Arc`.
struct Tick;

impl Clone for Tick {
    fn clone(&self) -> Self {
        OPERATIONS.set(OPERATIONS.get() + 1);
        Self
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        OPERATIONS.set(OPERATIONS.get() + 1);
    }
}

/// An `Arc` whose clones and drops are counted.
pub struct Counted<T> {
    shared: Arc<T>,
    tick: Tick,
}

impl<T> Counted<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self { shared: Arc::new(value), tick: Tick }
    }

    /// How many share it.
    #[must_use]
    pub fn owners(&self) -> usize {
        Arc::strong_count(&self.shared)
    }
}

impl<T: Send + Sync + 'static> Counted<T> {
    /// Gives this count to an arena, which drops it when the request ends: then the drop is counted.
    pub fn adopt_in(self, arena: &impl AnyArena) -> &T {
        let Self { shared, tick } = self;
        arena.alloc_with_drop(tick);
        arena.adopt(shared)
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), tick: self.tick.clone() }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

/// Whose VM it is.
struct Tenant {
    name: String,
    vms: usize,
}

/// What VMs of one kind are like.
struct Flavour {
    resources: Resources,
    vms: usize,
}

/// Milli-cores, MiB, GPUs, thousandths of each.
type Shape = (u32, u32, u8, u16);

fn shape(resources: Resources) -> Shape {
    (resources.cpu_milli, resources.memory_mib, resources.gpus.count, resources.gpus.milli)
}

/// All shared configs: the service's config cache.
struct Catalogue {
    tenants: BTreeMap<String, Counted<Tenant>>,
    flavours: BTreeMap<Shape, Counted<Flavour>>,
}

impl Catalogue {
    /// The configs that the requests of a pass ask for.
    fn of(pass: &[Parsed<'_>]) -> Self {
        let (mut tenants, mut flavours) =
            (BTreeMap::<&str, usize>::new(), BTreeMap::<Shape, (Resources, usize)>::new());
        for spec in pass.iter().flat_map(|request| &request.vms).map(|vm| &vm.spec) {
            *tenants.entry(spec.tenant).or_default() += 1;
            flavours.entry(shape(spec.resources)).or_insert((spec.resources, 0)).1 += 1;
        }
        let tenant =
            |(name, vms): (&str, usize)| (name.to_owned(), Counted::new(Tenant { name: name.to_owned(), vms }));
        let flavour = |(shape, (resources, vms))| (shape, Counted::new(Flavour { resources, vms }));
        Self {
            tenants: tenants.into_iter().map(tenant).collect(),
            flavours: flavours.into_iter().map(flavour).collect(),
        }
    }

    fn configs(&self, vm: &VmRequest<'_>) -> Configs<&Counted<Tenant>, &Counted<Flavour>> {
        let spec = &vm.spec;
        Configs { tenant: &self.tenants[spec.tenant], flavour: &self.flavours[&shape(spec.resources)] }
    }

    /// Whether nobody else has a count: the last request is over.
    fn is_alone(&self) -> bool {
        self.tenants.values().all(|tenant| tenant.owners() == 1)
            && self.flavours.values().all(|flavour| flavour.owners() == 1)
    }
}

/// What a VM shares with others, by whatever handles.
#[derive(Clone, Copy)]
struct Configs<T, F> {
    tenant: T,
    flavour: F,
}

type Owned = Configs<Counted<Tenant>, Counted<Flavour>>;
type Lent<'c> = Configs<&'c Tenant, &'c Flavour>;

impl Configs<&Counted<Tenant>, &Counted<Flavour>> {
    /// One clone of each.
    fn owned(self) -> Owned {
        Configs { tenant: self.tenant.clone(), flavour: self.flavour.clone() }
    }
}

impl Owned {
    fn lent(&self) -> Lent<'_> {
        Configs { tenant: &self.tenant, flavour: &self.flavour }
    }
}

impl Lent<'_> {
    fn add(self, sum: &mut Xxh3) {
        let Self { tenant, flavour } = self;
        add_text(sum, &tenant.name);
        let (cpu_milli, memory_mib, gpus, milli) = shape(flavour.resources);
        sum.update(&cpu_milli.to_le_bytes());
        sum.update(&memory_mib.to_le_bytes());
        sum.update(&u16::from(gpus).to_le_bytes());
        sum.update(&milli.to_le_bytes());
        sum.update(&tenant.vms.to_le_bytes());
        sum.update(&flavour.vms.to_le_bytes());
    }
}

/// The values of a VM that refer to its shared configs.
struct Vm<H> {
    line: H,
    config: H,
    proposal: H,
    decision: H,
}

pub(super) fn form(name: Name, pass: &[Parsed<'_>]) -> Box<dyn Form> {
    let catalogue = Catalogue::of(pass);
    match name {
        Name::Heap => Box::new(Heap { catalogue }),
        Name::Pooled => Box::new(FromPools {
            catalogue,
            proposals: TypedObjectPool::builder(|| None).reset(|configs| *configs = None).build(),
        }),
        Name::Arena => Box::new(InArena { catalogue: Counted::new(catalogue), pool: ArenaPool::new() }),
        other => no_form(other),
    }
}

/// A clone per use.
struct Heap {
    catalogue: Catalogue,
}

impl Form for Heap {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let vms = request.vms.iter().map(|vm| {
            let configs = self.catalogue.configs(vm);
            Vm { line: configs.owned(), config: configs.owned(), proposal: configs.owned(), decision: configs.owned() }
        });
        let vms: Vec<Vm<Owned>> = vms.collect();
        for Vm { line, config, proposal, decision } in &vms {
            for configs in [line, config, proposal, decision] {
                configs.lent().add(sum);
            }
        }
        drop(vms);
        assert!(self.catalogue.is_alone(), "a request that is over holds configs");
    }
}

/// A clone per proposal, from which the VM's other values borrow.
struct FromPools {
    catalogue: Catalogue,
    proposals: TypedObjectPool<Option<Owned>>,
}

impl Form for FromPools {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let proposals = request.vms.iter().map(|vm| {
            let mut proposal = self.proposals.acquire();
            *proposal = Some(self.catalogue.configs(vm).owned());
            proposal
        });
        let proposals: Vec<Pooled<Option<Owned>>> = proposals.collect();
        let lent = proposals.iter().filter_map(|proposal| proposal.as_ref()).map(Owned::lent);
        let vms: Vec<Vm<Lent<'_>>> = lent.map(Vm::of_one).collect();
        for vm in &vms {
            vm.add(sum);
        }
        drop(vms);
        drop(proposals);
        assert!(self.catalogue.is_alone(), "a request that is over holds configs");
    }
}

/// One clone per request, of the catalogue.
struct InArena {
    catalogue: Counted<Catalogue>,
    pool: ArenaPool,
}

impl Form for InArena {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let arena = self.pool.acquire();
        let catalogue = self.catalogue.clone().adopt_in(&*arena);
        let vms = arena.alloc_slice_fill_iter(request.vms.iter().map(|vm| {
            let Configs { tenant, flavour } = catalogue.configs(vm);
            Vm::of_one(Configs { tenant: &**tenant, flavour: &**flavour })
        }));
        for vm in &*vms {
            vm.add(sum);
        }
        assert_eq!(self.catalogue.owners(), 2, "the service and this request");
        drop(arena);
        assert!(self.catalogue.owners() == 1 && self.catalogue.is_alone(), "a request that is over holds configs");
    }
}

impl<'c> Vm<Lent<'c>> {
    /// All values refer to what one of them has.
    fn of_one(configs: Lent<'c>) -> Self {
        Self { line: configs, config: configs, proposal: configs, decision: configs }
    }

    fn add(&self, sum: &mut Xxh3) {
        let Self { line, config, proposal, decision } = *self;
        for configs in [line, config, proposal, decision] {
            configs.add(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use blixard_arena::Arena;

    use super::*;

    #[test]
    fn every_clone_and_drop_is_counted_once_and_the_arenas_at_its_end() {
        let counted = |work: &dyn Fn()| {
            let before = operations();
            work();
            operations() - before
        };
        let shared = Counted::new(7);
        assert_eq!(counted(&|| drop([shared.clone(), shared.clone()])), 4);
        let arena = Arena::new();
        assert_eq!(counted(&|| assert_eq!(*shared.clone().adopt_in(&arena), 7)), 1, "the clone");
        assert_eq!(shared.owners(), 2);
        let before = operations();
        drop(arena);
        assert_eq!((operations() - before, shared.owners()), (1, 1), "the drop");
    }
}
