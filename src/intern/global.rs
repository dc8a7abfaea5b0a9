//! The process's own pool: there without a call at start-up.
//!
//! Stands beside every other pool, for programs that need but one. Made at its first use, with the default caps and no
//! constants, unless it was made before that by [`StringPoolOptions::build_global`]. Never freed.
//! Cost: one look whether it is there, then the pool's.
#![forbid(unsafe_code)]

use super::pool::{StringPin, StringPool, StringPoolOptions};
use super::string::InternedString;
use std::fmt;
use std::sync::OnceLock;

static GLOBAL: OnceLock<StringPool> = OnceLock::new();

/// The process's string pool.
///
/// ```
/// use blixard_arena::intern::{global, intern};
///
/// let _name = intern("vm-1");
/// let figures = global().figures(); // for a service's metrics page
/// assert!(figures.entries >= 1 && figures.bytes > 0);
/// ```
#[inline]
#[must_use]
pub fn global() -> &'static StringPool {
    GLOBAL.get_or_init(StringPool::new)
}

/// The name of a text in the process's pool, held: [`StringPool::intern`].
///
/// ```
/// use blixard_arena::intern::{InternedString, intern};
///
/// struct Vm {
///     tenant: InternedString, // a word, whatever the name's length, and one text for all VMs of a tenant
/// }
/// let (web, db) = (Vm { tenant: intern("acme") }, Vm { tenant: intern("acme") });
/// assert_eq!(web.tenant, db.tenant); // compared as words
/// ```
///
/// # Panics
/// With [`PoolFull`](super::PoolFull) where the text is new and a cap is reached.
#[inline]
#[must_use]
pub fn intern(text: &str) -> InternedString {
    global().intern(text)
}

/// Pins the process's pool: [`StringPool::pin`]. Borrows nothing, so it goes into spawned tasks.
///
/// ```
/// use blixard_arena::intern::pin;
///
/// let pin = pin(); // once per request
/// let (a, b) = (pin.intern("rack-3"), pin.intern("rack-3"));
/// assert_eq!(a, b);
/// ```
#[inline]
pub fn pin() -> StringPin<'static> {
    global().pin()
}

/// The process's string pool was made already, by a first use or by an earlier call.
///
/// ```
/// use blixard_arena::intern::{GlobalPoolExists, StringPoolOptions, intern};
///
/// let _early = intern("vm-1"); // made the pool, with the default caps
/// let late = StringPoolOptions::new().entries_max(1000).build_global();
/// assert!(matches!(late, Err(GlobalPoolExists { .. }))); // a fault of the program: `main` sets options first
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobalPoolExists;

impl fmt::Display for GlobalPoolExists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process's string pool is in use already: its options must be set before")
    }
}

impl std::error::Error for GlobalPoolExists {}

impl StringPoolOptions {
    /// Makes the process's pool with these options: for caps and constants of one's own, in `main`.
    ///
    /// ```
    /// use blixard_arena::intern::{StringPoolOptions, intern};
    ///
    /// blixard_arena::constant_names! { pub Zone { EU = "eu-1", US = "us-1" } }
    ///
    /// StringPoolOptions::new().constants(Zone::SET).build_global()?;
    /// assert_eq!(intern("eu-1"), Zone::EU);
    /// # Ok::<(), blixard_arena::intern::GlobalPoolExists>(())
    /// ```
    ///
    /// # Errors
    /// If there is one already. Then it stays as it is.
    ///
    /// # Panics
    /// As [`build`](Self::build).
    pub fn build_global(self) -> Result<(), GlobalPoolExists> {
        let mut made = false;
        GLOBAL.get_or_init(|| {
            made = true;
            self.build()
        });
        if made { Ok(()) } else { Err(GlobalPoolExists) }
    }
}
