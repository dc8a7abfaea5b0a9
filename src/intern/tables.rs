//! Tables on disk whose names a pool knows: each is entered, as a constant, when it is first met.
//!
//! Stands beside `constants.rs`: a name of a table has an odd word too, made of the table's number in the process and the name's
//! position in the table, under a highest bit that no word of a set has. Which numbers there are is known to the process, so
//! that a word leads to its text without a pool.
//!
//! Invariants: tables are verified before they come here, so no look-up fails; what is entered stays. Cost: no heap call.
#![forbid(unsafe_code)]

#[cfg(feature = "mapped")]
mod imp {
    use crate::mapped::{Table, TableError};
    use std::num::NonZero;
    use std::ptr;
    use std::sync::OnceLock;

    /// Tables that pools of the process may know, at most.
    const TABLES_MAX: usize = 64;
    const POSITION_SHIFT: u32 = 1;
    const TABLE_SHIFT: u32 = POSITION_SHIFT + u32::BITS;

    /// By their numbers. A place once taken stays.
    static TABLES: [OnceLock<&'static Table>; TABLES_MAX] = [const { OnceLock::new() }; TABLES_MAX];

    /// The tables of a pool.
    #[derive(Clone, Debug, Default)]
    pub(in super::super) struct Tables(Vec<Known>);

    #[derive(Clone, Copy, Debug)]
    struct Known {
        table: &'static Table,
        number: usize,
    }

    impl Tables {
        pub(in super::super) fn add(&mut self, table: &'static Table) -> Result<(), TableError> {
            table.verify()?;
            self.0.push(Known { table, number: number_of(table) });
            Ok(())
        }

        #[inline(always)]
        pub(in super::super) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        /// The word of a text that one of the tables has.
        pub(in super::super) fn word(&self, text: &str) -> Option<NonZero<usize>> {
            self.0.iter().find_map(|Known { table, number }| {
                let position = verified(table.position_of(text))?;
                NonZero::new(number << TABLE_SHIFT | (position as usize) << POSITION_SHIFT | 1)
            })
        }
    }

    /// The number of a table in this process.
    fn number_of(table: &'static Table) -> usize {
        let place = TABLES.iter().position(|place| ptr::eq(*place.get_or_init(|| table), table));
        assert!(
            place.is_some(),
            "{TABLES_MAX} tables are known to the string pools of the process, and no more can be"
        );
        place.unwrap_or_default()
    }

    /// The text of a table's word.
    pub(in super::super) fn text(word: NonZero<usize>) -> Option<&'static str> {
        let table = TABLES.get(word.get() >> TABLE_SHIFT)?.get()?;
        #[expect(clippy::cast_possible_truncation, reason = "the part that is the position")]
        let position = (word.get() >> POSITION_SHIFT) as u32;
        Some(verified(table.name_at(position)))
    }

    fn verified<T>(found: Result<T, TableError>) -> T {
        found.unwrap_or_else(|error| panic!("it was found to be right before: {error}"))
    }
}

/// Without the feature there are none.
#[cfg(not(feature = "mapped"))]
mod imp {
    use std::num::NonZero;

    #[derive(Clone, Debug, Default)]
    pub(in super::super) struct Tables(());

    impl Tables {
        #[inline(always)]
        #[expect(clippy::unused_self, reason = "called as the other form is")]
        pub(in super::super) fn is_empty(&self) -> bool {
            true
        }

        #[expect(clippy::unused_self, reason = "called as the other form is")]
        pub(in super::super) fn word(&self, _text: &str) -> Option<NonZero<usize>> {
            None
        }
    }

    pub(in super::super) fn text(_word: NonZero<usize>) -> Option<&'static str> {
        None
    }
}

pub(super) use imp::{Tables, text};
