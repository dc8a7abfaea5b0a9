//! What is tracked besides counts, from the environment or from code: `start()`, its guard, and what is printed.
//!
//! Stands over counters and sites. The only place of the crate that reads the environment or prints, and only when asked
//! to: by `start`, first in `main`.
//!
//! Invariants: sites, once on, stay on; a value that is not understood is named in one warning and ignored.
#![forbid(unsafe_code)]

use super::report::AllocationReport;
use crate::sync::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write as _};
// Flags that publish nothing, in statics: std's serve under loom too.
use std::sync::atomic::AtomicBool;

/// Turns sites on: `1` for each call, `sample` or `sample:BYTES` for a sample.
const SITES_VARIABLE: &str = "BLIXARD_TRACK_ALLOCATION_SITES";
/// Prints reports: `1`.
const PRINT_VARIABLE: &str = "BLIXARD_PRINT_ALLOCATIONS";
/// Bytes between two samples, unless told otherwise.
const SAMPLE_BYTES: u64 = 512 << 10;

/// Whether reports go to stderr.
static PRINT: AtomicBool = AtomicBool::new(false);
/// Whether the heading was printed.
static HEADED: AtomicBool = AtomicBool::new(false);

/// Which calls' sites are recorded.
///
/// ```
/// use blixard_arena::tracking::{Sites, TrackingOptions};
///
/// let options = TrackingOptions::new().sites(Sites::Sampled { bytes: 512 << 10 }); // cheap enough for production
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sites {
    /// Each call's: exact, some 100 nanoseconds per call.
    Complete,
    /// One sample per so many bytes asked for, on average; at least 1.
    Sampled {
        /// How many.
        bytes: u64,
    },
}

/// What to track besides the counts.
///
/// ```
/// use blixard_arena::tracking::{Sites, TrackingOptions};
///
/// let _tracking = TrackingOptions::new().sites(Sites::Complete).frames_max(10).print(true).start();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing begins before `start`"]
pub struct TrackingOptions {
    sites: Option<Sites>,
    frames_max: usize,
    print: bool,
}

impl Default for TrackingOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TrackingOptions {
    /// Nothing but the counts.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingOptions;
    /// # let debugging = false;
    /// let options = TrackingOptions::new().print(debugging); // whatever the environment says
    /// let _tracking = options.start();
    /// ```
    pub const fn new() -> Self {
        Self { sites: None, frames_max: 32, print: false }
    }

    /// What `BLIXARD_TRACK_ALLOCATION_SITES` (`1`, `sample` or `sample:BYTES`) and `BLIXARD_PRINT_ALLOCATIONS` (`1`) ask
    /// for; `0` and the empty value ask for nothing. A value that is not understood is named in a warning on stderr and ignored.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingOptions;
    /// let _tracking = TrackingOptions::from_env().frames_max(10).start(); // the environment's wishes, less deep
    /// ```
    pub fn from_env() -> Self {
        let mut options = Self::new();
        if let Some(value) = std::env::var_os(SITES_VARIABLE) {
            match parse_sites(&value) {
                Ok(sites) => options.sites = sites,
                Err(()) => not_understood(SITES_VARIABLE, &value, "1, sample or sample:BYTES"),
            }
        }
        if let Some(value) = std::env::var_os(PRINT_VARIABLE) {
            match value.to_str() {
                Some("1") => options.print = true,
                Some("" | "0") => {}
                _ => not_understood(PRINT_VARIABLE, &value, "1"),
            }
        }
        options
    }

    /// Records where memory comes from.
    ///
    /// ```
    /// # use blixard_arena::tracking::{Sites, TrackingOptions};
    /// let sites = if cfg!(debug_assertions) { Sites::Complete } else { Sites::Sampled { bytes: 512 << 10 } };
    /// let _tracking = TrackingOptions::new().sites(sites).start(); // cheap enough to stay on in production
    /// ```
    pub const fn sites(mut self, sites: Sites) -> Self {
        self.sites = Some(sites);
        self
    }

    /// Frames kept per site: 1 to 32, which is the default. Fewer cost less and tell less sites apart. The innermost, up to four, are those of the
    /// allocator itself.
    ///
    /// ```
    /// # use blixard_arena::tracking::{Sites, TrackingOptions};
    /// let _tracking = TrackingOptions::new().sites(Sites::Complete).frames_max(10).start(); // as deep as dhat
    /// ```
    pub const fn frames_max(mut self, frames: usize) -> Self {
        self.frames_max = frames;
        self
    }

