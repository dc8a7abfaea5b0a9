//! `Checker`: what holds the bytes of a payload against a type, before anybody is given a reference to it.
//!
//! Stands between `header` and `access`; rkyv's and bytecheck's derived code calls it. It keeps a range of the payload that nobody has
//! claimed yet; a value out of line must lie in it, aligned, and takes its part away, so that nothing is looked at twice and no
//! pointer leads in a circle. Texts lie next to one another in an archive, so ASCII is looked for in a stretch and remembered: the
//! texts behind the first one cost two comparisons.
//! Invariants: `start <= ascii_end <= end <= payload.len()`; between `start` and `ascii_end` no byte is 128 or more. Cost: no heap call but
//! for a fault.
#![expect(unsafe_code, reason = "rkyv's validation is a contract of unsafe traits")]

use super::errors::Fault;
use super::header::HEADER_BYTES;
use rkyv::rancor::Fallible;
use rkyv::validation::ArchiveContext;
use std::alloc::Layout;
use std::ops::Range;

/// Lists and boxes within one another, at most. Structs in structs do not count.
pub const DEPTH_MAX: u32 = 64;

/// How far behind a text ASCII is looked for.
const STRETCH_BYTES: usize = 256;

/// The context in which archived types are checked: the `C` of their `CheckBytes<C>`.
#[derive(Debug)]
pub struct Checker<'a> {
    payload: &'a [u8],
    /// What nobody has claimed begins here,
    start: usize,
    /// is known to be ASCII to here,
    ascii_end: usize,
    /// and ends here.
    end: usize,
    /// Where the ASCII ends that was found last, be it beyond `end`.
    ascii_found: usize,
    depth_left: u32,
}

impl<'a> Checker<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload, start: 0, ascii_end: 0, end: payload.len(), ascii_found: 0, depth_left: DEPTH_MAX }
    }

    /// Where the innermost value begins that was being checked when a check failed: rkyv pops no range then.
    pub(super) fn innermost(&self) -> usize {
        HEADER_BYTES + self.end
    }

    #[inline(always)]
    fn offset(&self, address: *const u8) -> usize {
        address.addr().wrapping_sub(self.payload.as_ptr().addr())
    }

    /// Sets what nobody has claimed. `start` never moves back, so that what was found to be ASCII from it on still is.
    #[inline(always)]
    fn leave(&mut self, start: usize, end: usize) {
        (self.start, self.end) = (start, end);
        self.ascii_end = self.ascii_found.min(end).max(start);
    }

    #[cold]
    fn outside(&self, offset: usize, bytes: usize) -> Fault {
        let (from, to) = (HEADER_BYTES + self.start, HEADER_BYTES + self.end);
        let target = offset.wrapping_add(HEADER_BYTES).cast_signed();
        Fault::new(format_args!("leads to {bytes} bytes at {target}, left are those from {from} to {to}"))
    }

    /// Checks a text that does not lie in what is known to be ASCII, and looks a stretch beyond it.
    #[inline(never)]
    fn look_at(&mut self, from: usize, bytes: usize) -> Result<(), Fault> {
        if from < self.start || from > self.end || bytes > self.end - from {
            return Err(self.outside(from, bytes));
        }
        let to = from + bytes;
        let until = self.payload.len().min(to + STRETCH_BYTES);
        // Where the text begins in ASCII that was found before, no byte of it is looked at again.
        let from = from.max(self.ascii_end.min(to));
        let ascii = from + ascii_bytes(&self.payload[from..until]);
        self.ascii_found = ascii;
        self.leave(to, self.end);
        if to <= ascii {
            return Ok(());
        }
        // No character ends in one byte and goes on in the next, so what is ASCII needs no second look.
        match std::str::from_utf8(&self.payload[ascii..to]) {
            Ok(_) => Ok(()),
            Err(error) => {
                let at = ascii + error.valid_up_to();
                Err(Fault::at(HEADER_BYTES + at, format_args!("byte {:#04x} is not UTF-8 here", self.payload[at])))
            }
        }
    }
}

/// How many of the first bytes are ASCII.
#[inline(always)]
fn ascii_bytes(bytes: &[u8]) -> usize {
    const STEP: usize = 32;
    let mut at = 0;
    while let Some(step) = bytes[at..].first_chunk::<STEP>() {
        if step.iter().fold(0, |all, byte| all | byte) >= 0x80 {
            break;
        }
        at += STEP;
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii()).count()
}

impl Fallible for Checker<'_> {
    type Error = Fault;
}

// SAFETY: `check_subtree_ptr` says yes only to bytes between `start` and `end`, which are of the payload, at an address that is aligned
// as asked.
unsafe impl ArchiveContext for Checker<'_> {
    #[inline(always)]
    fn check_subtree_ptr(&mut self, address: *const u8, layout: &Layout) -> Result<(), Fault> {
        let offset = self.offset(address);
        if offset < self.start || offset > self.end || layout.size() > self.end - offset {
            return Err(self.outside(offset, layout.size()));
        }
        if address.addr() & (layout.align() - 1) != 0 {
            let align = layout.align();
            return Err(Fault::at(HEADER_BYTES + offset, format_args!("not at a multiple of {align}")));
        }
        Ok(())
    }

    #[inline(always)]
    unsafe fn push_subtree_range(&mut self, root: *const u8, end: *const u8) -> Result<Range<usize>, Fault> {
        let rest = self.offset(end)..self.end;
        self.leave(self.start, self.offset(root));
        match self.depth_left.checked_sub(1) {
            Some(left) => self.depth_left = left,
            None => {
                return Err(Fault::at(
                    self.innermost(),
                    format_args!("more than {DEPTH_MAX} levels of lists and boxes"),
                ));
            }
        }
        Ok(rest)
    }

    #[inline(always)]
    unsafe fn pop_subtree_range(&mut self, range: Range<usize>) -> Result<(), Fault> {
        if range.start < self.end || range.end > self.payload.len() || range.start > range.end {
            return Err(Fault::at(self.innermost(), "ranges end in another order than they began"));
        }
        self.leave(range.start, range.end);
        self.depth_left += 1;
        Ok(())
    }
}

/// A context that can check texts.
///
/// # Safety
///
/// `check_text` says yes only where `bytes` bytes of UTF-8 begin at `address`, which stay as they are for as long as the archive lives.
pub unsafe trait TextContext: Fallible {
    /// Checks that the payload has UTF-8 there that nobody has claimed, and claims it.
    ///
    /// # Errors
    ///
    /// What is there instead.
    fn check_text(&mut self, address: *const u8, bytes: usize) -> Result<(), Self::Error>;
}

// SAFETY: the bytes are between `start` and `end`, hence of the payload, and were found to be ASCII or UTF-8.
unsafe impl TextContext for Checker<'_> {
    #[inline(always)]
    fn check_text(&mut self, address: *const u8, bytes: usize) -> Result<(), Fault> {
        let offset = self.offset(address);
        let (skipped, known) = (offset.wrapping_sub(self.start), self.ascii_end - self.start);
        if skipped <= known && bytes <= known - skipped {
            self.start = offset + bytes;
            return Ok(());
        }
        self.look_at(offset, bytes)
    }
}
