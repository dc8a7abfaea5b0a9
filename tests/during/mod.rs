//! A thread's cell that has another value while a call runs: what allocators of test programs ask whom a block is for.

use std::cell::Cell;
use std::thread::LocalKey;

/// Runs `call` with the cell set to `value`; afterwards it has its own again, on unwind too.
pub(crate) fn during<T: Copy, R>(of: &'static LocalKey<Cell<T>>, value: T, call: impl FnOnce() -> R) -> R {
    struct Restore<T: Copy + 'static>(&'static LocalKey<Cell<T>>, T);
    impl<T: Copy> Drop for Restore<T> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(of, of.replace(value));
    call()
}
