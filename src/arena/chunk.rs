//! Sizes of chunks, as pure functions: how bumpalo rounds them, and which one a region should ask for next.
//!
//! Stands under `region`. Nothing here touches memory. A chunk is `bytes` for values plus [`FOOTER_BYTES`]; all sizes
//! below are without the footer unless a name says otherwise. A wrong guess about bumpalo's rounding costs a refused
//! or smaller chunk, never a passed budget: bumpalo's own limit is set to what was reserved before it allocates.
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

/// What a region that holds `held` bytes in chunks would like to add for a value of `layout`.
pub(crate) fn wanted(held: usize, first: usize, layout: Layout) -> usize {
    let usual = if held == 0 { first.max(CHUNK_BYTES_MIN) } else { held.min(GROWTH_BYTES_MAX) };
    rounded_to(usual.max(layout.size()), layout.align())
}

/// The bytes that a fresh chunk must have to fit `layout`.
pub(crate) fn needed(layout: Layout) -> usize {
    rounded_to(layout.size(), layout.align())
}

/// Up to a multiple of the alignment that bumpalo gives a chunk for values of `align`.
fn rounded_to(bytes: usize, align: usize) -> usize {
    let align = align.max(CHUNK_ALIGN);
    bytes.saturating_add(align - 1) & !(align - 1)
}

/// The chunk that bumpalo makes for a block of `bytes` after one of `last` bytes when `room` bytes may be added, footer
/// included: it tries twice the last one, then half of that, and so on down to `bytes`.
pub(crate) fn next(last: usize, bytes: usize, room: usize) -> Option<usize> {
    let room = room.checked_sub(FOOTER_BYTES)?;
    let smallest = bytes.max(CHUNK_BYTES_MIN);
    let mut base = last.checked_mul(2)?.max(smallest);
    let enough = rounded_up(smallest)?;
    let mut fits = None;
    while base >= smallest {
        let size = rounded_up(base)?;
        if size <= room {
            fits = Some(size);
            // The smallest that serves: what bumpalo would take with a limit of exactly this much.
            if size <= enough {
                break;
            }
        }
        base /= 2;
    }
    fits
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

    #[test]
    fn next_predicts_what_bumpalo_does_under_that_limit() {
        for first in [448, 960, 4032, 8128, 20_416] {
            for bytes in [8, 100, 447, 449, 1000, 3000, 4000, 5000, 9000, 60_000] {
                for room in [500, 1100, 4100, 9000, 70_000, 1 << 20] {
                    let bump = Bump::<8>::with_min_align_and_capacity(first);
                    let held = bump.allocated_bytes();
                    bump.alloc_layout(Layout::from_size_align(bump.chunk_capacity(), 8).unwrap());
                    let planned = next(first, bytes, room);
                    bump.set_allocation_limit(Some(held + planned.unwrap_or(0)));
                    let layout = Layout::from_size_align(bytes, 8).unwrap();
                    let got = bump.try_alloc_layout(layout).is_ok();
                    assert_eq!(got, planned.is_some(), "{first} {bytes} {room}");
                    assert_eq!(bump.allocated_bytes() - held, planned.unwrap_or(0), "{first} {bytes} {room}");
                }
            }
        }
    }
}
