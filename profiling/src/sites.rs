//! Where a replay's memory comes from, at the worker's end: the sites are recorded around the replay and written to files.
//!
//! Only `replay-sites` has this around its replay. What is recorded is the environment's to say, as in any program with the
//! tracking allocator; the program that starts the worker sets it. Invariant: files are written after the replay has ended.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use blixard_arena::tracking::{self, SiteProfile, SiteSum};
use serde::{Deserialize, Serialize};

use crate::replay::Probe;
use crate::worker::Job;

/// Sites written down; the rest, by bytes, is summed up by the totals alone.
const SITES_MAX: usize = 400;

/// What a worker hands to the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SitesFile {
    /// Blocks asked for, over all sites.
    pub blocks: u64,
    /// Bytes asked for, over all sites.
    pub bytes: u64,
    /// The sites with most bytes, the most first.
    pub sites: Vec<SiteEntry>,
}

/// A site with its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteEntry {
    /// The innermost function outside of the standard library, with file and line.
    pub place: String,
    /// Blocks asked for.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Bytes live when the replay had ended.
    pub live_bytes: u64,
    /// Function names, outermost first.
    pub stack: Vec<String>,
}

impl SitesFile {
    fn of(profile: &SiteProfile) -> Self {
        let sum = |sum| profile.sites.iter().map(|site| site.sum(sum)).sum();
        let entry = |site: &&tracking::AllocationSite| SiteEntry {
            place: site.place(),
            blocks: site.blocks,
            bytes: site.bytes,
            live_bytes: site.live_bytes,
            stack: site.frames.iter().rev().map(|frame| frame.function.clone()).collect(),
        };
        let top = profile.top(SITES_MAX, SiteSum::Bytes);
        Self { blocks: sum(SiteSum::Blocks), bytes: sum(SiteSum::Bytes), sites: top.iter().map(entry).collect() }
    }

    /// Reads what [`SitesProbe`] wrote.
    ///
    /// # Errors
    ///
    /// If the file is not there or is something else.
    pub fn read(file: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }
}

/// Records sites as the environment asks, and writes them where the job asks.
#[derive(Debug, Default)]
pub struct SitesProbe {
    failed: Mutex<Option<io::Error>>,
}

impl SitesProbe {
    /// What kept the files from being written.
    pub fn failed(&self) -> Option<io::Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Probe for SitesProbe {
    fn around<R>(&self, job: &Job, replay: impl FnOnce() -> R) -> R {
        let tracking = tracking::start();
        let result = replay();
        if let Some(file) = &job.sites_file {
            let profile = tracking::allocation_sites();
            let write = || {
                fs::write(file.with_extension("pb"), profile.to_pprof())?;
                fs::write(file.with_extension("json"), serde_json::to_vec(&SitesFile::of(&profile))?)
            };
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = write().err();
        }
        drop(tracking);
        result
    }
}
