//! Pooled buffers: written, frozen, shared and home again; size classes; the process's own pools.
//!
//! Over the public API, the only user of the process's pools in this process but for the test beside it.
#![cfg(not(blixard_no_recycle))]
#![cfg_attr(feature = "bytes", expect(unsafe_code, reason = "`BufMut::advance_mut` is unsafe"))]

use blixard_arena::pool::{BufferPool, LARGE_BUFFER_POOL, METADATA_MAP_POOL, SMALL_BUFFER_POOL, VecPool};
use std::io::{Read as _, Write as _};
use std::thread;

#[test]
fn a_buffer_is_written_in_every_way_and_comes_back_empty() {
    let pool = VecPool::<u8>::with_capacity(64);
    let mut buffer = pool.acquire();
    write!(buffer, "{}-{}", 1, 2).unwrap();
    buffer.write_all(b"-three").unwrap();
    assert_eq!(buffer.write(b"-4").unwrap(), 2);
    buffer.flush().unwrap();
    buffer.push(b'.');
    assert_eq!(buffer.as_slice(), b"1-2-three-4.");
    std::io::copy(&mut (&b" copied"[..]), &mut buffer).unwrap();
    assert!(buffer.ends_with(b"copied"));
    let address = buffer.as_ptr();
    drop(buffer);
    let again = pool.acquire();
    assert!(again.is_empty());
    assert_eq!(again.as_ptr(), address);
}

/// Bytes of an earlier use are still there: nothing is zeroed between two uses, nor before a read.
#[test]
fn no_byte_is_zeroed() {
    let pool = VecPool::<u8>::with_capacity(256);
    pool.acquire().extend_from_slice(&[0xAB; 256]);
    let mut buffer = pool.acquire();
    let spare = buffer.spare_capacity_mut();
    assert_eq!(spare.len(), 256);
    // SAFETY would be asked of whoever reads them; writing over some is enough to see that reads begin at the length.
    spare[0].write(1);
    (&[5_u8; 100][..]).read_to_end(&mut buffer).unwrap();
    assert_eq!((buffer.len(), buffer.capacity()), (100, 256));
}

#[test]
fn a_vector_keeps_its_capacity_within_twice_what_it_began_with() {
    let pool = VecPool::<u32>::with_capacity(100);
    for (capacity, kept) in [(100, true), (200, true), (201, false), (5_000, false)] {
        pool.clear();
        let mut vec = pool.acquire();
        vec.reserve_exact(capacity);
        vec.push(1);
        drop(vec);
        assert_eq!(pool.figures().idle == 1, kept, "{capacity}");
    }
    pool.clear();
    pool.acquire().shrink_to(10);
    assert_eq!(pool.figures().idle, 0, "one that lost its room is no use to the next");
    *pool.acquire() = Vec::new();
    assert_eq!(pool.figures().idle, 0);
}

#[test]
fn size_classes() {
    let pool = BufferPool::new();
    for (class, bytes) in BufferPool::CLASSES.into_iter().enumerate() {
        for asked in [bytes, bytes / 4 + 1] {
            let buffer = pool.acquire(asked);
            assert_eq!(buffer.capacity(), bytes);
            assert_eq!(pool.figures()[class].live, 1);
        }
        assert_eq!(pool.figures()[class].created, 1);
        assert_eq!(pool.figures()[class].idle, 1);
    }
    // What no class holds is made to measure and not kept.
    let huge = pool.acquire((1 << 20) * 3);
    assert!(huge.capacity() >= 3 << 20);
    drop(huge);
    let last = pool.figures()[5];
    assert_eq!((last.live, last.idle, last.dropped), (0, 1, 1));
    assert_eq!(pool.acquire(1 << 20).capacity(), 1 << 20);
    let other = pool.clone();
    thread::spawn(move || other.acquire(1)).join().unwrap().extend_from_slice(&[1; 5000]);
    assert_eq!(pool.figures()[0].dropped, 1, "it grew beyond twice its class");
    pool.trim();
    pool.trim();
    assert_eq!(pool.figures().iter().map(|class| class.idle).sum::<usize>(), 0);
}

