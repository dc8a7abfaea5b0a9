//! Take an object, write a little, give it back: buffers of 1 KiB and 64 KiB and a proposal, on one and two pinned threads; and
//! take here, return there.
//!
//! Every pool is warm: what a thread needs has been taken and returned before the clock runs. Pools whose guards borrow are
//! leaked, so that their guards need no count. `plurality`'s pool takes one thread at a time and stands behind a lock, as
//! its documentation says; it recycles memory and not objects, so that a proposal's texts are made anew.

use std::cell::RefCell;
use std::hint::{black_box, spin_loop};
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use blixard_arena::pool::{ObjectPoolBuilder, Recycle, TypedObjectPool, VecPool};
use crossbeam_queue::ArrayQueue;
use lockfree_object_pool::{LinearObjectPool, MutexObjectPool};
use opool::PoolAllocator;
use sharded_slab::Clear;
use zeropool::ZeroPool;

use crate::contest::{Contender, Group, Named, Role};

/// Operations per thread between two barriers.
const BATCH: u64 = 4096;
/// Objects that a bounded peer may hold idle.
const IDLE: usize = 256;
/// Objects that go from the thread that takes to the one that gives back together, so that the queue between them does not hide what
/// the pools cost; and how many such packets there are.
const PACKET: usize = 32;
const PACKETS: usize = 4;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("pool/buffer-1k", || buffers::<1024>("pool/buffer-1k", "take a buffer of 1 KiB, write 8 bytes, give it back")),
    ("pool/buffer-64k", || {
        buffers::<65_536>("pool/buffer-64k", "take a buffer of 64 KiB, write 8 bytes, give it back")
    }),
    ("pool/proposal", proposals),
    ("pool/handover", handover),
];

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A stack of objects that is one thread's own: the least that recycling can cost. It holds addresses, as pools do; moving the
/// objects themselves takes longer.
macro_rules! thread_local_stack {
    ($name:ident, $object:ty, $make:expr) => {
        mod $name {
            use super::*;

            thread_local! {
                static STACK: RefCell<Vec<Box<$object>>> = const { RefCell::new(Vec::new()) };
            }

            #[inline(always)]
            pub(super) fn with(work: impl FnOnce(&mut $object)) {
                let object = STACK.with(|stack| stack.borrow_mut().pop());
                let mut object = object.unwrap_or_else(|| Box::new($make));
                work(&mut object);
                STACK.with(|stack| stack.borrow_mut().push(object));
            }
        }
    };
}

thread_local_stack!(small, Vec<u8>, buffer_of::<1024>());
thread_local_stack!(large, Vec<u8>, buffer_of::<65_536>());
thread_local_stack!(whole, Proposal, Proposal::default());

/// The work on a buffer; what it wrote must be there.
#[inline(always)]
fn write(buffer: &mut Vec<u8>, i: u64) {
    buffer.extend_from_slice(&i.to_ne_bytes());
    black_box(buffer.as_slice());
}

fn buffer_of<const BYTES: usize>() -> Vec<u8> {
    Vec::with_capacity(BYTES)
}

struct Buffers<const BYTES: usize>;

impl<const BYTES: usize> PoolAllocator<Vec<u8>> for Buffers<BYTES> {
    fn allocate(&self) -> Vec<u8> {
        Vec::with_capacity(BYTES)
    }
    fn reset(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
    }
}

fn buffers<const BYTES: usize>(name: &'static str, note: &'static str) -> Group {
    Group { name, note, elements: 1, contenders: [1, 2].into_iter().flat_map(buffers_at::<BYTES>).collect() }
}

