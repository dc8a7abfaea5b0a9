//! Which nodes a group's VMs keep its next VM away from.
//!
//! Under the batch scheduler. For each group that has VMs: the domains that they occupy, and all nodes of these as a
//! [`NodeSet`] that a search leaves out.
//!
//! Invariants: no two VMs of a group occupy one domain, so a domain is freed by the one VM that took it; a group without VMs
//! is gone; a group's set holds exactly the nodes of its domains.
//! Cost: a bit per node and group; taking and freeing a domain costs its nodes.
#![forbid(unsafe_code)]

use blixard_arena::collections::{FlatMap, FlatSet};

use super::columns::NodeSet;
use super::node::NodeId;
use super::topology::{AntiAffinity, Domain, Level};

/// Most groups that may have VMs at a time.
pub const GROUPS_MAX: u32 = 1 << 12;

/// A group that has VMs, as long as it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(u32);

/// What a VM of a group occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Occupied {
    /// A domain, by its number.
    Domain(u32),
    /// A node, because the level says so or because it stands in no domain of the level.
    Node(NodeId),
}

#[derive(Debug)]
struct Group {
    level: Level,
    name: Box<str>,
    occupied: FlatSet<Occupied>,
    nodes: NodeSet,
}

/// All groups, and where nodes stand.
#[derive(Debug, Default)]
pub(super) struct Groups<'t> {
    /// The domain that each node hangs in.
    stands_in: Vec<Option<&'t Domain<'t>>>,
    /// The nodes of each domain, those of the domains below it among them.
    members: Vec<NodeSet>,
    by_id: Vec<Option<Group>>,
    vacant: Vec<u32>,
    by_name: [FlatMap<Box<str>, GroupId>; Level::ALL.len()],
}

impl<'t> Groups<'t> {
    /// A node comes to stand in a domain.
    pub(super) fn join(&mut self, node: NodeId, domain: Option<&'t Domain<'t>>) {
        let at = node.0 as usize;
        if self.stands_in.len() <= at {
            self.stands_in.resize(at + 1, None);
        }
        self.stands_in[at] = domain;
        for domain in above(domain) {
            if self.members.len() <= domain.number() {
                self.members.resize(domain.number() + 1, NodeSet::new());
            }
            self.members[domain.number()].insert(node);
        }
        for group in self.by_id.iter_mut().flatten() {
            if group.occupied.contains(&occupied(&self.stands_in, node, group.level)) {
                group.nodes.insert(node);
            }
        }
    }

    /// A node without VMs goes.
    pub(super) fn leave(&mut self, node: NodeId) {
        for domain in above(self.stands_in[node.0 as usize].take()) {
            self.members[domain.number()].remove(node);
        }
        for group in self.by_id.iter_mut().flatten() {
            group.nodes.remove(node);
        }
    }

    /// The nodes that a group's next VM must keep away from; `None` if it has no VM.
    pub(super) fn away_from(&self, wish: AntiAffinity<'_>) -> Option<&NodeSet> {
        let &GroupId(at) = self.by_name[wish.level as usize].get(wish.group)?;
        self.by_id[at as usize].as_ref().map(|group| &group.nodes)
    }

    /// Whether there is room for a group, or for another VM of it.
    pub(super) fn has_room(&self, wish: AntiAffinity<'_>) -> bool {
        self.by_id.len() - self.vacant.len() < GROUPS_MAX as usize || self.away_from(wish).is_some()
    }

    /// A VM of the group takes the node, which is not among those to keep away from.
    pub(super) fn take(&mut self, wish: AntiAffinity<'_>, node: NodeId) -> GroupId {
        let by_name = &mut self.by_name[wish.level as usize];
        let id = by_name.get(wish.group).copied().unwrap_or_else(|| {
            let id = GroupId(self.vacant.pop().unwrap_or_else(|| {
                self.by_id.push(None);
                u32::try_from(self.by_id.len() - 1).expect("`GROUPS_MAX` is less")
            }));
            let (name, nodes): (Box<str>, _) = (wish.group.into(), NodeSet::new());
            by_name.insert(name.clone(), id);
            let (level, occupied) = (wish.level, FlatSet::new());
            self.by_id[id.0 as usize] = Some(Group { level, name, occupied, nodes });
            id
        });
        let group = self.by_id[id.0 as usize].as_mut().expect("a named group has VMs");
        let occupied = occupied(&self.stands_in, node, group.level);
        assert!(group.occupied.insert(occupied), "two VMs of group {} in one {}", group.name, group.level);
        for node in nodes_of(&self.members, occupied) {
            group.nodes.insert(node);
        }
        id
    }

    /// The group's VM on the node goes.
    pub(super) fn free(&mut self, id: GroupId, node: NodeId) {
        let slot = &mut self.by_id[id.0 as usize];
        let group = slot.as_mut().expect("a group is there as long as it has VMs");
        let occupied = occupied(&self.stands_in, node, group.level);
        assert!(group.occupied.remove(&occupied), "group {} has no VM on node {}", group.name, node.0);
        for node in nodes_of(&self.members, occupied) {
            group.nodes.remove(node);
        }
        if group.occupied.is_empty() {
            self.by_name[group.level as usize].remove(&*group.name);
            *slot = None;
            self.vacant.push(id.0);
        }
    }

    /// Every VM goes.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.vacant.clear();
        self.by_name.iter_mut().for_each(FlatMap::clear);
    }

    /// The domain that a node hangs in.
    pub(super) fn stands_in(&self, node: NodeId) -> Option<&'t Domain<'t>> {
        self.stands_in[node.0 as usize]
    }
}

/// A domain and all that it lies in.
fn above<'t>(domain: Option<&'t Domain<'t>>) -> impl Iterator<Item = &'t Domain<'t>> {
    std::iter::successors(domain, |domain| domain.above())
}

fn occupied(stands_in: &[Option<&Domain<'_>>], node: NodeId, level: Level) -> Occupied {
    let domain = stands_in[node.0 as usize].and_then(|domain| domain.at(level));
    match domain {
        Some(domain) => Occupied::Domain(u32::try_from(domain.number()).expect("was a `u32`")),
        None => Occupied::Node(node),
    }
}

/// The nodes that a VM there keeps others of its group away from.
fn nodes_of(members: &[NodeSet], occupied: Occupied) -> impl Iterator<Item = NodeId> {
    let (domain, node) = match occupied {
        Occupied::Domain(number) => (Some(&members[number as usize]), None),
        Occupied::Node(node) => (None, Some(node)),
    };
    domain.into_iter().flat_map(NodeSet::iter).chain(node)
}
