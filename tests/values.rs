//! Values: where they lie, what they hold, and what happens when a caller's code or the allocator fails half way.
//!
//! Random sequences of every call run beside a naive model (a list of blocks and the bytes expected in them), on both
//! kinds of arena. Closures, iterators and `Display` implementations allocate in the arena they are called for, lie, and
//! panic. The global allocator refuses the n-th call of a thread, for every n until a run needs no more.
//!
//! It is long because every way to put a value into an arena is met four times: beside the model, at its extremes, with code of the
//! caller's that panics, and without memory. Each of the four lists is to be compared with the others.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::items_after_statements,
    clippy::large_stack_arrays,
    reason = "a test: what cannot be had ends it, patterns wrap, macros bring their items, and values have to be large"
)]
#![expect(unsafe_code, reason = "blocks written through pointers")]

mod counting;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, Reset, SharedArena};
use counting::{LASTING, refuse, resume, serve};
use hashbrown::{DefaultHashBuilder, HashMap};
use proptest::prelude::*;
use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// One call, with sizes and contents.
#[derive(Clone, Debug)]
enum Call {
    Word(u64),
    With([u32; 9]),
    Text(String),
    Copy(Vec<u16>),
    Clone(Vec<u8>),
    FillWith(usize, u32),
    FillIter(Vec<u64>),
    Uninit(usize, u8),
    Layout(usize, u32),
    Format(String, u64),
    WithDrop(u64, String),
    Aligned(u8),
    Nothing,
    /// A vector that grows and is given back, so that its room may be used again.
    Vector(usize),
    /// The same kept.
    Map(usize),
    Scope(Vec<u64>),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        any::<u64>().prop_map(Call::Word),
        any::<[u32; 9]>().prop_map(Call::With),
        ".{0,40}".prop_map(Call::Text),
        prop::collection::vec(any::<u16>(), 0..300).prop_map(Call::Copy),
        prop::collection::vec(any::<u8>(), 0..50).prop_map(Call::Clone),
        (0usize..500, any::<u32>()).prop_map(|(len, seed)| Call::FillWith(len, seed)),
        prop::collection::vec(any::<u64>(), 0..100).prop_map(Call::FillIter),
        (0usize..5_000, any::<u8>()).prop_map(|(len, byte)| Call::Uninit(len, byte)),
        (0usize..3_000, 0u32..14).prop_map(|(size, align)| Call::Layout(size, align)),
        (".{0,400}", any::<u64>()).prop_map(|(text, number)| Call::Format(text, number)),
        (any::<u64>(), ".{0,10}").prop_map(|(number, text)| Call::WithDrop(number, text)),
        any::<u8>().prop_map(Call::Aligned),
        Just(Call::Nothing),
        (0usize..400).prop_map(Call::Vector),
        (0usize..60).prop_map(Call::Map),
        prop::collection::vec(any::<u64>(), 0..20).prop_map(Call::Scope),
    ]
}

/// A value aligned beyond what the allocator gives by itself.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(align(64))]
struct Aligned(u8);

/// The blocks handed out so far, and the bytes that must be in them.
#[derive(Default)]
struct Model {
    blocks: Vec<(*const u8, Vec<u8>)>,
}

fn bytes_of<T: Copy>(values: &[T]) -> Vec<u8> {
    // SAFETY: used with types without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }.to_vec()
}

impl Model {
    /// Takes a slice over: it must be aligned, and from now on nobody else's.
    fn take<T: Copy>(&mut self, values: &[T], expected: &[T]) {
        assert!(values.as_ptr().is_aligned());
        self.blocks.push((values.as_ptr().cast(), bytes_of(expected)));
    }

    fn check(&self) {
        let mut ranges: Vec<_> = self
            .blocks
            .iter()
            .filter(|(_, expected)| !expected.is_empty())
            .map(|(start, expected)| (start.addr(), start.addr() + expected.len()))
            .collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two values overlap");
        for (start, expected) in &self.blocks {
            // SAFETY: a block of an arena that is still borrowed by its test.
            assert_eq!(unsafe { std::slice::from_raw_parts(*start, expected.len()) }, expected);
        }
    }
}

