//! Configs: what is out of bounds is refused by field and value, at a bounded cost; every form has the same fields.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use blixard_arena::Arena;
use control_plane::scheduler::heap::{VM_CONFIG_POOL, VmConfig as HeapConfig};
use control_plane::scheduler::{
    AntiAffinity, CPU_MILLI_MAX, GpuRequest, Level, MEMORY_MIB_MAX, METADATA_PAIRS_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX,
    Qos, Resources, VmConfig, VmSpec,
};

fn good() -> VmSpec<'static> {
    VmSpec {
        name: "vm-7",
        config_path: "/etc/vm/7.toml",
        tenant: "acme",
        gpu_spec: "T4|A10",
        resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, gpus: GpuRequest { count: 1, milli: 500 } },
        ip: IpAddr::from([10, 0, 0, 7]),
        qos: Qos::Guaranteed,
        anti_affinity: Some(AntiAffinity { group: "db", level: Level::Zone }),
        priority: 3,
        preemptible: true,
    }
}

#[test]
fn whatever_is_out_of_bounds_is_named() {
    let long = "x".repeat(5_000);
    let gpus = |count, milli| VmSpec {
        resources: Resources { gpus: GpuRequest { count, milli }, ..good().resources },
        ..good()
    };
    let cpu = |cpu_milli| VmSpec { resources: Resources { cpu_milli, ..good().resources }, ..good() };
    let memory = |memory_mib| VmSpec { resources: Resources { memory_mib, ..good().resources }, ..good() };
    let group = |group| VmSpec { anti_affinity: Some(AntiAffinity { group, level: Level::Rack }), ..good() };
    let cases: Vec<(VmSpec<'_>, &str, &str)> = vec![
        (VmSpec { name: "", ..good() }, "name", "expected 1 to 253 bytes, found \"\""),
        (VmSpec { name: &long[..=NAME_BYTES_MAX], ..good() }, "name", "\" and 194 bytes more"),
        (VmSpec { name: "a\0b", ..good() }, "name", r#"found "a\0b""#),
        (VmSpec { name: "a\u{85}b", ..good() }, "name", r#"found "a\u{85}b""#),
        (VmSpec { config_path: "", ..good() }, "config path", "1 to 4095 bytes"),
        (VmSpec { config_path: &long[..=PATH_BYTES_MAX], ..good() }, "config path", "and 4036 bytes more"),
        (VmSpec { tenant: "a\tb", ..good() }, "tenant", r#"found "a\tb""#),
        (VmSpec { gpu_spec: &long[..1_024], ..good() }, "GPU models", "0 to 1023 bytes"),
        (VmSpec { gpu_spec: "T4||A10", ..good() }, "GPU models", "expected names joined by |, found \"T4||A10\""),
        (cpu(0), "vCPUs, in thousandths", "expected 1 to 8192000, found 0"),
        (cpu(CPU_MILLI_MAX + 1), "vCPUs, in thousandths", "found 8192001"),
        (cpu(u32::MAX), "vCPUs, in thousandths", "found 4294967295"),
        (memory(0), "memory in MiB", "found 0"),
        (memory(MEMORY_MIB_MAX + 1), "memory in MiB", "found 268435457"),
        (gpus(17, 1_000), "GPUs", "expected 0 to 16, found 17"),
        (gpus(1, 0), "thousandths of a GPU", "expected 1 to 1000, found 0"),
        (gpus(1, 1_001), "thousandths of a GPU", "found 1001"),
        (VmSpec { ip: IpAddr::from([0, 0, 0, 0]), ..good() }, "IP address", "found 0.0.0.0"),
        (VmSpec { ip: IpAddr::from([224, 0, 0, 1]), ..good() }, "IP address", "found 224.0.0.1"),
        (VmSpec { ip: IpAddr::from([0_u16; 8]), ..good() }, "IP address", "found ::"),
        (group(""), "anti-affinity group", "found \"\""),
        (group("a\nb"), "anti-affinity group", r#"found "a\nb""#),
    ];
    assert_eq!(good().validate(&[("zone", ""), ("app", "db")]), Ok(()));
    for (spec, field, text) in cases {
        let error = spec.validate(&[]).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(text) && error.to_string().len() < 200, "{error} {text}");
    }
    let metadata = |pairs: &[(&str, &str)]| good().validate(pairs).unwrap_err().to_string();
    assert_eq!(metadata(&[("", "v")]), "VM config, metadata key: expected 1 to 253 bytes, found \"\"");
    assert_eq!(
        metadata(&[("k", "\u{7}")]),
        r#"VM config, metadata value: expected no control character, found "\u{7}""#
    );
    assert!(metadata(&[("k", &long[..1_024])]).contains("0 to 1023 bytes"));
    assert_eq!(good().validate(&[("k", "v"); METADATA_PAIRS_MAX]), Ok(()));
}

#[test]
fn a_hundred_thousand_pairs_cost_nothing_to_refuse_and_little_to_build() {
    let keys: Vec<String> = (0..100_000).map(|at| format!("key-{}", at * 7 % 100_000)).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "value")).collect();
    let start = Instant::now();
    let error = good().validate(&pairs).unwrap_err();
    assert_eq!(error.to_string(), "VM config, metadata: expected at most 128 pairs, found 100000 pairs");
    assert!(start.elapsed() < Duration::from_millis(100));
    // Built all the same, they are sorted, not compared each with each.
    let arena = Arena::new();
    let start = Instant::now();
    let config = VmConfig::new_in(&arena, good(), &pairs);
    assert!(config.metadata.len() == 100_000 && config.metadata.is_sorted());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_owned_form_has_every_field() {
    let owned = HeapConfig::new(&good(), &[("app", "db")]);
    assert_eq!(owned.spec(), good());
    let mut pooled = VM_CONFIG_POOL.acquire();
    let other = VmSpec { anti_affinity: None, ..good() };
    let longer = VmSpec { anti_affinity: Some(AntiAffinity { group: "a-longer-group", level: Level::Node }), ..good() };
    for spec in [other, good(), longer, VmSpec::default(), other] {
        pooled.assign(&spec, &[]);
        assert_eq!(pooled.spec(), spec);
    }
    pooled.clear();
    assert_eq!(*pooled, HeapConfig::empty());
}
