//! The reference request, served by everybody: 16 proposals are built out of borrowed input, looked at once, and let go together.
//!
//! A proposal is a 16-byte id, a VM name and a tenant name of 16 bytes, a map of string pairs inserted one by one, `(u64, f64)` scores pushed one
//! by one, and a formatted reason of 45 bytes. The reference has 4 pairs and 8 scores; the random variant draws 0 to 12 pairs (a key may come
//! twice: the later value wins) and 0 to 40 scores, from a seed.
//!
//! Invariant: before a contender is timed, it serves every input once, and what it built is compared with the [`oracle`].

mod bump_scope;
mod bumpalo;
mod heap;
mod input;
mod multitude;
mod ours;
mod tuned;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;

pub use self::input::{Input, ProposalInput};
use crate::contest::{CHUNK_BYTES, Contender, Group, Named, Role};
use crate::limits::Region;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("request/reference", || group("request/reference", &[Input::reference()])),
    ("request/random", || group("request/random", &Input::random(64, 42))),
];

/// A built proposal of whichever kind, as the check sees it.
trait Proposal {
    fn render(&self) -> Rendered;
}

/// What looks at a finished batch before it goes: the clock's look costs nothing, the check's look reads all.
trait Look {
    fn look<P: Proposal>(&mut self, batch: &[P]);
}

/// The look while the clock runs: everything reachable counts as used.
struct Timed;

impl Look for Timed {
    #[inline]
    fn look<P: Proposal>(&mut self, batch: &[P]) {
        black_box(batch);
    }
}

/// A proposal in plain owned form.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    id: [u8; 16],
    vm: String,
    tenant: String,
    metadata: BTreeMap<String, String>,
    scores: Vec<(u64, u64)>,
    reason: String,
}

impl Rendered {
    fn new<'a>(
        id: [u8; 16],
        [vm, tenant, reason]: [&str; 3],
        metadata: impl Iterator<Item = (&'a str, &'a str)>,
        scores: &[(u64, f64)],
    ) -> Self {
        let pairs: Vec<_> = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let metadata: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(metadata.len(), pairs.len(), "a key stands twice in one map");
        Self {
            id,
            vm: vm.to_owned(),
            tenant: tenant.to_owned(),
            metadata,
            scores: scores.iter().map(|(node, score)| (*node, score.to_bits())).collect(),
            reason: reason.to_owned(),
        }
    }
}

/// The look of the check.
#[derive(Default)]
struct Seen(Vec<Rendered>);

impl Look for Seen {
    fn look<P: Proposal>(&mut self, batch: &[P]) {
        self.0.extend(batch.iter().map(Proposal::render));
    }
}

/// What a request must come to, written without regard to cost.
#[must_use]
pub fn oracle(input: &Input) -> Vec<Rendered> {
    let render = |proposal: &ProposalInput| Rendered {
        id: proposal.id,
        vm: proposal.vm.clone(),
        tenant: proposal.tenant.clone(),
        metadata: proposal.metadata.iter().cloned().collect(),
        scores: proposal.scores.iter().map(|(node, score)| (*node, score.to_bits())).collect(),
        reason: format!("{} on node {}: most available", proposal.vm, proposal.node),
    };
    input.proposals.iter().map(render).collect()
}

/// A contender that serves all inputs in each iteration with `$serve(&mut arena, &input, &mut look)`.
macro_rules! server {
    ($name:literal, $role:ident, $inputs:expr, $arena:expr, $serve:path) => {{
        let inputs = Rc::clone($inputs);
        let mut arena = $arena;
        for input in inputs.iter() {
            let mut seen = Seen::default();
            $serve(&mut arena, input, &mut seen);
            assert_eq!(seen.0, oracle(input), "{} builds something else", $name);
        }
        let serve_all = move |arena: &mut _, _| {
            for input in inputs.iter() {
                $serve(arena, input, &mut Timed);
            }
        };
        Contender::alone($name, Role::$role, 1, arena, serve_all, |_| ())
    }};
}

/// The reference request on the plain heap, for measuring allocators.
#[must_use]
pub fn on_the_heap() -> Contender {
    let inputs: &Rc<[Input]> = &[Input::reference()].into();
    server!("heap, hashbrown", Control, inputs, (), heap::serve_hashbrown)
}

fn group(name: &'static str, inputs: &[Input]) -> Group {
    let inputs: &Rc<[Input]> = &inputs.into();
    let contenders = vec![
        server!("blixard Arena", Ours, inputs, blixard_arena::ArenaPool::new(), ours::serve),
        server!("blixard SharedArena", Ours, inputs, ours::Shared::default(), ours::serve_shared),
        server!("blixard Arena + hashbrown", Ours, inputs, blixard_arena::ArenaPool::new(), ours::serve_ported),
        server!("heap, std HashMap", Peer, inputs, (), heap::serve_std),
        server!("heap, hashbrown", Peer, inputs, (), heap::serve_hashbrown),
        server!("bumpalo + hashbrown", Peer, inputs, ::bumpalo::Bump::with_capacity(CHUNK_BYTES), bumpalo::serve),
        server!(
            "bump-scope + hashbrown",
            Peer,
            inputs,
            <::bump_scope::Bump>::with_size(CHUNK_BYTES),
            bump_scope::serve
        ),
        server!(
            "multitude",
            Peer,
            inputs,
            ::multitude::Arena::builder().with_capacity(CHUNK_BYTES).build(),
            multitude::serve
        ),
        server!("hand-tuned, same semantics", Limit, inputs, Region::new(CHUNK_BYTES), tuned::serve),
        server!("hand-tuned, digits by hand", Limit, inputs, Region::new(CHUNK_BYTES), tuned::serve_by_hand),
    ];
    Group {
        name,
        note: "time per request; each is checked against the oracle before it is timed",
        elements: inputs.len() as u64,
        contenders,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_builds_what_the_oracle_says() {
        for (name, make) in GROUPS {
            // The check stands in the constructor; running once more shows that a warm arena gives it too.
            for contender in &mut make().contenders {
                assert!(!contender.run(2).is_zero(), "{name}: {}", contender.name);
            }
        }
    }

    #[test]
    fn the_reference_request_is_what_it_is_said_to_be() {
        let proposals = oracle(&Input::reference());
        assert_eq!(proposals.len(), 16);
        for proposal in proposals {
            assert_eq!((proposal.vm.len(), proposal.tenant.len(), proposal.reason.len()), (16, 16, 45));
            assert_eq!((proposal.metadata.len(), proposal.scores.len()), (4, 8));
        }
    }

    #[test]
    fn the_random_requests_cover_their_ranges_and_repeat_some_keys() {
        let inputs = Input::random(64, 42);
        let proposals = || inputs.iter().flat_map(|input| &input.proposals);
        for (of, most) in [
            (proposals().map(|p| p.scores.len()).collect::<Vec<_>>(), 40),
            (proposals().map(|p| p.metadata.len()).collect(), 12),
        ] {
            assert_eq!((of.iter().min(), of.iter().max()), (Some(&0), Some(&most)));
        }
        let built: usize = inputs.iter().flat_map(oracle).map(|p| p.metadata.len()).sum();
        assert!(built < proposals().map(|p| p.metadata.len()).sum(), "no key came twice");
        assert_eq!(oracle(&inputs[7]), oracle(&Input::random(64, 42)[7]), "the seed decides");
    }
}
