//! Where nodes stand: regions, zones and racks as a graph in a typed arena, and what must not share one of them.
//!
//! Beside the node table and as long-lived; [`BatchScheduler`](super::BatchScheduler) asks it which nodes fail together.
//! Domains own their names and point at the one above them, which is what a typed arena is for: values of one type that
//! need `Drop` and refer to one another.
//!
//! Invariants: a domain lies below one of a higher level or below none; names are unique in a topology.
//! Cost: one value in the arena and one name on the heap per domain, when it is added.
#![forbid(unsafe_code)]

use std::fmt;

use blixard_arena::archive::rkyv::bytecheck::CheckBytes;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Portable, Serialize};
use blixard_arena::archive::{ArenaDecoder, Text};
use blixard_arena::arena::typed;
use blixard_arena::collections::FlatMap;

use super::archived::ArchivedAntiAffinity;

/// Most domains that one topology may have.
pub const DOMAINS_MAX: u32 = 1 << 16;

/// What fails together, from the smallest to the largest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Portable, CheckBytes, Archive, Serialize, Deserialize,
)]
#[rkyv(crate = rkyv, as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(u8)]
pub enum Level {
    /// One machine.
    Node,
    /// Machines on one switch and one supply.
    Rack,
    /// Racks in one building.
    Zone,
    /// Zones in one part of the world.
    Region,
}

impl Level {
    /// Every level, ascending.
    pub const ALL: [Self; 4] = [Self::Node, Self::Rack, Self::Zone, Self::Region];

    /// The name used in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Rack => "rack",
            Self::Zone => "zone",
            Self::Region => "region",
        }
    }

    /// The level of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A wish to stand apart: of the VMs that name one group at one level, no two share a domain of that level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedAntiAffinity)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer), deserialize_bounds(__D: ArenaDecoder<'v>))]
pub struct AntiAffinity<'v> {
    /// The group, such as the name of a database whose replicas these are.
    #[rkyv(omit_bounds, with = Text)]
    pub group: &'v str,
    /// What its VMs must not share.
    pub level: Level,
}

/// A region, a zone or a rack.
#[derive(Debug)]
pub struct Domain<'t> {
    name: Box<str>,
    level: Level,
    above: Option<&'t Domain<'t>>,
    number: u32,
}

impl<'t> Domain<'t> {
    /// Its name, unique in the topology.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// What it is a part of.
    #[must_use]
    pub fn above(&self) -> Option<&'t Domain<'t>> {
        self.above
    }

    /// The domain of that level that this one is, or lies in.
    #[must_use]
    pub fn at(&'t self, level: Level) -> Option<&'t Domain<'t>> {
        std::iter::successors(Some(self), |domain| domain.above).find(|domain| domain.level == level)
    }

    /// Its place among the topology's domains.
    pub(super) fn number(&self) -> usize {
        self.number as usize
    }
}

/// Why a domain cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopologyError {
    /// Another domain has this name.
    NameTaken {
        /// The name.
        domain: String,
    },
    /// It would not lie below something larger.
    WrongLevel {
        /// The domain's name.
        domain: String,
        /// Its level.
        level: Level,
        /// The level of what it should be a part of.
        above: Level,
    },
    /// There are as many as there may be.
    TooManyDomains,
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken { domain } => write!(f, "domain {domain} is there already, names must be unique"),
            Self::WrongLevel { domain, level, above } => {
                write!(f, "domain {domain} is a {level} and cannot be a part of a {above}, expected something larger")
            }
            Self::TooManyDomains => write!(f, "the topology has {DOMAINS_MAX} domains, the most there may be"),
        }
    }
}

impl std::error::Error for TopologyError {}

/// The domains of a cluster.
///
/// ```
/// use blixard_arena::arena::typed;
/// use control_plane::scheduler::{Level, Topology};
///
/// let domains = typed::Arena::new();
/// let mut topology = Topology::new(&domains);
/// let zone = topology.add(Level::Zone, "eu-1b", None)?;
/// let rack = topology.add(Level::Rack, "eu-1b-r07", Some(zone))?;
/// assert_eq!(rack.at(Level::Zone).map(|zone| zone.name()), Some("eu-1b"));
/// assert!(rack.at(Level::Region).is_none());
/// assert!(topology.add(Level::Zone, "eu-1c", Some(rack)).is_err(), "no zone lies in a rack");
/// # Ok::<(), control_plane::scheduler::TopologyError>(())
/// ```
pub struct Topology<'t> {
    arena: &'t typed::Arena<Domain<'t>>,
    by_name: FlatMap<&'t str, &'t Domain<'t>>,
}

impl<'t> Topology<'t> {
    /// No domain yet; those to come lie in `arena`.
    #[must_use]
    pub fn new(arena: &'t typed::Arena<Domain<'t>>) -> Self {
        Self { arena, by_name: FlatMap::new() }
    }

    /// Adds a domain, which lies in the one above if there is one.
    ///
    /// # Errors
    ///
    /// If the name is taken, the one above is no larger, or there are [`DOMAINS_MAX`] already.
    pub fn add(
        &mut self,
        level: Level,
        name: &str,
        above: Option<&'t Domain<'t>>,
    ) -> Result<&'t Domain<'t>, TopologyError> {
        if self.by_name.contains_key(name) {
            return Err(TopologyError::NameTaken { domain: name.to_owned() });
        }
        if let Some(above) = above.filter(|above| above.level <= level) {
            return Err(TopologyError::WrongLevel { domain: name.to_owned(), level, above: above.level });
        }
        let number = u32::try_from(self.by_name.len()).ok().filter(|&number| number < DOMAINS_MAX);
        let number = number.ok_or(TopologyError::TooManyDomains)?;
        let domain: &'t Domain<'t> = self.arena.alloc(Domain { name: name.into(), level, above, number });
        self.by_name.insert(domain.name(), domain);
        Ok(domain)
    }

    /// The domain of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'t Domain<'t>> {
        self.by_name.get(name).copied()
    }

    /// Every domain, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &'t Domain<'t>> {
        self.by_name.values().copied()
    }
}

impl fmt::Debug for Topology<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|domain| (domain.level, &domain.name))).finish()
    }
}
