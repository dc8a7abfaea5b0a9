//! The names that the control plane knows in advance: what a VM and a node can be doing.
//!
//! On the data's way they stand at its beginning, where a request's words become names, and wherever a state is decided upon: each is a
//! number at compile time, so a `match` compares two words. A pool of names is made with both sets ([`pool`]).
//! Invariant: no text is in both. Cost: a constant costs nothing, no count and no look-up.

use blixard_arena::intern::{StringPool, StringPoolOptions};

blixard_arena::constant_names! {
    /// What a VM is doing.
    pub VmState {
        /// It is being made.
        CREATING = "creating",
        /// It boots.
        STARTING = "starting",
        /// It runs.
        RUNNING = "running",
        /// It was told to stop.
        STOPPING = "stopping",
        /// It has stopped.
        STOPPED = "stopped",
        /// It has failed.
        FAILED = "failed",
    }
}

blixard_arena::constant_names! {
    /// What a node is to its Raft group.
    pub NodeState {
        /// It takes proposals.
        LEADER = "leader",
        /// It follows a leader.
        FOLLOWER = "follower",
        /// It asks to be leader.
        CANDIDATE = "candidate",
        /// It follows and does not vote.
        LEARNER = "learner",
        /// It is starting up.
        INITIALIZING = "initializing",
        /// It is up, and of no group yet.
        READY = "ready",
    }
}

/// A pool for the names that outlive requests (VMs, nodes, tenants), which knows both sets.
///
/// ```
/// use blixard_arena::intern::InternedString;
/// use control_plane::names::{self, VmState};
///
/// fn may_start(state: &InternedString) -> bool {
///     matches!(*state, VmState::STOPPED | VmState::FAILED)
/// }
///
/// let names = names::pool();
/// assert!(may_start(&names.intern("stopped"))); // a word from a request
/// assert!(!may_start(&VmState::RUNNING));
/// ```
#[must_use]
pub fn pool() -> StringPool {
    StringPoolOptions::new().constants(VmState::SET).constants(NodeState::SET).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blixard_arena::intern::InternedString;

    #[test]
    fn every_state_is_its_constant_in_every_pool() {
        let (pool, other) = (pool(), pool());
        for text in VmState::SET.names().iter().chain(NodeState::SET.names()) {
            assert_eq!(pool.intern(text), other.intern(text));
            assert_eq!(pool.intern(text).as_str(), *text);
        }
        let name = |state: &InternedString| match *state {
            VmState::CREATING | VmState::STARTING | VmState::RUNNING => "on",
            VmState::STOPPING | VmState::STOPPED | VmState::FAILED => "off",
            NodeState::LEADER | NodeState::FOLLOWER | NodeState::CANDIDATE | NodeState::LEARNER => "member",
            NodeState::INITIALIZING | NodeState::READY => "none",
            _ => "no state",
        };
        let names = ["running", "failed", "candidate", "ready", "flying"].map(|text| name(&pool.intern(text)));
        assert_eq!(names, ["on", "off", "member", "none", "no state"]);
    }
}
