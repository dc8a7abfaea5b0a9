//! `Frames`: buffers that are written again once nobody holds their bytes.
//!
//! Stands under `encode`. `Bytes` over an owner of one's own costs a heap call each; `Bytes` split off a `BytesMut` costs none, and the
//! `BytesMut` finds out by itself whether all of them are gone. So a frame is not given back: it is kept, and taken again when it is free.
//! What was sent and let go is found among the newest frames, what a log let go among the oldest.
//! Invariants: a frame that is handed out is empty and nobody holds a byte of it; each size keeps 1 MiB at most. Cost: no heap call where one
//! of the newest [`NEWEST`] or oldest [`OLDEST`] frames is free.
#![forbid(unsafe_code)]

use crate::pool::BufferPool;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Bytes that are kept of each size, whether or not somebody still reads them.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How many of the newest and of the oldest frames are looked at before a new one is made.
const NEWEST: usize = 2;
const OLDEST: usize = 4;

/// Frames of [`BufferPool::CLASSES`].
#[derive(Debug, Default)]
pub(super) struct Frames {
    classes: [VecDeque<BytesMut>; BufferPool::CLASSES.len()],
    /// Their bytes, in all classes.
    kept_bytes: usize,
}

impl Frames {
    /// An empty frame for at least `bytes`, and for how many it was made; beyond the largest class that is what is asked.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> (BytesMut, usize) {
        let Some(class) = BufferPool::CLASSES.iter().position(|class| bytes <= *class) else {
            return (BytesMut::with_capacity(bytes), bytes);
        };
        let (frames, bytes) = (&mut self.classes[class], BufferPool::CLASSES[class]);
        for back in 1..=NEWEST.min(frames.len()) {
            let at = frames.len() - back;
            if frames[at].try_reclaim(bytes) {
                self.kept_bytes -= bytes;
                return (frames.remove(at).expect("one of them"), bytes);
            }
        }
        for _ in 0..OLDEST.min(frames.len()) {
            if let Some(mut frame) = frames.pop_front() {
                if frame.try_reclaim(bytes) {
                    self.kept_bytes -= bytes;
                    return (frame, bytes);
                }
                frames.push_back(frame);
            }
        }
        (BytesMut::with_capacity(bytes), bytes)
    }

    /// Keeps a frame for later, whether or not its bytes are still held.
    #[inline]
    pub(super) fn keep(&mut self, mut frame: BytesMut, bytes: usize) {
        frame.clear();
        if let Some(class) = BufferPool::CLASSES.iter().position(|class| bytes == *class) {
            let frames = &mut self.classes[class];
            if frames.len() * bytes >= KEPT_BYTES_MAX {
                // Whoever holds the oldest frees it.
                frames.pop_front();
            } else {
                self.kept_bytes += bytes;
            }
            frames.push_back(frame);
        }
    }

    /// Bytes that are kept.
    #[inline]
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }
}