#[expect(clippy::too_many_lines, reason = "one contender after the other")]
fn buffers_at<const BYTES: usize>(threads: usize) -> Vec<Contender> {
    vec![
        pinned!(
            "blixard VecPool::acquire",
            Ours,
            threads,
            VecPool::<u8>::with_capacity(BYTES),
            |pool, i| write(&mut pool.acquire(), i),
            |_| ()
        ),
        pinned!(
            "thread-local stack",
            Control,
            threads,
            (),
            |_nothing, i| {
                let work = |buffer: &mut Vec<u8>| {
                    write(buffer, i);
                    buffer.clear();
                };
                if BYTES == 1024 { small::with(work) } else { large::with(work) }
            },
            |()| ()
        ),
        pinned!("malloc", Peer, threads, (), |_nothing, i| write(&mut buffer_of::<BYTES>(), i), |()| ()),
        pinned!(
            "opool",
            Peer,
            threads,
            opool::Pool::new(IDLE, Buffers::<BYTES>),
            |pool, i| write(&mut pool.get(), i),
            |_| ()
        ),
        pinned!(
            "object-pool",
            Peer,
            threads,
            object_pool::Pool::new(threads, buffer_of::<BYTES>),
            |pool, i| {
                let mut buffer = pool.pull(buffer_of::<BYTES>);
                write(&mut buffer, i);
                buffer.clear();
            },
            |_| ()
        ),
        pinned!(
            "lockfree-object-pool, linear",
            Peer,
            threads,
            LinearObjectPool::new(buffer_of::<BYTES>, Vec::clear),
            |pool, i| write(&mut pool.pull(), i),
            |_| ()
        ),
        pinned!(
            "lockfree-object-pool, mutex",
            Peer,
            threads,
            MutexObjectPool::new(buffer_of::<BYTES>, Vec::clear),
            |pool, i| write(&mut pool.pull(), i),
            |_| ()
        ),
        pinned!(
            "crossbeam ArrayQueue",
            Peer,
            threads,
            ArrayQueue::<Vec<u8>>::new(IDLE),
            |queue, i| {
                let mut buffer = queue.pop().unwrap_or_else(buffer_of::<BYTES>);
                write(&mut buffer, i);
                buffer.clear();
                drop(queue.push(buffer));
            },
            |_| ()
        ),
        pinned!(
            "sharded-slab",
            Peer,
            threads,
            sharded_slab::Pool::<Vec<u8>>::new(),
            |pool, i| {
                let mut buffer = pool.create().expect("room for one a thread");
                buffer.reserve(BYTES);
                write(&mut buffer, i);
                let key = buffer.key();
                drop(buffer);
                pool.clear(key);
            },
            |_| ()
        ),
        pinned!(
            "zeropool",
            Peer,
            threads,
            ZeroPool::new().min_buffer_size(1),
            |pool, i| {
                let mut buffer = pool.alloc_uninit(BYTES);
                buffer.as_uninit_mut()[..8].write_copy_of_slice(&i.to_ne_bytes());
                black_box(buffer.as_uninit_mut());
            },
            |_| ()
        ),
        pinned!(
            "plurality behind a Mutex",
            Peer,
            threads,
            Mutex::new(plurality::Pool::<Plain<BYTES>>::new()),
            |pool, i| drop(take_plain(pool, i)),
            |_| ()
        ),
    ]
}

/// Memory that holds no vector, and the work on it.
type Plain<const BYTES: usize> = [MaybeUninit<u8>; BYTES];

#[inline(always)]
fn take_plain<const BYTES: usize>(pool: &Mutex<plurality::Pool<Plain<BYTES>>>, i: u64) -> plurality::Box<Plain<BYTES>> {
    let mut buffer = {
        let pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.alloc_box_with(|| [const { MaybeUninit::uninit() }; BYTES])
    };
    buffer[..8].write_copy_of_slice(&i.to_ne_bytes());
    black_box(&*buffer);
    buffer
}

/// What a control plane's proposal holds, in plain types.
#[derive(Debug, Default)]
struct Proposal {
    id: [u8; 16],
    vm: String,
    tenant: String,
    scores: Vec<(u64, f64)>,
    reason: String,
}

impl Proposal {
    /// The work on a proposal.
    #[inline(always)]
    fn fill(&mut self, i: u64) {
        self.id[..8].copy_from_slice(&i.to_ne_bytes());
        self.vm.push_str("vm-000000000017");
        self.tenant.push_str("tenant-00000009");
        self.scores.extend((0..8).map(|node| (node, 0.5)));
        self.reason.push_str("placed on node 17 with the highest score of 8");
        black_box(&*self);
    }

