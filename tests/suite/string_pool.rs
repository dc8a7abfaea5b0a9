//! What a string pool, its names, its constants and its pins promise, case by case. Over the public API.

use blixard_arena::arena::ArenaPool;
use blixard_arena::intern::{ConstantSet, InternedString, Name, PoolFull, StringPin, StringPool, StringPoolOptions};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::catch_unwind;

blixard_arena::constant_names! {
    /// What a node does.
    NodeState { LEADER = "leader", FOLLOWER = "follower", NONE = "" }
}
blixard_arena::constant_names! { Overlapping { LEADER = "leader" } }
blixard_arena::constant_names! { NodeStateAgain { A = "leader", B = "follower", C = "" } }
blixard_arena::constant_names! { Unknown { SOMEBODY = "somebody" } }

fn state_pool() -> StringPool {
    StringPoolOptions::new().constants(NodeState::SET).build()
}

#[test]
fn sizes() {
    assert_eq!(size_of::<InternedString>(), size_of::<usize>());
    assert_eq!(size_of::<Option<InternedString>>(), size_of::<usize>());
    assert_eq!(size_of::<Name<'_>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Name<'_>>>(), size_of::<usize>());
}

#[test]
fn threads_and_unwinds() {
    fn crosses<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    crosses::<StringPool>();
    crosses::<StringPin<'static>>();
    crosses::<InternedString>();
    crosses::<Name<'static>>();
}

#[test]
fn any_text_is_a_name() {
    let pool = StringPool::new();
    let texts =
        [String::new(), "a".into(), "ä".into(), "\0".into(), "\0\0".into(), "x".repeat(70_000), "x".repeat(70_001)];
    let names: Vec<InternedString> = texts.iter().map(|text| pool.intern(text)).collect();
    for (name, text) in names.iter().zip(&texts) {
        assert_eq!(name.as_str(), text);
        assert_eq!((format!("{name}"), format!("{name:?}")), (text.clone(), format!("{text:?}")));
        assert_eq!(pool.intern(text), *name);
    }
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), texts.len());
}

#[test]
fn pools_share_no_names_but_order_agrees_with_equality() {
    let (a, b) = (StringPool::new(), StringPool::new());
    let (ours, theirs) = (a.intern("vm-1"), b.intern("vm-1"));
    assert_ne!(ours, theirs);
    assert_eq!(*ours, *theirs);
    assert_ne!(ours.cmp(&theirs), std::cmp::Ordering::Equal);
    assert_eq!(ours.cmp(&theirs), theirs.cmp(&ours).reverse());
    let set: BTreeSet<InternedString> = [b.intern("vm-2"), theirs, a.intern("vm-0"), ours].into();
    let texts: Vec<&str> = set.iter().map(InternedString::as_str).collect();
    assert_eq!(texts, ["vm-0", "vm-1", "vm-1", "vm-2"]);
}

#[test]
fn constants_match_and_are_equal_in_every_pool_that_knows_them() {
    const DEFAULT: InternedString = NodeState::FOLLOWER;
    let which = |state: &InternedString| match *state {
        NodeState::LEADER => 1,
        NodeState::FOLLOWER => 2,
        NodeState::NONE => 3,
        _ => 0,
    };
    let (a, b, ignorant) = (state_pool(), state_pool(), StringPool::new());
    for pool in [&a, &b] {
        let states: Vec<u8> =
            ["leader", "follower", "", "learner"].iter().map(|text| which(&pool.intern(text))).collect();
        assert_eq!(states, [1, 2, 3, 0]);
        assert_eq!(pool.intern("follower"), DEFAULT);
        let pin = pool.pin();
        assert!(pin.intern("leader") == NodeState::LEADER && pin.intern("leader") != NodeState::FOLLOWER);
        assert!(pin.intern("leader") == pin.get("leader").unwrap());
    }
    assert_eq!(a.intern("leader"), b.intern("leader"));
    assert_ne!(ignorant.intern("leader"), NodeState::LEADER);
    let mut by_state: HashMap<InternedString, u32> = HashMap::new();
    by_state.insert(a.intern("leader"), 1);
    assert_eq!(by_state[&NodeState::LEADER], 1);
    assert_eq!((&*NodeState::LEADER, &*DEFAULT, &*NodeState::NONE), ("leader", "follower", ""));
    assert_eq!(format!("{} {:?}", NodeState::LEADER, NodeState::NONE), "leader \"\"");
    assert_eq!(NodeState::LEADER.clone(), NodeState::LEADER);
    assert_eq!(NodeState::SET.names(), ["leader", "follower", ""]);
}

