//! Placement never exceeds capacity and obeys the rules for GPUs; nodes come and go.

use control_plane::scheduler::{
    Demand, DeviceSet, GPU_MODELS_MAX, GPUS_PER_NODE_MAX, GpuRequest, ModelSet, Node, NodeId, NodeTable,
    NodeTableError, Placement, Resources,
};

fn node(name: &str, cpu_milli: u32, gpus: u8, model: &str) -> Node {
    Node { name: name.to_owned(), cpu_milli, memory_mib: 65_536, gpus, model: model.to_owned() }
}

fn gpus(count: u8, milli: u16) -> Resources {
    Resources { cpu_milli: 1_000, memory_mib: 1_024, gpus: GpuRequest { count, milli } }
}

fn place(table: &mut NodeTable, resources: Resources, gpu_spec: &str) -> Option<Placement> {
    let models = table.models(gpu_spec);
    table.place(&Demand { resources, models }).ok().map(|chosen| chosen.placement)
}

#[test]
fn the_node_with_the_most_left_wins_and_of_equals_the_first() {
    let nodes = [node("a", 8_000, 0, ""), node("b", 16_000, 0, ""), node("c", 16_000, 0, "")];
    let mut table = NodeTable::new(&nodes).unwrap();
    let chosen: Vec<u32> = (0..3).map(|_| place(&mut table, gpus(0, 0), "").unwrap().node.0).collect();
    // b and c are equal at first; b then has less than c; after that they are equal again.
    assert_eq!(chosen, [1, 2, 1]);
}

#[test]
fn what_does_not_fit_anywhere_is_refused_and_takes_nothing() {
    let mut table = NodeTable::new(&[node("a", 8_000, 1, "T4")]).unwrap();
    let refused = [
        Resources { cpu_milli: 8_001, ..Resources::default() },
        Resources { memory_mib: 65_537, ..Resources::default() },
        Resources { gpus: GpuRequest { count: 2, milli: 1_000 }, ..Resources::default() },
        Resources { gpus: GpuRequest { count: 1, milli: 1_001 }, ..Resources::default() },
    ];
    for resources in refused {
        assert_eq!(place(&mut table, resources, ""), None, "{resources:?}");
        assert!(table.is_free());
    }
    assert_eq!(place(&mut NodeTable::new(&[]).unwrap(), Resources::default(), ""), None);
}

#[test]
fn a_share_of_a_gpu_comes_from_one_device_only() {
    let mut table = NodeTable::new(&[node("a", 64_000, 2, "T4")]).unwrap();
    place(&mut table, gpus(1, 600), "").unwrap();
    place(&mut table, gpus(1, 600), "").unwrap();
    assert_eq!(table.devices(NodeId(0))[..3], [400, 400, 0]);
    // 800 are left in all, but no device has 500.
    assert_eq!(place(&mut table, gpus(1, 500), ""), None);
    let exact = place(&mut table, gpus(1, 400), "").unwrap();
    assert_eq!((exact.devices.mask, exact.devices.milli), (0b01, 400));
}

#[test]
fn a_share_goes_to_the_fullest_device_that_has_it() {
    let mut table = NodeTable::new(&[node("a", 64_000, 2, "T4")]).unwrap();
    place(&mut table, gpus(1, 300), "").unwrap();
    let second = place(&mut table, gpus(1, 300), "").unwrap();
    assert_eq!(second.devices.mask, 0b01, "the second device stays whole");
    assert_eq!(table.devices(NodeId(0))[..2], [400, 1_000]);
}

#[test]
fn several_gpus_are_whole_ones() {
    let mut table = NodeTable::new(&[node("a", 64_000, 4, "T4")]).unwrap();
    let share = place(&mut table, gpus(1, 10), "").unwrap();
    let three = place(&mut table, gpus(3, 1_000), "").unwrap();
    assert_eq!(three.devices.mask, 0b1110);
    assert_eq!(place(&mut table, gpus(2, 1_000), ""), None, "990 of a device are not a device");
    table.give_back(&share);
    table.give_back(&three);
    assert!(table.is_free());
    assert!(place(&mut table, gpus(4, 1_000), "").is_some());
}

#[test]
fn gpu_spec_restricts_models() {
    let nodes = [node("plain", 99_000, 0, ""), node("t4", 64_000, 1, "T4"), node("a10", 32_000, 1, "A10")];
    let mut table = NodeTable::new(&nodes).unwrap();
    let chosen = |table: &mut NodeTable, resources, spec| {
        let placement = place(table, resources, spec)?;
        table.give_back(&placement);
        Some(nodes[placement.node.0 as usize].name.as_str())
    };
    assert_eq!(chosen(&mut table, gpus(1, 500), ""), Some("t4"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "A10"), Some("a10"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "V100|A10|G2"), Some("a10"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "T4|A10"), Some("t4"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "V100"), None, "no node has one");
    assert_eq!(chosen(&mut table, gpus(1, 500), "T"), None, "a part of a name is no name");
    assert_eq!(chosen(&mut table, gpus(0, 0), ""), Some("plain"), "without GPUs their number does not count");
    assert_eq!(chosen(&mut table, gpus(0, 0), "A10"), Some("a10"));
}

