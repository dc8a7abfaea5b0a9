//! The budget, byte by byte: what arenas hold from the global allocator is what their ledger says, and never more than
//! the budget allows.
//!
//! A counting global allocator charges each allocation to the account that the running thread has switched on, and notes
//! whenever an account passes its limit, however briefly. Only calls into arenas run with an account on, so an
//! account's balance is exactly what its arenas hold. Desks (see below) then do thousands of random operations on several
//! arenas, scopes and shards at once, each beside a plain model.
//!
//! It is long because all its tests need that allocator and its accounts, and half of it is the two lists that have to be whole: a
//! desk's operations, and every call with its twin.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::large_stack_arrays,
    reason = "a test: what cannot be had ends it, patterns wrap, and values have to be large"
)]
#![expect(unsafe_code, reason = "a counting global allocator, and blocks written through pointers")]

mod during;
mod random;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::arena::{ArenaFigures, Fallible};
use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, SharedArena};
use during::during;
use hashbrown::{DefaultHashBuilder, HashMap};
use random::Random;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};

const ACCOUNTS: usize = 512;
static BALANCES: [AtomicIsize; ACCOUNTS] = [const { AtomicIsize::new(0) }; ACCOUNTS];
static LIMITS: [AtomicIsize; ACCOUNTS] = [const { AtomicIsize::new(0) }; ACCOUNTS];
/// How often an account held more than its limit.
static PASSED: [AtomicUsize; ACCOUNTS] = [const { AtomicUsize::new(0) }; ACCOUNTS];
static OPENED: AtomicUsize = AtomicUsize::new(0);

thread_local! { static CHARGED: Cell<usize> = const { Cell::new(usize::MAX) } }

struct Counting;

fn charge(bytes: isize) {
    let account = CHARGED.get();
    if account < ACCOUNTS {
        let balance = BALANCES[account].fetch_add(bytes, SeqCst) + bytes;
        if balance > LIMITS[account].load(SeqCst) {
            PASSED[account].fetch_add(1, SeqCst);
        }
    }
}

// SAFETY: passes everything on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        charge(layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        charge(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the arenas of one test hold from the global allocator.
#[derive(Clone, Copy)]
struct Account(usize);

impl Account {
    fn open(limit: usize) -> Self {
        let account = OPENED.fetch_add(1, SeqCst);
        assert!(account < ACCOUNTS, "more accounts than there is room for");
        LIMITS[account].store(isize::try_from(limit).unwrap_or(isize::MAX), SeqCst);
        Self(account)
    }

    /// Runs a call into an arena, charged to this account.
    fn on<R>(self, call: impl FnOnce() -> R) -> R {
        during(&CHARGED, self.0, call)
    }

    fn off<R>(call: impl FnOnce() -> R) -> R {
        Self(usize::MAX).on(call)
    }

    /// Runs a call that may panic with `BudgetExceeded`. Unwinding itself allocates, so the limit rests meanwhile.
    fn catch<R>(self, call: impl FnOnce() -> R) -> Result<R, BudgetExceeded> {
        // The usual hook keeps memory for what it prints; a budget's panic is expected here and prints nothing.
        static QUIET: std::sync::Once = std::sync::Once::new();
        QUIET.call_once(|| {
            let loud = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !info.payload().is::<BudgetExceeded>() {
                    loud(info);
                }
            }));
        });
        let limit = LIMITS[self.0].swap(isize::MAX, SeqCst);
        let result = self.on(|| {
            catch_unwind(AssertUnwindSafe(call)).map_err(|payload| *payload.downcast::<BudgetExceeded>().unwrap())
        });
        LIMITS[self.0].store(limit, SeqCst);
        result
    }

    /// Ends a pooled request: from then on its memory is the pool's, which no request's budget bounds.
    fn release<T>(self, guard: T) {
        let limit = LIMITS[self.0].swap(isize::MAX, SeqCst);
        self.on(|| drop(guard));
        LIMITS[self.0].store(limit, SeqCst);
    }

    fn balance(self) -> usize {
        usize::try_from(BALANCES[self.0].load(SeqCst))
            .expect("nothing is freed under an account that it was not made under")
    }

    #[track_caller]
    fn assert_is(self, figures: ArenaFigures) {
        assert_eq!(self.balance(), figures.reserved_bytes, "held and booked");
        self.assert_never_passed();
    }

    #[track_caller]
    fn assert_never_passed(self) {
        assert_eq!(PASSED[self.0].load(SeqCst), 0, "the account held more than its budget");
    }
}