#[test]
fn constants_outlive_sweeps_and_pools() {
    let pool = state_pool();
    for _ in 0..3 {
        assert_eq!(pool.sweep(), 0);
    }
    assert_eq!(pool.figures().entries, 3);
    let kept = pool.intern("leader");
    drop(pool);
    assert_eq!(&*kept, "leader");
}

#[test]
fn sets_of_the_same_texts_are_one_set() {
    let pool = StringPoolOptions::new().constants(NodeState::SET).constants(NodeStateAgain::SET).build();
    assert_eq!(NodeStateAgain::A, NodeState::LEADER);
    assert_eq!(pool.intern("follower"), NodeStateAgain::B);
}

#[test]
fn a_text_in_two_sets_of_one_pool_is_refused() {
    let options = StringPoolOptions::new().constants(NodeState::SET).constants(Overlapping::SET);
    let refused = catch_unwind(move || options.build()).unwrap_err();
    assert!(refused.downcast_ref::<String>().unwrap().contains("\"leader\" is in two sets"));
}

#[test]
fn a_constant_of_no_pool_is_compared_and_shown_but_has_no_text() {
    assert_ne!(Unknown::SOMEBODY, NodeState::LEADER);
    assert!(format!("{:?}", Unknown::SOMEBODY).contains("no pool"));
    assert!(catch_unwind(|| Unknown::SOMEBODY.len()).is_err());
}

#[test]
fn a_set_is_checked_when_it_is_made() {
    static TWICE: [&str; 3] = ["a", "b", "a"];
    assert!(catch_unwind(|| ConstantSet::new(&TWICE)).is_err());
    assert!(catch_unwind(|| ConstantSet::new(&["a"]).name("b")).is_err());
    assert_ne!(ConstantSet::new(&["ab", "c"]).name("c"), ConstantSet::new(&["a", "bc"]).name("bc"));
}

#[test]
fn constants_that_do_not_fit_the_caps_are_refused() {
    let refused =
        catch_unwind(|| StringPoolOptions::new().entries_max(2).constants(NodeState::SET).build()).unwrap_err();
    assert_eq!(*refused.downcast::<PoolFull>().unwrap(), PoolFull::Entries { used: 2, allowed: 2 });
}

#[test]
fn a_full_pool_says_so_and_keeps_what_is_live() {
    let pool = StringPoolOptions::new().entries_max(10).build();
    let names: Vec<InternedString> = (0..10).map(|i| pool.intern(&i.to_string())).collect();
    let refused = catch_unwind(|| pool.intern("one more")).unwrap_err();
    assert_eq!(*refused.downcast::<PoolFull>().unwrap(), PoolFull::Entries { used: 10, allowed: 10 });
    assert_eq!(pool.sweep(), 0, "a live name is never evicted");
    assert!((0..10).all(|i| pool.intern(&i.to_string()) == names[i]));
    drop(names);
    assert_eq!(pool.sweep(), 10);
    assert_eq!(&*pool.intern("one more"), "one more");
}

/// Refused calls sweep a little each: a full pool comes to itself without a call of `sweep`.
#[test]
fn refusals_sweep() {
    let pool = StringPoolOptions::new().entries_max(10).build();
    for i in 0..10 {
        drop(pool.intern(&i.to_string()));
    }
    let mut refused = 0;
    while pool.try_intern("one more").is_err() {
        refused += 1;
        assert!(refused < 200);
    }
    assert!(refused > 0);
}

