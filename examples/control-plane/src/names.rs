//! The names that the control plane knows in advance: what a VM and a node can be doing.
//!
//! On the data's way they stand at its beginning, where a request's words become names, and wherever a state is decided upon: each is a
//! number at compile time, so a `match` compares two words. A pool of names is made with both sets ([`pool`]). What lies in a
//! request's memory or in the log carries a state as its place in the set, one byte ([`VmStatus`], [`NodeRole`]).
//! Invariant: no text is in both. Cost: a constant costs nothing, no count and no look-up.
#![expect(missing_debug_implementations, reason = "of what rkyv's derive declares beside an archived type")]

use blixard_arena::archive::rkyv::bytecheck::CheckBytes;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Portable, Serialize};
use blixard_arena::intern::{InternedString, StringPool, StringPoolOptions};

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

/// Declares the one-byte form of a set: a variant per constant, in the set's order.
macro_rules! places {
    ($(#[$meta:meta])* $name:ident of $set:ident { $($variant:ident = $constant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Portable, CheckBytes, Archive, Serialize, Deserialize)]
        #[rkyv(crate = rkyv, as = Self)]
        #[bytecheck(crate = rkyv::bytecheck)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = concat!("[`", stringify!($set), "::", stringify!($constant), "`].")] $variant),+
        }

        impl $name {
            /// Every one, in the set's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[doc = concat!("The constant of [`", stringify!($set), "`].")]
            #[must_use]
            pub const fn name(self) -> InternedString {
                match self {
                    $(Self::$variant => $set::$constant),+
                }
            }

            /// The one of that name; `None` if the name is no constant of the set.
            #[must_use]
            pub fn from_name(name: &InternedString) -> Option<Self> {
                match *name {
                    $($set::$constant => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name's text, whether a pool knows the set or not.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                $set::SET.names()[self as usize]
            }
        }
    };
}

places! {
    /// What a VM is doing, as a proposal carries it.
    ///
    /// ```
    /// use control_plane::names::{self, VmState, VmStatus};
    ///
    /// let told = names::pool().intern("running"); // by a node, as text
    /// assert_eq!(VmStatus::from_name(&told), Some(VmStatus::Running));
    /// assert_eq!(VmStatus::Running.name(), VmState::RUNNING);
    /// assert_eq!(VmStatus::Running.as_str(), "running");
    /// ```
    VmStatus of VmState {
        Creating = CREATING,
        Starting = STARTING,
        Running = RUNNING,
        Stopping = STOPPING,
        Stopped = STOPPED,
        Failed = FAILED,
    }
}

places! {
    /// What a node is to its Raft group, as a proposal carries it.
    NodeRole of NodeState {
        Leader = LEADER,
        Follower = FOLLOWER,
        Candidate = CANDIDATE,
        Learner = LEARNER,
        Initializing = INITIALIZING,
        Ready = READY,
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

    #[test]
    fn places_and_constants_are_the_same_states() {
        let pool = pool();
        assert_eq!(VmStatus::ALL.len(), VmState::SET.names().len());
        assert_eq!(NodeRole::ALL.len(), NodeState::SET.names().len());
        for (place, &status) in VmStatus::ALL.iter().enumerate() {
            assert_eq!(status as usize, place);
            assert_eq!(pool.intern(status.as_str()), status.name());
            assert_eq!(VmStatus::from_name(&status.name()), Some(status));
            assert_eq!(NodeRole::from_name(&status.name()), None);
        }
        for (place, &role) in NodeRole::ALL.iter().enumerate() {
            assert_eq!(role as usize, place);
            assert_eq!(pool.intern(role.as_str()), role.name());
            assert_eq!(NodeRole::from_name(&role.name()), Some(role));
        }
        assert_eq!(VmStatus::from_name(&pool.intern("flying")), None);
    }

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
