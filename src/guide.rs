//! When to take what: an arena, an interner, a pool, a short list in place, a flat map, a cache, or the plain heap.
//!
//! Ask how long a value lives, then how often it comes again:
//!
//! | the value | take |
//! |---|---|
//! | ends with its request | an [arena](#an-arena-what-ends-with-its-request) |
//! | is a name that comes again and again | an [interner](#an-interner-names-that-come-again) |
//! | outlives its request, and its like comes again | a [pool](#a-pool-what-outlives-its-request-and-comes-again) |
//! | is a short list inside of a value that outlives its request | [`SmallVec`](#smallvec-short-lists-in-values-that-stay) |
//! | is a map that is built, read a little, and let go | [`FlatMap`](#flatmap-maps-that-are-built-and-let-go) |
//! | is shared by many requests and costly to make | a [cache](#a-cache-what-many-requests-share) |
//! | none of these | the [plain heap](#the-plain-heap-all-else) |
//!
//! [`heap_to_arena`] takes a small service from the heap to an arena step by step.
//!
//! Times are from one machine, a virtual 2-core x86-64 with glibc; what counts are the ratios, each of one run. `ratios`
//! stands for `cargo run --release -p benches --bin ratios --`, `profiling` for `cargo run --release -p profiling --`;
//! run both on a machine that does nothing else.
//!
//! # An arena: what ends with its request
//!
//! The first choice, and often the only one. A value costs 1 ns where a `Box` and its free cost 14 (`ratios bump/u64`), a
//! text of 16 bytes a twelfth of a `String` (`ratios bump/str`), and to get the arena and give it back costs less than
//! one `Box` (`ratios pool/acquire`): in time it pays from the second allocation on, in effort from some ten.
//!
//! What that makes of a request, by `profiling --pods PODS.csv --nodes NODES.csv`, 16 VMs of a public trace, the same
//! bytes out:
//!
//! | | build and release | allocator calls, second half of the run | peak of live bytes |
//! |---|---:|---:|---:|
//! | plain heap | 15.5 µs | 649 | 75 KiB |
//! | pools, interned names, cached configs | 7.8 µs | 0.33 | 3.8 MiB |
//! | an arena per request | 2.0 µs | 0 | 73 KiB |
//!
//! The pools save the allocator's calls too, all but those for the backtraces of sampled leak sites, but each object and
//! each config is still taken, compared and given back by itself, and what is cached has to lie somewhere.
//!
//! Not for: one structure that grows and shrinks for hours, since an arena gives nothing back before its end; values that
//! outlive their requests each for its own time.
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use blixard_arena::collections::Vec;
//!
//! let pool = ArenaPool::new();
//! let arena = &*pool.acquire();
//! let mut tags = Vec::new_in(arena);
//! tags.extend("web,eu".split(',').map(|tag| &*arena.alloc_str(tag)));
//! assert_eq!(&*tags, ["web", "eu"]);
//! ```
//!
//! # An interner: names that come again
//!
//! For equality by one word, for tables keyed by names, and for memory: a million names take 32 bytes each beside their
//! texts (`cargo run --release -p benches --bin names_memory`). Not for speed of making: to copy a text into an arena
//! takes 1.6 ns, to find it among 10,000 interned ones under a [pin](crate::intern::StringPool::pin) 20, to hold it a few
//! more; to enter a new one 115 to 140 (`ratios bump/str`, `ratios intern/shared-hit-10000`, `ratios intern/shared-fill`).
//! So intern what is met some ten times before it is let go: tenants, nodes, keys of labels, states. The identifier of a
//! request, a path, a value with a number in it are no such names: nobody holds
//! them between requests, so each is freed and entered again.
//!
//! Names that end with their request belong into an [`ArenaInterner`](crate::intern::ArenaInterner): a new one costs a
//! fifth to a sixth of one in the pool (`ratios intern/fill-10000`). Names known when the program is written are
//! [constants](crate::constant_names), and cost nothing.
//!
//! # A pool: what outlives its request and comes again
//!
//! A buffer on its way to a socket, a proposal that waits for its quorum. To take a buffer of 1 KiB and give it back
//! costs half of `malloc` and `free`, one of 64 KiB less than a quarter (`ratios pool/buffer`); where one thread takes
//! and another gives back, a ninth (`ratios pool/handover`). What saves most is not the object but the memory inside
//! of it: texts and lists that keep their room.
//!
//! Not for what ends with its request: the same object in an arena costs a quarter of that, and nothing to give back. Nor
//! for small objects that own no memory: 5 ns against the heap's 14 is little, and each pool is one more thing to bound.
//!
//! # `SmallVec`: short lists in values that stay
//!
//! Where a list is nearly always within its place, in values on the heap: four numbers in a
//! [`SmallVec`](crate::collections::SmallVec) of eight take 0.65 of a `Vec` with capacity. Beyond its place it loses:
//! twelve take 1.9 times as long as a `Vec` that knew its length. In an arena [`Vec`](crate::collections::Vec) takes 0.6 and 0.3 of
//! the `SmallVec`'s time, 0.4 and 0.5 of that of a `Vec` with capacity (`ratios collections/short`), and moves in 32 bytes.
//!
//! # `FlatMap`: maps that are built and let go
//!
//! Labels, headers, fields: a [`FlatMap`](crate::collections::FlatMap) of four pairs is built in a seventh of hashbrown's
//! time in an arena, in a quarter on the heap (`ratios collections/map-4/build`), and keeps the order of insertion. A
//! look-up takes 1.2 to 1.4 times as long (`ratios collections/map-`): a table that is read for hours is hashbrown's.
//!
//! # A cache: what many requests share
//!
//! Configs, catalogues, compiled rules: held by the service as `Arc`s, and in the caches of `arc` (feature `cache`) where
//! there are too many to hold all. To find one among ten costs 25 ns in an `ArcCache`, 15 with a
//! `CacheReader`, and 77 where two threads ask for the same ones (`ratios arc/get-10`): take it when making the value
//! costs more than that, not for what a request can compute in place.
//!
//! A request takes one count of what it shares, by [`adopt`](crate::Arena::adopt), and passes on plain references. Each of 64
//! costs 0.22 of an `Arc`'s clone and drop, on two threads a twenty-third (`ratios arc/clone-64`); the main job's requests make 2
//! operations on counts so, where a clone per use makes 256 and one per proposal 64 (`profiling`, "Arc operations").
//!
//! # The plain heap: all else
//!
//! A modern allocator takes 8 to 15 ns for a value and its free (`ratios bump/u64`; `cargo bench -p benches --bench
//! tracking`). Start-up, configuration, long-lived structures, code that allocates three times per request: leave them
//! there, nobody will notice. To see who does allocate, [`tracking`](crate::tracking) costs a tenth of an allocation and
//! its free when it counts.
//!
//! # What was hoped for, and what comes out
//!
//! `profiling` counts, kind by kind, how many fewer allocations and `Arc` operations a request needs than on the plain
//! heap; each replay does one kind of thing and nothing else (the public trace, from the first request on):
//!
//! | | hoped of pools | heap, per request | pools | arena |
//! |---|---:|---:|---:|---:|
//! | string allocations | 70 to 90 % | 271 | 99.9 % | 99.99 % |
//! | object allocations | 60 to 80 % | 32 | 99.9 % | 99.99 % |
//! | collection allocations | 40 to 60 % | 36 | 99.8 % | 99.99 % |
//! | `Arc` operations | 50 to 70 % | 256 | 75 % | 99.2 % |
//!
//! A pool that is warm saves nearly all allocations, when the memory inside of its objects is kept too. What it cannot
//! save is the work on each object and each count; that is why the arena is four times faster for the same request.
#![forbid(unsafe_code)]

pub mod heap_to_arena;
