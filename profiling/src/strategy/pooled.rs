//! Strategy `pooled`: plain std types that are recycled one by one instead of freed, configs that are cached, names that are stored once.
//!
//! A request's config is looked up by the VM's name and taken as it is, shared, if it says the same; where it does not, or is not there, it is
//! made in two blocks, its recurring texts interned. Proposals with their decisions, and lists, come out of pools.
//!
//! Invariants: the same values as in [`heap`](super::heap), each fit to outlive the request.
//! Cost: no heap call once the pools are warm and the configs known, but for the backtraces of sampled leak sites; for each VM a
//! shard's lock for reading and an `Arc`'s clone and drop.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::Arc;

use blixard_arena::arc::ArcCache;
use blixard_arena::collections::SmallVec;
use blixard_arena::intern::{PoolFull, StringPool};
use blixard_arena::pool::{Pooled, TypedObjectPool, VecPool};
use control_plane::raft::{AnyBatch, AnyProposal, Lifetime, Outcome, ProposalId, Reply, View};
use control_plane::scheduler::heap::Decision;
use control_plane::scheduler::{SharedPairs, SharedVmConfig, VmConfigView, VmSpec};

use crate::replay::{Desk, Phase, Strategy};
use crate::request::{Request, RequestError, VmRequest};

/// Configs in the cache: twice the VMs of the public trace.
const CONFIGS_MAX: usize = 16_384;

/// The configs that requests have in common, by the VM's name.
#[derive(Debug)]
struct Configs {
    names: StringPool,
    by_name: ArcCache<ByName, SharedVmConfig>,
}

/// A config as its own key, so that its name is stored once: hashes and compares as the name does.
#[derive(Debug)]
struct ByName(Arc<SharedVmConfig>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.spec().name
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<str>::borrow(self) == Borrow::<str>::borrow(other)
    }
}

impl Eq for ByName {}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl Configs {
    /// The config that a request gives; of equal keys of its pairs the last counts.
    fn get(&self, spec: &VmSpec<'_>, pairs: &[(&str, &str)]) -> Result<Arc<SharedVmConfig>, PoolFull> {
        let mut sorted: SmallVec<(&str, &str), 16> = SmallVec::from_slice(pairs);
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
        if let Some(known) = self.by_name.get(spec.name) {
            if known.spec() == *spec && known.metadata().eq(sorted.iter().copied()) {
                return Ok(known);
            }
            self.by_name.remove(spec.name);
        }
        let view = VmConfigView { spec: *spec, metadata: sorted.iter().copied() };
        let shared = Arc::new(SharedVmConfig::new(&self.names, view)?);
        // Another thread's may be there by now, of another request: the newest stays, and who has one keeps it.
        self.by_name.insert(ByName(Arc::clone(&shared)), Arc::clone(&shared));
        Ok(shared)
    }
}

/// A VM of the request at hand.
#[derive(Debug)]
struct Creation {
    id: ProposalId,
    lifetime: Lifetime,
    /// Its config, from the request on.
    config: Option<Arc<SharedVmConfig>>,
    /// Worded as every proposal's is.
    reason: String,
    decision: Decision,
}

impl Creation {
    fn empty() -> Self {
        let lifetime = Lifetime { from_seconds: 0, until_seconds: None };
        Self { id: ProposalId([0; 16]), lifetime, config: None, reason: String::new(), decision: Decision::empty() }
    }

    fn clear(&mut self) {
        self.config = None;
        self.reason.clear();
        self.decision.clear();
    }

    fn config(&self) -> &SharedVmConfig {
        self.config.as_deref().expect("the request gave it one")
    }
}

/// A creation out of its pool.
#[derive(Debug)]
struct Vm(Pooled<Creation>);

impl AnyProposal for Vm {
    type Pairs<'p> = SharedPairs<'p>;
    type Arguments<'p> = std::iter::Empty<&'p str>;

    fn id(&self) -> ProposalId {
        self.0.id
    }

    fn reason(&self) -> &str {
        &self.0.reason
    }

    fn reply(&self) -> Option<&Reply> {
        None
    }

    fn view(&self) -> View<'_, Self> {
        View::CreateVm { config: self.0.config().view(), lifetime: self.0.lifetime }
    }
}

/// The VMs of the request at hand, all placed.
struct Batch<'v>(&'v [Vm]);

impl AnyBatch for Batch<'_> {
    type Proposal = Vm;

    fn proposals(&self) -> &[Vm] {
        self.0
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        self.0.iter().map(|vm| {
            let Decision { placement, alternatives, reason } = &vm.0.decision;
            Outcome { placement: *placement, alternatives, reason }
        })
    }
}

/// Serves requests from pools that all threads share.
#[derive(Debug)]
pub struct Pools {
    configs: Configs,
    creations: TypedObjectPool<Creation>,
    vms: VecPool<Vm>,
    // Empty whenever they lie in their pools: the lifetimes of what they hold in a request are another's.
    fields: VecPool<VmRequest<'static>>,
    pairs: VecPool<(&'static str, &'static str)>,
}

