//! Find a leak in a program that you do not know, in five minutes.
//!
//! ```sh
//! cargo run --release --example find_a_leak --features allocation-tracking
//! ```
//!
//! The program is a small service: it parses requests, answers them, and forgets something. What to do with any other one:
//!
//! 1. Two lines: `#[global_allocator] static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();`, and
//!    `let _tracking = tracking::start();` first in `main`.
//! 2. Does it leak? Run it with `BLIXARD_PRINT_ALLOCATIONS=1`: `net` of the process is what is still live at exit.
//!    In a service, print `tracking::process()` now and then: `net_bytes` that rises from round to round is a leak, or a
//!    cache without a bound.
//! 3. Where? `BLIXARD_TRACK_ALLOCATION_SITES=1` as well: the table of most bytes live names the line. Where that is too slow,
//!    `=sample`: a leak is found by a sample just as well, because it grows.
//! 4. Two looks tell a leak from what a program needs to live: what has grown in proportion to the requests between them is it.
//!    That is what this example does in code, so that it finds its leak however it is run.
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use blixard_arena::tracking::{self, SiteProfile, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::collections::HashMap;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

const REQUESTS: u64 = 20_000;

/// Somebody else's service.
struct Service {
    /// Needed: configs, loaded once.
    configs: Vec<String>,
    /// Who is connected. Guess what is never taken out.
    sessions: HashMap<u64, Session>,
}

struct Session {
    user: String,
    history: Vec<u64>,
}

impl Service {
    fn load() -> Self {
        let configs = (0..5_000).map(|config| format!("config {config}: {}", "x".repeat(200))).collect();
        Self { configs, sessions: HashMap::new() }
    }

    fn answer(&mut self, request: u64) -> usize {
        let words: Vec<String> = "get the config of this tenant".split(' ').map(str::to_owned).collect();
        let reply = format!("{} for request {request}", self.configs[words.len()]);
        self.open_session(request);
        black_box(reply).len()
    }

    fn open_session(&mut self, request: u64) {
        let session = Session { user: format!("user-{request}"), history: Vec::with_capacity(16) };
        let session = self.sessions.entry(request).or_insert(session);
        session.history.push(request + session.user.len() as u64);
    }
}

/// Bytes live per place in the program. Places rather than stacks: the same line called from two sides is one suspect.
fn live_by_place(profile: &SiteProfile) -> HashMap<String, u64> {
    let mut live = HashMap::new();
    for site in &profile.sites {
        *live.entry(site.place()).or_default() += site.sum(SiteSum::LiveBytes);
    }
    live
}

fn main() {
    // In your program: `let _tracking = tracking::start();`, and the variables.
    let _tracking = TrackingOptions::from_env().sites(Sites::Complete).start();
    if let Err(why) = tracking::process() {
        println!("{why}");
        return;
    }
    let mut service = Service::load();
    let mut answered = 0;
    for request in 0..REQUESTS {
        answered += service.answer(request);
    }
    let early = live_by_place(&tracking::allocation_sites());
    for request in REQUESTS..2 * REQUESTS {
        answered += service.answer(request);
    }
    let profile = tracking::allocation_sites();
    let late = live_by_place(&profile);

    println!("{answered} bytes answered. Most bytes live:\n{}", profile.to_table(4, SiteSum::LiveBytes));
    let mut grown: Vec<_> =
        late.into_iter().map(|(place, now)| (now - early.get(&place).unwrap_or(&0).min(&now), place)).collect();
    grown.sort_by(|a, b| b.cmp(a));
    println!("Grown over the last {REQUESTS} requests:");
    for (bytes, place) in grown.iter().filter(|(bytes, _)| *bytes >= REQUESTS) {
        println!("{bytes:>12} bytes, {:>4} per request: {place}", bytes / REQUESTS);
    }
    // The configs are large and stay what they are; what grows is one function's.
    assert!(grown[0].1.contains("open_session"), "found elsewhere: {}", grown[0].1);
}
