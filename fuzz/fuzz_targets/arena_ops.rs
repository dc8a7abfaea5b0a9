//! Sequences of arena operations against a naive model: no block overlaps another, each is aligned and keeps its
//! contents, cleanups run newest first, and no byte is held beyond the budget.
//!
//! An input is a set of options and a list of operations on up to four arenas: plain ones, shared ones, and guards of one
//! pool, with scopes, allocator blocks that grow and shrink, other threads, releases and resets. The model is a list of
//! the blocks that live and the byte that fills each. A counting allocator tells what is really held.
//!
//! Run: `cargo +nightly fuzz run arena_ops fuzz/corpus/arena_ops fuzz/seeds/arena_ops`
#![no_main]

use allocator_api2::alloc::Allocator;
use arbitrary::Arbitrary;
use blixard_arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, SharedArena,
};
use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

// ---- what is really held -----------------------------------------------------------------------------------------

/// Counts the bytes of blocks that were allocated inside the library, wherever they are freed: a header says which.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
thread_local! { static INSIDE: Cell<bool> = const { Cell::new(false) }; }

/// A block's layout with room in front for the mark, and how much room that is.
fn marked(layout: Layout) -> (Layout, usize) {
    let front = layout.align().max(16);
    (Layout::from_size_align(layout.size() + front, front).expect("no larger than what the arena may ask"), front)
}

// SAFETY: every block is System's, moved up by its front; the front is a multiple of the alignment.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > isize::MAX as usize / 2 {
            return std::ptr::null_mut();
        }
        let (whole, front) = marked(layout);
        let inside = INSIDE.with(Cell::get);
        // SAFETY: the size is not zero; the mark lies in the front, which is at least a word.
        unsafe {
            let at = System.alloc(whole);
            if at.is_null() {
                return at;
            }
            at.cast::<usize>().write(usize::from(inside));
            if inside {
                HELD.fetch_add(layout.size(), Relaxed);
            }
            at.add(front)
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let (whole, front) = marked(layout);
        // SAFETY: `at` came from `alloc` with this layout.
        unsafe {
            let at = at.sub(front);
            if at.cast::<usize>().read() == 1 {
                HELD.fetch_sub(layout.size(), Relaxed);
            }
            System.dealloc(at, whole);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A call into the library: what it allocates is counted.
fn inside<R>(call: impl FnOnce() -> R) -> R {
    let before = INSIDE.replace(true);
    let result = call();
    INSIDE.set(before);
    result
}

/// The model's own work inside such a call.
fn outside<R>(call: impl FnOnce() -> R) -> R {
    let before = INSIDE.replace(false);
    let result = call();
    INSIDE.set(before);
    result
}

// ---- the input ---------------------------------------------------------------------------------------------------

#[derive(Arbitrary, Debug)]
struct Input {
    budget_kib: u8,
    first_chunk: u16,
    retain: u16,
    idle_max: u8,
    reset: u8,
    recycle: bool,
    ops: Vec<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Make {
        kind: u8,
    },
    Select {
        which: u8,
    },
    Release {
        elsewhere: bool,
    },
    Reset,
    Trim,
    Layout {
        size: u16,
        align: u8,
    },
    Words {
        len: u8,
    },
    Text {
        len: u16,
    },
    Format {
        number: u32,
        repeat: u8,
    },
    FillIter {
        len: u8,
        hint: u8,
    },
    Values {
        len: u8,
    },
    WithDrop {
        len: u8,
    },
    Defer,
    Block {
        size: u16,
        align: u8,
    },
    Grow {
        which: u8,
        by: u16,
        align: u8,
    },
    Shrink {
        which: u8,
        by: u16,
        align: u8,
    },
    Deallocate {
        which: u8,
    },
    ScopeBegin,
    ScopeEnd,
    /// The next operation uses the arena around the scope.
    Outer,
    /// The next operation happens on another thread, where the arena allows it.
    Elsewhere,
    Huge {
        shift: u8,
    },
}

// ---- the model ---------------------------------------------------------------------------------------------------

/// A block of an arena: where it lies and the byte that fills it.
struct Block {
    at: NonNull<u8>,
    layout: Layout,
    fill: u8,
    /// Came from the `Allocator` interface, so it may be grown, shrunk and given back.
    owned: bool,
}

// SAFETY: a block is looked at by one thread at a time.
unsafe impl Send for Block {}

#[derive(Default)]
struct Model {
    blocks: Vec<Block>,
    next_fill: u8,
    /// Cleanups that have to run, oldest first.
    cleanups: Vec<u32>,
}

impl Model {
    /// Takes a new block in: it must be aligned and overlap no other. Fills it.
    fn add(&mut self, at: NonNull<u8>, layout: Layout, owned: bool) {
        self.check_place(at, layout, None);
        self.next_fill = self.next_fill.wrapping_add(1);
        let block = Block { at, layout, fill: self.next_fill, owned };
        block.write(0);
        self.blocks.push(block);
    }

    fn check_place(&self, at: NonNull<u8>, layout: Layout, except: Option<usize>) {
        let start = at.addr().get();
        assert_eq!(start % layout.align(), 0, "a block of {layout:?} lies at {start:#x}");
        for (i, other) in self.blocks.iter().enumerate() {
            let from = other.at.addr().get();
            let apart = start + layout.size() <= from || from + other.layout.size() <= start;
            let empty = layout.size() == 0 || other.layout.size() == 0;
            assert!(
                apart || empty || Some(i) == except,
                "{layout:?} at {start:#x} overlaps {:?} at {from:#x}",
                other.layout
            );
        }
    }

    /// All blocks keep their contents.
    fn check(&self) {
        self.blocks.iter().for_each(|block| block.check(block.layout.size()));
    }

    /// An owned block, by any number.
    fn owned(&self, which: u8) -> Option<usize> {
        let owned: Vec<usize> = (0..self.blocks.len()).filter(|&i| self.blocks[i].owned).collect();
        (!owned.is_empty()).then(|| owned[usize::from(which) % owned.len()])
    }
}

impl Block {
    /// Fills all bytes from `from` on.
    fn write(&self, from: usize) {
        // SAFETY: the block is live and `from` is within it.
        unsafe { self.at.as_ptr().add(from).write_bytes(self.fill, self.layout.size() - from) };
    }

    fn check(&self, len: usize) {
        // SAFETY: the block is live and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.as_ptr(), len) };
        assert!(bytes.iter().all(|byte| *byte == self.fill), "a block of {:?} lost its contents", self.layout);
    }
}

/// What runs at the end of a request writes its number here.
type Log = Arc<Mutex<Vec<u32>>>;

struct Token(u32, Log);

impl Drop for Token {
    fn drop(&mut self) {
        outside(|| self.1.lock().unwrap().push(self.0));
    }
}

/// An iterator whose lower bound may be wrong.
struct Hinting(std::iter::Take<std::iter::Repeat<u64>>, usize);

impl Iterator for Hinting {
    type Item = u64;
    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, None)
    }
}