impl Default for Pools {
    fn default() -> Self {
        let creations = TypedObjectPool::builder(Creation::empty).name("creations").reset(Creation::clear);
        let retained = |creation: &Creation| creation.decision.heap_bytes() + creation.reason.capacity();
        Self {
            configs: Configs { names: StringPool::new(), by_name: ArcCache::with_entries_max(CONFIGS_MAX) },
            creations: creations.retained_bytes(retained).retain_bytes_max(4 << 10).build(),
            vms: lists(),
            fields: lists(),
            pairs: lists(),
        }
    }
}

/// Lists as long as a request needs them, of which one thread keeps four.
pub(crate) fn lists<T: Send + 'static>() -> VecPool<T> {
    VecPool::builder_with_capacity(0).retain_bytes_max(200 << 10).build()
}

impl Strategy for Pools {
    fn serve(&self, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
        desk.clock.begin();
        let (mut kept_fields, mut kept_pairs) = (self.fields.acquire(), self.pairs.acquire());
        let mut fields = emptied(mem::take(&mut *kept_fields));
        let mut pairs = emptied(mem::take(&mut *kept_pairs));
        let mut vms = self.vms.acquire();
        desk.clock.lap(Phase::Build);

        let request = Request::open(bytes)?;
        fields.reserve(request.vms);
        pairs.reserve(request.pairs);
        request.parse(&mut fields, &mut pairs)?;
        desk.clock.lap(Phase::Parse);

        vms.reserve(fields.len());
        for (at, vm) in fields.iter().enumerate() {
            let config = self.configs.get(&vm.spec, &pairs[vm.pairs.clone()]);
            let full = |error: PoolFull| {
                RequestError::new(at + 2, 2, "names within the string pool's limits", &error.to_string())
            };
            let mut creation = self.creations.acquire();
            creation.config = Some(config.map_err(full)?);
            (creation.id, creation.lifetime) = (vm.id, vm.lifetime);
            let VmSpec { name, tenant, qos, .. } = vm.spec;
            write!(creation.reason, "create {name} for {tenant}, class {}", qos.as_str())
                .expect("a `String` takes all text");
            vms.push(Vm(creation));
        }
        desk.clock.lap(Phase::Build);

        for Vm(vm) in &mut *vms {
            let Creation { config: Some(config), lifetime, decision, .. } = &mut **vm else { continue };
            let spec = config.spec();
            let chosen = desk.cluster.place(&spec, *lifetime);
            desk.tally(&chosen);
            decision.assign(desk.cluster.nodes(), &spec, chosen);
        }
        desk.clock.lap(Phase::Place);

        desk.encoded = desk.processor.encode(&Batch(&vms))?;
        desk.clock.lap(Phase::Encode);

        (*kept_fields, *kept_pairs) = (emptied(fields), emptied(pairs));
        drop((vms, kept_fields, kept_pairs));
        desk.clock.lap(Phase::Release);
        Ok(())
    }
}

/// An empty list of other elements of the same size in the same memory: std collects in place.
fn emptied<A, B>(mut list: Vec<A>) -> Vec<B> {
    list.clear();
    list.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn configs() -> Configs {
        Configs { names: StringPool::new(), by_name: ArcCache::with_entries_max(4) }
    }

    fn spec(name: &str) -> VmSpec<'_> {
        VmSpec { name, tenant: "acme", ip: [10, 0, 0, 1].into(), ..VmSpec::default() }
    }

    #[test]
    fn metadata_is_what_a_sorted_map_would_hold() {
        let many: Vec<_> =
            (0..100).map(|at| (["b", "", "a", "zone", "app"][at * 7 % 5], ["x", "", "longer"][at % 3])).collect();
        for pairs in [&many[..0], &many[..1], &many[..5], &many[..12], &many] {
            let config = configs().get(&spec("vm"), pairs).unwrap();
            let model: BTreeMap<_, _> = pairs.iter().copied().collect();
            assert!(config.metadata().eq(model));
        }
    }

    #[test]
    fn a_config_is_shared_as_long_as_requests_say_the_same() {
        let configs = configs();
        let first = configs.get(&spec("vm"), &[("b", "1"), ("a", "2")]).unwrap();
        assert!(Arc::ptr_eq(&first, &configs.get(&spec("vm"), &[("a", "2"), ("b", "1")]).unwrap()));
        let other_pairs = configs.get(&spec("vm"), &[("a", "2"), ("b", "3")]).unwrap();
        let other_spec = configs.get(&VmSpec { priority: 9, ..spec("vm") }, &[("a", "2"), ("b", "3")]).unwrap();
        assert_eq!(first.metadata().last(), Some(("b", "1")), "who holds a config keeps it");
        assert_eq!(other_pairs.metadata().last(), Some(("b", "3")));
        assert_eq!((other_spec.spec().priority, other_spec.metadata().len()), (9, 2));
        assert!(Arc::ptr_eq(&other_spec, &configs.get(&other_spec.spec(), &[("a", "2"), ("b", "3")]).unwrap()));
    }

    #[test]
    fn an_emptied_list_keeps_its_memory() {
        let list: Vec<&str> = Vec::with_capacity(40);
        let before = list.as_ptr().addr();
        let list: Vec<(usize, usize)> = emptied(list);
        assert_eq!((list.as_ptr().addr(), list.capacity(), list.len()), (before, 40, 0));
    }
}
