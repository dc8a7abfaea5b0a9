//! `Checker`: what holds the bytes of a payload against a type, before anybody is given a reference to it.
//!
//! Stands between `header` and `access`; rkyv's and bytecheck's derived code calls it. It keeps a range of the payload that nobody has
//! claimed yet; a value out of line must lie in it, aligned, and takes its part away, so that nothing is looked at twice and no
//! pointer leads in a circle. Most texts are short and ASCII, which is seen in line, in a few words of eight bytes; others go to std's check.
//! Invariants: `start` and `end` are addresses of the payload or its end; what is claimed lies between them. Cost: no heap call but for a fault.
#![expect(unsafe_code, reason = "rkyv's validation is a contract of unsafe traits")]

use super::errors::Fault;
use super::header::HEADER_BYTES;
use rkyv::rancor::Fallible;
use rkyv::validation::ArchiveContext;
use std::alloc::Layout;
use std::ops::Range;

/// Lists and boxes within one another, at most. Structs in structs do not count.
///
/// ```
/// use blixard_arena::archive::DEPTH_MAX;
///
/// // A tree of zones, racks and nodes is nowhere near it; what somebody nests to exhaust a stack is refused.
/// let levels = ["region", "zone", "rack", "node", "device"];
/// assert!(levels.len() < DEPTH_MAX as usize);
/// ```
pub const DEPTH_MAX: u32 = 64;

/// The context in which archived types are checked: the `C` of their `CheckBytes<C>`.
///
/// ```
/// use blixard_arena::archive::{self, Checker, Schema, rkyv};
/// use rkyv::bytecheck::CheckBytes;
///
/// /// One reader for every type of entry: whatever can be checked.
/// fn read<T>(entry: &[u8]) -> Option<&T::Archived>
/// where
///     T: Schema<Archived: for<'c> CheckBytes<Checker<'c>>>,
/// {
///     archive::access::<T>(entry).ok()
/// }
///
/// # #[derive(rkyv::Archive, rkyv::Serialize)]
/// # #[rkyv(crate = rkyv)]
/// # struct Ping(u64);
/// # impl Schema for Ping {
/// #     const NAME: &'static str = "example.ping";
/// # }
/// let entry = archive::encode(&Ping(7))?;
/// assert_eq!(read::<Ping>(&entry).map(|ping| ping.0.to_native()), Some(7));
/// assert!(read::<Ping>(&entry[1..]).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checker<'a> {
    payload: &'a [u8],
    // Addresses, since offsets would have to be made of them for each value: so a text costs an addition and two comparisons.
    /// What nobody has claimed begins here
    start: usize,
    /// and ends here. Both are addresses of the payload or its end; where `start` is behind `end`, nothing is left.
    end: usize,
    depth_left: u32,
}

impl<'a> Checker<'a> {
    #[inline(always)]
    pub(super) fn new(payload: &'a [u8]) -> Self {
        let ends = payload.as_ptr_range();
        Self { payload, start: ends.start.addr(), end: ends.end.addr(), depth_left: DEPTH_MAX }
    }

    /// Where the innermost value begins that was being checked when a check failed: rkyv pops no range then.
    #[inline(always)]
    pub(super) fn innermost(&self) -> usize {
        place(self.payload, self.end)
    }

    /// Where `bytes` bytes end that begin at an address, if nobody has claimed any of them.
    #[inline(always)]
    fn end_of(&self, address: usize, bytes: usize) -> Option<usize> {
        if address < self.start {
            return None;
        }
        let end = address.checked_add(bytes)?;
        if end > self.end {
            return None;
        }
        Some(end)
    }

    #[inline(always)]
    fn outside(&self, address: usize, bytes: usize) -> Fault {
        outside(self.payload, [self.start, self.end, address], bytes)
    }
}

// What is rare takes parts of a `Checker`, not the whole, so that where the rest is inlined they stay in registers.

/// How far behind the archive's first byte an address is.
fn place(payload: &[u8], address: usize) -> usize {
    address.wrapping_sub(payload.as_ptr().addr()).wrapping_add(HEADER_BYTES)
}

#[cold]
#[inline(never)]
fn outside(payload: &[u8], addresses: [usize; 3], bytes: usize) -> Fault {
    let [from, to, target] = addresses.map(|address| place(payload, address));
    let target = target.cast_signed();
    Fault::new(format_args!("leads to {bytes} bytes at {target}, left are those from {from} to {to}"))
}

#[cold]
#[inline(never)]
fn misaligned(at: usize, align: usize) -> Fault {
    Fault::at(at, format_args!("not at a multiple of {align}"))
}

#[cold]
#[inline(never)]
fn too_deep(at: usize) -> Fault {
    Fault::at(at, format_args!("more than {DEPTH_MAX} levels of lists and boxes"))
}

#[cold]
#[inline(never)]
fn out_of_order(at: usize) -> Fault {
    Fault::at(at, "ranges end in another order than they began")
}

/// Looks at a text that is long, or has more than ASCII.
#[inline(never)]
fn look_at(text: &[u8], at: usize) -> Result<(), Fault> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let valid = error.valid_up_to();
            Err(Fault::at(at + valid, format_args!("byte {:#04x} is not UTF-8 here", text[valid])))
        }
    }
}

