//! What a string pool holds is what it books, byte by byte; it gives it back; and an allocator that fails at any call leaves it intact.

mod counting;

use blixard_arena::intern::{InternedString, PoolFull, StringPool, StringPoolOptions};
use counting::{LASTING, live, refuse, refused, serve};

fn text(index: usize) -> String {
    format!("{index:0width$}", width = 1 + index % 60)
}

/// What the thread holds more after `run` than before.
fn held<R>(run: impl FnOnce() -> R) -> (R, usize) {
    let before = live();
    let result = run();
    (result, usize::try_from(live() - before).expect("nothing of before was freed"))
}

#[test]
fn what_is_booked_is_what_the_allocator_gave() {
    let texts: Vec<String> = (0..20_000).map(text).collect();
    let (pool, own) = held(StringPool::new);
    assert!(own <= 13 << 10, "a pool's own {own} bytes");
    let mut names: Vec<InternedString> = Vec::with_capacity(texts.len());
    for text in &texts {
        let (booked, before) = (pool.figures().bytes, live());
        names.push(pool.intern(text));
        assert_eq!(live() - before, pool.figures().bytes.cast_signed() - booked.cast_signed());
    }
    let before = live();
    let figures = pool.figures();
    drop(names);
    pool.sweep();
    let after = pool.figures();
    assert_eq!(after.entries, 0);
    assert_eq!(usize::try_from(before - live()).unwrap(), figures.bytes - after.bytes + 20_000 * size_of::<usize>());
    assert!(after.bytes <= 16 * (64 + 8 * 9), "chunks went, and tables are small again: {after}");
    assert_eq!(after.bytes, after.table_bytes);
    let before = live();
    drop(pool);
    assert_eq!(usize::try_from(before - live()).unwrap(), own + after.bytes);
}

#[test]
fn nothing_leaks_when_names_outlive_their_pool() {
    let start = live();
    for keep in [1, 3, 50] {
        let pool = StringPoolOptions::new().constants(Zone::SET).build();
        let mut names: Vec<InternedString> = (0..5000).map(|i| pool.intern(&text(i))).collect();
        let long = pool.intern(&"x".repeat(100_000));
        // Some that nobody holds, some unlinked, some freed, some anew.
        let pin = pool.pin();
        names.drain(..1000);
        pool.sweep();
        drop(pin);
        names.drain(..1000);
        pool.sweep();
        names.extend((0..500).map(|i| pool.intern(&text(i))));
        let mut at = 0;
        names.retain(|_| {
            at += 1;
            at % keep == 0
        });
        drop(pool);
        assert_eq!(long.len(), 100_000);
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert!(texts.iter().all(|text| text.len() <= 60));
        drop((names, long, texts));
        assert_eq!(live(), start, "one in {keep} outlived the pool");
    }
}

blixard_arena::constant_names! { Zone { EU = "eu-1", US = "us-1", NOWHERE = "" } }

/// Every allocation of a run fails once: the call says so, and the pool is as it was and goes on.
#[test]
fn an_allocator_that_fails_at_any_call_leaves_the_pool_intact() {
    let texts: Vec<String> = (0..400).map(text).collect();
    let mut failures = 0;
    for nth in 1.. {
        let pool = StringPool::new();
        let mut names: Vec<InternedString> = Vec::with_capacity(texts.len());
        refuse(nth, LASTING);
        for text in &texts {
            match pool.try_intern(text) {
                Ok(name) => names.push(name),
                Err(full) => {
                    serve();
                    let PoolFull::Bytes { asked, used, allowed } = full else { panic!("{full}") };
                    assert!(asked > 0 && used == allowed && used >= pool.figures().bytes, "{full}");
                    assert_eq!(pool.figures().entries, names.len());
                    failures += 1;
                    names.push(pool.intern(text));
                }
            }
        }
        let failed = refused();
        serve();
        for (name, text) in names.iter().zip(&texts) {
            assert_eq!(**name, **text);
            assert_eq!(pool.intern(text), *name);
        }
        names.clear();
        pool.sweep();
        assert_eq!(pool.figures().entries, 0);
        if failed == 0 {
            break;
        }
    }
    assert!(failures > 60, "chunks and tables of 16 shards: {failures}");
}

/// A sweep that finds no memory for smaller tables keeps the large ones.
#[test]
fn a_sweep_needs_no_memory() {
    let pool = StringPool::new();
    drop((0..20_000).map(|i| pool.intern(&i.to_string())).collect::<Vec<_>>());
    let kept = pool.intern("kept");
    refuse(1, LASTING);
    let freed = pool.sweep();
    let failed = refused();
    serve();
    assert_eq!((freed, failed > 0), (20_000, true));
    assert_eq!(pool.intern("kept"), kept);
    let large = pool.figures().table_bytes;
    pool.sweep();
    assert!(pool.figures().table_bytes < large / 8);
}

/// Names that come and go for long: memory stays within a few times what is held, without a call of `sweep`.
#[test]
fn insertions_sweep_as_they_go() {
    let pool = StringPool::new();
    let mut window: std::collections::VecDeque<InternedString> = std::collections::VecDeque::new();
    let mut most = 0;
    for i in 0..200_000 {
        window.push_back(pool.intern(&format!("session-{i}-{}", "y".repeat(i / 20_000))));
        if window.len() > 2000 {
            window.pop_front();
        }
        most = most.max(pool.figures().entries * usize::from(i % 64 == 0));
    }
    let figures = pool.figures();
    assert!(most < 4 * 2000, "{most} names for 2,000 held");
    assert!(figures.bytes < 4 * 2000 * (12 + 30 + 40), "{figures}");
    assert!(figures.sweeps > 20 && figures.freed > 190_000, "{figures:?}");
}

/// Lengths that change over time: blocks of one size serve for others, within a cap of not much more than is held.
#[test]
fn freed_memory_serves_texts_of_other_lengths() {
    let pool = StringPoolOptions::new().bytes_max(600_000).build();
    let mut kept: Vec<InternedString> = Vec::new();
    for round in 0..20 {
        let len = 8 + round * 13 % 120;
        let names: Vec<InternedString> =
            (0..1500).map(|i| pool.try_intern(&format!("{round}-{i:0len$}")).unwrap()).collect();
        // Some stay, in the midst of the others.
        kept.extend(names.iter().step_by(300).cloned());
        drop(names);
        pool.sweep();
    }
}

/// Short names never lie in a chunk that was made for a long text: they would keep all of it when the pool is gone.
#[test]
fn a_short_name_keeps_no_chunk_of_a_long_text() {
    let pool = StringPool::new();
    let (names, held_by_names) = held(|| {
        for index in 0..8 {
            drop(pool.intern(&format!("{index:064}").repeat(16 << 10)));
        }
        let names: Vec<InternedString> = (0..60_000).map(|index| pool.intern(&format!("name-{index}"))).collect();
        let few: Vec<InternedString> = names.iter().skip(10).step_by(3_000).cloned().collect();
        drop((names, pool));
        few
    });
    assert_eq!(names.len(), 20);
    assert!(held_by_names <= 20 * ((64 << 10) + 64), "{held_by_names} bytes for 20 names");
    for name in names {
        let before = live();
        drop(name);
        assert!(before - live() <= (64 << 10) + 64, "{} bytes for a name", before - live());
    }
}