/// What this file needs of either kind of arena, beside `AnyArena`.
trait Kind: Sized {
    fn layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded>;
    fn text(&self, text: &str) -> Result<&[u8], BudgetExceeded>;
    fn formatted(&self, text: &str, number: u64) -> Result<&[u8], BudgetExceeded>;
    fn listed(&self, bytes: &[u8]) -> Result<&[u8], BudgetExceeded>;
    fn state(&self) -> ArenaFigures;
    fn allocator(&self) -> Fallible<'_, Self>;
}

macro_rules! kind {
    ($type:ident) => {
        impl Kind for $type {
            fn layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded> {
                self.try_alloc_layout(layout)
            }
            fn text(&self, text: &str) -> Result<&[u8], BudgetExceeded> {
                self.try_alloc_str(text).map(|text| text.as_bytes())
            }
            fn formatted(&self, text: &str, number: u64) -> Result<&[u8], BudgetExceeded> {
                self.try_format(format_args!("{text}{number}")).map(|text| text.as_bytes())
            }
            fn listed(&self, bytes: &[u8]) -> Result<&[u8], BudgetExceeded> {
                // `filter` hides the length: the slice grows as it goes.
                self.try_alloc_slice_fill_iter(bytes.iter().copied().filter(|_| true)).map(|bytes| &*bytes)
            }
            fn state(&self) -> ArenaFigures {
                self.figures()
            }
            fn allocator(&self) -> Fallible<'_, Self> {
                self.fallible()
            }
        }
    };
}
kind!(Arena);
kind!(SharedArena);