    /// Prints a report to stderr when a tracked section or task ends, and one on the process when the guard is dropped.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingOptions;
    /// let verbose = std::env::args().any(|argument| argument == "--allocations");
    /// let _tracking = TrackingOptions::new().print(verbose).start(); // by a flag of the program's own
    /// ```
    pub const fn print(mut self, print: bool) -> Self {
        self.print = print;
        self
    }

    /// Begins. Sites stay on to the end of the process, in the mode that was asked for first. Code that is loaded then is believed to stay: a
    /// program with sites must not unload shared libraries (`dlclose`), whose unwind tables are read.
    ///
    /// Where nothing can be counted (see [`NotCounted`](super::NotCounted)) although something was asked for, a line on
    /// stderr says so.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingOptions;
    /// fn main() {
    ///     let _tracking = TrackingOptions::new().print(true).start(); // first in main: dropped last
    /// }
    /// ```
    pub fn start(self) -> Tracking {
        if (self.sites.is_some() || self.print)
            && let Err(why) = super::process()
        {
            say(format_args!("{why}"));
        }
        if let Some(sites) = self.sites {
            super::start_sites(sites, self.frames_max);
        }
        if self.print {
            // Relaxed: a flag that publishes nothing.
            PRINT.store(true, Ordering::Relaxed);
        }
        Tracking { print: self.print }
    }
}

/// Prints the process's report when it is dropped, if it was asked to.
///
/// ```
/// # use blixard_arena::tracking::{self, Tracking};
/// let guard: Tracking = tracking::start();
/// drop(guard); // where `BLIXARD_PRINT_ALLOCATIONS` is 1, the report appears here
/// ```
#[derive(Debug)]
#[must_use = "the report at exit is printed when the guard is dropped"]
pub struct Tracking {
    print: bool,
}

impl Drop for Tracking {
    fn drop(&mut self) {
        if self.print {
            super::print_process();
        }
    }
}

/// Writes a section's line, if lines are wanted.
pub(super) fn print_section(report: &AllocationReport) {
    if PRINT.load(Ordering::Relaxed) {
        print_line(report);
    }
}

/// Writes a line under the heading. Where stderr is gone there is nobody to tell.
pub(super) fn print_line(line: &dyn fmt::Display) {
    let mut stderr = io::stderr().lock();
    if !HEADED.swap(true, Ordering::Relaxed) {
        _ = writeln!(stderr, "{}", AllocationReport::HEADING);
    }
    _ = writeln!(stderr, "{line}");
}

/// Writes what ends its lines itself.
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
pub(super) fn print_block(text: &dyn fmt::Display) {
    _ = write!(io::stderr().lock(), "{text}");
}

fn say(what: fmt::Arguments<'_>) {
    _ = writeln!(io::stderr().lock(), "blixard-arena: {what}");
}

fn not_understood(variable: &str, value: &OsStr, expected: &str) {
    say(format_args!("{variable}={} is not understood ({expected}) and ignored", value.display()));
}

/// `Ok(None)` if it asks for nothing, an error if it is not understood.
fn parse_sites(value: &OsStr) -> Result<Option<Sites>, ()> {
    match value.to_str().ok_or(())? {
        "" | "0" => Ok(None),
        "1" => Ok(Some(Sites::Complete)),
        "sample" => Ok(Some(Sites::Sampled { bytes: SAMPLE_BYTES })),
        other => {
            let bytes = other.strip_prefix("sample:").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes > 0);
            bytes.map(|bytes| Some(Sites::Sampled { bytes })).ok_or(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_sites_variable() {
        let parse = |value: &str| parse_sites(OsStr::new(value));
        assert_eq!(parse("1"), Ok(Some(Sites::Complete)));
        assert_eq!(parse("sample"), Ok(Some(Sites::Sampled { bytes: 512 * 1024 })));
        assert_eq!(parse("sample:4096"), Ok(Some(Sites::Sampled { bytes: 4096 })));
        assert_eq!((parse(""), parse("0")), (Ok(None), Ok(None)));
        for wrong in ["2", "yes", "sample:", "sample:0", "sample:-1", "sample:4k", "SAMPLE", " 1"] {
            assert_eq!(parse(wrong), Err(()), "{wrong}");
        }
    }
}
