//! Configs that many requests look up: shared, their recurring texts interned, found by name and by tenant.
//!
//! Outlives every request. [`SharedVmConfig`] is what is handed out, [`ConfigCache`] keeps as many as it may; a config comes in
//! through a pooled, owned one that its loader fills and that is checked before anybody sees it.
//!
//! Invariants: a name has one config, however many threads miss it at once; what a tenant's list names is the tenant's; the
//! lists hold at most twice as many names as the cache may hold configs.
//! Cost: a hit takes one shard's lock for reading and no heap call; a tenant's list one lock and an `Arc` per config.
#![forbid(unsafe_code)]

use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::slice;
use std::sync::{Arc, PoisonError, RwLock};

use blixard_arena::arc::ArcCache;
use blixard_arena::collections::{FlatMap, FlatSet};
use blixard_arena::intern::{InternedString, Name, PoolFull, StringPool};

use super::archived::VmConfigView;
use super::config::{Qos, Resources, VmSpec};
use super::heap::{self, VM_CONFIG_POOL};
use super::topology::{AntiAffinity, Level};
use super::validate::ConfigError;

/// A VM's config as many hold it: it does not change any more, and what recurs (tenant, GPU models, groups, metadata keys)
/// is interned.
#[derive(Debug, Clone)]
pub struct SharedVmConfig {
    name: InternedString,
    tenant: InternedString,
    /// What does not recur: the config path, then the metadata's values, one behind another.
    texts: Box<str>,
    path_end: usize,
    gpu_spec: InternedString,
    resources: Resources,
    ip: IpAddr,
    qos: Qos,
    anti_affinity: Option<(InternedString, Level)>,
    priority: u8,
    preemptible: bool,
    /// Keys, ascending, and where the value of each ends among the texts.
    metadata: Box<[SharedPair]>,
}

type SharedPair = (InternedString, usize);

impl SharedVmConfig {
    /// The shared form of a config: two heap blocks, and what of its names is new to the pool.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if the names do not fit the pool.
    pub fn new<'v, M>(names: &StringPool, config: VmConfigView<'v, M>) -> Result<Self, PoolFull>
    where
        M: ExactSizeIterator<Item = (&'v str, &'v str)> + Clone,
    {
        let VmConfigView { spec, metadata: pairs } = config;
        let pin = names.pin();
        let intern = |text: &str| pin.try_intern(text).map(Name::to_interned);
        let values_bytes: usize = pairs.clone().map(|(_, value)| value.len()).sum();
        let mut texts = String::with_capacity(spec.config_path.len() + values_bytes);
        texts.push_str(spec.config_path);
        let mut metadata = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            texts.push_str(value);
            metadata.push((intern(key)?, texts.len()));
        }
        let wish = spec.anti_affinity.map(|wish| Ok((intern(wish.group)?, wish.level)));
        Ok(Self {
            name: intern(spec.name)?,
            tenant: intern(spec.tenant)?,
            texts: texts.into_boxed_str(),
            path_end: spec.config_path.len(),
            gpu_spec: intern(spec.gpu_spec)?,
            resources: spec.resources,
            ip: spec.ip,
            qos: spec.qos,
            anti_affinity: wish.transpose()?,
            priority: spec.priority,
            preemptible: spec.preemptible,
            metadata: metadata.into_boxed_slice(),
        })
    }

    /// A look at the fields, for placement and encoding.
    #[must_use]
    pub fn spec(&self) -> VmSpec<'_> {
        let wish = self.anti_affinity.as_ref();
        VmSpec {
            name: self.name.as_str(),
            config_path: &self.texts[..self.path_end],
            tenant: self.tenant.as_str(),
            gpu_spec: self.gpu_spec.as_str(),
            resources: self.resources,
            ip: self.ip,
            qos: self.qos,
            anti_affinity: wish.map(|(group, level)| AntiAffinity { group: group.as_str(), level: *level }),
            priority: self.priority,
            preemptible: self.preemptible,
        }
    }

    /// A look at the whole of it, which can be archived.
    #[must_use]
    pub fn view(&self) -> VmConfigView<'_, SharedPairs<'_>> {
        VmConfigView { spec: self.spec(), metadata: self.metadata() }
    }

    /// The tenant, to be compared by one word.
    #[must_use]
    pub fn tenant(&self) -> &InternedString {
        &self.tenant
    }

    /// Metadata: unique keys, ascending.
    #[must_use]
    pub fn metadata(&self) -> SharedPairs<'_> {
        SharedPairs { keys: self.metadata.iter(), texts: &self.texts, start: self.path_end }
    }
}

/// The pairs of a [`SharedVmConfig`]'s metadata.
#[derive(Debug, Clone)]
pub struct SharedPairs<'c> {
    keys: slice::Iter<'c, SharedPair>,
    texts: &'c str,
    /// Where the next value begins.
    start: usize,
}

