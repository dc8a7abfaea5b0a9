//! A small service on its way from the heap to an arena per request, step by step, each step measured.
//!
//! The service admits VMs: a line names a tenant and eight VMs with their cores and labels, the reply says how many cores the tenant
//! has now and where its new VMs are. All steps are one program, which checks that they answer alike and measures
//! them by turns: `cargo run --release --example heap_to_arena --features allocation-tracking`.
//!
//! | step | a request | without parsing, heap over it | allocator calls per request |
//! |---|---:|---:|---:|
//! | parsing, part of each | 0.8 µs | | 0 |
//! | 0 plain std | 4.5 µs | 1 | 166 |
//! | 1 others' collections in an arena | 1.9 µs | 3.4 | 9 |
//! | 2 the library's collections | 1.7 µs | 4.5 | 4 |
//! | 3 names interned, replies in pooled buffers | 1.6 µs | 4.6 | 0.01 |
//! | 4 a budget | 1.6 µs | 4.6 | 0.01 |
//!
//! The program counts with the library's own [tracker](crate::tracking), which makes step 0 slower than it is without, by a tenth of what it spends in
//! the allocator.
//!
//! The first step is most of the way in time; the others take away what is left of the allocator, and with it what a
//! busy neighbour can do to it.
//!
//! # 0: measure before anything else
//!
//! ```
//! # use std::collections::HashMap;
//! struct Vm {
//!     name: String,
//!     labels: HashMap<String, String>,
//! }
//! let vms: Vec<Vm> = "vm-1:zone=eu,tier=web;vm-2:zone=us,tier=db"
//!     .split(';')
//!     .filter_map(|vm| vm.split_once(':'))
//!     .map(|(name, labels)| Vm {
//!         name: name.to_owned(),
//!         labels: labels.split(',').filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
//!     })
//!     .collect();
//! assert_eq!(format!("{} in {}", vms[1].name, vms[1].labels["zone"]), "vm-2 in us");
//! ```
//!
//! Every name, key, value, map and list is a block of its own. Ask the [tracker](crate::tracking) how many: two lines in `main`, and a
//! [section](crate::tracking::AllocationTracker) around the handler. If it says ten, stop here.
//!
//! # 1: an arena per request, the collections stay
//!
//! One pool for the service, one arena for the request. Texts become `&str`, and collections that speak
//! allocator-api2 take the arena for their allocator:
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use hashbrown::{DefaultHashBuilder, HashMap};
//!
//! let pool = ArenaPool::new(); // lives as long as the service
//! let arena = &*pool.acquire(); // lives as long as the request
//! let mut labels = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
//! for (key, value) in "zone=eu,tier=web".split(',').filter_map(|label| label.split_once('=')) {
//!     labels.insert(&*arena.alloc_str(key), &*arena.alloc_str(value));
//! }
//! assert_eq!(labels["zone"], "eu");
//! ```
//!
//! What changes in signatures: structs get a lifetime, `String` becomes `&'a str`, `Vec<T>` becomes `&'a [T]` once it is full. What the compiler
//! now refuses are values that were to outlive their request; step 3 is for them.
//!
//! # 2: collections made for it
//!
//! [`FlatMap`](crate::collections::FlatMap) and [`Vec`](crate::collections::Vec) refuse elements with destructors and have none
//! themselves, so a map of maps goes without a visit to each; a map of a few pairs has no table; texts are joined
//! [where they stay](crate::Arena::concat).
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use blixard_arena::collections::{FlatMap, Vec};
//!
//! let pool = ArenaPool::new();
//! let arena = &*pool.acquire();
//! let mut vms = Vec::new_in(arena);
//! for (name, labels) in "vm-1:zone=eu,tier=web;vm-2:zone=us,tier=db".split(';').filter_map(|vm| vm.split_once(':')) {
//!     let labels = labels.split(',').filter_map(|label| label.split_once('='));
//!     vms.push((&*arena.alloc_str(name), FlatMap::<_, _, _>::from_iter_in(labels, arena)));
//! }
//! let (name, labels) = &vms[1];
//! assert_eq!(arena.concat((*name, " in ", labels["zone"])), "vm-2 in us");
//! ```
//!
//! # 3: what outlives the request
//!
//! Two things are left on the heap. The key of the table of tenants is a name that comes again: [interned](crate::intern), it
//! is one word. The reply goes to a socket after the request has ended: a [pooled buffer](crate::pool), which with feature `bytes`
//! becomes `bytes::Bytes` without a copy.
//!
//! ```
//! use blixard_arena::intern::{InternedString, StringPool};
//! use blixard_arena::pool::SMALL_BUFFER_POOL;
//! use std::collections::HashMap;
//!
//! let tenants = StringPool::new();
//! let mut cores: HashMap<InternedString, u64> = HashMap::new();
//! for line in ["acme 4", "acme 8"] {
//!     let (tenant, asked) = line.split_once(' ').unwrap();
//!     *cores.entry(tenants.intern(tenant)).or_insert(0) += asked.parse::<u64>().unwrap();
//!     let mut reply = SMALL_BUFFER_POOL.acquire();
//!     reply.extend_from_slice(tenant.as_bytes()); // sent; the buffer goes home when it is dropped
//! }
//! assert_eq!(cores[&tenants.intern("acme")], 12);
//! ```
//!
//! # 4: a bound, and an answer at the bound
//!
//! A request may hold so much and no more; with the `try_` twins that is an error to answer, without them a panic with
//! [`BudgetExceeded`](crate::BudgetExceeded) that ends this request alone.
//!
//! ```
//! use blixard_arena::{Arena, ArenaOptions, BudgetExceeded};
//!
//! fn admit(arena: &Arena, line: &str) -> Result<usize, BudgetExceeded> {
//!     Ok(arena.try_alloc_str(line)?.len())
//! }
//!
//! let pool = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
//! let greedy = admit(&pool.acquire(), &"vm;".repeat(100_000));
//! assert!(greedy.unwrap_err().to_string().contains("65536"), "so much was allowed");
//! assert_eq!(admit(&pool.acquire(), "vm"), Ok(2)); // the next request does not notice
//! ```
//!
//! # And then
//!
//! Does the handler spawn tasks, or cross threads between awaits? [`SharedArena`](crate::SharedArena), acquired by
//! [`acquire_shared`](crate::ArenaPool::acquire_shared), has the same calls. Does a value need its destructor?
//! [`alloc_with_drop`](crate::Arena::alloc_with_drop). Is a config shared by all requests? [`adopt`](crate::Arena::adopt) it. The
//! [guide](super) has the rest.
