//! What is built in an arena: vectors, text and maps beside std's, the peers', and limits by hand.

pub mod map;
pub mod push;
pub mod short;
pub mod text;
pub mod threshold;

use crate::contest::Named;

/// The groups, by name.
pub const GROUPS: &[&[Named]] = &[push::GROUPS, short::GROUPS, text::GROUPS, map::GROUPS, threshold::GROUPS];