/// Makes a call and tells the model. `scope` runs a scope where the kind has any.
macro_rules! make {
    ($arena:expr, $call:expr, $model:expr) => {{
        let (arena, model): (_, &mut Model) = ($arena, $model);
        match $call {
            Call::Word(word) => model.take(std::slice::from_ref(&*arena.try_alloc(*word)?), &[*word]),
            Call::With(words) => model.take(arena.try_alloc_with(|| *words)?, words),
            Call::Text(text) => model.take(arena.try_alloc_str(text)?.as_bytes(), text.as_bytes()),
            Call::Copy(values) => model.take(arena.try_alloc_slice_copy(values)?, values),
            Call::Clone(values) => model.take(arena.try_alloc_slice_clone(values)?, values),
            Call::FillWith(len, seed) => {
                let expected: Vec<u32> = (0..*len as u32).map(|i| i ^ seed).collect();
                model.take(arena.try_alloc_slice_fill_with(*len, |i| i as u32 ^ seed)?, &expected);
            }
            Call::FillIter(values) => {
                model.take(arena.try_alloc_slice_fill_iter(values.iter().copied())?, values);
                let odd: Vec<u64> = values.iter().copied().filter(|value| value % 2 == 1).collect();
                let found = arena.try_alloc_slice_fill_iter(values.iter().copied().filter(|value| value % 2 == 1))?;
                model.take(found, &odd);
            }
            Call::Uninit(len, byte) => {
                let block = arena.try_alloc_uninit_slice::<u8>(*len)?;
                assert_eq!(block.len(), *len);
                block.fill(MaybeUninit::new(*byte));
                // SAFETY: just filled.
                let block = unsafe { std::slice::from_raw_parts(block.as_ptr().cast::<u8>(), *len) };
                model.take(block, &vec![*byte; *len]);
            }
            Call::Layout(size, align) => {
                let layout = Layout::from_size_align(*size, 1 << align).unwrap();
                let block = arena.try_alloc_layout(layout)?;
                assert_eq!(block.addr().get() % layout.align(), 0);
                // SAFETY: a fresh block of `size` bytes.
                unsafe { block.as_ptr().write_bytes(*align as u8, *size) };
                model.blocks.push((block.as_ptr(), vec![*align as u8; *size]));
            }
            Call::Format(text, number) => {
                let made = arena.try_format(format_args!("{text}={number:>9}"))?;
                model.take(made.as_bytes(), format!("{text}={number:>9}").as_bytes());
            }
            Call::WithDrop(number, text) => {
                let value = arena.try_alloc_with_drop((*number, text.clone()))?;
                assert_eq!((value.0, &value.1), (*number, text));
                model.take(std::slice::from_ref(&value.0), &[*number]);
            }
            Call::Aligned(byte) => {
                let values = arena.try_alloc_slice_copy(&[Aligned(*byte), Aligned(!*byte)])?;
                assert!(values.as_ptr().is_aligned());
                assert_eq!(values, [Aligned(*byte), Aligned(!*byte)]);
            }
            Call::Nothing => {
                model.take(arena.try_alloc_slice_copy::<u64>(&[])?, &[]);
                assert_eq!(arena.try_alloc_str("")?, "");
                arena.try_alloc(())?;
            }
            Call::Vector(len) => {
                let mut vector = ArenaVec::new_in(arena.fallible());
                for i in 0..*len {
                    vector.try_reserve(1).map_err(|_| refused())?;
                    vector.push(i);
                }
                assert!(vector.iter().copied().eq(0..*len));
                vector.truncate(len / 3);
                vector.shrink_to_fit();
                assert!(vector.iter().copied().eq(0..len / 3));
            }
            Call::Map(len) => {
                let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena.fallible());
                for i in 0..*len {
                    map.try_reserve(1).map_err(|_| refused())?;
                    map.insert(i, i * i);
                }
                assert!((0..*len).all(|i| map[&i] == i * i));
            }
            Call::Scope(_) => {}
        }
        Ok(())
    }};
}

/// Some error, for what tells only that there is one.
fn refused() -> BudgetExceeded {
    ArenaOptions::new().budget_bytes_max(0).arena().try_alloc(1).unwrap_err()
}