// ---- the operations, over both kinds of arena ---------------------------------------------------------------------

/// Beyond rounding to chunks, pages and alignment nothing may be refused.
fn justified(refused: BudgetExceeded, layout: Layout, budget: usize) {
    assert!(refused.used <= budget, "{refused}");
    if refused.allowed == budget && layout.size() < 1 << 40 {
        let needed = 2 * (layout.size() + layout.align()) + 8192;
        assert!(refused.used + needed > budget, "{refused}: refused far too early for {layout:?}");
    }
}

trait Place {
    fn step(&self, op: &Op, model: &mut Model, log: &Log, budget: usize);
    fn scope(&self, body: &mut dyn FnMut(&Self));
}

macro_rules! place {
    ($type:ty, $scope:expr) => {
        impl Place for $type {
            fn step(&self, op: &Op, model: &mut Model, log: &Log, budget: usize) {
                let layout =
                    |size: u16, align: u8| Layout::from_size_align(usize::from(size), 1 << (align % 13)).unwrap();
                match *op {
                    Op::Layout { size, align } => {
                        let layout = layout(size, align);
                        match inside(|| self.try_alloc_layout(layout)) {
                            Ok(at) => model.add(at, layout, false),
                            Err(refused) => justified(refused, layout, budget),
                        }
                    }
                    Op::Words { len } => {
                        let words = vec![u64::from(len); usize::from(len)];
                        if let Ok(copy) = inside(|| self.try_alloc_slice_copy(&words)) {
                            assert_eq!(copy, words);
                            model.add(NonNull::from(&mut *copy).cast(), Layout::for_value(&*copy), false);
                        }
                    }
                    Op::Text { len } => {
                        let text = "é".repeat(usize::from(len) / 2);
                        if let Ok(copy) = inside(|| self.try_alloc_str(&text)) {
                            assert_eq!(*copy, *text);
                            model.add(NonNull::from(&mut *copy).cast(), Layout::for_value(&*copy), false);
                        }
                    }
                    Op::Format { number, repeat } => {
                        let width = usize::from(repeat) * 4;
                        if let Ok(text) = inside(|| self.try_format(format_args!("vm-{number:width$}-{}", "x"))) {
                            assert_eq!(*text, *format!("vm-{number:width$}-x"));
                            model.add(NonNull::from(&mut *text).cast(), Layout::for_value(&*text), false);
                        }
                    }
                    Op::FillIter { len, hint } => {
                        let values = Hinting(std::iter::repeat(7).take(usize::from(len)), usize::from(hint));
                        if let Ok(slice) = inside(|| self.try_alloc_slice_fill_iter(values)) {
                            assert!(slice.len() == usize::from(len) && slice.iter().all(|value| *value == 7));
                            model.add(NonNull::from(&mut *slice).cast(), Layout::for_value(&*slice), false);
                        }
                    }
                    Op::Values { len } => {
                        if let Ok(slice) = inside(|| self.try_alloc_slice_fill_with(usize::from(len), |i| [i; 3])) {
                            assert!(slice.iter().enumerate().all(|(i, value)| *value == [i; 3]));
                            model.add(NonNull::from(&mut *slice).cast(), Layout::for_value(&*slice), false);
                        }
                    }
                    Op::WithDrop { len } => {
                        let number = u32::from(len) << 16 | model.cleanups.len() as u32;
                        let token = (Token(number, Arc::clone(log)), [len; 24]);
                        let before = log.lock().unwrap().len();
                        match inside(|| self.try_alloc_with_drop(token)) {
                            Ok(value) => {
                                let bytes = NonNull::from(&mut value.1).cast();
                                model.add(bytes, Layout::new::<[u8; 24]>(), false);
                                model.cleanups.push(number);
                            }
                            Err(_) => assert_eq!(log.lock().unwrap().split_off(before), [number], "dropped at once"),
                        }
                    }
                    Op::Defer => {
                        let number = 1 << 30 | model.cleanups.len() as u32;
                        let token = Token(number, Arc::clone(log));
                        let before = log.lock().unwrap().len();
                        match inside(|| self.try_defer(move || drop(token))) {
                            Ok(()) => model.cleanups.push(number),
                            Err(_) => assert_eq!(log.lock().unwrap().split_off(before), [number], "dropped at once"),
                        }
                    }
                    Op::Block { size, align } => {
                        let layout = layout(size, align);
                        if let Ok(block) = inside(|| self.fallible().allocate(layout)) {
                            assert_eq!(block.len(), layout.size());
                            model.add(block.cast(), layout, true);
                        }
                    }
                    Op::Grow { which, by, align } => {
                        let Some(i) = model.owned(which) else { return };
                        let old = model.blocks[i].layout;
                        let new =
                            Layout::from_size_align(old.size() + usize::from(by), layout(0, align).align()).unwrap();
                        // SAFETY: a live block of this arena and this layout; `new` is not smaller.
                        let grown = inside(|| unsafe { self.fallible().grow(model.blocks[i].at, old, new) });
                        if let Ok(at) = grown {
                            model.check_place(at.cast(), new, Some(i));
                            let block = &mut model.blocks[i];
                            (block.at, block.layout) = (at.cast(), new);
                            block.check(old.size());
                            block.write(old.size());
                        }
                    }
                    Op::Shrink { which, by, align } => {
                        let Some(i) = model.owned(which) else { return };
                        let old = model.blocks[i].layout;
                        let size = old.size().saturating_sub(usize::from(by));
                        let new = Layout::from_size_align(size, layout(0, align).align()).unwrap();
                        // SAFETY: a live block of this arena and this layout; `new` is not larger.
                        let shrunk = inside(|| unsafe { self.fallible().shrink(model.blocks[i].at, old, new) });
                        if let Ok(at) = shrunk {
                            model.check_place(at.cast(), new, Some(i));
                            let block = &mut model.blocks[i];
                            (block.at, block.layout) = (at.cast(), new);
                            block.check(size);
                        }
                    }
                    Op::Deallocate { which } => {
                        let Some(i) = model.owned(which) else { return };
                        let block = model.blocks.swap_remove(i);
                        block.check(block.layout.size());
                        // SAFETY: a live block of this arena and this layout, not used any more.
                        inside(|| unsafe { self.fallible().deallocate(block.at, block.layout) });
                    }
                    Op::Huge { shift } => {
                        let len = usize::MAX >> (shift % 24);
                        let refused = inside(|| self.try_alloc_uninit_slice::<u64>(len)).unwrap_err();
                        assert!(refused.used <= budget);
                    }
                    _ => {}
                }
            }

            fn scope(&self, body: &mut dyn FnMut(&Self)) {
                let scope: fn(&Self, &mut dyn FnMut(&Self)) = $scope;
                scope(self, body);
            }
        }
    };
}
place!(Arena, |arena, body| {
    // Refused for want of room: then there is no scope.
    _ = inside(|| arena.try_scope(|inner| outside(|| body(inner))));
});
place!(SharedArena, |_, _| {});