#[test]
fn what_waits_for_a_pin_is_charged_until_it_is_freed() {
    let pool = StringPool::new();
    let names: Vec<InternedString> = (0..3000).map(|i| pool.intern(&format!("vm-{i}"))).collect();
    pool.sweep();
    let held = pool.figures();
    assert_eq!((held.candidates, held.dead), (0, 0));
    drop(names);
    let pin = pool.pin();
    pool.sweep();
    let marked = pool.figures();
    assert_eq!((marked.entries, marked.candidates, marked.dead), (3000, 3000, 0));
    let second = pool.pin();
    drop(pin);
    pool.sweep();
    let unlinked = pool.figures();
    assert_eq!((unlinked.entries, unlinked.dead, unlinked.bytes), (3000, 3000, held.bytes));
    assert!(unlinked.held_back_bytes >= 3000 * 16);
    assert!(unlinked.oldest_pin_age.is_some() && unlinked.pins == 1);
    assert!(second.get("vm-7").is_none());
    drop(second);
    pool.sweep();
    let after = pool.figures();
    assert_eq!((after.entries, after.dead, after.held_back_bytes, after.pins), (0, 0, 0, 0));
    assert!(after.bytes < held.bytes / 20 && after.freed == 3000);
    assert_eq!(after.oldest_pin_age, None);
}

#[test]
fn a_candidate_that_is_asked_for_or_held_stays() {
    let pool = StringPool::new();
    for i in 0..4 {
        drop(pool.intern(&format!("vm-{i}")));
    }
    let pin = pool.pin();
    let borrowed = pin.get("vm-0").unwrap();
    pool.sweep();
    assert_eq!(pool.figures().candidates, 4);
    assert!(pin.get("vm-1").is_some());
    let held = pin.intern("vm-2").to_interned();
    let late = borrowed.to_interned();
    drop(pin);
    // One walk frees nothing of those that were asked for; 3 goes.
    let pin = pool.pin();
    pool.sweep();
    assert_eq!(pool.figures().dead, 1);
    assert_eq!(pin.get("vm-1").map(Name::as_str), Some("vm-1"));
    drop(pin);
    pool.sweep();
    assert_eq!((pool.intern("vm-0"), pool.intern("vm-2")), (late, held));
    assert_eq!(pool.figures().entries, 2);
}

#[test]
fn a_requests_names_are_promoted_and_outlive_it() {
    let (pool, arenas) = (StringPool::new(), ArenaPool::new());
    let mut kept: Vec<InternedString> = Vec::new();
    for request in 0..10 {
        let arena = arenas.acquire();
        let names: Vec<&str> = (0..20).map(|i| &*arena.format(format_args!("tag-{}", (request + i) % 25))).collect();
        pool.promote(names.iter().copied(), &mut kept);
    }
    assert_eq!(kept.len(), 200);
    assert_eq!(pool.figures().entries, 25);
    let tight = StringPoolOptions::new().entries_max(3).build();
    let mut some: HashSet<InternedString> = HashSet::new();
    let full = tight.try_promote(["a", "b", "a", "c", "d", "e"], &mut some).unwrap_err();
    assert_eq!(full, PoolFull::Entries { used: 3, allowed: 3 });
    assert_eq!(some.len(), 3);
    // A caller's iterator may use the pool it feeds.
    let mut nested: Vec<InternedString> = Vec::new();
    pool.promote(["x", "y"].into_iter().inspect(|name| drop(pool.intern(name))), &mut nested);
    assert_eq!(&*nested[1], "y");
}

/// An iterator that panics half way: what came before it is there, the pin has ended.
#[test]
fn a_panic_in_a_callers_iterator_ends_the_pin() {
    let pool = StringPool::new();
    let mut kept: Vec<InternedString> = Vec::new();
    let names = (0..5).map(|i| if i < 3 { ["a", "b", "c"][i] } else { panic!("callers do") });
    assert!(catch_unwind(std::panic::AssertUnwindSafe(|| pool.promote(names, &mut kept))).is_err());
    assert_eq!((kept.len(), pool.figures().pins), (3, 0));
    drop(kept);
    assert_eq!(pool.sweep(), 3);
}

#[test]
fn figures_say_their_numbers() {
    let pool = state_pool();
    let _kept = pool.intern("vm-1");
    let _pin = pool.pin();
    let text = pool.figures().to_string();
    assert!(text.starts_with("4 names in ") && text.ends_with("0 wait for 1 pins"), "{text}");
    assert!(format!("{pool:?}").contains("entries: 4"));
}
