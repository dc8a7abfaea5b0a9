//! Sites: from which place in the program the memory comes, each call's or a sample's, and what of it is still live.
//!
//! Stands beside the counters, which call `recorder` for the calls that are to be recorded; `walk` gives the stack, `table` its site,
//! `live` keeps whose each block is; `profile` and `pprof` make reports of it.

mod filter;
mod line;
mod live;
mod pprof;
pub(super) mod profile;
mod recorder;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod rules;
mod site;
mod table;
mod walk;

pub(super) use recorder::{Held, allocated, distance, freeing, hold, may_follow, put_back, rate, reallocated, start};
