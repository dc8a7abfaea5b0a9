//! `Frames`: buffers that are written again once nobody holds their bytes.
//!
//! Stands under `encode`. `Bytes` over an owner of one's own costs a heap call each; `Bytes` split off a `BytesMut` costs none, and the
//! `BytesMut` finds out by itself whether all of them are gone. So a frame is not given back: it stays here, and is taken again when it is
//! free. What was sent and let go is found among the newest frames, what a log let go among the oldest.
//! Invariants: a frame that is handed out is empty and nobody holds a byte of it; each size keeps 1 MiB at most. Cost: no heap call where one
//! of the newest two or oldest [`OLDEST`] frames is free.
#![forbid(unsafe_code)]

use crate::pool::BufferPool;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Bytes that are kept of each size, whether or not somebody still reads them.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How many of the oldest frames are looked at before a new one is made.
const OLDEST: usize = 4;

/// Frames of [`BufferPool::CLASSES`], the newest last.
#[derive(Debug, Default)]
pub(super) struct Frames {
    classes: [VecDeque<BytesMut>; BufferPool::CLASSES.len()],
    /// Bytes of all classes.
    kept_bytes: usize,
    /// The frame that was taken last, if it is beyond the largest class.
    large: BytesMut,
    /// Otherwise its class and its place there.
    taken: Option<(usize, usize)>,
}

impl Frames {
    /// An empty frame for at least `bytes`; beyond the largest class for those, and not kept.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> &mut BytesMut {
        let Some(class) = BufferPool::CLASSES.iter().position(|class| bytes <= *class) else {
            (self.taken, self.large) = (None, BytesMut::with_capacity(bytes));
            return &mut self.large;
        };
        let (frames, bytes) = (&mut self.classes[class], BufferPool::CLASSES[class]);
        let place = free(frames, bytes).unwrap_or_else(|| {
            if frames.len() * bytes >= KEPT_BYTES_MAX {
                // Whoever holds the oldest frees it.
                frames.pop_front();
            } else {
                self.kept_bytes += bytes;
            }
            frames.push_back(BytesMut::with_capacity(bytes));
            frames.len() - 1
        });
        self.taken = Some((class, place));
        &mut frames[place]
    }

    /// The frame that was taken last.
    #[inline]
    pub(super) fn taken(&mut self) -> &mut BytesMut {
        match self.taken {
            Some((class, place)) => &mut self.classes[class][place],
            None => &mut self.large,
        }
    }

    /// The frame beyond the largest class, if one was taken: it is not kept.
    #[inline]
    pub(super) fn take_large(&mut self) -> Option<BytesMut> {
        self.taken.is_none().then(|| std::mem::take(&mut self.large))
    }

    /// Bytes that are kept.
    #[inline]
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }
}

/// Looks for a frame whose bytes nobody holds. One of the oldest is the newest then.
#[inline]
fn free(frames: &mut VecDeque<BytesMut>, bytes: usize) -> Option<usize> {
    let newest = frames.len().checked_sub(1)?;
    if frames[newest].try_reclaim(bytes) {
        return Some(newest);
    }
    if let Some(second) = newest.checked_sub(1)
        && frames[second].try_reclaim(bytes)
    {
        return Some(second);
    }
    (0..OLDEST.min(frames.len())).find_map(|_| {
        frames.rotate_left(1);
        frames[newest].try_reclaim(bytes).then_some(newest)
    })
}
