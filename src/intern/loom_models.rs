//! Models of a string pool: loom runs them through every order of steps that the memory model allows.
//!
//! `RUSTFLAGS="--cfg blixard_loom" cargo test --release --all-features --lib loom_models`. What a thread may read is looked at through a
//! witness in each entry, and touched where it is freed or written anew: loom reports the two without an order between
//! them. `sync::model` says how models are run.
#![forbid(unsafe_code)]

use super::account::Account;
use super::hash::TextHash;
use super::pool::{StringPin, StringPool};
use super::string::{InternedString, Name};
use crate::sync::{Grace, Part, Pins, Witness, model, race};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};

/// What one thread of a model does with what they share.
type Does<T> = fn(&T) -> Option<InternedString>;

/// Texts are told apart by their first letter, and so are their hashes: one after another in the table.
fn hash(text: &str) -> TextHash {
    TextHash::from_bits(u64::from(text.as_bytes()[0]) << 32)
}

fn intern<'p>(pin: &'p StringPin<'_>, text: &str) -> Name<'p> {
    pin.try_intern_hashed(hash(text), text).unwrap()
}

fn held(pool: &StringPool, text: &str) -> InternedString {
    intern(&pool.pin(), text).to_interned()
}

/// A pool that has a text which nobody holds.
fn pool_with_a() -> StringPool {
    let pool = StringPool::new();
    drop(held(&pool, "a"));
    pool
}

/// What is unlinked and freed in turn, by whom, and how far.
type Things = Arc<(Pins, [(AtomicBool, Witness); 2])>;

fn read_things(shared: &Things) -> Option<InternedString> {
    for (linked, witness) in &shared.1 {
        let pin = shared.0.begin();
        if linked.load(Ordering::Relaxed) {
            witness.look();
        }
        pin.end();
    }
    None
}

#[test]
fn what_a_pin_may_have_found_outlives_it() {
    let free_things: Does<Things> = |shared| {
        let mut grace = Grace::new();
        for (linked, witness) in &shared.1 {
            linked.store(false, Ordering::Relaxed);
            let moment = grace.moment();
            if !shared.0.pass(&mut grace, moment) {
                break;
            }
            witness.touch();
        }
        None
    };
    race(
        Some(3),
        || Arc::new((Pins::new(), [(); 2].map(|()| (AtomicBool::new(true), Witness::default())))),
        [free_things, read_things, read_things],
        |_, _| (),
    );
}

#[test]
fn a_text_that_two_threads_enter_is_one_entry() {
    let enter: Does<StringPool> = |pool| {
        let name = held(pool, "a");
        assert_eq!(name.as_str(), "a");
        Some(name)
    };
    race(Some(4), StringPool::new, [enter, enter], |_, [first, second]| assert_eq!(first, second));
}

#[test]
fn a_hit_without_a_lock_sees_the_text_whole() {
    let look: Does<StringPool> = |pool| {
        let pin = pool.pin();
        let name = pin.get_hashed(hash("a"), "a")?;
        assert_eq!(name.as_str(), "a");
        None
    };
    race(Some(4), StringPool::new, [|pool| Some(held(pool, "a")), look], |_, _| ());
}

/// A name under a pin, read and then held, while everything that nobody holds is freed and its memory is written anew.
#[test]
fn a_name_under_a_pin_is_there_until_its_end() {
    let sweep: Does<StringPool> = |pool| {
        pool.sweep();
        Some(held(pool, "b"))
    };
    let hold: Does<StringPool> = |pool| {
        let pin = pool.pin();
        let name = intern(&pin, "a");
        assert_eq!(name.as_str(), "a");
        let kept = name.to_interned();
        assert_eq!(intern(&pin, "a"), name);
        Some(kept)
    };
    race(Some(3), pool_with_a, [sweep, hold], |pool, [b, a]| {
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
        assert_eq!(held(&pool, "a"), a);
    });
}

