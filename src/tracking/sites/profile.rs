//! What the sites hold, with names: the top ones, a table, JSON, folded stacks, pprof.
//!
//! Stands at the end of the data's way. Addresses become functions, files and lines here, when a report is made, and never in
//! the hook. What a report allocates is counted under a site of its own.
//!
//! Cost: the first report reads the program's debug information: tens of milliseconds, and memory that stays.
#![forbid(unsafe_code)]

use super::recorder::{NOT_FOLLOWED, aside, rate};
use super::{pprof, table};
use crate::sync::Ordering;
use std::collections::HashMap;
use std::fmt::{self, Write as _};

/// A place from which memory comes, and how much.
///
/// In a sample all four sums are estimates.
///
/// ```
/// use blixard_arena::tracking;
///
/// for site in tracking::top_allocation_sites(10) {
///     println!("{} bytes live from {}", site.live_bytes, site.place());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationSite {
    /// Blocks asked for since sites are on; a reallocation is one, as in dhat.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Blocks not given back yet.
    pub live_blocks: u64,
    /// Bytes not given back yet: what grows here from report to report is a leak.
    pub live_bytes: u64,
    /// Who called, innermost first. Empty if the stack could not be walked.
    pub frames: Vec<SiteFrame>,
}

/// A function on the way to an allocation.
///
/// ```
/// # use blixard_arena::tracking;
/// for frame in tracking::top_allocation_sites(1).iter().flat_map(|site| &site.frames) {
///     println!("{} at {:?}:{:?}", frame.function, frame.file, frame.line);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteFrame {
    /// Its name, or its address where the program has no symbols.
    pub function: String,
    /// Its source file, where the program has debug information.
    pub file: Option<String>,
    /// The line of the call.
    pub line: Option<u32>,
    /// The return address.
    pub address: usize,
    /// Whether the compiler put it into the next frame.
    pub inlined: bool,
}

/// One of a site's four sums.
///
/// ```
/// use blixard_arena::tracking::{self, SiteSum};
///
/// let profile = tracking::allocation_sites();
/// for site in profile.top(5, SiteSum::LiveBytes) {
///     println!("{site:?}"); // a leak stands on top
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SiteSum {
    /// Blocks asked for.
    Blocks,
    /// Bytes asked for.
    Bytes,
    /// Blocks not given back yet.
    LiveBlocks,
    /// Bytes not given back yet.
    LiveBytes,
}

/// All sites at one moment.
///
/// ```
/// use blixard_arena::tracking::{self, SiteSum};
///
/// let profile = tracking::allocation_sites();
/// eprintln!("{profile}"); // the table
/// let flame_graph_input = profile.to_folded(SiteSum::Bytes);
/// let for_go_tool_pprof = profile.to_pprof();
/// # assert!(flame_graph_input.is_empty() && !for_go_tool_pprof.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteProfile {
    /// Bytes between two samples on average; 1 where each call was recorded, 0 while sites are off.
    pub sample_bytes: u64,
    /// Every site, the most bytes first.
    pub sites: Vec<AllocationSite>,
    /// What reports took (debug information, above all), and calls that came back through the hook: a site without frames,
    /// left out of `sites`. All sums together are those of the counters.
    pub own: AllocationSite,
    /// Blocks that were counted, but found no place in the table of live ones: they count as given back.
    pub not_followed_blocks: u64,
}

impl AllocationSite {
    /// One of its sums.
    ///
    /// ```
    /// # use blixard_arena::tracking::{self, SiteSum};
    /// # for site in tracking::top_allocation_sites(1) {
    /// assert_eq!(site.sum(SiteSum::LiveBytes), site.live_bytes);
    /// # }
    /// ```
    #[must_use]
    pub const fn sum(&self, sum: SiteSum) -> u64 {
        match sum {
            SiteSum::Blocks => self.blocks,
            SiteSum::Bytes => self.bytes,
            SiteSum::LiveBlocks => self.live_blocks,
            SiteSum::LiveBytes => self.live_bytes,
        }
    }

    /// The innermost frame outside of the standard library and of hash tables, as `function (file:line)`.
    ///
    /// ```
    /// # use blixard_arena::tracking;
    /// # for site in tracking::top_allocation_sites(1) {
    /// println!("{}", site.place()); // service::handle (src/service.rs:17)
    /// # }
    /// ```
    #[must_use]
    pub fn place(&self) -> String {
        self.own_frames().first().map_or_else(|| "(not known)".to_owned(), ToString::to_string)
    }

    fn with(sums: table::Sums, frames: Vec<SiteFrame>) -> Self {
        let whole = |parts: u64| (parts + table::WHOLE / 2) / table::WHOLE;
        Self {
            blocks: whole(sums.blocks),
            bytes: sums.bytes,
            live_blocks: whole(sums.blocks.saturating_sub(sums.freed_blocks)),
            live_bytes: sums.bytes.saturating_sub(sums.freed_bytes),
            frames,
        }
    }