    #[inline(always)]
    fn empty(&mut self) {
        self.vm.clear();
        self.tenant.clear();
        self.scores.clear();
        self.reason.clear();
    }
}

impl Clear for Proposal {
    fn clear(&mut self) {
        self.empty();
    }
}

struct Proposals;

impl PoolAllocator<Proposal> for Proposals {
    fn allocate(&self) -> Proposal {
        Proposal::default()
    }
    fn reset(&self, proposal: &mut Proposal) {
        proposal.empty();
    }
}

impl Recycle<Proposal> for Proposals {
    fn make(&self) -> Proposal {
        Proposal::default()
    }
    fn reset(&self, proposal: &mut Proposal) -> bool {
        proposal.empty();
        true
    }
}

fn proposals() -> Group {
    Group {
        name: "pool/proposal",
        note: "take a proposal, fill in its id, three texts and eight scores, give it back empty",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(proposals_at).collect(),
    }
}

fn proposals_at(threads: usize) -> Vec<Contender> {
    vec![
        pinned!(
            "blixard TypedObjectPool::acquire",
            Ours,
            threads,
            TypedObjectPool::builder(Proposal::default).reset(Proposal::empty).build(),
            |pool, i| pool.acquire().fill(i),
            |_| ()
        ),
        pinned!(
            "blixard, rules of its own type",
            Ours,
            threads,
            ObjectPoolBuilder::new(Proposals).build(),
            |pool, i| pool.acquire().fill(i),
            |_| ()
        ),
        pinned!(
            "thread-local stack",
            Control,
            threads,
            (),
            |_nothing, i| whole::with(|proposal| {
                proposal.fill(i);
                proposal.empty();
            }),
            |()| ()
        ),
        pinned!("malloc", Peer, threads, (), |_nothing, i| Proposal::default().fill(i), |()| ()),
        pinned!("opool", Peer, threads, opool::Pool::new(IDLE, Proposals), |pool, i| pool.get().fill(i), |_| ()),
        pinned!(
            "object-pool",
            Peer,
            threads,
            object_pool::Pool::new(threads, Proposal::default),
            |pool, i| {
                let mut proposal = pool.pull(Proposal::default);
                proposal.fill(i);
                proposal.empty();
            },
            |_| ()
        ),
        pinned!(
            "lockfree-object-pool, linear",
            Peer,
            threads,
            LinearObjectPool::new(Proposal::default, Proposal::empty),
            |pool, i| pool.pull().fill(i),
            |_| ()
        ),
        pinned!(
            "crossbeam ArrayQueue of boxes",
            Peer,
            threads,
            ArrayQueue::<Box<Proposal>>::new(IDLE),
            |queue, i| {
                let mut proposal = queue.pop().unwrap_or_default();
                proposal.fill(i);
                proposal.empty();
                drop(queue.push(proposal));
            },
            |_| ()
        ),
        pinned!(
            "sharded-slab",
            Peer,
            threads,
            sharded_slab::Pool::<Proposal>::new(),
            |pool, i| {
                let mut proposal = pool.create().expect("room for one a thread");
                proposal.fill(i);
                let key = proposal.key();
                drop(proposal);
                pool.clear(key);
            },
            |_| ()
        ),
        pinned!(
            "plurality behind a Mutex",
            Peer,
            threads,
            Mutex::new(plurality::Pool::<Proposal>::new()),
            |pool, i| {
                let proposal = pool.lock().unwrap_or_else(PoisonError::into_inner).alloc_box_with(Proposal::default);
                let mut proposal = proposal;
                proposal.fill(i);
            },
            |_| ()
        ),
    ]
}

