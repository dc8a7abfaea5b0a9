//! `AnyArena`: code written once for both kinds of arena.
//!
//! Stands above `Arena` and `SharedArena`; every method is theirs. Sealed. Its length is that of the examples.
#![forbid(unsafe_code)]

use super::local::Local;
use super::{Arena, ArenaFigures, BudgetExceeded, Concat, SharedArena};
use std::alloc::Layout;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

/// Either kind of arena: for functions that build values and collections and do not care which. One that also builds
/// other people's collections asks for `&'a A: Allocator` beside it.
///
/// ```
/// use blixard_arena::arena::{AnyArena, Arena, SharedArena};
///
/// fn greet<'a>(arena: &'a impl AnyArena, name: &str) -> &'a str {
///     arena.format(format_args!("hello {name}"))
/// }
///
/// assert_eq!(greet(&Arena::new(), "vm-1"), greet(&SharedArena::new(), "vm-1"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an arena",
    note = "from a pool's guard, pass the arena in it: `&*guard`"
)]
#[expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]
pub trait AnyArena: Local {
    /// [`Arena::alloc`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn counter(arena: &impl AnyArena) -> &mut u32 {
    ///     arena.alloc(0) // for a request on one thread, and for one that fans out
    /// }
    /// let arena = Arena::new();
    /// *counter(&arena) += 1;
    /// ```
    fn alloc<T>(&self, value: T) -> &mut T;

    /// [`Arena::alloc_str`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn tenant<'a>(arena: &'a impl AnyArena, line: &str) -> &'a str {
    ///     arena.alloc_str(line.split('/').next().unwrap_or(line)) // outlives the line
    /// }
    /// assert_eq!(tenant(&Arena::new(), &String::from("acme/vm-1")), "acme");
    /// ```
    fn alloc_str(&self, text: &str) -> &mut str;