    /// From the first one outside of the standard library.
    fn own_frames(&self) -> &[SiteFrame] {
        let own = self.frames.iter().position(|frame| !frame.is_librarys()).unwrap_or(0);
        &self.frames[own..]
    }
}

impl SiteFrame {
    /// For people: what is beyond a line's length of the name is left out.
    fn short(&self) -> String {
        const LETTERS_MAX: usize = 90;
        if self.function.chars().count() <= LETTERS_MAX {
            return self.to_string();
        }
        let cut = self.function.chars().take(LETTERS_MAX).collect::<String>() + "..";
        Self { function: cut, ..self.clone() }.to_string()
    }

    /// Whether it belongs to the standard library or to hash tables, where no leak is to be looked for. Names of inlined
    /// functions may come without their path, depending on the debug information, so files tell as well.
    fn is_librarys(&self) -> bool {
        const NAMES: [&str; 7] = ["alloc::", "core::", "std::", "hashbrown::", "__rust", "__rustc", "[T]>::"];
        const FILES: [&str; 4] = ["/library/alloc/src/", "/library/core/src/", "/library/std/src/", "/hashbrown-"];
        let of_library = |name: &str| NAMES.iter().any(|library| name.starts_with(library));
        // `<type as trait>::function`: the type decides, and for a type without a path (`u8`, `T`) the trait does.
        let name = self.function.trim_start_matches(['<', '&']);
        of_library(name)
            || name.split_once(" as ").is_some_and(|(of, rest)| !of.contains("::") && of_library(rest))
            || self.file.as_ref().is_some_and(|file| FILES.iter().any(|part| file.contains(part)))
    }

    /// Whether it belongs to the hook or to what leads into it.
    fn is_hooks(&self) -> bool {
        const NAMES: [&str; 4] = ["blixard_arena::tracking::", "alloc::alloc::", "__rust", "__rg_"];
        const FILES: [&str; 5] = [
            "src/tracking/allocator.rs",
            "src/tracking/counters.rs",
            "src/tracking/sites/recorder.rs",
            "src/tracking/sites/walk.rs",
            "/library/alloc/src/alloc.rs",
        ];
        let name = self.function.trim_start_matches('<');
        NAMES.iter().any(|hook| name.starts_with(hook))
            || self.file.as_ref().is_some_and(|file| FILES.iter().any(|hook| file.ends_with(hook)))
    }
}

impl fmt::Display for SiteFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (Some(file), None) => write!(f, " ({file})"),
            _ => Ok(()),
        }
    }
}

impl SiteProfile {
    pub(in crate::tracking) fn take() -> Self {
        aside(|| {
            let mut names = HashMap::new();
            let mut sites = Vec::new();
            let mut own = AllocationSite::with(table::Sums::ZERO, Vec::new());
            table::each(|number, stack, sums| match number {
                table::OWN => own = AllocationSite::with(sums, Vec::new()),
                _ if sums.blocks == 0 => {}
                table::OTHERS => {
                    sites.push(AllocationSite::with(sums, vec![SiteFrame::called("(all other sites)")]));
                }
                _ => sites.push(AllocationSite::with(sums, frames(stack, &mut names))),
            });
            sites.sort_by_key(|site| std::cmp::Reverse(site.bytes));
            Self { sample_bytes: rate(), sites, own, not_followed_blocks: NOT_FOLLOWED.load(Ordering::Relaxed) }
        })
    }

    /// The `n` sites with most of one sum.
    ///
    /// ```
    /// # use blixard_arena::tracking::{self, SiteSum};
    /// for site in tracking::allocation_sites().top(5, SiteSum::LiveBytes) {
    ///     println!("{:>12} bytes live: {}", site.live_bytes, site.place());
    /// }
    /// ```
    #[must_use]
    pub fn top(&self, n: usize, sum: SiteSum) -> Vec<&AllocationSite> {
        let mut sites: Vec<_> = self.sites.iter().collect();
        sites.sort_by_key(|site| std::cmp::Reverse(site.sum(sum)));
        sites.truncate(n);
        sites
    }

    /// The `n` sites with most of one sum, as text in columns: each with the frames that led to it, without those of the
    /// standard library, and without the ends of very long names.
    ///
    /// ```
    /// # use blixard_arena::tracking::{self, SiteSum};
    /// eprint!("{}", tracking::allocation_sites().to_table(20, SiteSum::LiveBytes));
    /// ```
    #[must_use]
    pub fn to_table(&self, n: usize, sum: SiteSum) -> String {
        /// Frames of each site.
        const SHOWN: usize = 5;
        let mut text = String::new();
        // Writing to a `String` does not fail, here and below.
        _ = writeln!(text, "{:>14} {:>12} {:>14} {:>12}  site", "bytes", "blocks", "live bytes", "live blocks");
        for site in self.top(n, sum) {
            let AllocationSite { blocks, bytes, live_blocks, live_bytes, .. } = site;
            let own = site.own_frames();
            let place = own.first().map_or_else(|| "(not known)".to_owned(), SiteFrame::short);
            _ = writeln!(text, "{bytes:>14} {blocks:>12} {live_bytes:>14} {live_blocks:>12}  {place}");
            let callers = own.iter().skip(1).filter(|frame| !frame.is_librarys());
            for frame in callers.take(SHOWN - 1) {
                _ = writeln!(text, "{:56}  < {}", "", frame.short());
            }
        }
        if self.not_followed_blocks > 0 {
            _ = writeln!(text, "{} blocks could not be followed: they count as given back", self.not_followed_blocks);
        }
        if self.sample_bytes > 1 {
            _ = writeln!(text, "estimates from one sample per {} bytes", self.sample_bytes);
        }
        text
    }