fn on_arena(arena: &Arena, call: &Call, model: &mut Model) -> Result<(), BudgetExceeded> {
    if let Call::Scope(words) = call {
        let kept = arena.try_scope(|inner| {
            let mut inside = Model::default();
            for word in words {
                inside.take(std::slice::from_ref(&*inner.try_alloc(*word)?), &[*word]);
                model.take(std::slice::from_ref(&*arena.try_alloc(!*word)?), &[!*word]);
            }
            inside.check();
            Ok(words.len())
        })?;
        assert_eq!(kept?, words.len());
        return Ok(());
    }
    make!(arena, call, model)
}

fn on_shared(arena: &SharedArena, call: &Call, model: &mut Model) -> Result<(), BudgetExceeded> {
    make!(arena, call, model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_aligned_apart_and_intact(
        rounds in prop::collection::vec(prop::collection::vec(call(), 0..60), 1..4),
        first in prop_oneof![Just(0usize), 0usize..10_000],
        budget in prop_oneof![Just(usize::MAX), 500usize..60_000],
    ) {
        let options = ArenaOptions::new().first_chunk_bytes(first).budget_bytes_max(budget.max(first * 2 + 5_000));
        let (mut arena, mut shared) = (options.arena(), options.shared());
        for calls in &rounds {
            let (mut own, mut common) = (Model::default(), Model::default());
            for call in calls {
                // Refused or not: all that was there stays as it was.
                _ = on_arena(&arena, call, &mut own);
                _ = on_shared(&shared, call, &mut common);
            }
            own.check();
            common.check();
            arena.reset();
            shared.reset();
        }
    }

    #[test]
    fn threads_share_an_arena_without_meeting(calls in prop::collection::vec(prop::collection::vec(call(), 0..40), 3)) {
        let shared = SharedArena::new();
        let blocks: Vec<(usize, Vec<u8>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = calls
                .iter()
                .map(|calls| {
                    let shared = &shared;
                    scope.spawn(move || {
                        let mut model = Model::default();
                        for call in calls {
                            on_shared(shared, call, &mut model).unwrap();
                        }
                        model.blocks.into_iter().map(|(start, bytes)| (start.expose_provenance(), bytes)).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let blocks = blocks.into_iter().map(|(start, bytes)| (std::ptr::with_exposed_provenance(start), bytes)).collect();
        Model { blocks }.check();
    }
}

#[test]
fn values_without_bytes_cost_nothing_on_any_thread() {
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(32))]
    struct Nothing;
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            for _ in 0..100 {
                assert_eq!(*arena.alloc(()), ());
                assert_eq!(*arena.alloc_with(|| Nothing), Nothing);
                assert!(std::ptr::from_ref(arena.alloc(Nothing)).is_aligned());
                assert_eq!(arena.alloc_slice_copy(&[(); 7]).len(), 7);
                assert_eq!(arena.alloc_slice_clone(&[Nothing, Nothing]).len(), 2);
                assert_eq!(arena.alloc_slice_fill_with(1_000, |_| ()).len(), 1_000);
                assert_eq!(arena.alloc_slice_fill_iter((0..1000).filter(|i| i % 2 == 0).map(|_| Nothing)).len(), 500);
                assert_eq!(arena.alloc_uninit_slice::<Nothing>(usize::MAX).len(), usize::MAX);
                assert_eq!(arena.alloc_str(""), "");
                assert_eq!(arena.format(format_args!("{}", "")), "");
                let page = arena.alloc_layout(Layout::from_size_align(0, 4096).unwrap());
                assert_eq!(page.addr().get() % 4096, 0);
            }
        }};
    }
    let arena = Arena::new();
    check!(&arena);
    assert_eq!(arena.figures().reserved_bytes, 0, "no chunk was needed");
    let shared = SharedArena::new();
    let fresh = shared.figures().reserved_bytes;
    check!(&shared);
    assert_eq!(shared.figures().reserved_bytes, fresh);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                check!(&shared);
                check!(&Arena::new());
            });
        }
    });
    assert_eq!(shared.figures().chunks, 0);
    // Beside values that have bytes.
    let word = arena.alloc(7u64);
    check!(&arena);
    assert_eq!(*word, 7);
    assert_eq!(arena.figures().chunks, 1, "at most a padding");
}

