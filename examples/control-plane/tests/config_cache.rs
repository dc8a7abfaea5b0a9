//! The config cache: one config per name, found by tenant too, checked before it is kept, bounded.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use blixard_arena::intern::StringPoolOptions;
use control_plane::names;
use control_plane::scheduler::heap::VmConfig;
use control_plane::scheduler::{
    AntiAffinity, ConfigCache, GpuRequest, Level, LoadError, Qos, Resources, SharedVmConfig, VmSpec,
};

fn spec<'v>(name: &'v str, tenant: &'v str) -> VmSpec<'v> {
    VmSpec {
        name,
        config_path: "/etc/vm.toml",
        tenant,
        gpu_spec: "T4|A10",
        resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, gpus: GpuRequest { count: 1, milli: 500 } },
        ip: [10, 0, 0, 7].into(),
        qos: Qos::Guaranteed,
        anti_affinity: Some(AntiAffinity { group: "db", level: Level::Zone }),
        priority: 3,
        preemptible: true,
    }
}

fn load(cache: &ConfigCache, name: &str, tenant: &str) -> Arc<SharedVmConfig> {
    let loaded = cache.get_or_load(name, |config| {
        config.assign(&spec(name, tenant), &[("zone", "b"), ("app", "db")]);
        Ok::<_, Infallible>(())
    });
    loaded.unwrap()
}

fn names_of(configs: &[Arc<SharedVmConfig>]) -> Vec<&str> {
    configs.iter().map(|config| config.spec().name).collect()
}

#[test]
fn the_shared_form_has_every_field() {
    let cache = ConfigCache::new(names::pool(), 10);
    let shared = load(&cache, "vm-1", "acme");
    assert_eq!(shared.spec(), spec("vm-1", "acme"));
    assert_eq!(shared.metadata().collect::<Vec<_>>(), [("app", "db"), ("zone", "b")]);
    let plain = VmSpec { anti_affinity: None, gpu_spec: "", ..spec("vm-2", "acme") };
    let shared_plain = SharedVmConfig::new(&names::pool(), VmConfig::new(&plain, &[]).view()).unwrap();
    assert_eq!(shared_plain.spec(), plain);
    assert_eq!(shared.tenant(), load(&cache, "vm-3", "acme").tenant(), "one word for one tenant");
}

#[test]
fn a_name_is_loaded_once_however_many_threads_want_it() {
    let (cache, loads) = (ConfigCache::new(names::pool(), 1_000), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for at in 0..200 {
                    let name = format!("vm-{at}");
                    let config = cache.get_or_load(&name, |config| {
                        loads.fetch_add(1, Ordering::Relaxed);
                        config.assign(&spec(&name, ["acme", "umbrella"][at % 2]), &[]);
                        Ok::<_, Infallible>(())
                    });
                    assert_eq!(config.unwrap().spec().name, name);
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), 200);
    assert_eq!((cache.of_tenant("acme").len(), cache.of_tenant("umbrella").len()), (100, 100));
    assert!(cache.of_tenant("nobody").is_empty());
}

#[test]
fn what_is_no_config_is_not_kept() {
    let cache = ConfigCache::new(names::pool(), 10);
    let error = cache.get_or_load("vm", |_| Err("the store is away")).unwrap_err();
    assert_eq!(error, LoadError::Loader("the store is away"));
    let load = |name: &str, found: &str, tenant: &str| {
        let loaded = cache.get_or_load(name, |config| {
            config.assign(&spec(found, tenant), &[]);
            Ok::<_, Infallible>(())
        });
        loaded.unwrap_err().to_string()
    };
    assert_eq!(load("vm", "vm", "a\0b"), r#"VM config, tenant: expected no control character, found "a\0b""#);
    assert_eq!(
        load("vm", "other", "acme"),
        r#"VM config, name: expected "vm", under which it was asked for, found "other""#
    );
    let untouched = cache.get_or_load("vm", |_| Ok::<_, Infallible>(())).unwrap_err();
    assert!(untouched.to_string().contains("name: expected 1 to 253 bytes"), "a pooled config is handed out empty");
    assert!(cache.get("vm").is_none() && cache.listed() == 0);

    let full = ConfigCache::new(StringPoolOptions::new().entries_max(2).build(), 10);
    let error = full.get_or_load("vm", |config| {
        config.assign(&spec("vm", "acme"), &[]);
        Ok::<_, Infallible>(())
    });
    assert!(matches!(error, Err(LoadError::Names(_))), "{error:?}");
}

#[test]
fn lists_follow_what_changes_and_stay_bounded() {
    let cache = ConfigCache::new(names::pool(), 50);
    load(&cache, "vm-a", "acme");
    load(&cache, "vm-b", "acme");
    assert_eq!(names_of(&cache.of_tenant("acme")), ["vm-a", "vm-b"]);
    cache.remove("vm-a").unwrap();
    assert_eq!(names_of(&cache.of_tenant("acme")), ["vm-b"]);
    load(&cache, "vm-a", "umbrella");
    assert_eq!(names_of(&cache.of_tenant("acme")), ["vm-b"]);
    assert_eq!(names_of(&cache.of_tenant("umbrella")), ["vm-a"]);
    for at in 0..5_000 {
        load(&cache, &format!("vm-{at}"), ["acme", "umbrella", "initech"][at % 3]);
        assert!(cache.listed() <= 100, "{}", cache.listed());
    }
    let here: usize = ["acme", "umbrella", "initech"].iter().map(|tenant| cache.of_tenant(tenant).len()).sum();
    assert!((10..=50).contains(&here), "{here}");
}