/// Whether a text is short and ASCII.
#[inline(always)]
fn is_short_ascii(text: &[u8]) -> bool {
    /// The bits of the first and of the last `N` words, which may overlap.
    #[inline(always)]
    fn words<const N: usize>(text: &[u8]) -> u64 {
        let word = |at: usize| text[at..].first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word));
        (0..N).fold(0, |all, nth| all | word(8 * nth) | word(text.len() - 8 * (nth + 1)))
    }
    #[inline(always)]
    fn halves(text: &[u8]) -> u64 {
        let half = |at: usize| text[at..].first_chunk().map_or(u32::MAX, |half| u32::from_le_bytes(*half));
        (half(0) | half(text.len() - 4)).into()
    }
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let len = text.len();
    let all = if (8..=16).contains(&len) {
        words::<1>(text)
    } else if len > 64 {
        return false;
    } else if len > 32 {
        words::<4>(text)
    } else if len > 16 {
        words::<2>(text)
    } else if len >= 4 {
        halves(text)
    } else {
        text.iter().fold(0, |all, byte| all | byte).into()
    };
    all & HIGH == 0
}

impl Fallible for Checker<'_> {
    type Error = Fault;
}

// SAFETY: `check_subtree_ptr` says yes only to bytes between `start` and `end`, which are of the payload, at an address that is aligned as
// asked.
unsafe impl ArchiveContext for Checker<'_> {
    #[inline(always)]
    fn check_subtree_ptr(&mut self, address: *const u8, layout: &Layout) -> Result<(), Fault> {
        let address = address.addr();
        if self.end_of(address, layout.size()).is_none() {
            return Err(self.outside(address, layout.size()));
        }
        if address & (layout.align() - 1) != 0 {
            return Err(misaligned(place(self.payload, address), layout.align()));
        }
        Ok(())
    }

    #[inline(always)]
    unsafe fn push_subtree_range(&mut self, root: *const u8, end: *const u8) -> Result<Range<usize>, Fault> {
        let rest = end.addr()..self.end;
        // The caller has had `root` checked.
        self.end = root.addr();
        match self.depth_left.checked_sub(1) {
            Some(left) => self.depth_left = left,
            None => return Err(too_deep(self.innermost())),
        }
        Ok(rest)
    }

    #[inline(always)]
    unsafe fn pop_subtree_range(&mut self, range: Range<usize>) -> Result<(), Fault> {
        // The caller passes what `push_subtree_range` gave. In another order, it would hand out what was claimed.
        if range.start < self.end {
            return Err(out_of_order(self.innermost()));
        }
        (self.start, self.end) = (range.start, range.end);
        self.depth_left += 1;
        Ok(())
    }
}

/// A context that can check texts.
///
/// # Safety
///
/// `check_text` says yes only where `bytes` bytes of UTF-8 begin at `address`, which stay as they are for as long as the archive lives.
///
/// ```
/// use blixard_arena::archive::{self, Schema, Text, TextContext, rkyv};
/// use rkyv::rancor::Source;
/// use rkyv::validation::ArchiveContext;
///
/// /// Folders in folders: a type within itself has its bounds written by hand, this one among them.
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// #[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: Source))]
/// #[rkyv(bytecheck(bounds(__C: ArchiveContext + TextContext, __C::Error: Source)))]
/// struct Folder {
///     #[rkyv(with = Text)]
///     name: String,
///     #[rkyv(omit_bounds)]
///     folders: Vec<Folder>,
/// }
/// impl Schema for Folder {
///     const NAME: &'static str = "example.folder";
/// }
///
/// let leaf = Folder { name: "images".to_owned(), folders: Vec::new() };
/// let bytes = archive::encode(&Folder { name: "lib".to_owned(), folders: vec![leaf] })?;
/// assert_eq!(archive::access::<Folder>(&bytes)?.folders[0].name, *"images");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub unsafe trait TextContext: Fallible {
    /// Checks that the payload has UTF-8 there that nobody has claimed, and claims it.
    ///
    /// # Errors
    ///
    /// What is there instead.
    ///
    /// ```
    /// use blixard_arena::archive::TextContext;
    ///
    /// /// How a type of one's own that leads to a text checks itself.
    /// fn check<C: TextContext>(name: &str, context: &mut C) -> Result<(), C::Error> {
    ///     context.check_text(name.as_ptr(), name.len())
    /// }
    /// ```
    fn check_text(&mut self, address: *const u8, bytes: usize) -> Result<(), Self::Error>;
}

// SAFETY: the bytes are between `start` and `end`, hence of the payload, and were found to be ASCII or UTF-8.
unsafe impl TextContext for Checker<'_> {
    #[inline(always)]
    fn check_text(&mut self, address: *const u8, bytes: usize) -> Result<(), Fault> {
        let from = address.addr();
        let Some(end) = self.end_of(from, bytes) else { return Err(self.outside(from, bytes)) };
        self.start = end;
        let at = from - self.payload.as_ptr().addr();
        // SAFETY: what nobody has claimed is of the payload.
        let text = unsafe { self.payload.get_unchecked(at..at + bytes) };
        if is_short_ascii(text) { Ok(()) } else { look_at(text, HEADER_BYTES + at) }
    }
}
