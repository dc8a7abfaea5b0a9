//! The public `alloc` methods, stamped onto `Arena` and `SharedArena`: documentation, and the choice between a call that
//! panics and its `try_` twin. What they do is in `values`.
#![forbid(unsafe_code)]

use super::ledger::BudgetExceeded;
use super::text::{self, Concat};
use super::{Arena, Fallible, SharedArena, values};
use std::alloc::Layout;
use std::convert::Infallible;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

/// See the module. Takes the type, a line that makes a value of it, and one that makes a small one.
macro_rules! arena_methods {
    ($type:ident, $new:literal, $small:literal) => {
        /// Building values. Each call has a `try_` twin that returns [`BudgetExceeded`] and leaves every earlier value
        /// intact (what a `fill_iter` or `format` had begun stays used until the reset); the call itself panics with
        /// that value. No heap call while the present chunk has room, one when a new chunk
        /// is needed.
        impl $type {
            /// Places a value.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let limit = arena.alloc(16u32); // lives as long as the request, freed with it
            /// *limit += 1;
            /// assert_eq!(*limit, 17);
            /// ```
            #[inline(always)]
            pub fn alloc<T>(&self, value: T) -> &mut T {
                let Ok(value) = values::alloc::<_, _, Infallible>(self, value);
                value
            }

            /// [`alloc`](Self::alloc), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`] when neither the chunk nor the budget has room.
            ///
            /// ```
            #[doc = $small]
            /// let over = arena.try_alloc([0u8; 8192]).unwrap_err();
            /// assert_eq!(over.allowed, 4096); // this request is refused; the process goes on
            /// assert!(arena.try_alloc(17u32).is_ok());
            /// ```
            #[inline(always)]
            pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                values::alloc(self, value)
            }

            /// Places what `f` returns, built in place where the compiler can.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let table = arena.alloc_with(|| [0u64; 512]); // usually without a copy of 4 KiB on the stack
            /// assert_eq!(table.len(), 512);
            /// ```
            #[inline(always)]
            pub fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T {
                let Ok(value) = values::alloc_with::<_, _, Infallible>(self, f);
                value
            }

            /// [`alloc_with`](Self::alloc_with), or an error; `f` is not called then.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let table = arena.try_alloc_with(|| -> [u64; 1024] { unreachable!("no room, so never made") });
            /// assert!(table.is_err());
            /// ```
            #[inline(always)]
            pub fn try_alloc_with<T>(&self, f: impl FnOnce() -> T) -> Result<&mut T, BudgetExceeded> {
                values::alloc_with(self, f)
            }

            /// Copies a string.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let input = String::from("tenant-9 rest of the line");
            /// let tenant: &str = arena.alloc_str(&input[..8]);
            /// drop(input); // the name outlives the buffer it came in
            /// assert_eq!(tenant, "tenant-9");
            /// ```
            #[inline(always)]
            pub fn alloc_str(&self, text: &str) -> &mut str {
                let Ok(text) = values::alloc_str::<_, Infallible>(self, text);
                text
            }

            /// [`alloc_str`](Self::alloc_str), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let body = "one of many lines\n".repeat(1000);
            /// let stored = arena.try_alloc_str(&body).map_err(|over| format!("413 Content Too Large: {over}"));
            /// assert!(stored.is_err());
            /// assert_eq!(arena.try_alloc_str("vm-1").unwrap(), "vm-1"); // what fits is still served
            /// ```
            #[inline(always)]
            pub fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded> {
                values::alloc_str(self, text)
            }

            /// Copies a slice.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let page = vec![3, 1, 2]; // a buffer that its owner needs back
            /// let ids: &[u32] = arena.alloc_slice_copy(&page);
            /// drop(page);
            /// assert_eq!(ids, [3, 1, 2]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_copy::<_, _, Infallible>(self, from);
                slice
            }

            /// [`alloc_slice_copy`](Self::alloc_slice_copy), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let page = [0u8; 8192];
            /// assert!(arena.try_alloc_slice_copy(&page).is_err());
            /// assert_eq!(arena.try_alloc_slice_copy(&page[..16]).unwrap().len(), 16); // a prefix will do
            /// ```
            #[inline(always)]
            pub fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_copy(self, from)
            }

            /// Clones a slice, for elements that are `Clone` without being `Copy`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// As `T::clone` does; what was cloned by then is forgotten.
            ///
            /// ```
            /// #[derive(Clone)]
            /// struct Score { node: u32, fit: f64 }
            #[doc = $new]
            /// let scores = arena.alloc_slice_clone(&[Score { node: 7, fit: 0.5 }]);
            /// scores[0].fit += 0.25;
            /// assert_eq!((scores[0].node, scores[0].fit), (7, 0.75));
            /// ```
            #[inline(always)]
            pub fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_fill_with(from.len(), |i| from[i].clone())
            }

            /// [`alloc_slice_clone`](Self::alloc_slice_clone), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            /// #[derive(Clone)]
            /// struct Score { node: u32, fit: f64 }
            #[doc = $small]
            /// assert!(arena.try_alloc_slice_clone(&vec![Score { node: 7, fit: 0.5 }; 1000]).is_err()); // none was cloned
            /// ```
            #[inline(always)]
            pub fn try_alloc_slice_clone<T: Clone>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_with(from.len(), |i| from[i].clone())
            }

            /// A slice of `len` values, the i-th made by `f(i)`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// As `f` does; what was made by then is forgotten.
            ///
            /// ```
            #[doc = $new]
            /// let used = [60, 0, 12];
            /// let free = arena.alloc_slice_fill_with(used.len(), |node| 64 - used[node]); // written where they stay
            /// assert_eq!(free, [4, 64, 52]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_fill_with::<_, _, Infallible>(self, len, f);
                slice
            }

            /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with), or an error; `f` is not called then.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let wanted = 1_000_000; // from the request, so not to be believed
            /// let over = arena.try_alloc_slice_fill_with(wanted, |i| i as u64).unwrap_err();
            /// assert_eq!(over.asked, 8_000_000);
            /// ```
            #[inline(always)]
            pub fn try_alloc_slice_fill_with<T>(
                &self,
                len: usize,
                f: impl FnMut(usize) -> T,
            ) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_fill_with(self, len, f)
            }

            /// A slice of all that an iterator yields. The iterator may itself allocate in this arena.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let names = arena.alloc_slice_fill_iter("web,db,cache".split(',').map(|name| &*arena.alloc_str(name)));
            /// assert_eq!(names, ["web", "db", "cache"]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_fill_iter::<_, _, Infallible>(self, values);
                slice
            }

            /// [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter), or an error; what the iterator had yielded by
            /// then is lost.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let rows = (0..1000u64).filter(|row| row % 3 > 0); // how many, nobody knows beforehand
            /// assert!(arena.try_alloc_slice_fill_iter(rows).is_err());
            /// ```
            #[inline(always)]
            pub fn try_alloc_slice_fill_iter<T>(
                &self,
                values: impl IntoIterator<Item = T>,
            ) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_fill_iter(self, values)
            }

            /// A slice to be written later, piece by piece.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let frame = arena.alloc_uninit_slice::<u8>(4096); // not zeroed first
            /// frame[0].write(1);
            /// assert_eq!(frame.len(), 4096);
            /// ```
            #[inline(always)]
            pub fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>] {
                let Ok(slice) = values::alloc_uninit_slice::<_, _, Infallible>(self, len);
                slice
            }

            /// [`alloc_uninit_slice`](Self::alloc_uninit_slice), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let length = usize::MAX; // read from the wire
            /// let over = arena.try_alloc_uninit_slice::<u64>(length).unwrap_err();
            /// assert_eq!(over.asked, usize::MAX); // a size that overflows is refused as well
            /// ```
            #[inline(always)]
            pub fn try_alloc_uninit_slice<T>(&self, len: usize) -> Result<&mut [MaybeUninit<T>], BudgetExceeded> {
                values::alloc_uninit_slice(self, len)
            }

            /// Uninitialised memory for `layout`, for what the other calls do not cover. A size of 0 gives a dangling,
            /// aligned pointer.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::alloc::Layout;
            #[doc = $new]
            /// let page = arena.alloc_layout(Layout::from_size_align(8192, 4096).unwrap());
            /// assert_eq!(page.addr().get() % 4096, 0);
            /// ```
            #[inline(always)]
            pub fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
                let Ok(block) = values::raw::<_, Infallible>(self, layout);
                block
            }

            /// [`alloc_layout`](Self::alloc_layout), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            /// use std::alloc::Layout;
            #[doc = $small]
            /// let page = Layout::from_size_align(8192, 4096).unwrap();
            /// assert!(arena.try_alloc_layout(page).is_err());
            /// ```
            #[inline(always)]
            pub fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded> {
                values::raw(self, layout)
            }

            /// Formats text into the arena: `arena.format(format_args!(...))` for `format!(...)`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// When a `Display` implementation returns an error, as `format!` does.
            ///
            /// ```
            #[doc = $new]
            /// let reason = arena.format(format_args!("node-{} has {} MiB free", 17, 2048));
            /// assert_eq!(reason, "node-17 has 2048 MiB free");
            /// ```
            pub fn format(&self, text: fmt::Arguments<'_>) -> &mut str {
                let Ok(text) = text::format::<_, Infallible>(self, text);
                text
            }

            /// [`format`](Self::format), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// # Panics
            ///
            /// As [`format`](Self::format).
            ///
            /// ```
            #[doc = $small]
            /// assert!(arena.try_format(format_args!("{:>9000}", "vm-1")).is_err()); // a width that somebody else chose
            /// assert_eq!(arena.try_format(format_args!("{:>9}", "vm-1")).unwrap(), "     vm-1");
            /// ```
            pub fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded> {
                text::format(self, text)
            }

            /// Joins strings and numbers, in a tuple: for text that is plain pieces one behind the other, at a fraction of
            /// `format`'s time.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget, which must have room for each number at its longest.
            ///
            /// ```
            #[doc = $new]
            /// let (vm, node) = ("vm-1", 17u32);
            /// assert_eq!(arena.concat((vm, " on node ", node, ": most available")), "vm-1 on node 17: most available");
            /// ```
            #[inline(always)]
            pub fn concat(&self, pieces: impl Concat) -> &mut str {
                let Ok(text) = text::concat::<_, Infallible>(self, &pieces);
                text
            }

            /// [`concat`](Self::concat), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let tenant = "t".repeat(9000);
            /// assert!(arena.try_concat(("quota of ", tenant.as_str(), ": ", 17u32)).is_err());
            /// assert_eq!(arena.try_concat(("quota: ", 17u32)).unwrap(), "quota: 17");
            /// ```
            #[inline(always)]
            pub fn try_concat(&self, pieces: impl Concat) -> Result<&mut str, BudgetExceeded> {
                text::concat(self, &pieces)
            }

            /// Places a value whose destructor runs when the request ends: last in, first out with other cleanups.
            ///
            /// The value may not borrow (`'static`), since by then nothing of the arena is alive, and must be `Send`,
            /// since whichever thread ends the request drops it. Costs 16 bytes beside the value, no heap call.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let log = arena.alloc_with_drop(vec![1, 2, 3]); // a heap Vec, freed with the request
            /// log.push(4);
            /// assert_eq!(log.len(), 4);
            /// ```
            pub fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T {
                let Ok(value) = values::alloc_with_drop::<_, _, Infallible>(self, value);
                value
            }

            /// [`alloc_with_drop`](Self::alloc_with_drop), or an error; the value is then dropped at once.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            /// use std::sync::Arc;
            #[doc = $small]
            /// let permit = Arc::new(());
            /// let held = arena.try_alloc_with_drop((Arc::clone(&permit), [0u8; 8192]));
            /// assert!(held.is_err());
            /// assert_eq!(Arc::strong_count(&permit), 1); // given back at once, not lost
            /// ```
            pub fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                values::alloc_with_drop(self, value)
            }

            /// Calls `call` when the request ends: to give back a permit, count a request, wake a waiter.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
            /// static ENDED: AtomicU32 = AtomicU32::new(0);
            #[doc = $new]
            /// arena.defer(|| _ = ENDED.fetch_add(1, Relaxed));
            /// drop(arena);
            /// assert_eq!(ENDED.load(Relaxed), 1);
            /// ```
            pub fn defer(&self, call: impl FnOnce() + Send + 'static) {
                let Ok(()) = values::defer::<_, Infallible>(self, call);
            }

            /// [`defer`](Self::defer), or an error; `call` is then dropped and never called.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            #[doc = $small]
            /// let report = [0u8; 8192];
            /// if arena.try_defer(move || drop(report)).is_err() {
            ///     // no room to remember it: do it now
            /// }
            /// ```
            pub fn try_defer(&self, call: impl FnOnce() + Send + 'static) -> Result<(), BudgetExceeded> {
                values::defer(self, call)
            }

            /// Keeps one count of an `Arc` for the whole request and lends the value: what a request shares is then
            /// passed on as a plain reference, without counting.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::sync::Arc;
            /// let config = Arc::new(String::from("shared"));
            #[doc = $new]
            /// let lent: &String = arena.adopt(Arc::clone(&config)); // the request's only atomic operation on it
            /// assert_eq!((lent.as_str(), Arc::strong_count(&config)), ("shared", 2));
            /// drop(arena);
            /// assert_eq!(Arc::strong_count(&config), 1);
            /// ```
            pub fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T {
                self.alloc_with_drop(value)
            }

            /// [`adopt`](Self::adopt), or an error; the count is then given up at once.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// ```
            /// use std::sync::Arc;
            #[doc = $small]
            /// while arena.try_alloc(0u64).is_ok() {} // a greedy request
            /// let config = Arc::new(String::from("shared"));
            /// assert!(arena.try_adopt(Arc::clone(&config)).is_err());
            /// assert_eq!(Arc::strong_count(&config), 1); // no count is lost
            /// ```
            pub fn try_adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<&T, BudgetExceeded> {
                self.try_alloc_with_drop(value).map(|value| &**value)
            }

            /// The arena as an allocator that returns `AllocError` when the budget is exceeded, for `try_reserve` and
            /// its like. `&self` itself is an allocator too, one that panics with [`BudgetExceeded`]: collections would
            /// end the process on an `AllocError` from their infallible calls.
            ///
            /// ```
            /// use allocator_api2::vec::Vec;
            #[doc = $small]
            /// let mut scores: Vec<u64, _> = Vec::new_in(arena.fallible());
            /// assert!(scores.try_reserve(10).is_ok());
            /// assert!(scores.try_reserve(10_000).is_err()); // refused, and the Vec is as it was
            /// ```
            #[must_use]
            pub fn fallible(&self) -> Fallible<'_, Self> {
                Fallible::new(self)
            }
        }
    };
}

arena_methods!(
    Arena,
    "let arena = blixard_arena::Arena::new();",
    "let arena = blixard_arena::ArenaOptions::new().budget_bytes_max(4096).arena();"
);
arena_methods!(
    SharedArena,
    "let arena = blixard_arena::SharedArena::new();",
    "let arena = blixard_arena::ArenaOptions::new().budget_bytes_max(4096).shared();"
);