    /// Everything as one JSON object.
    ///
    /// ```
    /// # use blixard_arena::tracking;
    /// let json = tracking::allocation_sites().to_json();
    /// assert!(json.starts_with("{\"sample_bytes\":"), "for scripts, and for a service's debug page");
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = format!(
            "{{\"sample_bytes\":{},\"not_followed_blocks\":{},\"sites\":[",
            self.sample_bytes, self.not_followed_blocks
        );
        for (number, site) in self.sites.iter().enumerate() {
            let AllocationSite { blocks, bytes, live_blocks, live_bytes, frames } = site;
            let comma = if number == 0 { "" } else { "," };
            _ = write!(
                json,
                "{comma}{{\"blocks\":{blocks},\"bytes\":{bytes},\"live_blocks\":{live_blocks},\"live_bytes\":{live_bytes},\"frames\":["
            );
            for (number, frame) in frames.iter().enumerate() {
                json.push_str(if number == 0 { "{\"function\":" } else { ",{\"function\":" });
                json_string(&mut json, &frame.function);
                if let Some(file) = &frame.file {
                    json.push_str(",\"file\":");
                    json_string(&mut json, file);
                }
                if let Some(line) = frame.line {
                    _ = write!(json, ",\"line\":{line}");
                }
                _ = write!(json, ",\"address\":{},\"inlined\":{}}}", frame.address, frame.inlined);
            }
            json.push_str("]}");
        }
        json.push_str("]}");
        json
    }

    /// A line per site: its functions, outermost first, with `;` between them, and one of its sums. What flame graph tools read.
    ///
    /// ```no_run
    /// # use blixard_arena::tracking::{self, SiteSum};
    /// std::fs::write("heap.folded", tracking::allocation_sites().to_folded(SiteSum::Bytes))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn to_folded(&self, sum: SiteSum) -> String {
        let mut lines = String::new();
        for site in self.sites.iter().filter(|site| site.sum(sum) > 0) {
            for (number, frame) in site.frames.iter().rev().enumerate() {
                if number > 0 {
                    lines.push(';');
                }
                lines.extend(frame.function.chars().map(|c| if c == ';' || c == '\n' { ':' } else { c }));
            }
            if site.frames.is_empty() {
                lines.push_str("(not known)");
            }
            _ = writeln!(lines, " {}", site.sum(sum));
        }
        lines
    }

    /// A profile as `go tool pprof` and its kin read it: the protobuf message, not compressed, with the sample types of Go's heap
    /// profiles (`alloc_objects`, `alloc_space`, `inuse_objects`, `inuse_space`).
    ///
    /// ```no_run
    /// # use blixard_arena::tracking;
    /// std::fs::write("heap.pb", tracking::allocation_sites().to_pprof())?; // go tool pprof -http=: heap.pb
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn to_pprof(&self) -> Vec<u8> {
        pprof::encode(self)
    }
}

/// The twenty sites with most bytes asked for.
impl fmt::Display for SiteProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_table(20, SiteSum::Bytes))
    }
}

fn json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => _ = write!(json, "\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json.push('"');
}

impl SiteFrame {
    fn called(function: &str) -> Self {
        Self { function: function.to_owned(), file: None, line: None, address: 0, inlined: false }
    }
}

/// A stack's frames with their names, without those of the hook.
fn frames(stack: &[usize], names: &mut HashMap<usize, Vec<SiteFrame>>) -> Vec<SiteFrame> {
    let mut all = Vec::new();
    for &address in stack {
        all.extend_from_slice(names.entry(address).or_insert_with(|| resolve(address)));
    }
    let hook = all.iter().take_while(|frame| frame.is_hooks()).count();
    // A walk that never left the hook is better shown whole.
    if hook < all.len() {
        all.drain(..hook);
    }
    all
}

/// The functions at a return address: those put into one another by the compiler, innermost first.
fn resolve(address: usize) -> Vec<SiteFrame> {
    let mut found: Vec<SiteFrame> = Vec::new();
    backtrace::resolve(std::ptr::without_provenance_mut(address), |symbol| {
        let Some(name) = symbol.name() else { return };
        if let Some(inner) = found.last_mut() {
            inner.inlined = true;
        }
        found.push(SiteFrame {
            function: format!("{name:#}"),
            file: symbol.filename().map(|file| file.display().to_string()),
            line: symbol.lineno(),
            address,
            inlined: false,
        });
    });
    if found.is_empty() {
        found.push(SiteFrame { address, ..SiteFrame::called(&format!("{address:#x}")) });
    }
    found
}