/// One user of an arena: values, a map and a vector in it, and a model of each.
struct Desk<'a, A>
where
    Fallible<'a, A>: Allocator,
{
    arena: &'a A,
    account: Account,
    budget: usize,
    /// Whether nobody else changes the ledger beside this desk.
    alone: bool,
    values: Vec<(&'a [u8], Vec<u8>)>,
    map: HashMap<u64, u64, DefaultHashBuilder, Fallible<'a, A>>,
    map_model: std::collections::HashMap<u64, u64>,
    vec: ArenaVec<u32, Fallible<'a, A>>,
    vec_model: Vec<u32>,
    refused: usize,
}

impl<'a, A: Kind> Desk<'a, A>
where
    Fallible<'a, A>: Allocator,
{
    fn new(arena: &'a A, account: Account, budget: usize, alone: bool) -> Self {
        Self {
            arena,
            account,
            budget,
            alone,
            values: Vec::new(),
            map: HashMap::with_hasher_in(DefaultHashBuilder::default(), arena.allocator()),
            map_model: std::collections::HashMap::new(),
            vec: ArenaVec::new_in(arena.allocator()),
            vec_model: Vec::new(),
            refused: 0,
        }
    }

    #[track_caller]
    fn assert_intact(&self) {
        for (value, model) in &self.values {
            assert_eq!(value, model);
        }
        assert_eq!(self.map.len(), self.map_model.len());
        for (key, value) in &self.map_model {
            assert_eq!(self.map.get(key), Some(value));
        }
        assert_eq!(&*self.vec, &*self.vec_model);
    }

    /// A refusal: its numbers are right, it was needed, and nothing was lost.
    #[track_caller]
    fn refuse(&mut self, error: BudgetExceeded, asked: Option<Layout>, used_before: usize) {
        self.refused += 1;
        assert_eq!(error.allowed, self.budget);
        // A thread's first call in a shared arena books a shard, and may be refused for that; text and iterators of
        // unknown length grow, and may be refused half way.
        let served = !self.values.is_empty();
        if let Some(asked) = asked
            && served
        {
            assert_eq!(error.asked, asked.size());
            if self.alone {
                // A spare for scopes may have given way.
                assert!(error.used <= used_before && error.used == self.arena.state().reserved_bytes, "{error}");
                // One chunk's rounding: bumpalo halves twice the last chunk's size while it still fits the block, so what it
                // asks for is less than twice as much; then up to a page, the footer and what an allocator keeps.
                let block = asked.size().next_multiple_of(asked.align().max(16));
                let chunk = 2 * block + 4096 + 112;
                assert!(error.used + chunk > error.allowed, "refused early: {error}, {asked:?}");
            }
        }
        self.assert_intact();
    }

    /// One random operation, charged to the account, then the books are checked.
    fn step(&mut self, random: &mut Random) {
        let (arena, account) = (self.arena, self.account);
        let before = arena.state().reserved_bytes;
        let seed = random.next();
        match random.below(10) {
            0..=3 => {
                let size = match random.below(20) {
                    0 => random.below(30_000),
                    1 => 0,
                    _ => random.below(700),
                };
                let layout = Layout::from_size_align(size, 1 << random.below(if size > 300 { 13 } else { 8 })).unwrap();
                match account.on(|| arena.layout(layout)) {
                    Ok(block) => {
                        assert_eq!(block.addr().get() % layout.align(), 0);
                        let model: Vec<u8> = (0..size).map(|i| (seed as usize + i) as u8).collect();
                        // SAFETY: a fresh block of `size` bytes.
                        unsafe { block.as_ptr().copy_from_nonoverlapping(model.as_ptr(), size) };
                        // SAFETY: just written; it stays as long as the arena is borrowed.
                        self.values.push((unsafe { std::slice::from_raw_parts(block.as_ptr(), size) }, model));
                    }
                    Err(error) => self.refuse(error, Some(layout), before),
                }
            }
            4 => {
                let text = "lorem ipsum ".repeat(random.below(40));
                match account.on(|| arena.text(&text)) {
                    Ok(copy) => self.values.push((copy, text.into_bytes())),
                    Err(error) => self.refuse(error, Some(Layout::for_value(text.as_str())), before),
                }
            }
            5 => {
                let text = "node ".repeat(random.below(90));
                match account.on(|| arena.formatted(&text, seed)) {
                    Ok(copy) => self.values.push((copy, format!("{text}{seed}").into_bytes())),
                    Err(error) => self.refuse(error, None, before),
                }
            }
            6 => {
                let bytes: Vec<u8> = (0..random.below(500)).map(|i| (seed as usize ^ i) as u8).collect();
                match account.on(|| arena.listed(&bytes)) {
                    Ok(copy) => self.values.push((copy, bytes)),
                    Err(error) => self.refuse(error, None, before),
                }
            }
            7 => {
                for key in 0..random.below(40) as u64 {
                    let key = seed ^ key;
                    if account.on(|| self.map.try_reserve(1)).is_err() {
                        self.refused += 1;
                        self.assert_intact();
                        break;
                    }
                    account.on(|| self.map.insert(key, seed));
                    self.map_model.insert(key, seed);
                }
            }
            8 => {
                let more = random.below(100);
                if account.on(|| self.vec.try_reserve(more)).is_err() {
                    self.refused += 1;
                    self.assert_intact();
                } else {
                    account.on(|| self.vec.extend((0..more as u32).map(|i| i ^ seed as u32)));
                    self.vec_model.extend((0..more as u32).map(|i| i ^ seed as u32));
                }
            }
            _ => {
                let len = self.vec.len() - self.vec.len() / 4;
                self.vec.truncate(len);
                self.vec_model.truncate(len);
                if random.below(2) == 0 {
                    // Shrinking to the same alignment stays in place, so it needs no memory.
                    account.on(|| self.vec.shrink_to_fit());
                }
                self.map.retain(|key, _| key % 3 != 0);
                self.map_model.retain(|key, _| key % 3 != 0);
            }
        }
        if self.alone {
            account.assert_is(arena.state());
        } else {
            account.assert_never_passed();
        }
        assert!(arena.state().reserved_bytes <= self.budget);
    }

    fn finish(self) -> usize {
        self.assert_intact();
        let Self { account, map, vec, refused, .. } = self;
        account.on(|| drop((map, vec)));
        refused
    }
}

/// Steps on several desks in turn, with scopes (and scopes in scopes) on any of them. Returns the refusals seen.
fn play(desks: &mut [Desk<'_, Arena>], steps: usize, depth: usize, random: &mut Random) -> usize {
    let mut refused = 0;
    for _ in 0..steps {
        let at = random.below(desks.len());
        if depth > 0 && random.below(60) == 0 {
            let (arena, account, budget) = (desks[at].arena, desks[at].account, desks[at].budget);
            let before = arena.figures().reserved_bytes;
            let ran = account.on(|| {
                arena.try_scope(|inner| {
                    Account::off(|| {
                        let mut inside = [Desk::new(inner, account, budget, true)];
                        for _ in 0..30 {
                            refused += play(&mut inside, 1, depth - 1, random);
                            // The outer arena goes on beside its scope.
                            desks[at].step(random);
                        }
                        account.assert_is(inner.figures());
                        let [inside] = inside;
                        refused += inside.finish();
                    });
                })
            });
            if let Err(error) = ran {
                desks[at].refuse(error, Some(Layout::new::<Arena>()), before);
            }
            account.assert_is(arena.figures());
            desks[at].assert_intact();
        } else {
            desks[at].step(random);
        }
    }
    refused
}

#[test]
fn arenas_of_their_own_with_scopes_hold_what_they_book() {
    let mut random = Random(1);
    let budgets = [3_000, 20_000, 70_000, 1 << 20];
    let accounts = budgets.map(Account::open);
    let mut arenas: Vec<Arena> = budgets
        .iter()
        .zip([0, 0, 5_000, 100])
        .zip(accounts)
        .map(|((&budget, first), account)| {
            let options = ArenaOptions::new().budget_bytes_max(budget).first_chunk_bytes(first);
            account.on(|| options.arena())
        })
        .collect();
    let mut refused = 0;
    for _ in 0..8 {
        let mut desks: Vec<_> = arenas
            .iter()
            .zip(budgets)
            .zip(accounts)
            .map(|((arena, budget), account)| Desk::new(arena, account, budget, true))
            .collect();
        refused += play(&mut desks, 500, 2, &mut random);
        refused += desks.into_iter().map(Desk::finish).sum::<usize>();
        for (arena, account) in arenas.iter_mut().zip(accounts) {
            if random.below(4) > 0 {
                account.on(|| arena.reset());
            }
            account.assert_is(arena.figures());
        }
    }
    assert!(refused > 100, "{refused} refusals: budgets were reached");
    for (arena, account) in arenas.into_iter().zip(accounts) {
        account.on(|| drop(arena));
        assert_eq!(account.balance(), 0);
        account.assert_never_passed();
    }
}

#[test]
fn pooled_arenas_hold_what_they_book_and_nothing_once_returned() {
    let mut random = Random(2);
    let budgets = [4_000, 30_000, 200_000];
    let accounts = budgets.map(Account::open);
    // Nothing lies idle, so a pool holds what its guards book.
    let pools = budgets.map(|budget| ArenaOptions::new().budget_bytes_max(budget).idle_max(0).pool());
    for pool in &pools {
        drop(pool.acquire()); // this thread's slot, which no request pays for
    }
    for _ in 0..20 {
        let guards: Vec<_> = pools.iter().zip(accounts).map(|(pool, account)| account.on(|| pool.acquire())).collect();
        let mut desks: Vec<_> = guards
            .iter()
            .zip(budgets)
            .zip(accounts)
            .map(|((guard, budget), account)| Desk::new(&**guard, account, budget, true))
            .collect();
        play(&mut desks, 150, 1, &mut random);
        for desk in desks {
            desk.finish();
        }
        for (guard, account) in guards.into_iter().zip(accounts) {
            account.on(|| drop(guard));
            assert_eq!(account.balance(), 0);
        }
    }
}

#[test]
fn what_lies_idle_is_booked_on_the_next_request() {
    let budget = 100_000;
    let account = Account::open(usize::MAX);
    let pool = ArenaOptions::new().budget_bytes_max(budget).pool();
    drop(pool.acquire());
    pool.trim();
    let mut random = Random(3);
    for _ in 0..30 {
        // Take all that is idle, and sometimes one more: then every byte belongs to a guard.
        let count = pool.figures().idle + random.below(2);
        let guards: Vec<_> = (0..count).map(|_| account.on(|| pool.acquire())).collect();
        let booked = |guards: &[blixard_arena::PooledArena]| -> usize {
            guards.iter().map(|guard| guard.figures().reserved_bytes).sum()
        };
        assert_eq!(account.balance(), booked(&guards));
        for guard in &guards {
            for _ in 0..random.below(60) {
                let size = random.below(3_000);
                _ = account.on(|| guard.try_alloc_uninit_slice::<u8>(size).map(|_| ()));
                if random.below(10) == 0 {
                    _ = account.on(|| guard.try_scope(|inner| _ = inner.try_alloc([0u8; 600])));
                }
                assert_eq!(account.balance(), booked(&guards));
                assert!(guard.figures().reserved_bytes <= budget);
            }
        }
        for guard in guards {
            account.on(|| drop(guard));
        }
    }
    account.on(|| pool.trim());
    assert_eq!(account.balance(), 0);
}

/// Several threads in one shared arena. `lockstep`: one at a time, the books checked after each step.
fn threads_share(arena: &SharedArena, account: Account, budget: usize, lockstep: bool, seed: u64) -> usize {
    let turn = Mutex::new(());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let turn = &turn;
                scope.spawn(move || {
                    let mut random = Random(seed + worker);
                    let mut desk = Desk::new(arena, account, budget, lockstep);
                    for _ in 0..300 {
                        if lockstep {
                            let turn = turn.lock().unwrap();
                            desk.step(&mut random);
                            drop(turn);
                        } else {
                            desk.step(&mut random);
                        }
                    }
                    let _turn = turn.lock().unwrap();
                    desk.finish()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

#[test]
fn shards_on_several_threads_hold_what_the_root_books() {
    let mut refused = 0;
    for (round, budget) in [5_000, 40_000, 300_000].into_iter().enumerate() {
        let account = Account::open(budget);
        let mut arena = account.on(|| ArenaOptions::new().budget_bytes_max(budget).shared());
        account.assert_is(arena.figures());
        for lockstep in [true, false, true] {
            refused += threads_share(&arena, account, budget, lockstep, 100 * round as u64);
            account.assert_is(arena.figures());
            account.on(|| arena.reset());
            account.assert_is(arena.figures());
        }
        account.on(|| drop(arena));
        assert_eq!(account.balance(), 0);
    }
    assert!(refused > 100, "{refused} refusals: budgets were reached");
}

#[test]
fn pooled_shards_hold_what_the_root_books() {
    let budget = 60_000;
    let account = Account::open(budget);
    let pool = ArenaOptions::new().budget_bytes_max(budget).idle_max(0).pool();
    drop(pool.acquire());
    for round in 0..6 {
        let arena = account.on(|| pool.acquire_shared());
        // The workers' slots in the pool are the pool's, so they are made with no account on.
        let turn = &Mutex::new(());
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let (arena, pool) = (arena.clone(), &pool);
                scope.spawn(move || {
                    drop(pool.acquire());
                    let mut random = Random(1000 + 10 * round + worker);
                    let mut desk = Desk::new(&*arena, account, budget, true);
                    for _ in 0..200 {
                        let turn = turn.lock().unwrap();
                        desk.step(&mut random);
                        drop(turn);
                    }
                    let turn = turn.lock().unwrap();
                    desk.finish();
                    drop(turn);
                });
            }
        });
        account.assert_is(arena.figures());
        account.release(arena);
        assert_eq!(account.balance(), 0);
        account.assert_never_passed();
    }
}

/// Every call that can be refused, as `(name, the refused call, the bytes it asks for)`.
macro_rules! every_call {
    ($arena:expr, $check:ident) => {{
        const BIG: usize = 50_000;
        let arena = &$arena;
        let text = "x".repeat(BIG);
        let page = Layout::from_size_align(BIG, 64).unwrap();
        let shared: std::sync::Arc<[u8; 64]> = std::sync::Arc::new([7; 64]);
        $check!(arena, "alloc", BIG, arena.alloc([0u8; BIG]), arena.try_alloc([0u8; BIG]), arena.try_alloc(1u8));
        $check!(
            arena,
            "alloc_with",
            BIG,
            arena.alloc_with(|| [0u8; BIG]),
            arena.try_alloc_with(|| [0u8; BIG]),
            arena.try_alloc_with(|| 1)
        );
        $check!(arena, "alloc_str", BIG, arena.alloc_str(&text), arena.try_alloc_str(&text), arena.try_alloc_str("x"));
        $check!(
            arena,
            "alloc_slice_copy",
            BIG,
            arena.alloc_slice_copy(text.as_bytes()),
            arena.try_alloc_slice_copy(text.as_bytes()),
            arena.try_alloc_slice_copy(&[1, 2])
        );
        $check!(
            arena,
            "alloc_slice_clone",
            BIG,
            arena.alloc_slice_clone(text.as_bytes()),
            arena.try_alloc_slice_clone(text.as_bytes()),
            arena.try_alloc_slice_clone(&[1, 2])
        );
        $check!(
            arena,
            "alloc_slice_fill_with",
            BIG,
            arena.alloc_slice_fill_with(BIG, |_| 1u8),
            arena.try_alloc_slice_fill_with(BIG, |_| 1u8),
            arena.try_alloc_slice_fill_with(2, |i| i)
        );
        $check!(
            arena,
            "alloc_slice_fill_iter",
            BIG,
            arena.alloc_slice_fill_iter([1u8; BIG]),
            arena.try_alloc_slice_fill_iter([1u8; BIG]),
            arena.try_alloc_slice_fill_iter([1u8; 2])
        );
        $check!(
            arena,
            "alloc_uninit_slice",
            BIG,
            _ = arena.alloc_uninit_slice::<u8>(BIG),
            arena.try_alloc_uninit_slice::<u8>(BIG),
            arena.try_alloc_uninit_slice::<u8>(2)
        );
        $check!(
            arena,
            "alloc_layout",
            BIG,
            arena.alloc_layout(page),
            arena.try_alloc_layout(page),
            arena.try_alloc_layout(Layout::new::<u64>())
        );
        $check!(
            arena,
            "format",
            BIG + 1,
            arena.format(format_args!("{}{text}", 1)),
            arena.try_format(format_args!("{}{text}", 1)),
            arena.try_format(format_args!("{}", 1))
        );
        // A cleanup takes two words beside its value.
        $check!(
            arena,
            "alloc_with_drop",
            16 + 8 + BIG,
            arena.alloc_with_drop((Box::new(1), [0u8; BIG])),
            arena.try_alloc_with_drop((Box::new(1), [0u8; BIG])),
            arena.try_alloc_with_drop(Box::new(1))
        );
        let large = [1u8; BIG];
        $check!(
            arena,
            "defer",
            16 + 1 + BIG + 7,
            arena.defer(move || _ = std::hint::black_box(large)),
            arena.try_defer(move || _ = std::hint::black_box(large)),
            arena.try_defer(|| ())
        );
        assert_eq!(arena.try_adopt(std::sync::Arc::clone(&shared)).unwrap(), &*shared);
    }};
}

#[test]
fn every_call_and_its_twin_tell_the_numbers_and_go_on() {
    macro_rules! check {
        ($arena:ident, $name:literal, $asked:expr, $panics:expr, $refused:expr, $small:expr) => {{
            let before = $arena.figures();
            let error = $refused.err().expect($name);
            assert_eq!((error.asked, error.used, error.allowed), ($asked, before.reserved_bytes, 10_000), $name);
            assert_eq!($arena.figures(), before, "{} changed nothing", $name);
            let payload = catch_unwind(AssertUnwindSafe(|| {
                $panics;
            }))
            .expect_err($name);
            assert_eq!(*payload.downcast::<BudgetExceeded>().expect($name), error, $name);
            assert!($small.is_ok(), "{} goes on", $name);
        }};
    }
    let options = ArenaOptions::new().budget_bytes_max(10_000);
    let kept = options.arena();
    let kept = kept.alloc_str("a value from before");
    every_call!(options.arena(), check);
    let shared = options.shared();
    let early = shared.alloc_str("a value from before");
    every_call!(shared, check);
    assert_eq!((&*kept, &*early), ("a value from before", "a value from before"));

    // `adopt`'s own node is 32 bytes: refuse it in an arena without room for one chunk.
    let full = ArenaOptions::new().budget_bytes_max(100).arena();
    let count = std::sync::Arc::new(1);
    assert_eq!(full.try_adopt(std::sync::Arc::clone(&count)).unwrap_err().asked, 24);
    assert!(catch_unwind(AssertUnwindSafe(|| _ = full.adopt(std::sync::Arc::clone(&count)))).is_err());
    assert_eq!(std::sync::Arc::strong_count(&count), 1);
}

#[test]
fn scopes_are_refused_like_values() {
    let account = Account::open(600);
    let arena = ArenaOptions::new().budget_bytes_max(600).arena();
    account.on(|| _ = arena.alloc(1u64));
    let mut ran = false;
    let error = account.on(|| arena.try_scope(|_| ran = true)).unwrap_err();
    assert_eq!((error.asked, error.used, error.allowed), (size_of::<Arena>(), account.balance(), 600));
    assert_eq!(account.catch(|| arena.scope(|_| ())).unwrap_err(), error);
    assert!(!ran);
    account.assert_is(arena.figures());
    assert_eq!(*arena.alloc(5), 5);
    account.on(|| drop(arena));
}

#[test]
fn tiny_budgets_refuse_and_never_pass() {
    for budget in [0, 1, 100, 495, 496, 500, 1000, 1500] {
        let options = ArenaOptions::new().budget_bytes_max(budget);
        let account = Account::open(budget);
        let arena = account.on(|| options.arena());
        // A chunk is 496 bytes at least.
        assert_eq!(account.on(|| arena.try_alloc(7u64).is_ok()), budget >= 496, "{budget}");
        assert!(account.on(|| arena.try_alloc(()).is_ok()));
        let mut served = 0;
        while account.on(|| arena.try_alloc([0u64; 4]).is_ok()) {
            served += 1;
        }
        assert!(served * 32 + 32 + 48 * 4 >= (budget / 496) * 448 / 2, "{served} blocks of 32 bytes from {budget}");
        account.assert_is(arena.figures());
        _ = account.on(|| arena.try_scope(|inner| _ = inner.try_alloc(1)));
        account.assert_is(arena.figures());
        let too_much = account.catch(|| arena.alloc([0u8; 2000]).len());
        assert_eq!(too_much.unwrap_err().allowed, budget);
        account.assert_is(arena.figures());
        account.on(|| drop(arena));
        assert_eq!(account.balance(), 0);

        let pool = options.pool();
        match pool.try_acquire() {
            Ok(guard) => assert!(guard.figures().reserved_bytes <= budget),
            Err(error) => {
                assert_eq!((error.used, error.allowed), (0, budget));
                assert!(error.asked > budget);
                assert_eq!(pool.try_acquire_shared().unwrap_err(), error);
                let panicked = catch_unwind(AssertUnwindSafe(|| drop(pool.acquire()))).unwrap_err();
                assert_eq!(*panicked.downcast::<BudgetExceeded>().unwrap(), error);
            }
        }
        let figures = pool.figures();
        assert_eq!((figures.live, figures.acquired), (0, figures.returned));
    }
}

#[test]
fn a_first_chunk_beyond_the_budget_is_refused_at_once() {
    let options = ArenaOptions::new().budget_bytes_max(1000).first_chunk_bytes(2000);
    let refused = catch_unwind(|| drop(options.arena())).unwrap_err().downcast::<BudgetExceeded>().unwrap();
    assert_eq!((refused.asked, refused.used, refused.allowed), (2000, 0, 1000));
    // In a pool the first chunk comes with the first value, and only as large as the budget has room for.
    let pool = options.pool();
    let guard = pool.acquire();
    assert!(guard.try_alloc(1u64).is_ok() || guard.figures().reserved_bytes + 496 > 1000);
}

#[test]
fn a_smaller_request_is_served_after_a_refusal_until_the_last_chunk_is_full() {
    let budget = 64 << 10;
    let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
    let mut last = usize::MAX;
    let mut kept: Vec<(&[u8], u8)> = Vec::new();
    for (round, size) in [10_000, 3_000, 1_000, 300, 100, 8].into_iter().enumerate() {
        let mut served = 0;
        let error = loop {
            match arena.try_alloc_slice_fill_with(size, |_| round as u8) {
                Ok(block) => kept.push((block, round as u8)),
                Err(error) => break error,
            }
            served += 1;
        };
        assert!(error.used <= last || served > 0);
        last = error.used;
        assert!(budget - error.used < size + 4096 + 112, "{size}: {error}");
    }
    // No room for the smallest chunk, and the present one is full.
    let figures = arena.figures();
    assert!(
        budget - figures.reserved_bytes < 496 && figures.used_bytes + figures.wasted_bytes + 8 > figures.reserved_bytes
    );
    // Over nine tenths of a budget go to values.
    assert!(kept.iter().map(|(block, _)| block.len()).sum::<usize>() > budget / 10 * 9 - 4096);
    for (block, pattern) in kept {
        assert!(block.iter().all(|byte| *byte == pattern));
    }
}

#[test]
fn plain_collections_panic_over_budget_and_stay_whole() {
    let account = Account::open(20_000);
    let arena = account.on(|| ArenaOptions::new().budget_bytes_max(20_000).arena());
    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), &arena);
    let mut vec = ArenaVec::new_in(&arena);
    let mut count = 0u64;
    let refused = loop {
        let done = account.catch(|| {
            map.insert(count, count * 3);
            vec.push(count);
        });
        match done {
            Ok(()) => count += 1,
            Err(refused) => break refused,
        }
        account.assert_is(arena.figures());
    };
    assert_eq!((refused.allowed, refused.used), (20_000, account.balance()));
    // The refused one of the two is as before the call; the map may have taken its pair already.
    assert!(vec.len() as u64 == count && (map.len() as u64 == count || map.len() as u64 == count + 1));
    assert!((0..count).all(|key| map[&key] == key * 3 && vec[usize::try_from(key).unwrap()] == key));
    *map.get_mut(&0).unwrap() = 1;
    assert_eq!(map[&0], 1);
    drop((map, vec));
    account.on(|| drop(arena));
    assert_eq!(account.balance(), 0);
}
