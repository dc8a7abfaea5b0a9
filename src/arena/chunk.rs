//! Sizes of chunks, as pure functions: how bumpalo rounds them, and which one a region should ask for next.
//!
//! Stands under `region`. Nothing here touches memory. A chunk is `bytes` for values plus [`FOOTER_BYTES`]; all sizes
//! below are without the footer unless a name says otherwise. A wrong guess about bumpalo's rounding costs a refused
//! chunk, never a passed budget: bumpalo's own limit is set to what was reserved before it allocates.
#![forbid(unsafe_code)]

use std::alloc::Layout;

/// What bumpalo 3.20 keeps at the end of each chunk.
pub(crate) const FOOTER_BYTES: usize = 48;

/// Chunk and footer and the usual header of an allocator together fill a power of two, or whole pages.
const OVERHEAD_BYTES: usize = FOOTER_BYTES + 16;
const PAGE_BYTES: usize = 4096;
/// The smallest chunk.
pub(crate) const CHUNK_BYTES_MIN: usize = 512 - OVERHEAD_BYTES;
/// Beyond this a region grows by steps of this size (or of the value that needs more), not by doubling.
const GROWTH_BYTES_MAX: usize = 1 << 20;
/// A value of more than this part of a chunk is large beside it.
const LARGE_PART: usize = 8;
/// Every chunk's alignment at least.
const CHUNK_ALIGN: usize = 16;

/// The size of the chunk that bumpalo makes when asked for `bytes`; `None` when no allocation can be that large.
pub(crate) const fn rounded_up(bytes: usize) -> Option<usize> {
    if bytes > isize::MAX as usize - 2 * PAGE_BYTES {
        return None;
    }
    let bytes = if bytes < CHUNK_BYTES_MIN { CHUNK_BYTES_MIN } else { bytes };
    let unit = if bytes < PAGE_BYTES { (bytes + OVERHEAD_BYTES).next_power_of_two() } else { PAGE_BYTES };
    Some((bytes + OVERHEAD_BYTES).next_multiple_of(unit) - OVERHEAD_BYTES)
}

/// The largest chunk of at most `bytes`; 0 when there is none.
pub(crate) const fn rounded_down(bytes: usize) -> usize {
    let with_overhead = bytes.saturating_add(OVERHEAD_BYTES);
    let whole = if with_overhead >= 2 * PAGE_BYTES {
        with_overhead - with_overhead % PAGE_BYTES
    } else {
        // Below two pages only powers of two occur: a chunk of one page is the largest of the small ones.
        1 << with_overhead.ilog2()
    };
    if whole < CHUNK_BYTES_MIN + OVERHEAD_BYTES { 0 } else { whole - OVERHEAD_BYTES }
}

/// What a region that holds `held` bytes in chunks would like to add for a value of `layout` and a `header`.
///
/// A value that is large beside the usual chunk is often followed by others of its size: a whole number of them fits, so
/// that none leaves most of its size unused at the end.
pub(crate) fn wanted(held: usize, first: usize, layout: Layout, header: usize) -> usize {
    if held == 0 {
        return rounded_to(first.max(CHUNK_BYTES_MIN).max(layout.size().saturating_add(header)), layout.align());
    }
    let usual = held.min(GROWTH_BYTES_MAX);
    let values = if layout.size() > usual / LARGE_PART {
        usual.checked_next_multiple_of(layout.size()).unwrap_or(layout.size()).saturating_add(header)
    } else {
        usual
    };
    rounded_to(values, layout.align())
}

/// The bytes that a fresh chunk must have to fit `layout` and a `header`.
pub(crate) fn needed(layout: Layout, header: usize) -> usize {
    rounded_to(layout.size().saturating_add(header), layout.align())
}

/// Up to a multiple of the alignment that bumpalo gives a chunk for values of `align`.
fn rounded_to(bytes: usize, align: usize) -> usize {
    let align = align.max(CHUNK_ALIGN);
    bytes.saturating_add(align - 1) & !(align - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;

    #[test]
    fn rounding_is_bumpalos() {
        for bytes in (1..20_000).chain([65_536, 100_000, 1 << 20, (1 << 20) + 1]) {
            let bump = Bump::<8>::with_min_align_and_capacity(bytes);
            assert_eq!(rounded_up(bytes.next_multiple_of(16)), Some(bump.allocated_bytes()), "asked {bytes}");
            assert_eq!(bump.allocated_bytes_including_metadata() - bump.allocated_bytes(), FOOTER_BYTES);
        }
        assert_eq!(rounded_up(isize::MAX as usize), None);
    }

    #[test]
    fn a_chunk_takes_a_whole_number_of_large_values() {
        let layout = Layout::from_size_align(10_000, 8).unwrap();
        assert_eq!(wanted(12_224, 0, layout, 64), 20_064);
        assert_eq!(wanted(5_000, 0, layout, 64), 10_064);
        assert_eq!(wanted(1 << 30, 0, layout, 64), 1 << 20, "small beside a chunk");
        let largest = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
        assert!(wanted(1 << 30, 0, largest, 64) >= largest.size(), "no overflow");
    }

    #[test]
    fn rounding_down_gives_a_chunk_that_exists_and_fits() {
        for bytes in 0..50_000 {
            let down = rounded_down(bytes);
            assert!(down <= bytes, "{down} for {bytes}");
            if down > 0 {
                assert_eq!(rounded_up(down), Some(down), "asked {bytes}");
            } else {
                assert!(bytes < CHUNK_BYTES_MIN, "{bytes} has a chunk");
            }
        }
    }
}
