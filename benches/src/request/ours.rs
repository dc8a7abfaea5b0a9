//! The request over blixard-arena: an arena from the pool and the library's own collections, in the words one would write
//! first; beside it the same arena under other people's collections.

use blixard_arena::collections::{FlatMap, Memory, Vec};
use blixard_arena::{Arena, ArenaPool, SharedArena};
use hashbrown::{DefaultHashBuilder, HashMap};

use super::{Input, Look, Proposal, Rendered};

struct InArena<'a, M: Memory> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: FlatMap<&'a str, &'a str, M>,
    scores: &'a [(u64, f64)],
    reason: &'a str,
}

impl<M: Memory> Proposal for InArena<'_, M> {
    fn render(&self) -> Rendered {
        let pairs = self.metadata.iter().map(|(key, value)| (*key, *value));
        Rendered::new(self.id, [self.vm, self.tenant, self.reason], pairs, self.scores)
    }
}

/// The body of a request, the same words over either arena.
macro_rules! build {
    ($arena:ident, $input:ident, $look:ident) => {
        let mut batch = Vec::with_capacity_in($input.proposals.len(), $arena);
        for proposal in &$input.proposals {
            let mut metadata = FlatMap::new_in($arena);
            for (key, value) in &proposal.metadata {
                metadata.insert(&*$arena.alloc_str(key), &*$arena.alloc_str(value));
            }
            let mut scores = Vec::new_in($arena);
            for score in &proposal.scores {
                scores.push(*score);
            }
            batch.push(InArena {
                id: proposal.id,
                scores: scores.into_slice(),
                vm: $arena.alloc_str(&proposal.vm),
                tenant: $arena.alloc_str(&proposal.tenant),
                metadata,
                reason: $arena.format(format_args!("{} on node {}: most available", proposal.vm, proposal.node)),
            });
        }
        $look.look(&batch);
    };
}

pub(super) fn serve(pool: &mut ArenaPool, input: &Input, look: &mut impl Look) {
    let guard = pool.acquire();
    let arena: &Arena = &guard;
    build!(arena, input, look);
}

/// A pool whose arenas any thread may use.
#[derive(Default)]
pub(super) struct Shared(ArenaPool);

pub(super) fn serve_shared(pool: &mut Shared, input: &Input, look: &mut impl Look) {
    let guard = pool.0.acquire_shared();
    let arena: &SharedArena = &guard;
    build!(arena, input, look);
}

/// The same arena, with hashbrown's map and allocator-api2's vector in it.
struct Ported<'a> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: HashMap<&'a str, &'a str, DefaultHashBuilder, &'a Arena>,
    scores: allocator_api2::vec::Vec<(u64, f64), &'a Arena>,
    reason: &'a str,
}

impl Proposal for Ported<'_> {
    fn render(&self) -> Rendered {
        let pairs = self.metadata.iter().map(|(key, value)| (*key, *value));
        Rendered::new(self.id, [self.vm, self.tenant, self.reason], pairs, &self.scores)
    }
}

pub(super) fn serve_ported(pool: &mut ArenaPool, input: &Input, look: &mut impl Look) {
    let guard = pool.acquire();
    let arena: &Arena = &guard;
    let mut batch = allocator_api2::vec::Vec::with_capacity_in(input.proposals.len(), arena);
    for proposal in &input.proposals {
        let mut metadata = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
        for (key, value) in &proposal.metadata {
            metadata.insert(&*arena.alloc_str(key), &*arena.alloc_str(value));
        }
        let mut scores = allocator_api2::vec::Vec::new_in(arena);
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(Ported {
            id: proposal.id,
            vm: arena.alloc_str(&proposal.vm),
            tenant: arena.alloc_str(&proposal.tenant),
            metadata,
            scores,
            reason: arena.format(format_args!("{} on node {}: most available", proposal.vm, proposal.node)),
        });
    }
    look.look(&batch);
}
