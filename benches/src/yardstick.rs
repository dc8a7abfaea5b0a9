//! Says whether a core is undisturbed right now, so that a sample from a disturbed one is taken again or left out.
//!
//! On a rented or a busy machine something else may share the core. While it works, code that keeps the core's units busy was seen to
//! run up to 1.6 times slower, and code that waits for memory or locks hardly at all: the ratio of two contenders shifts, not
//! only their times. The yardstick is a fixed loop of the first kind; whoever finds it longer than usual has company.
//!
//! Cost: about 50 microseconds before and after each sample.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crate::contest;

/// A core counts as undisturbed while the loop takes at most this share of its shortest time.
const TOLERATED: f64 = 1.08;

/// A sample is tried so often before it is given up.
const TRIES: usize = 24;

/// The loop's shortest time so far.
#[derive(Debug)]
pub struct Yardstick {
    shortest: Duration,
    disturbed: usize,
    samples: usize,
}

impl Yardstick {
    /// Finds out how long the loop takes when nothing disturbs it.
    #[must_use]
    pub fn new() -> Self {
        let shortest = (0..400).map(|_| stretch()).min().unwrap_or_default();
        Self { shortest, disturbed: 0, samples: 0 }
    }

    /// Takes a sample that works on `threads` cores, again if one of them is disturbed before or after it; `None` if there is no peace.
    pub fn sample(&mut self, threads: usize, mut take: impl FnMut() -> Duration) -> Option<Duration> {
        self.samples += 1;
        for _ in 0..TRIES {
            if self.is_disturbed(threads) {
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            let sample = take();
            if !self.is_disturbed(threads) {
                return Some(sample);
            }
        }
        self.disturbed += 1;
        None
    }

    /// How many samples were asked for, and how many could not be had.
    #[must_use]
    pub const fn counts(&self) -> (usize, usize) {
        (self.samples, self.disturbed)
    }

    fn is_disturbed(&mut self, threads: usize) -> bool {
        let mut longest = stretch();
        self.shortest = self.shortest.min(longest);
        for core in 1..threads {
            let other = thread::scope(|scope| {
                let there = scope.spawn(|| {
                    contest::pin(core);
                    // The first one finds a cold core.
                    stretch().min(stretch())
                });
                there.join().unwrap_or(Duration::MAX)
            });
            longest = longest.max(other);
        }
        longest > self.shortest.mul_f64(TOLERATED)
    }
}

impl Default for Yardstick {
    fn default() -> Self {
        Self::new()
    }
}

/// The loop: eight chains that do not wait for each other, enough to fill a core.
fn stretch() -> Duration {
    let start = Instant::now();
    let mut lanes = black_box([1_u64, 2, 3, 4, 5, 6, 7, 8]);
    for step in 0..10_000_u64 {
        for lane in &mut lanes {
            *lane = lane.rotate_left(5) ^ step;
        }
    }
    black_box(lanes);
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_peace_there_is_no_sample() {
        let mut yardstick = Yardstick { shortest: Duration::from_nanos(1), disturbed: 0, samples: 0 };
        let sample = yardstick.sample(2, || Duration::from_secs(1));
        assert_eq!((sample, yardstick.counts()), (None, (1, 1)));
    }

    #[test]
    fn the_shortest_time_is_learnt_and_never_forgotten() {
        let mut yardstick = Yardstick { shortest: Duration::from_secs(1), disturbed: 0, samples: 0 };
        assert!(!yardstick.is_disturbed(1), "a second is far more than the loop takes");
        let learnt = yardstick.shortest;
        assert!(learnt < Duration::from_secs(1));
        yardstick.is_disturbed(1);
        assert!(yardstick.shortest <= learnt);
    }
}
