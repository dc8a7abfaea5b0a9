//! Names, stored once: in a request, or in the process.

mod account;
mod constants;
mod entry;
mod figures;
mod global;
mod hash;
mod pool;
mod shard;
mod storage;
mod string;
mod table;

pub use account::PoolFull;
pub use constants::ConstantSet;
pub use figures::StringPoolFigures;
pub use global::{GlobalPoolExists, global, intern, pin};
pub use pool::{StringPin, StringPool, StringPoolOptions};
pub use string::{InternedString, Name};
