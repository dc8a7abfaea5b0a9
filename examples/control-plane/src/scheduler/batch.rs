//! Batches: several VMs placed as one request asks for them, kept apart where they want to be.
//!
//! The scheduler's front: it owns the node table and what groups occupy, and outlives every request; what it decides lies in
//! the request's arena.
//!
//! Invariants: a batch is placed as a whole or leaves everything as it was; VMs of higher priority choose first, of equals
//! those that cannot be preempted, of these the first in the batch.
//! Cost: a search per VM; in the arena, a decision per VM with its reason and alternatives; heap only for groups that
//! are new.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::fmt;

use blixard_arena::BudgetExceeded;
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{FlatSet, Vec};

use super::apart::{GROUPS_MAX, Groups};
use super::columns::NodeSet;
use super::config::VmSpec;
use super::node::{Node, NodeId, NodeTableError};
use super::nodes::NodeTable;
use super::place::{Chosen, Decision, Demand, Placement, Ranking, Resource, Shortage};
use super::topology::{AntiAffinity, Domain};
use crate::granted;

/// Most VMs in one batch.
pub const BATCH_VMS_MAX: usize = 1 << 16;

/// Why a batch was not placed. Nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError<'v> {
    /// A VM does not fit, those before it being placed.
    Short {
        /// Its place in the batch.
        at: usize,
        /// Its name.
        vm: &'v str,
        /// What was short.
        shortage: Shortage,
    },
    /// Two VMs have one name.
    NameTwice {
        /// The place of the second.
        at: usize,
        /// The name.
        vm: &'v str,
    },
    /// More VMs than a batch may have.
    TooManyVms {
        /// Their number.
        vms: usize,
    },
    /// The request's memory does not suffice for it.
    Budget(BudgetExceeded),
}

impl fmt::Display for BatchError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { at, vm, shortage } => write!(f, "VM {at} of the batch, {vm:?}: {shortage}"),
            Self::NameTwice { at, vm } => {
                write!(f, "VM {at} of the batch, {vm:?}: another one before it has this name, names must be unique")
            }
            Self::TooManyVms { vms } => write!(f, "a batch of {vms} VMs, at most {BATCH_VMS_MAX} are supported"),
            Self::Budget(budget) => write!(f, "the batch: {budget}"),
        }
    }
}

impl std::error::Error for BatchError<'_> {}

impl From<BudgetExceeded> for BatchError<'_> {
    fn from(budget: BudgetExceeded) -> Self {
        Self::Budget(budget)
    }
}

/// Places VMs on the nodes of a table, one by one or in batches, and keeps apart what wants to be.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::arena::typed;
/// use control_plane::scheduler::{
///     AntiAffinity, BatchScheduler, Level, Node, NodeTable, Resources, Topology, VmSpec,
/// };
///
/// let domains = typed::Arena::new();
/// let mut topology = Topology::new(&domains);
/// let mut scheduler = BatchScheduler::new(NodeTable::new(&[])?);
/// for rack in ["r1", "r2"] {
///     let rack = topology.add(Level::Rack, rack, None)?;
///     for node in 0..4 {
///         let name = format!("{}-n{node}", rack.name());
///         let node = Node { name, cpu_milli: 8_000, memory_mib: 16_384, gpus: 0, model: String::new() };
///         scheduler.join(&node, Some(rack))?;
///     }
/// }
///
/// let replica = |name| VmSpec {
///     name,
///     resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, ..Resources::default() },
///     anti_affinity: Some(AntiAffinity { group: "orders-db", level: Level::Rack }),
///     ..VmSpec::default()
/// };
/// let arena = Arena::new();
/// let decisions = scheduler.place_all(&arena, &[replica("db-1"), replica("db-2")]).expect("there are two racks");
/// let racks = decisions.iter().map(|decision| scheduler.domain(decision.placement.unwrap().node).unwrap().name());
/// assert_eq!(racks.collect::<Vec<_>>(), ["r1", "r2"]);
/// assert_eq!(decisions[0].alternatives.len(), 3);
///
/// let error = scheduler.place_all(&arena, &[replica("db-3")]).unwrap_err();
/// assert!(error.to_string().contains("shares a rack"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchScheduler<'t> {
    table: NodeTable,
    groups: Groups<'t>,
}