#[test]
fn a_destructor_without_bytes_runs_as_often_as_it_was_placed() {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    static DROPS: AtomicU32 = AtomicU32::new(0);
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }
    let arena = Arena::new();
    for _ in 0..100 {
        arena.alloc_with_drop(Empty);
    }
    drop(arena);
    assert_eq!(DROPS.load(SeqCst), 100);
}

#[test]
fn alignments_up_to_a_mebibyte() {
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            let mut model = Model::default();
            for round in 0..3 {
                for power in 0..=20 {
                    for size in [1, 100, 5_000] {
                        let layout = Layout::from_size_align(size, 1 << power).unwrap();
                        let block = arena.try_alloc_layout(layout).unwrap();
                        assert_eq!(block.addr().get() % layout.align(), 0, "{layout:?}");
                        // SAFETY: a fresh block of `size` bytes.
                        unsafe { block.as_ptr().write_bytes(power + round, size) };
                        model.blocks.push((block.as_ptr(), vec![power + round; size]));
                    }
                }
            }
            // Growing to a larger alignment moves; shrinking to one, too.
            let (small, large) = (Layout::new::<u64>(), Layout::from_size_align(64, 1 << 16).unwrap());
            let block = arena.allocate(small).unwrap().cast::<u64>();
            // SAFETY: fresh, of that layout.
            unsafe { block.write(0x0123_4567_89AB_CDEF) };
            // SAFETY: the block is live, of layout `small`, and `large` is larger.
            let grown = unsafe { arena.grow(block.cast(), small, large) }.unwrap().cast::<u64>();
            // SAFETY: the first 8 bytes were kept.
            assert_eq!((grown.addr().get() % (1 << 16), unsafe { grown.read() }), (0, 0x0123_4567_89AB_CDEF));
            let narrow = Layout::from_size_align(8, 1 << 17).unwrap();
            // SAFETY: the block is live, of layout `large`, and `narrow` is smaller.
            let shrunk = unsafe { arena.shrink(grown.cast(), large, narrow) }.unwrap().cast::<u64>();
            // SAFETY: the first 8 bytes were kept.
            assert_eq!((shrunk.addr().get() % (1 << 17), unsafe { shrunk.read() }), (0, 0x0123_4567_89AB_CDEF));
            model.check();
        }};
    }
    let options = ArenaOptions::new().budget_bytes_max(200 << 20);
    check!(&options.arena());
    check!(&options.shared());
}

/// A refusal that has to do with alignment says the budget's numbers, and room that is there is given.
#[test]
fn large_alignments_leave_the_budget_usable() {
    let arena = ArenaOptions::new().budget_bytes_max(60_000).arena();
    arena.try_alloc_layout(Layout::from_size_align(8, 4096).unwrap()).unwrap();
    let error = loop {
        if let Err(error) = arena.try_alloc([0u8; 64]) {
            break error;
        }
    };
    assert_eq!((error.asked, error.allowed), (64, 60_000));
    assert!(error.used > 60_000 - 496 - 16, "{error}");
}

#[test]
fn sizes_that_overflow_are_refused() {
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            let kept = arena.alloc_str("kept");
            let before = arena.figures();
            for len in [usize::MAX, usize::MAX / 8, isize::MAX as usize, isize::MAX as usize / 8 + 1] {
                let error = arena.try_alloc_uninit_slice::<u64>(len).unwrap_err();
                assert_eq!(error.asked, usize::MAX);
                let called = Cell::new(false);
                assert!(
                    arena
                        .try_alloc_slice_fill_with(len, |i| {
                            called.set(true);
                            i
                        })
                        .is_err()
                );
                assert!(!called.get());
                assert!(catch_unwind(AssertUnwindSafe(|| arena.alloc_uninit_slice::<u64>(len).len())).is_err());
            }
            // Not an overflow, but more than there is.
            for len in [isize::MAX as usize - 7, 1 << 60, 1 << 50] {
                assert_eq!(arena.try_alloc_uninit_slice::<u8>(len).unwrap_err().asked, len);
                let layout = Layout::from_size_align(len & !0xFFFF, 1 << 16).unwrap();
                assert!(arena.try_alloc_layout(layout).is_err());
            }
            let mut vector: ArenaVec<u64, _> = ArenaVec::new_in(arena.fallible());
            assert!(vector.try_reserve(usize::MAX).is_err() && vector.try_reserve(usize::MAX >> 5).is_err());
            let after = arena.figures();
            assert_eq!(
                (&*kept, after.used_bytes, after.reserved_bytes),
                ("kept", before.used_bytes, before.reserved_bytes)
            );
            assert_eq!(*arena.alloc(5), 5);
        }};
    }
    for budget in [1 << 20, usize::MAX] {
        let options = ArenaOptions::new().budget_bytes_max(budget);
        check!(&options.arena());
        check!(&options.shared());
    }
}