/// Runs operations on one arena, and within scopes of it, until one asks for something else.
fn run<A: Place>(arenas: &[&A], models: &mut [&mut Model], ops: &mut &[Op], log: &Log, budget: usize, hop: Hop<A>) {
    let (mut outer, mut elsewhere) = (false, false);
    while let Some((op, rest)) = ops.split_first() {
        if matches!(op, Op::Make { .. } | Op::Select { .. } | Op::Release { .. } | Op::Reset | Op::Trim) {
            return;
        }
        *ops = rest;
        let depth = arenas.len() - 1 - usize::from(outer && arenas.len() > 1);
        match op {
            Op::Outer => outer = true,
            Op::Elsewhere => elsewhere = true,
            Op::ScopeEnd if arenas.len() > 1 => break,
            Op::ScopeBegin if arenas.len() < 4 && depth + 1 == arenas.len() => {
                arenas[depth].scope(&mut |inner| {
                    let mut model = Model::default();
                    let mut arenas = arenas.to_vec();
                    arenas.push(inner);
                    let mut models: Vec<&mut Model> = models.iter_mut().map(|model| &mut **model).collect();
                    models.push(&mut model);
                    run(&arenas, &mut models, ops, log, budget, hop);
                    model.check();
                    // Its cleanups run when this closure has ended; forget the numbers of the ones before.
                    SCOPE.with_borrow_mut(|scope| scope.append(&mut model.cleanups));
                });
                let mut expected = SCOPE.take();
                expected.reverse();
                let ran = std::mem::take(&mut *log.lock().unwrap());
                assert_eq!(ran, expected, "a scope's cleanups run when it ends, newest first");
            }
            op => {
                if elsewhere && arenas.len() == 1 {
                    hop(arenas[depth], op, models[depth], log, budget);
                } else {
                    arenas[depth].step(op, models[depth], log, budget);
                }
                (outer, elsewhere) = (false, false);
            }
        }
    }
}

