//! What a string pool holds and has done, in numbers.
//!
//! Plain values, copied out. Hits are not counted: that would be the one thing that they write and threads share.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

/// What a [`StringPool`](super::StringPool) holds at this moment, and has done so far.
///
/// ```
/// use blixard_arena::intern::StringPool;
///
/// let pool = StringPool::new();
/// drop(pool.intern("vm-1"));
/// let pin = pool.pin(); // a request that takes long
/// pool.sweep();
/// let figures = pool.figures();
/// assert_eq!((figures.entries, figures.candidates, figures.pins), (1, 1, 1)); // it waits for the pin
/// drop(pin);
/// pool.sweep();
/// assert_eq!(pool.figures().entries, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StringPoolFigures {
    /// Names in the pool, constants and those that wait to be freed included: what `entries_max` caps.
    pub entries: usize,
    /// Bytes held from the global allocator, for texts and tables: what `bytes_max` caps.
    pub bytes: usize,
    /// Of these, bytes of tables, those that wait to be freed included.
    pub table_bytes: usize,
    /// Names that nobody held when a sweep last came by. The next one frees them, unless they are asked for.
    pub candidates: usize,
    /// Names that no look-up finds any more, and that wait for the pins of before to be freed.
    pub dead: usize,
    /// Bytes of such names and of tables that were replaced: what waits for pins.
    pub held_back_bytes: usize,
    /// Pins held.
    pub pins: usize,
    /// How long the oldest pin has been held, at least. `None` where no pin is older than the last grace period: one that stays
    /// is seen by the second sweep after its beginning.
    pub oldest_pin_age: Option<Duration>,
    /// Names entered so far: the misses of `intern`.
    pub entered: u64,
    /// Names freed so far.
    pub freed: u64,
    /// Sweeps so far that came to their end, in pieces or at once.
    pub sweeps: u64,
}

impl fmt::Display for StringPoolFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, bytes, table_bytes, held_back_bytes, pins, oldest_pin_age, .. } = self;
        write!(
            f,
            "{entries} names in {bytes} bytes, {table_bytes} of them tables; {held_back_bytes} wait for {pins} pins"
        )?;
        if let Some(age) = oldest_pin_age {
            write!(f, ", the oldest held for {age:?}")?;
        }
        Ok(())
    }
}