impl<'t> BatchScheduler<'t> {
    /// A scheduler over a free table, whose nodes stand in no domain.
    ///
    /// # Panics
    ///
    /// If something is taken of a node: the scheduler would not know to whom it belongs.
    #[must_use]
    pub fn new(table: NodeTable) -> Self {
        assert!(table.is_free(), "a scheduler begins with a free table");
        let mut groups = Groups::default();
        for node in table.nodes() {
            groups.join(node, None);
        }
        Self { table, groups }
    }

    /// The nodes.
    #[must_use]
    pub fn table(&self) -> &NodeTable {
        &self.table
    }

    /// The domain that a node stands in.
    ///
    /// # Panics
    ///
    /// If the id is beyond the table.
    #[must_use]
    pub fn domain(&self, node: NodeId) -> Option<&'t Domain<'t>> {
        self.groups.stands_in(node)
    }

    /// [`NodeTable::join`], in a domain.
    ///
    /// A node in none is a domain of its own at every level.
    ///
    /// # Errors
    ///
    /// As [`NodeTable::join`].
    pub fn join(&mut self, node: &Node, domain: Option<&'t Domain<'t>>) -> Result<NodeId, NodeTableError> {
        let id = self.table.join(node)?;
        self.groups.join(id, domain);
        Ok(id)
    }

    /// [`NodeTable::leave`].
    ///
    /// # Errors
    ///
    /// As [`NodeTable::leave`].
    ///
    /// # Panics
    ///
    /// As [`NodeTable::leave`].
    pub fn leave(&mut self, node: NodeId) -> Result<(), NodeTableError> {
        self.table.leave(node)?;
        self.groups.leave(node);
        Ok(())
    }

    /// [`NodeTable::set_open`].
    ///
    /// # Panics
    ///
    /// As [`NodeTable::set_open`].
    pub fn set_open(&mut self, node: NodeId, open: bool) {
        self.table.set_open(node, open);
    }

    /// Places one VM.
    ///
    /// # Errors
    ///
    /// If no node will do: what was short.
    pub fn place(&mut self, spec: &VmSpec<'_>) -> Result<Chosen, Shortage> {
        self.place_by(spec, NodeTable::rank_without)
    }

    /// [`place`](Self::place), the nodes being ranked in another way, such as [`rank_original`](super::baseline::rank_original).
    ///
    /// # Errors
    ///
    /// If no node will do: what was short.
    #[inline]
    pub fn place_by(
        &mut self,
        spec: &VmSpec<'_>,
        rank: impl Fn(&NodeTable, &Demand, &NodeSet) -> Ranking,
    ) -> Result<Chosen, Shortage> {
        let (demand, wish) = (self.table.demand(spec), spec.anti_affinity);
        if wish.is_some_and(|wish| !self.groups.has_room(wish)) {
            return Err(Shortage { resource: Resource::Groups, asked: GROUPS_MAX + 1, most: GROUPS_MAX });
        }
        let none = NodeSet::new();
        let without = wish.and_then(|wish| self.groups.away_from(wish)).unwrap_or(&none);
        let ranking = rank(&self.table, &demand, without);
        let best = ranking.best().ok_or_else(|| self.short(&demand, wish))?;
        let mut placement = self.table.take(best, &demand);
        placement.group = wish.map(|wish| self.groups.take(wish, placement.node));
        Ok(Chosen { placement, ranking })
    }

    #[cold]
    fn short(&self, demand: &Demand, wish: Option<AntiAffinity<'_>>) -> Shortage {
        if let Some(wish) = wish
            && self.table.rank(demand).best().is_some()
        {
            return Shortage { resource: Resource::Apart(wish.level), asked: 0, most: 0 };
        }
        self.table.shortage(demand)
    }