thread_local! { static SCOPE: std::cell::RefCell<Vec<u32>> = const { std::cell::RefCell::new(Vec::new()) }; }

/// Does one operation on another thread, if the kind of arena may.
type Hop<A> = fn(&A, &Op, &mut Model, &Log, usize);

fn stay(arena: &Arena, op: &Op, model: &mut Model, log: &Log, budget: usize) {
    arena.step(op, model, log, budget);
}

fn hop(arena: &SharedArena, op: &Op, model: &mut Model, log: &Log, budget: usize) {
    std::thread::scope(|scope| {
        // Joined by hand: then the thread's own destructors have run, too.
        scope.spawn(|| arena.step(op, model, log, budget)).join().unwrap();
    });
}

// ---- arenas ------------------------------------------------------------------------------------------------------

enum Subject {
    Plain(Box<Arena>),
    Shared(Box<SharedArena>),
    Pooled(PooledArena),
    PooledShared(PooledSharedArena),
}

impl Subject {
    fn figures(&self) -> blixard_arena::arena::ArenaFigures {
        match self {
            Self::Plain(arena) => arena.figures(),
            Self::Shared(arena) => arena.figures(),
            Self::Pooled(arena) => arena.figures(),
            Self::PooledShared(arena) => arena.figures(),
        }
    }
}

struct Case {
    pool: ArenaPool,
    options: ArenaOptions,
    budget: usize,
    subjects: Vec<(Subject, Model)>,
    current: usize,
    log: Log,
    /// Bytes that the pool holds with no arena in it.
    base: usize,
}

impl Case {
    fn make(&mut self, kind: u8) {
        if self.subjects.len() == 4 {
            return;
        }
        let subject = inside(|| match kind % 4 {
            0 => Some(Subject::Plain(outside(|| Box::new(inside(|| self.plain()))))),
            // Its own block is on the budget, and no room for it is a panic.
            1 if self.budget < 4096 => None,
            1 => Some(Subject::Shared(outside(|| Box::new(inside(|| self.options.first_chunk_bytes(0).shared()))))),
            2 => self.pool.try_acquire().ok().map(Subject::Pooled),
            _ => self.pool.try_acquire_shared().ok().map(Subject::PooledShared),
        });
        if let Some(subject) = subject {
            self.current = self.subjects.len();
            self.subjects.push((subject, Model::default()));
        }
    }