/// Says one length and has another.
struct Liar<I> {
    values: I,
    hint: (usize, Option<usize>),
}

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;
    fn next(&mut self) -> Option<I::Item> {
        self.values.next()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.hint
    }
}

#[test]
fn an_iterators_hint_is_never_believed_for_length() {
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            for len in [0usize, 1, 3, 4, 5, 100, 1_000] {
                for hint in [(0, Some(0)), (1, None), (3, Some(1)), (len, Some(len)), (len + 1, None), (5_000, None)] {
                    let made = arena.alloc_slice_fill_iter(Liar { values: 0..len, hint });
                    assert!(made.iter().copied().eq(0..len), "{len} values, hint {hint:?}");
                    let made = arena.try_alloc_slice_fill_iter(Liar { values: (0..len).map(|_| ()), hint }).unwrap();
                    assert_eq!(made.len(), len);
                }
            }
            let absurd = Liar { values: 0..3u64, hint: (usize::MAX, None) };
            assert_eq!(arena.try_alloc_slice_fill_iter(absurd).unwrap_err().asked, usize::MAX);
            let absurd = Liar { values: (0..3).map(|_| ()), hint: (usize::MAX, None) };
            assert_eq!(arena.alloc_slice_fill_iter(absurd).len(), 3);
        }};
    }
    check!(&Arena::new());
    check!(&SharedArena::new());
}

#[test]
fn callers_code_may_allocate_in_the_same_arena() {
    struct Nested<'a, A>(&'a A, u32);
    macro_rules! check {
        ($arena:expr, $type:ty) => {{
            let arena = $arena;
            impl fmt::Display for Nested<'_, $type> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    if self.1 > 0 {
                        // Writes a piece, allocates, and writes what it made: deeper at each level.
                        f.write_str("<")?;
                        let inner = self.0.format(format_args!("{}{:>100}", Nested(self.0, self.1 - 1), self.1));
                        f.write_str(inner)?;
                    }
                    f.write_str(">")
                }
            }
            fn expected(depth: u32) -> String {
                if depth == 0 { ">".into() } else { format!("<{}{depth:>100}>", expected(depth - 1)) }
            }
            let made = arena.format(format_args!("{}{}", Nested(arena, 8), Nested(arena, 1)));
            assert_eq!(*made, *(expected(8) + &expected(1)));

            let mut kept = Vec::new();
            for len in [0u64, 1, 7, 100, 700] {
                let made = arena.alloc_slice_fill_with(usize::try_from(len).unwrap(), |i| &*arena.alloc(i as u64 * 3));
                assert!((0..len).all(|i| *made[usize::try_from(i).unwrap()] == i * 3));
                // The iterator's blocks come between the slice's own, which must move.
                let made = arena.alloc_slice_fill_iter((0..len).filter(|_| true).map(|i| {
                    arena.alloc([i; 20]);
                    &*arena.alloc(i * 5)
                }));
                assert!(made.iter().zip(0..len).all(|(found, i)| **found == i * 5) && made.len() as u64 == len);
                let made = arena.alloc_with(|| (arena.alloc_slice_copy(&[len; 9]), arena.alloc_str("inside")));
                assert_eq!((&*made.0, &*made.1), (&[len; 9][..], "inside"));
                kept.push(made);
            }
            assert_eq!(kept.iter().map(|made| made.0[8]).collect::<Vec<_>>(), [0, 1, 7, 100, 700]);
        }};
    }
    check!(&Arena::new(), Arena);
    check!(&SharedArena::new(), SharedArena);
}