impl<'c> Iterator for SharedPairs<'c> {
    type Item = (&'c str, &'c str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, end) = self.keys.next()?;
        let value = &self.texts[mem::replace(&mut self.start, *end)..*end];
        Some((key.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.keys.size_hint()
    }
}

impl ExactSizeIterator for SharedPairs<'_> {}

/// Why a config is not in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// Its loader failed.
    Loader(E),
    /// What was loaded is none.
    Config(ConfigError),
    /// Its names do not fit the pool.
    Names(PoolFull),
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Names(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for LoadError<E> {}

/// The names of each tenant's configs, and how many they are.
#[derive(Debug, Default)]
struct Lists {
    of: FlatMap<InternedString, FlatSet<InternedString>>,
    names: usize,
}

/// A bounded cache of configs, by name and by tenant. Any thread may use it.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use control_plane::names;
/// use control_plane::scheduler::{ConfigCache, Resources, VmSpec};
///
/// let cache = ConfigCache::new(names::pool(), 1_000);
/// let load = |name: &str| {
///     cache.get_or_load(name, |config| {
///         // In a service, from the store.
///         let spec = VmSpec {
///             name, config_path: "/etc/vm.toml", tenant: "acme", ip: [10, 0, 0, 7].into(),
///             resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, ..Resources::default() },
///             ..VmSpec::default()
///         };
///         config.assign(&spec, &[("app", "db")]);
///         Ok::<_, Infallible>(())
///     })
/// };
/// let config = load("vm-7")?;
/// assert!(Arc::ptr_eq(&config, &load("vm-7")?));
/// assert_eq!(cache.of_tenant("acme").len(), 1);
/// # Ok::<(), control_plane::scheduler::LoadError<Infallible>>(())
/// ```
#[derive(Debug)]
pub struct ConfigCache {
    names: StringPool,
    by_name: ArcCache<String, SharedVmConfig>,
    by_tenant: RwLock<Lists>,
    listed_max: usize,
}

impl ConfigCache {
    /// A cache of up to so many configs, at least one, whose names lie in `names`.
    #[must_use]
    pub fn new(names: StringPool, entries_max: usize) -> Self {
        let by_name = ArcCache::with_entries_max(entries_max);
        Self { names, by_name, by_tenant: RwLock::default(), listed_max: entries_max.max(1).saturating_mul(2) }
    }

    /// The config of that name, if it is here.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<SharedVmConfig>> {
        self.by_name.get(name)
    }

    /// The config of that name; if it is not here, `load` fills an empty one out of [`VM_CONFIG_POOL`], once for all threads
    /// that want it.
    ///
    /// # Errors
    ///
    /// If the loader fails, or what it loads is no config or has another name. Nothing is kept then.
    pub fn get_or_load<E>(
        &self,
        name: &str,
        load: impl FnOnce(&mut heap::VmConfig) -> Result<(), E>,
    ) -> Result<Arc<SharedVmConfig>, LoadError<E>> {
        let mut built = false;
        let shared = self.by_name.try_get_or_build(name, || {
            let mut config = VM_CONFIG_POOL.acquire();
            load(&mut config).map_err(LoadError::Loader)?;
            check(name, &config).map_err(LoadError::Config)?;
            built = true;
            SharedVmConfig::new(&self.names, config.view()).map_err(LoadError::Names)
        })?;
        // Now that it is in the cache, so that no other thread takes it for one that was evicted.
        if built {
            self.list(&shared);
        }
        Ok(shared)
    }

    /// Forgets a config, since it has changed. Who holds it keeps it.
    pub fn remove(&self, name: &str) -> Option<Arc<SharedVmConfig>> {
        self.by_name.remove(name)
    }

    /// Every config of a tenant that is here, by name.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Vec<Arc<SharedVmConfig>> {
        let Some(tenant) = self.names.pin().get(tenant).map(Name::to_interned) else { return Vec::new() };
        let lists = self.by_tenant.read().unwrap_or_else(PoisonError::into_inner);
        let listed = lists.of.get(&tenant).into_iter().flat_map(FlatSet::iter);
        let mut configs: Vec<_> = listed.filter_map(|name| self.still_of(&tenant, name)).collect();
        configs.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        configs
    }

    /// The names in all tenants' lists, those of evicted configs among them.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.by_tenant.read().unwrap_or_else(PoisonError::into_inner).names
    }

    fn still_of(&self, tenant: &InternedString, name: &InternedString) -> Option<Arc<SharedVmConfig>> {
        self.by_name.get(name.as_str()).filter(|config| config.tenant == *tenant)
    }

    /// Puts a config into its tenant's list, once those that were evicted are out of all lists if these are full.
    fn list(&self, config: &SharedVmConfig) {
        let mut lists = self.by_tenant.write().unwrap_or_else(PoisonError::into_inner);
        if lists.names >= self.listed_max {
            lists.of.retain(|tenant, names| {
                names.retain(|name| self.still_of(tenant, name).is_some());
                !names.is_empty()
            });
            lists.names = lists.of.values().map(FlatSet::len).sum();
        }
        let new = lists.of.entry(config.tenant.clone()).or_default().insert(config.name.clone());
        lists.names += usize::from(new);
    }
}

/// Checks a config that was loaded under a name.
fn check(name: &str, config: &heap::VmConfig) -> Result<(), ConfigError> {
    let pairs: Vec<(&str, &str)> = config.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    config.spec().validate(&pairs)?;
    if config.name != name {
        let (value, expected) = (format!("{:?}", config.name), format!("{name:?}, under which it was asked for"));
        return Err(ConfigError { field: "name", value, expected });
    }
    Ok(())
}