    /// The first chunk of an arena outside a pool is taken at once, and a budget too small for it is a panic.
    fn plain(&self) -> Arena {
        self.options.first_chunk_bytes(0).arena()
    }

    fn release(&mut self, elsewhere: bool) {
        if self.subjects.is_empty() {
            return;
        }
        let (subject, model) = self.subjects.swap_remove(self.current % self.subjects.len());
        model.check();
        if elsewhere {
            std::thread::spawn(move || inside(|| drop(subject))).join().unwrap();
        } else {
            inside(|| drop(subject));
        }
        self.check_cleanups(model.cleanups);
    }

    fn reset(&mut self) {
        let Some(at) = self.at() else { return };
        let (subject, model) = &mut self.subjects[at];
        model.check();
        match subject {
            Subject::Plain(arena) => inside(|| arena.reset()),
            Subject::Shared(arena) => inside(|| arena.reset()),
            Subject::Pooled(arena) => inside(|| arena.reset()),
            Subject::PooledShared(_) => return,
        }
        let model = std::mem::take(model);
        self.check_cleanups(model.cleanups);
    }

    fn at(&self) -> Option<usize> {
        (!self.subjects.is_empty()).then(|| self.current % self.subjects.len())
    }

    fn check_cleanups(&self, mut expected: Vec<u32>) {
        expected.reverse();
        let ran = std::mem::take(&mut *self.log.lock().unwrap());
        assert_eq!(ran, expected, "cleanups run when a request ends, newest first");
    }

    /// With nothing idle, all that is held is what the arenas say they hold, and none holds more than it may.
    fn audit(&self) {
        inside(|| self.pool.trim());
        let mut held = self.base;
        for (subject, model) in &self.subjects {
            model.check();
            let figures = subject.figures();
            assert!(figures.reserved_bytes <= figures.high_water_bytes, "{figures}");
            assert!(figures.high_water_bytes <= self.budget, "{figures}, of {} allowed", self.budget);
            assert!(figures.used_bytes + figures.wasted_bytes <= figures.reserved_bytes, "{figures}");
            held += figures.reserved_bytes;
        }
        assert_eq!(HELD.load(Relaxed), held, "held, and what the ledgers say");
        let figures = self.pool.figures();
        assert_eq!(figures.acquired - figures.returned, figures.live);
        assert_eq!(figures.idle, 0, "trimmed");
    }

    fn go(&mut self, mut ops: &[Op]) {
        while let Some((op, rest)) = ops.split_first() {
            match *op {
                Op::Make { kind } => self.make(kind),
                Op::Select { which } => self.current = usize::from(which),
                Op::Release { elsewhere } => self.release(elsewhere),
                Op::Reset => self.reset(),
                Op::Trim => self.audit(),
                _ => {
                    let Some(at) = self.at() else { return };
                    let (subject, model) = &mut self.subjects[at];
                    let (log, budget) = (&self.log, self.budget);
                    match subject {
                        Subject::Plain(arena) => run(&[&**arena], &mut [model], &mut ops, log, budget, stay),
                        Subject::Pooled(arena) => run(&[&**arena], &mut [model], &mut ops, log, budget, stay),
                        Subject::Shared(arena) => run(&[&**arena], &mut [model], &mut ops, log, budget, hop),
                        Subject::PooledShared(arena) => run(&[&**arena], &mut [model], &mut ops, log, budget, hop),
                    }
                    continue;
                }
            }
            ops = rest;
        }
        self.audit();
        while !self.subjects.is_empty() {
            self.release(false);
        }
        self.audit();
    }
}

fuzz_target!(|input: Input| {
    let budget = usize::from(input.budget_kib) << 10;
    let options = ArenaOptions::new()
        .budget_bytes_max(budget)
        .first_chunk_bytes(usize::from(input.first_chunk))
        .retain_bytes_max(usize::from(input.retain))
        .idle_max(usize::from(input.idle_max))
        .on_reset([Reset::Keep, Reset::Poison, Reset::Wipe][usize::from(input.reset % 3)])
        .recycle(input.recycle);
    let before = HELD.load(Relaxed);
    let pool = inside(|| options.pool());
    // Two threads at a time use it at most: their slots stay, and so does this thread's entry for the pool.
    inside(|| drop(pool.try_acquire()));
    let other = pool.clone();
    std::thread::spawn(move || inside(|| drop(other.try_acquire()))).join().unwrap();
    inside(|| pool.trim());
    let base = HELD.load(Relaxed);
    assert!(base >= before || before > 0);
    let log = Log::default();
    let mut case = Case { pool, options, budget, subjects: Vec::new(), current: 0, log, base };
    case.make(2);
    case.go(&input.ops);
});