/// Panics at its third clone.
struct Fragile<'a>(&'a Cell<u32>);

impl Clone for Fragile<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        if self.0.get().is_multiple_of(3) {
            resume_unwind(Box::new("clone"));
        }
        Self(self.0)
    }
}

struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("begun")?;
        resume_unwind(Box::new("display"));
    }
}

struct Refusing;

impl fmt::Display for Refusing {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

#[test]
fn panics_in_callers_code_leave_the_arena_whole() {
    macro_rules! check {
        ($arena:expr) => {{
            let mut arena = $arena;
            for _ in 0..20 {
                let kept = arena.alloc_slice_fill_with(100, |i| i as u8);
                let panics = |call: &mut dyn FnMut()| assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
                panics(&mut || _ = arena.alloc_with(|| -> u64 { resume_unwind(Box::new("with")) }));
                panics(&mut || {
                    _ = arena.alloc_slice_fill_with(50, |i| if i < 30 { i } else { resume_unwind(Box::new("fill")) })
                });
                panics(&mut || {
                    let values = (0..90).map(|i| if i < 70 { i } else { resume_unwind(Box::new("iter")) });
                    arena.alloc_slice_fill_iter(values.filter(|_| true));
                });
                let clones = Cell::new(0);
                panics(&mut || _ = arena.alloc_slice_clone(&[Fragile(&clones), Fragile(&clones), Fragile(&clones)]));
                panics(&mut || _ = arena.format(format_args!("{:>300}{}", 1, Unprintable)));
                panics(&mut || _ = arena.format(format_args!("{Unprintable}")));
                panics(&mut || _ = arena.try_format(format_args!("{Refusing}")));
                let mut vector = ArenaVec::new_in(&arena);
                panics(&mut || {
                    vector.extend((0..90).map(|i| if i < 70 { i } else { resume_unwind(Box::new("extend")) }))
                });
                assert!(vector.iter().copied().eq(0..70));
                assert!(kept.iter().copied().eq(0..100));
                drop(vector);
                arena.alloc([1u8; 400]);
            }
            arena.reset();
            assert_eq!(arena.alloc_str("after"), "after");
        }};
    }
    check!(Arena::new());
    check!(SharedArena::new());
    let arena = Arena::new();
    for _ in 0..3 {
        assert!(
            catch_unwind(AssertUnwindSafe(|| arena.scope(|inner| -> u8 {
                inner.alloc([3u8; 1000]);
                resume_unwind(Box::new("scope"))
            })))
            .is_err()
        );
        assert_eq!(arena.scope(|inner| inner.alloc_str("next").len()), 4);
    }
}

/// Runs `script` with this thread's n-th allocation failing, alone or with all after it, for every n until none is left
/// to fail. `script` returns whether a call was refused, and how many of its allocations failed outside of resets.
fn for_every_failure(mut script: impl FnMut() -> (bool, usize)) -> usize {
    for n in 1.. {
        for run in [1, LASTING] {
            refuse(n, run);
            let (refused, failed) = script();
            serve();
            // One failure alone may be made good by asking for a smaller chunk; a reset does without.
            assert!(
                if failed == 0 { !refused } else { refused || run == 1 },
                "{n}: {failed} failed, refused: {refused}"
            );
            if counting::refused() == 0 {
                return n - 1;
            }
        }
    }
    unreachable!()
}

#[test]
fn every_call_survives_an_allocator_that_fails_at_any_call() {
    let text = "a text that is longer than the stack has room for ".repeat(20);
    macro_rules! check {
        ($arena:expr, $expected:expr) => {{
            let failures = for_every_failure(|| {
                // Failures are switched on around calls into the arena: its own struct is not what is tried here.
                let mut left = serve();
                let mut arena = $arena;
                _ = arena.try_alloc(());
                let (mut refused, mut failed, mut seen) = (0, 0, 0);
                for _ in 0..2 {
                    let mut kept = Vec::with_capacity(64);
                    resume(left);
                    macro_rules! call {
                        ($made:expr) => {
                            match $made {
                                Ok(made) => kept.push((made, made[0])),
                                Err(error) => {
                                    // The allocator's refusal: what is held is all there is.
                                    assert!(error.used >= error.allowed, "{error}");
                                    refused += 1;
                                }
                            }
                        };
                    }
                    call!(arena.try_alloc([1u8; 400]).map(|made| &made[..]));
                    call!(arena.try_alloc_with(|| [2u8; 900]).map(|made| &made[..]));
                    call!(arena.try_alloc_str(&text).map(|made| made.as_bytes()));
                    call!(arena.try_alloc_slice_copy(&[4u8; 3_000]).map(|made| &*made));
                    call!(arena.try_alloc_slice_clone(&[5u8; 5_000]).map(|made| &*made));
                    call!(arena.try_alloc_slice_fill_with(9_000, |_| 6u8).map(|made| &*made));
                    call!(arena.try_alloc_slice_fill_iter((0..6_000).filter(|_| true).map(|_| 7u8)).map(|made| &*made));
                    call!(arena.try_alloc_uninit_slice::<u8>(40_000).map(|_| &[8u8][..]));
                    call!(arena.try_format(format_args!("{text}{text}{}", 1)).map(|made| made.as_bytes()));
                    call!(arena.try_alloc_layout(Layout::from_size_align(9, 1 << 16).unwrap()).map(|_| &[9u8][..]));
                    call!(arena.try_alloc_with_drop([10u8; 100_000]).map(|made| &made[..]));
                    let big = [11u8; 70_000];
                    call!(arena.try_defer(move || assert_eq!(big[69_999], 11)).map(|()| &[11u8][..]));
                    let mut vector = ArenaVec::new_in(arena.fallible());
                    for _ in 0..20 {
                        if vector.try_reserve(vector.len() + 1).is_err() {
                            refused += 1;
                            break;
                        }
                        vector.resize(vector.capacity(), 12u8);
                    }
                    assert!(vector.iter().all(|byte| *byte == 12));
                    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena.fallible());
                    for i in 0..800u32 {
                        if map.try_reserve(1).is_err() {
                            refused += 1;
                            break;
                        }
                        map.insert(i, !i);
                    }
                    assert!(map.iter().all(|(key, value)| *value == !key));
                    left = serve();
                    for (made, first) in kept {
                        assert!(made.iter().all(|byte| *byte == first) || made.starts_with(b"a text"));
                    }
                    assert_eq!(*arena.alloc(7), 7, "and it works afterwards");
                    drop((vector, map));
                    resume(left);
                    failed += counting::refused() - seen;
                    arena.reset();
                    seen = counting::refused();
                    left = serve();
                }
                (refused > 0, failed)
            });
            assert!(failures >= $expected, "{failures} allocations were made to fail");
        }};
    }
    check!(Arena::new(), 8);
    check!(SharedArena::new(), 8);
}