    /// [`Arena::alloc_slice_copy`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn masked<'a>(arena: &'a impl AnyArena, frame: &[u8]) -> &'a [u8] {
    ///     let copy = arena.alloc_slice_copy(frame); // the caller's bytes stay as they are
    ///     copy.iter_mut().for_each(|byte| *byte ^= 0x5a);
    ///     copy
    /// }
    /// assert_eq!(masked(&Arena::new(), &[0, 0x5a]), [0x5a, 0]);
    /// ```
    fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T];

    /// [`Arena::alloc_slice_fill_with`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn free<'a>(arena: &'a impl AnyArena, used: &[u32]) -> &'a [u32] {
    ///     arena.alloc_slice_fill_with(used.len(), |node| 64 - used[node])
    /// }
    /// assert_eq!(free(&Arena::new(), &[60, 0]), [4, 64]);
    /// ```
    fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T];

    /// [`Arena::alloc_slice_fill_iter`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn words<'a>(arena: &'a impl AnyArena, line: &str) -> &'a [&'a str] {
    ///     arena.alloc_slice_fill_iter(line.split(' ').map(|word| &*arena.alloc_str(word)))
    /// }
    /// assert_eq!(words(&Arena::new(), "start vm-1"), ["start", "vm-1"]);
    /// ```
    fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T];

    /// [`Arena::alloc_layout`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn page(arena: &impl AnyArena) -> std::ptr::NonNull<u8> {
    ///     arena.alloc_layout(std::alloc::Layout::from_size_align(4096, 4096).unwrap()) // as direct I/O wants it
    /// }
    /// assert_eq!(page(&Arena::new()).addr().get() % 4096, 0);
    /// ```
    fn alloc_layout(&self, layout: Layout) -> NonNull<u8>;

    /// [`Arena::format`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn reason(arena: &impl AnyArena, free: f32) -> &str {
    ///     arena.format(format_args!("{free:.1} GiB free"))
    /// }
    /// assert_eq!(reason(&Arena::new(), 2.25), "2.2 GiB free");
    /// ```
    fn format(&self, text: fmt::Arguments<'_>) -> &mut str;

    /// [`Arena::concat`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn key<'a>(arena: &'a impl AnyArena, tenant: &str, vm: u64) -> &'a str {
    ///     arena.concat((tenant, "/vm/", vm)) // without `fmt`
    /// }
    /// assert_eq!(key(&Arena::new(), "acme", 7), "acme/vm/7");
    /// ```
    fn concat(&self, pieces: impl Concat) -> &mut str;

    /// [`Arena::alloc_with`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn buckets(arena: &impl AnyArena) -> &mut [u64; 512] {
    ///     arena.alloc_with(|| [0; 512]) // usually without 4 KiB on the stack
    /// }
    /// assert_eq!(buckets(&Arena::new()).len(), 512);
    /// ```
    fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T;

    /// [`Arena::alloc_slice_clone`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// use std::ops::Range;
    /// fn spans<'a>(arena: &'a impl AnyArena, found: &[Range<u32>]) -> &'a [Range<u32>] {
    ///     arena.alloc_slice_clone(found) // a `Range` is no `Copy`
    /// }
    /// assert_eq!(spans(&Arena::new(), &[0..4]), [0..4]);
    /// ```
    fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T];

    /// [`Arena::alloc_uninit_slice`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn room(arena: &impl AnyArena) -> &mut [std::mem::MaybeUninit<u8>] {
    ///     arena.alloc_uninit_slice(4096) // for a read: not zeroed first
    /// }
    /// assert_eq!(*room(&Arena::new())[0].write(1), 1);
    /// ```
    fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>];

    /// [`Arena::alloc_with_drop`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn log(arena: &impl AnyArena) -> &mut Vec<String> {
    ///     arena.alloc_with_drop(Vec::new()) // owns heap memory, and is dropped with the request
    /// }
    /// let arena = Arena::new();
    /// log(&arena).push("vm-1 placed".to_owned());
    /// ```
    fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T;

    /// [`Arena::defer`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}};
    ///
    /// fn enter(arena: &impl AnyArena, under_way: &Arc<AtomicU32>) {
    ///     under_way.fetch_add(1, Relaxed);
    ///     let under_way = Arc::clone(under_way);
    ///     arena.defer(move || _ = under_way.fetch_sub(1, Relaxed)); // however the request ends
    /// }
    /// let (arena, under_way) = (Arena::new(), Arc::default());
    /// enter(&arena, &under_way);
    /// drop(arena);
    /// assert_eq!(under_way.load(Relaxed), 0);
    /// ```
    fn defer(&self, call: impl FnOnce() + Send + 'static);

    /// [`Arena::adopt`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// use std::sync::Arc;
    ///
    /// fn lend<'a>(arena: &'a impl AnyArena, config: &Arc<str>) -> &'a str {
    ///     arena.adopt(Arc::clone(config)) // one count for the whole request
    /// }
    /// assert_eq!(lend(&Arena::new(), &Arc::from("2 cores")), "2 cores");
    /// ```
    fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T;

    /// [`Arena::figures`].
    ///
    /// ```
    /// # use blixard_arena::{Arena, arena::AnyArena};
    /// fn is_large(request: &impl AnyArena) -> bool {
    ///     request.figures().used_bytes > 1 << 20 // worth a line in the log
    /// }
    /// assert!(!is_large(&Arena::new()));
    /// ```
    #[must_use]
    fn figures(&self) -> ArenaFigures;

    /// [`Arena::try_alloc`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn page(arena: &impl AnyArena) -> Result<&mut [u8; 8192], BudgetExceeded> {
    ///     arena.try_alloc([0; 8192])
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(page(&small).is_err()); // this request is refused, in either kind of arena
    /// ```
    fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded>;

    /// [`Arena::try_alloc_str`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn label<'a>(arena: &'a impl AnyArena, sent: &str) -> Result<&'a str, BudgetExceeded> {
    ///     Ok(arena.try_alloc_str(sent)?)
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(label(&small, &"x".repeat(8192)).is_err() && label(&small, "zone").is_ok());
    /// ```
    fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded>;

    /// [`Arena::try_alloc_slice_copy`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn body<'a>(arena: &'a impl AnyArena, sent: &[u8]) -> Result<&'a [u8], BudgetExceeded> {
    ///     Ok(arena.try_alloc_slice_copy(sent)?) // of any length
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(body(&small, &[0; 8192]).is_err());
    /// ```
    fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded>;

    /// [`Arena::try_alloc_slice_clone`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn spans<'a>(arena: &'a impl AnyArena, found: &[std::ops::Range<u32>]) -> Result<usize, BudgetExceeded> {
    ///     Ok(arena.try_alloc_slice_clone(found)?.len())
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(spans(&small, &vec![0..4; 1000]).is_err()); // none was cloned
    /// ```
    fn try_alloc_slice_clone<T: Clone>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded>;

    /// [`Arena::try_alloc_slice_fill_with`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn scores(arena: &impl AnyArena, nodes: usize) -> Result<&mut [f32], BudgetExceeded> {
    ///     arena.try_alloc_slice_fill_with(nodes, |node| 1.0 / (node + 1) as f32)
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(scores(&small, 1_000_000).is_err()); // as many as the request says
    /// ```
    fn try_alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> Result<&mut [T], BudgetExceeded>;

    /// [`Arena::try_alloc_slice_fill_iter`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn lengths<'a>(arena: &'a impl AnyArena, text: &str) -> Result<&'a [usize], BudgetExceeded> {
    ///     Ok(arena.try_alloc_slice_fill_iter(text.lines().map(str::len))?) // how many, nobody knows beforehand
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(lengths(&small, &"\n".repeat(1000)).is_err());
    /// ```
    fn try_alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> Result<&mut [T], BudgetExceeded>;

    /// [`Arena::try_alloc_uninit_slice`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn room(arena: &impl AnyArena, announced: usize) -> Result<usize, BudgetExceeded> {
    ///     Ok(arena.try_alloc_uninit_slice::<u8>(announced)?.len()) // a length read from the wire
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(room(&small, usize::MAX).is_err());
    /// ```
    fn try_alloc_uninit_slice<T>(&self, len: usize) -> Result<&mut [MaybeUninit<T>], BudgetExceeded>;

    /// [`Arena::try_alloc_layout`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn page(arena: &impl AnyArena) -> Result<std::ptr::NonNull<u8>, BudgetExceeded> {
    ///     arena.try_alloc_layout(std::alloc::Layout::from_size_align(4096, 4096).unwrap())
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(page(&small).is_err());
    /// ```
    fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded>;

    /// [`Arena::try_alloc_with`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn buckets(arena: &impl AnyArena) -> Result<&mut [u64; 1024], BudgetExceeded> {
    ///     arena.try_alloc_with(|| [0; 1024])
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(buckets(&small).is_err());
    /// ```
    fn try_alloc_with<T>(&self, f: impl FnOnce() -> T) -> Result<&mut T, BudgetExceeded>;

    /// [`Arena::try_alloc_with_drop`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn log(arena: &impl AnyArena) -> Result<&mut Vec<String>, BudgetExceeded> {
    ///     arena.try_alloc_with_drop(Vec::new())
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(log(&small).is_ok());
    /// ```
    fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded>;

    /// [`Arena::try_defer`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn at_the_end(arena: &impl AnyArena, call: fn()) {
    ///     if arena.try_defer(call).is_err() {
    ///         call(); // no room to remember it: now
    ///     }
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// at_the_end(&small, || ());
    /// ```
    fn try_defer(&self, call: impl FnOnce() + Send + 'static) -> Result<(), BudgetExceeded>;

    /// [`Arena::try_adopt`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// use std::sync::Arc;
    ///
    /// fn lend<'a>(arena: &'a impl AnyArena, config: &Arc<str>) -> Result<&'a str, BudgetExceeded> {
    ///     arena.try_adopt(Arc::clone(config)) // refused, the count is given back
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert_eq!(lend(&small, &Arc::from("2 cores")), Ok("2 cores"));
    /// ```
    fn try_adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<&T, BudgetExceeded>;

    /// [`Arena::try_format`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn padded(arena: &impl AnyArena, width: usize) -> Result<&mut str, BudgetExceeded> {
    ///     arena.try_format(format_args!("{:width$}", 7)) // a width that somebody else chose
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(padded(&small, 9000).is_err());
    /// ```
    fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded>;

    /// [`Arena::try_concat`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, BudgetExceeded, arena::AnyArena};
    /// fn key<'a>(arena: &'a impl AnyArena, tenant: &str) -> Result<&'a str, BudgetExceeded> {
    ///     Ok(arena.try_concat((tenant, "/vm/", 7u32))?)
    /// }
    /// let small = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(key(&small, &"t".repeat(9000)).is_err());
    /// ```
    fn try_concat(&self, pieces: impl Concat) -> Result<&mut str, BudgetExceeded>;
}

macro_rules! any_arena {
    ($type:ident) => {
        impl AnyArena for $type {
            #[inline(always)]
            fn alloc<T>(&self, value: T) -> &mut T {
                self.alloc(value)
            }
            #[inline(always)]
            fn alloc_str(&self, text: &str) -> &mut str {
                self.alloc_str(text)
            }
            #[inline(always)]
            fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_copy(from)
            }
            #[inline(always)]
            fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T] {
                self.alloc_slice_fill_with(len, f)
            }
            #[inline(always)]
            fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
                self.alloc_slice_fill_iter(values)
            }
            #[inline(always)]
            fn format(&self, text: fmt::Arguments<'_>) -> &mut str {
                self.format(text)
            }
            #[inline(always)]
            fn concat(&self, pieces: impl Concat) -> &mut str {
                self.concat(pieces)
            }
            #[inline(always)]
            fn try_concat(&self, pieces: impl Concat) -> Result<&mut str, BudgetExceeded> {
                self.try_concat(pieces)
            }
            #[inline(always)]
            fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T {
                self.alloc_with(f)
            }
            #[inline(always)]
            fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_clone(from)
            }
            #[inline(always)]
            fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>] {
                self.alloc_uninit_slice(len)
            }
            #[inline(always)]
            fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T {
                self.alloc_with_drop(value)
            }
            #[inline(always)]
            fn defer(&self, call: impl FnOnce() + Send + 'static) {
                self.defer(call)
            }
            #[inline(always)]
            fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T {
                self.adopt(value)
            }
            #[inline(always)]
            fn figures(&self) -> ArenaFigures {
                self.figures()
            }
            #[inline(always)]
            fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_copy(from)
            }
            #[inline(always)]
            fn try_alloc_slice_fill_with<T>(
                &self,
                len: usize,
                f: impl FnMut(usize) -> T,
            ) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_with(len, f)
            }
            #[inline(always)]
            fn try_alloc_slice_fill_iter<T>(
                &self,
                values: impl IntoIterator<Item = T>,
            ) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_iter(values)
            }
            #[inline(always)]
            fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded> {
                self.try_format(text)
            }
            #[inline(always)]
            fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                self.try_alloc(value)
            }
            #[inline(always)]
            fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded> {
                self.try_alloc_str(text)
            }
            #[inline(always)]
            fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
                self.alloc_layout(layout)
            }
            #[inline(always)]
            fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded> {
                self.try_alloc_layout(layout)
            }
            #[inline(always)]
            fn try_alloc_with<T>(&self, f: impl FnOnce() -> T) -> Result<&mut T, BudgetExceeded> {
                self.try_alloc_with(f)
            }
            #[inline(always)]
            fn try_alloc_slice_clone<T: Clone>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_clone(from)
            }
            #[inline(always)]
            fn try_alloc_uninit_slice<T>(&self, len: usize) -> Result<&mut [MaybeUninit<T>], BudgetExceeded> {
                self.try_alloc_uninit_slice(len)
            }
            #[inline(always)]
            fn try_defer(&self, call: impl FnOnce() + Send + 'static) -> Result<(), BudgetExceeded> {
                self.try_defer(call)
            }
            #[inline(always)]
            fn try_adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<&T, BudgetExceeded> {
                self.try_adopt(value)
            }
            #[inline(always)]
            fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                self.try_alloc_with_drop(value)
            }
        }
    };
}
any_arena!(Arena);
any_arena!(SharedArena);