/// The one that simpler protocols fail: while a text is unlinked, one thread enters it anew and another holds what it found.
#[test]
fn unlink_re_intern_upgrade_give_one_entry() {
    let make: fn() -> StringPool = || {
        let pool = pool_with_a();
        // Marked: the next walk unlinks it, once the pins are gone.
        let pin = pool.pin();
        pool.sweep();
        drop(pin);
        pool
    };
    let sweep: Does<StringPool> = |pool| {
        pool.sweep();
        None
    };
    let hold: Does<StringPool> = |pool| {
        let pin = pool.pin();
        let name = intern(&pin, "a");
        assert_eq!(name.as_str(), "a");
        Some(name.to_interned())
    };
    race(Some(2), make, [sweep, hold, hold], |pool, [_, first, second]| {
        assert_eq!(first, second, "held at the same time");
        assert_eq!(Some(held(&pool, "a")), first);
        drop((first, second));
        pool.sweep();
        assert_eq!(pool.figures().entries, 0);
    });
}

/// A holder lets go, another looks the name up again, a sweep comes between.
#[test]
fn what_the_last_holder_left_is_found_or_entered_anew() {
    let let_go: Does<StringPool> = |pool| {
        let name = held(pool, "a");
        assert_eq!(name.as_str(), "a");
        drop(name);
        None
    };
    let sweep: Does<StringPool> = |pool| {
        pool.sweep();
        Some(held(pool, "a"))
    };
    race(Some(3), StringPool::new, [let_go, sweep], |pool, [_, again]| {
        assert_eq!(Some(held(&pool, "a")), again);
        drop(again);
        pool.sweep();
        assert_eq!(pool.figures().entries, 0);
    });
}

/// A look-up in a table that is replaced, and freed by those who replaced it.
#[test]
fn a_table_outlives_the_look_ups_in_it() {
    let grow: Does<StringPool> = |pool| {
        for text in ["b", "c", "d", "e"] {
            drop(held(pool, text));
        }
        None
    };
    let look: Does<StringPool> = |pool| {
        let pin = pool.pin();
        let name = pin.get_hashed(hash("a"), "a").unwrap();
        assert_eq!(name.as_str(), "a");
        Some(name.to_interned())
    };
    race(Some(3), pool_with_a, [grow, look], |pool, [_, a]| assert_eq!(Some(held(&pool, "a")), a));
}

fn let_go(name: InternedString) -> Part<()> {
    Box::new(move || {
        let again = name.clone();
        assert_eq!(name.as_str().len(), 1);
        drop(name);
        assert_eq!(again.as_str().len(), 1);
    })
}

/// The last handle goes while others let go of names, which share a chunk: the last one frees it.
#[test]
fn names_outlive_their_pool() {
    model(Some(3), [0, 0, 1], |order| {
        let pool = pool_with_a();
        let [b, c] = [held(&pool, "b"), held(&pool, "c")].map(let_go);
        order.run([b, c, Box::new(move || drop(pool))]);
    });
}

/// The same where two handles go at once.
#[test]
fn one_of_two_handles_is_the_last() {
    model(Some(3), [0, 1, 1], |order| {
        let pool = pool_with_a();
        let other = pool.clone();
        let name = let_go(held(&pool, "b"));
        order.run([name, Box::new(move || drop(other)), Box::new(move || drop(pool))]);
    });
}

/// Names and bytes are booked and taken off on three threads: the account never says more than it allows, what is refused leaves it as
/// it was, and at the end it holds what was not taken off.
#[test]
fn an_account_never_holds_more_than_it_allows() {
    let book: fn(&Arc<Account>) -> [bool; 2] = |account| {
        let booked = [account.reserve(2).is_ok(), account.add_entry().is_ok()];
        assert!(account.bytes() <= account.bytes_max && account.entries() <= account.entries_max);
        booked
    };
    let book_and_free: fn(&Arc<Account>) -> [bool; 2] = |account| {
        if account.reserve(2).is_ok() {
            account.refund(2);
        }
        if account.add_entry().is_ok() {
            account.remove_entries(1);
        }
        [false; 2]
    };
    race(
        Some(2),
        || Arc::new(Account::new(3, 1)),
        [book, book, book_and_free],
        |account, booked| {
            let count = |what: usize| booked.iter().filter(|booked| booked[what]).count();
            assert_eq!((account.bytes(), account.entries()), (2 * count(0), count(1)));
            assert!(account.bytes() <= 3 && account.entries() <= 1);
        },
    );
}