/// One thread takes and sends, the other receives and gives back.
fn passed_on<G: Send + 'static>(
    name: &'static str,
    role: Role,
    take: impl Fn(u64) -> G + Send + Sync + 'static,
    give_back: impl Fn(G) + Send + Sync + 'static,
) -> Contender {
    let (full, empty) = (ArrayQueue::<Vec<G>>::new(PACKETS), ArrayQueue::new(PACKETS));
    (0..PACKETS).for_each(|_| drop(empty.push(Vec::with_capacity(PACKET))));
    Contender::pinned(
        name,
        role,
        2,
        BATCH,
        (full, empty, take, give_back),
        |(full, empty, take, give_back), thread, n| {
            let mut left = usize::try_from(n).expect("a batch");
            while left > 0 {
                let now = left.min(PACKET);
                if thread == 0 {
                    let mut packet = wait_for(empty);
                    packet.extend((0..now as u64).map(take));
                    assert!(full.push(packet).is_ok(), "there are no more packets than places");
                } else {
                    let mut packet = wait_for(full);
                    packet.drain(..).for_each(give_back);
                    assert!(empty.push(packet).is_ok(), "there are no more packets than places");
                }
                left -= now;
            }
        },
        |_| (),
    )
}

fn wait_for<P>(queue: &ArrayQueue<P>) -> P {
    loop {
        if let Some(packet) = queue.pop() {
            return packet;
        }
        spin_loop();
    }
}

fn handover() -> Group {
    const BYTES: usize = 1024;
    let written = |mut buffer: Vec<u8>, i| {
        write(&mut buffer, i);
        buffer
    };
    let ours = leaked(VecPool::<u8>::with_capacity(BYTES));
    let opool = leaked(opool::Pool::new(IDLE, Buffers::<BYTES>));
    let object_pool = leaked(object_pool::Pool::new(IDLE, buffer_of::<BYTES>));
    let linear = leaked(LinearObjectPool::new(buffer_of::<BYTES>, Vec::clear));
    let queue = leaked(ArrayQueue::<Vec<u8>>::new(IDLE));
    let slab = leaked(sharded_slab::Pool::<Vec<u8>>::new());
    let zeropool = leaked(ZeroPool::new().min_buffer_size(1));
    let plurality = leaked(Mutex::new(plurality::Pool::<Plain<BYTES>>::new()));
    Group {
        name: "pool/handover",
        note: "one thread takes a buffer of 1 KiB and writes 8 bytes, another gives it back; 32 go over together",
        elements: 1,
        contenders: vec![
            passed_on(
                "blixard VecPool::acquire",
                Role::Ours,
                |i| {
                    let mut buffer = ours.acquire();
                    write(&mut buffer, i);
                    buffer
                },
                drop,
            ),
            passed_on("numbers instead of buffers", Role::Control, |i| i, |i| _ = black_box(i)),
            passed_on("malloc", Role::Peer, move |i| written(buffer_of::<BYTES>(), i), drop),
            passed_on(
                "opool",
                Role::Peer,
                |i| {
                    let mut buffer = opool.get();
                    write(&mut buffer, i);
                    buffer
                },
                drop,
            ),
            passed_on(
                "object-pool",
                Role::Peer,
                move |i| {
                    let mut buffer = object_pool.pull(buffer_of::<BYTES>);
                    buffer.clear();
                    write(&mut buffer, i);
                    buffer
                },
                drop,
            ),
            passed_on(
                "lockfree-object-pool, linear",
                Role::Peer,
                |i| {
                    let mut buffer = linear.pull();
                    write(&mut buffer, i);
                    buffer
                },
                drop,
            ),
            passed_on(
                "crossbeam ArrayQueue",
                Role::Peer,
                move |i| written(queue.pop().unwrap_or_else(buffer_of::<BYTES>), i),
                |mut buffer| {
                    buffer.clear();
                    drop(queue.push(buffer));
                },
            ),
            passed_on(
                "sharded-slab",
                Role::Peer,
                |i| {
                    let mut buffer = slab.create().expect("room for those in flight");
                    buffer.reserve(BYTES);
                    write(&mut buffer, i);
                    buffer.key()
                },
                |key| _ = slab.clear(key),
            ),
            passed_on(
                "zeropool",
                Role::Peer,
                |i| {
                    let mut buffer = zeropool.alloc_uninit(BYTES);
                    buffer.as_uninit_mut()[..8].write_copy_of_slice(&i.to_ne_bytes());
                    black_box(buffer.as_uninit_mut());
                    buffer
                },
                drop,
            ),
            passed_on("plurality behind a Mutex", Role::Peer, |i| take_plain(plurality, i), drop),
        ],
    }
}