    /// Gives back what a placement took.
    ///
    /// # Panics
    ///
    /// If it is not of this scheduler, or was given back before.
    pub fn release(&mut self, placement: &Placement) {
        self.table.give_back(placement);
        if let Some(group) = placement.group {
            self.groups.free(group, placement.node);
        }
    }

    /// Makes every node free again; placements before this are void.
    pub fn free_all(&mut self) {
        self.table.free_all();
        self.groups.clear();
    }

    /// Places a batch, all or nothing. The decisions are in the order of the VMs.
    ///
    /// # Errors
    ///
    /// [`BatchError`]; everything is as it was.
    pub fn place_all<'a, 'v, A: AnyArena>(
        &mut self,
        arena: &'a A,
        vms: &[VmSpec<'v>],
    ) -> Result<&'a [Decision<'a>], BatchError<'v>> {
        if vms.len() > BATCH_VMS_MAX {
            return Err(BatchError::TooManyVms { vms: vms.len() });
        }
        let mut names = FlatSet::try_with_capacity_in(vms.len(), arena)?;
        for (at, vm) in vms.iter().enumerate() {
            if !names.try_insert(vm.name)? {
                return Err(BatchError::NameTwice { at, vm: vm.name });
            }
        }
        let order = arena.try_alloc_slice_fill_with(vms.len(), |at| at)?;
        order.sort_unstable_by_key(|&at| (Reverse(vms[at].priority), vms[at].preemptible, at));
        let mut draft = Draft { scheduler: self, chosen: arena.try_alloc_slice_fill_with(vms.len(), |_| None)? };
        for &at in &*order {
            match draft.scheduler.place(&vms[at]) {
                Ok(chosen) => draft.chosen[at] = Some(chosen),
                Err(shortage) => return Err(BatchError::Short { at, vm: vms[at].name, shortage }),
            }
        }
        let mut decisions = Vec::try_with_capacity_in(vms.len(), arena)?;
        for (vm, chosen) in vms.iter().zip(draft.chosen.iter().flatten()) {
            decisions.try_push(Decision::try_new_in(arena, &draft.scheduler.table, vm, Ok(*chosen))?)?;
        }
        draft.chosen = &mut [];
        Ok(decisions.into_slice())
    }

    /// Places the VMs one after the other, each for itself: those that do not fit get a decision that says why.
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it; everything is as it was.
    pub fn place_each<'a, A: AnyArena>(&mut self, arena: &'a A, vms: &[VmSpec<'_>]) -> &'a [Decision<'a>] {
        granted(self.try_place_each(arena, vms))
    }

    /// [`place_each`](Self::place_each) where the request's budget may not allow it.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`]; everything is as it was.
    pub fn try_place_each<'a, A: AnyArena>(
        &mut self,
        arena: &'a A,
        vms: &[VmSpec<'_>],
    ) -> Result<&'a [Decision<'a>], BudgetExceeded> {
        let mut draft = Draft { scheduler: self, chosen: arena.try_alloc_slice_fill_with(vms.len(), |_| None)? };
        let mut decisions = Vec::try_with_capacity_in(vms.len(), arena)?;
        for (at, vm) in vms.iter().enumerate() {
            let chosen = draft.scheduler.place(vm);
            draft.chosen[at] = chosen.ok();
            decisions.try_push(Decision::try_new_in(arena, &draft.scheduler.table, vm, chosen)?)?;
        }
        draft.chosen = &mut [];
        Ok(decisions.into_slice())
    }
}

/// A batch that is being placed: what it took goes back, unless it came to its end.
struct Draft<'s, 't, 'a> {
    scheduler: &'s mut BatchScheduler<'t>,
    chosen: &'a mut [Option<Chosen>],
}

impl Drop for Draft<'_, '_, '_> {
    fn drop(&mut self) {
        for chosen in self.chosen.iter().flatten() {
            self.scheduler.release(&chosen.placement);
        }
    }
}