#[test]
fn a_reset_that_finds_no_memory_leaves_an_empty_arena() {
    for n in 1..4 {
        let mut arena = Arena::new();
        for _ in 0..50 {
            arena.alloc([1u8; 500]);
        }
        assert!(arena.figures().chunks > 1);
        // The chunk that was to take the place of all is refused: the next value makes its own.
        refuse(n, 1);
        arena.reset();
        serve();
        assert!(arena.figures().used_bytes == 0 && arena.figures().chunks <= 1);
        assert_eq!(arena.alloc([2u8; 700])[699], 2);
        assert_eq!(arena.figures().chunks, 1);
    }
}

/// Runs `call` with a global allocator that refuses the next allocation.
fn without_memory<R>(call: impl FnOnce() -> R) -> R {
    refuse(1, 1);
    let result = call();
    serve();
    result
}

#[test]
fn blocks_spares_and_shards_are_refused_without_memory() {
    let arena = Arena::new();
    arena.alloc(1u8);
    assert!(without_memory(|| arena.try_scope(|_| ())).is_err());
    assert!(arena.try_scope(|inner| inner.alloc(2u8) == &2).unwrap());

    let pool = ArenaOptions::new().pool();
    let first = pool.acquire();
    assert!(without_memory(|| pool.try_acquire().map(drop)).is_err());
    assert!(pool.try_acquire().is_ok());
    drop(first);

    let shared = SharedArena::new();
    shared.alloc(1u8);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(without_memory(|| shared.try_alloc(1u8).is_err()));
            assert_eq!(shared.try_alloc(7u8).ok(), Some(&mut 7));
        });
    });
}