#[test]
fn tables_that_cannot_be_kept_are_refused() {
    let gpus_max = u8::try_from(GPUS_PER_NODE_MAX).unwrap();
    assert!(NodeTable::new(&[node("a", 1, gpus_max, "T4")]).is_ok());
    let error = NodeTable::new(&[node("a", 1, gpus_max + 1, "T4")]).unwrap_err();
    assert_eq!(error.to_string(), "node a has 17 GPUs, at most 16 are supported");
    let error = NodeTable::new(&[node("a", 1, 0, ""), node("a", 1, 0, "")]).unwrap_err();
    assert_eq!(error.to_string(), "node a is in the table already, names must be unique");

    let models =
        |count: usize| -> Vec<Node> { (0..count).map(|i| node(&format!("n{i}"), 1, 1, &format!("M{i}"))).collect() };
    let mut full = NodeTable::new(&models(GPU_MODELS_MAX)).unwrap();
    assert!(place(&mut full, Resources::default(), "M62").is_some());
    assert_eq!(NodeTable::new(&models(64)).unwrap_err(), NodeTableError::TooManyModels { models: 64 });
}

#[test]
#[should_panic(expected = "got back more than it has")]
fn capacity_comes_back_once() {
    let mut table = NodeTable::new(&[node("a", 8_000, 0, "")]).unwrap();
    let placement = place(&mut table, gpus(0, 0), "").unwrap();
    table.give_back(&placement);
    table.give_back(&placement);
}

#[test]
fn a_node_leaves_when_it_has_no_vms_and_the_next_takes_its_place() {
    let mut table = NodeTable::new(&[node("a", 8_000, 2, "T4"), node("b", 4_000, 0, "")]).unwrap();
    let placement = place(&mut table, gpus(1, 500), "T4").unwrap();
    let a = table.find("a").unwrap();
    assert_eq!((placement.node, table.vms(a)), (a, 1));
    let error = table.leave(a).unwrap_err();
    assert_eq!(error.to_string(), "node a has 1 VMs, it may leave when it has none");
    table.give_back(&placement);
    table.leave(a).unwrap();
    assert_eq!((table.len(), table.find("a"), table.name(a)), (1, None, ""));
    assert!(table.is_free());
    assert_eq!(place(&mut table, gpus(1, 500), ""), None);
    assert_eq!(place(&mut table, Resources { cpu_milli: 4_001, ..Resources::default() }, ""), None);

    // Larger than any before: all shares are counted anew.
    let c = table.join(&node("c", 64_000, 1, "A10")).unwrap();
    assert_eq!(c, a);
    assert_eq!(table.join(&node("b", 1, 0, "")).unwrap_err(), NodeTableError::NameTaken { node: "b".to_owned() });
    assert_eq!(place(&mut table, gpus(1, 500), "T4"), None, "its models left with it");
    assert_eq!(place(&mut table, gpus(1, 500), "A10").unwrap().node, c);
    assert_eq!(table.node(c), node("c", 64_000, 1, "A10"));
    assert_eq!(table.nodes().collect::<Vec<_>>(), [c, NodeId(1)]);
}

#[test]
fn a_closed_node_takes_no_vms_and_keeps_those_it_has() {
    let mut table = NodeTable::new(&[node("a", 8_000, 0, ""), node("b", 4_000, 0, "")]).unwrap();
    let first = place(&mut table, gpus(0, 0), "").unwrap();
    assert_eq!(table.name(first.node), "a");
    table.set_open(first.node, false);
    assert_eq!(place(&mut table, gpus(0, 0), "").unwrap().node, NodeId(1));
    table.give_back(&first);
    table.set_open(first.node, true);
    assert_eq!(place(&mut table, gpus(0, 0), "").unwrap().node, first.node);
}

#[test]
#[should_panic(expected = "node 0 left the table")]
fn who_left_is_not_opened() {
    let mut table = NodeTable::new(&[node("a", 8_000, 0, "")]).unwrap();
    table.leave(NodeId(0)).unwrap();
    table.set_open(NodeId(0), true);
}

/// What comes back is added up without a wrap: more than a device can have left is seen to be more than it has.
#[test]
#[should_panic(expected = "got back more than it has")]
fn a_placement_that_was_altered_is_refused() {
    let node = Node { name: "n".into(), cpu_milli: 8, memory_mib: 8, gpus: 1, model: "T4".into() };
    let mut table = NodeTable::new(&[node]).unwrap();
    let demand = Demand { resources: Resources { cpu_milli: 1, ..Resources::default() }, models: ModelSet::ANY };
    let mut placement = table.place(&demand).unwrap().placement;
    placement.devices = DeviceSet { mask: 1, milli: 65_036 };
    table.give_back(&placement);
}