#[test]
fn the_processs_pools() {
    assert!(SMALL_BUFFER_POOL.acquire().capacity() >= 1 << 10);
    assert!(LARGE_BUFFER_POOL.acquire().capacity() >= 64 << 10);
    let mut map = METADATA_MAP_POOL.acquire();
    for i in 0..20 {
        map.insert(format!("key {i}"), "value".to_owned());
    }
    let capacity = map.capacity();
    drop(map);
    let map = METADATA_MAP_POOL.acquire();
    assert!(map.is_empty());
    assert_eq!(map.capacity(), capacity);
    drop(map);
    METADATA_MAP_POOL.acquire().reserve(10_000);
    assert_eq!(METADATA_MAP_POOL.figures().dropped, 1);
    let names = [SMALL_BUFFER_POOL.figures().name, LARGE_BUFFER_POOL.figures().name, METADATA_MAP_POOL.figures().name];
    assert_eq!(names, ["small buffers", "large buffers", "metadata maps"]);
}

#[cfg(feature = "bytes")]
mod bytes {
    use super::*;
    use ::bytes::{BufMut, Bytes};
    use std::sync::{Arc, Barrier};

    #[test]
    fn a_buffer_takes_what_any_buf_mut_does() {
        fn fill(mut out: impl BufMut) {
            out.put_u16(0x0102);
            out.put_slice(b"abc");
            out.put_bytes(9, 3);
            out.put(&b"more"[..]);
            // In place, through uninitialised memory.
            out.chunk_mut()[..2].copy_from_slice(b"in");
            // SAFETY: two bytes were just written.
            unsafe { out.advance_mut(2) };
        }
        let pool = VecPool::<u8>::with_capacity(32);
        let mut buffer = pool.acquire();
        fill(&mut buffer);
        assert_eq!(buffer.as_slice(), b"\x01\x02abc\x09\x09\x09morein");
        assert!(buffer.remaining_mut() > 1 << 40);
        buffer.put_bytes(0, 1000); // grows
        assert_eq!(buffer.len(), 1014);
        fill(buffer);
        assert_eq!(pool.figures().live, 0);
    }

    #[test]
    fn frozen_bytes_are_the_buffers_own_and_come_home_with_the_last_holder() {
        let pool = VecPool::<u8>::with_capacity(64);
        let mut buffer = pool.acquire();
        buffer.extend_from_slice(b"vm-1 started");
        let address = buffer.as_ptr();
        let frozen: Bytes = buffer.freeze();
        assert_eq!(frozen.as_ptr(), address, "no copy");
        let holders: Vec<Bytes> = (0..8).map(|i| frozen.slice(i..)).collect();
        drop(frozen);
        assert_eq!((pool.figures().live, pool.figures().idle), (1, 0));
        let threads = holders
            .into_iter()
            .enumerate()
            .map(|(i, holder)| thread::spawn(move || assert_eq!(holder, b"vm-1 started"[i..])));
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        assert_eq!((pool.figures().live, pool.figures().idle), (0, 1));
        // It lies where the last holder let go of it, for the next thread that comes.
        let other = pool.clone();
        let again = thread::spawn(move || other.acquire()).join().unwrap();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
        // What outlives the pool is freed.
        let kept = again.freeze();
        drop(pool);
        assert!(kept.is_empty());
    }

    #[test]
    fn holders_that_let_go_during_trims() {
        let pool = VecPool::<u8>::with_capacity(64);
        let start = Arc::new(Barrier::new(3));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for i in 0..20_000_u32 {
                        let mut buffer = pool.acquire();
                        buffer.put_u32(i);
                        let frozen = buffer.freeze();
                        let other = frozen.clone();
                        drop(frozen);
                        assert_eq!(other[..], i.to_be_bytes());
                    }
                });
            }
            scope.spawn(|| {
                start.wait();
                for _ in 0..2_000 {
                    pool.trim();
                    pool.clear();
                }
            });
        });
        let figures = pool.figures();
        assert_eq!((figures.live, figures.created), (0, figures.idle as u64 + figures.dropped));
    }
}