#[test]
fn a_thread_whose_slot_cannot_be_had_uses_the_pool_all_the_same() {
    let pool = ArenaOptions::new().pool();
    drop(pool.acquire());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // This thread's first use: its slot, or the list that it is kept in, is refused.
            let guard = without_memory(|| pool.try_acquire());
            assert!(guard.is_ok_and(|guard| *guard.alloc(3u8) == 3));
        });
    });
    let figures = pool.figures();
    assert_eq!((figures.live, figures.acquired), (0, figures.returned));
}

#[test]
fn what_was_refused_is_not_in_the_high_water() {
    let arena = ArenaOptions::new().budget_bytes_max(usize::MAX).arena();
    arena.alloc(1u8);
    assert!(arena.try_alloc_uninit_slice::<u8>(1 << 60).is_err());
    assert!(arena.figures().high_water_bytes < 1000, "{}", arena.figures());
}

#[test]
fn a_value_without_bytes_takes_none_whatever_its_alignment() {
    let arena = Arena::with_capacity(100_000);
    for align in [1, 8, 16, 4096] {
        let used = arena.figures().used_bytes;
        let nowhere = arena.alloc_layout(Layout::from_size_align(0, align).unwrap());
        assert_eq!((nowhere.addr().get() % align, arena.figures().used_bytes), (0, used));
    }
}

#[test]
fn a_refusal_is_early_by_one_chunks_rounding_at_most() {
    // 16,320 bytes in one chunk, then 4,090 with two pages of budget left: one page holds them, footer and header.
    let arena = ArenaOptions::new().budget_bytes_max(16_320 + 48 + 8192).first_chunk_bytes(16_320).arena();
    arena.alloc_layout(Layout::from_size_align(16_320, 8).unwrap());
    let second = arena.try_alloc_layout(Layout::from_size_align(4_090, 8).unwrap());
    assert!(second.is_ok(), "{second:?}: {}", arena.figures());
}

/// The infallible call panics with the ledger as it was: nothing is booked for a thread's part of the arena that was refused.
#[test]
fn a_part_of_a_shared_arena_that_is_refused_is_not_booked() {
    let shared = ArenaOptions::new().budget_bytes_max(8192).shared();
    shared.alloc(1u64);
    let before = shared.figures().reserved_bytes;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10 {
                refuse(1, 1);
                let refused = catch_unwind(AssertUnwindSafe(|| *shared.alloc(2u64))).unwrap_err();
                serve();
                let refused = refused.downcast::<BudgetExceeded>().unwrap();
                assert_eq!((refused.used, refused.allowed), (before, before), "the allocator had no memory");
            }
        });
    });
    assert_eq!(shared.figures().reserved_bytes, before);
    assert_eq!(*shared.alloc(3u64), 3);
}

/// What shrinks where it lies needs no room, whichever thread shrinks it.
#[test]
fn a_block_shrinks_in_place_on_a_thread_for_which_there_is_no_room() {
    let arena = ArenaOptions::new().budget_bytes_max(1000).shared();
    let mut bytes: ArenaVec<u8, &SharedArena> = ArenaVec::with_capacity_in(400, &arena);
    bytes.extend([1, 2, 3]);
    let bytes = std::thread::scope(|scope| {
        let shrinks = scope.spawn(|| {
            assert!(arena.try_alloc(1u8).is_err(), "no room for this thread's part");
            bytes.shrink_to_fit();
            bytes
        });
        shrinks.join().unwrap()
    });
    assert_eq!(*bytes, [1, 2, 3]);
}

/// An iterator that promised little grew its block by doubling; what it did not fill goes back.
#[test]
fn a_slice_of_an_iterator_without_a_length_takes_what_it_has() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
    let even = arena.alloc_slice_fill_iter((0..1100u64).filter(|number| number % 2 == 0));
    assert_eq!((even.len(), even[549]), (550, 1098));
    let used = arena.figures().used_bytes;
    let (next, end) = (ptr_addr(arena.alloc(7u64)), even.as_ptr_range().end.addr());
    assert_eq!(next, end, "{used} bytes used: the next value lies right behind it");
}

fn ptr_addr<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}
