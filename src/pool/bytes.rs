//! Pooled bytes in the terms of the `bytes` crate: written through `BufMut`, frozen into `Bytes`.
//!
//! Stands beside `vecs`. Invariant: frozen bytes never change, since their guard is out of reach. Cost: one heap call to
//! freeze, for the owner that `Bytes` counts; none to write within the capacity.
#![expect(unsafe_code, reason = "`BufMut` is an unsafe trait")]

use super::objects::Pooled;
use super::rules::Recycle;
use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes};

impl<T: AsRef<[u8]> + Send + 'static, R: Recycle<T>> Pooled<T, R> {
    /// The object's bytes as `Bytes`, without a copy. It comes back to its pool, emptied, when the last `Bytes` over it is
    /// dropped, on whatever thread. One heap call of 24 bytes, for the owner that `Bytes` counts.
    ///
    /// ```
    /// use blixard_arena::pool::SMALL_BUFFER_POOL;
    ///
    /// let mut record = SMALL_BUFFER_POOL.acquire();
    /// record.extend_from_slice(b"vm-1 started");
    /// let record = record.freeze();
    /// let name = record.slice(..4); // for the index
    /// drop(record); // to the log and done
    /// assert_eq!(&name[..], b"vm-1");
    /// ```
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

// SAFETY: every call is that of `Vec<u8>`, whose implementation keeps the trait's contract.
unsafe impl<R: Recycle<Vec<u8>>> BufMut for Pooled<Vec<u8>, R> {
    #[inline]
    fn remaining_mut(&self) -> usize {
        (**self).remaining_mut()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: passed on from the caller.
        unsafe { (**self).advance_mut(count) };
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        (**self).chunk_mut()
    }

    #[inline]
    fn put<B: Buf>(&mut self, source: B) {
        (**self).put(source);
    }

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        (**self).put_slice(bytes);
    }

    #[inline]
    fn put_bytes(&mut self, byte: u8, count: usize) {
        (**self).put_bytes(byte, count);
    }
}
