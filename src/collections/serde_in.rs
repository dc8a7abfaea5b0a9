//! serde: the collections serialise, and values are deserialised into an arena.
//!
//! Stands where a request's bytes come in. What is deserialised holds no reference to the input and makes no heap call of
//! ours (a format may make its own). Invariant: a length that the input announces reserves at most 4 KiB before elements
//! come. A budget that does not suffice ends in the format's error, with the numbers of `BudgetExceeded`.
//!
//! Longer than most files here: one visitor for each shape, of which there are many.
#![forbid(unsafe_code)]

use super::list::List;
use super::memory::{Heap, Memory};
use super::{Box, FlatMap, FlatSet, String, Vec};
use crate::arena::AnyArena;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

/// What an announced length may reserve.
const ANNOUNCED_BYTES_MAX: usize = 4096;

/// Values that are deserialised into an arena: text, slices, the collections, and what is built of them.
///
/// Implemented for `&'a str`, `&'a [T]`, [`Vec`], [`String`], [`Box`], [`FlatMap`], [`FlatSet`], numbers, `bool`, `char`,
/// `()`, `Option` and tuples up to six. For structs of your own, [`deserialize_in!`](crate::deserialize_in) writes the
/// implementation. Start with [`seed_in`].
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::collections::seed_in;
/// use serde::de::DeserializeSeed;
///
/// struct Config<'a> {
///     name: &'a str,
///     tags: &'a [&'a str],
///     limits: Option<(u32, u64)>,
/// }
/// blixard_arena::deserialize_in!(Config<'a> { name, tags, limits });
///
/// let arena = Arena::new();
/// let config: Config<'_> = {
///     let body = String::from(r#"{"tags": ["edge", "gpu"], "name": "vm-1", "limits": [4, 2048]}"#);
///     seed_in(&arena).deserialize(&mut serde_json::Deserializer::from_str(&body))?
/// }; // the body is gone, its values are in the arena
/// assert_eq!((config.name, config.tags, config.limits), ("vm-1", &["edge", "gpu"][..], Some((4, 2048))));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait DeserializeIn<'de, 'a, A: AnyArena>: Sized {
    /// Deserialises a value into `arena`.
    ///
    /// # Errors
    ///
    /// As `deserializer` does, and with the numbers of [`BudgetExceeded`](crate::BudgetExceeded) over budget.
    ///
    /// ```
    /// use blixard_arena::{Arena, arena::AnyArena, collections::DeserializeIn};
    /// use serde::{Deserializer, de::{DeserializeSeed, Error}};
    ///
    /// struct Port(u16); // a check of one's own, at the door
    ///
    /// impl<'de, 'a, A: AnyArena> DeserializeIn<'de, 'a, A> for Port {
    ///     fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
    ///         match u16::deserialize_in(arena, deserializer)? {
    ///             0 => Err(D::Error::custom("port 0")),
    ///             port => Ok(Self(port)),
    ///         }
    ///     }
    /// }
    ///
    /// let arena = Arena::new();
    /// let port: Result<Port, _> = Port::deserialize_in(&arena, &mut serde_json::Deserializer::from_str("0"));
    /// assert_eq!(port.err().unwrap().to_string(), "port 0");
    /// ```
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error>;
}

/// A [`DeserializeSeed`] that deserialises a `T` into `arena`: see [`DeserializeIn`].
///
/// ```
/// use blixard_arena::{Arena, collections::{FlatMap, seed_in}};
/// use serde::de::DeserializeSeed;
///
/// let arena = Arena::new();
/// let mut body = serde_json::Deserializer::from_str(r#"{"zone": "b", "tier": "edge"}"#);
/// let labels: FlatMap<&str, &str, &Arena> = seed_in(&arena).deserialize(&mut body)?;
/// assert_eq!(labels["tier"], "edge");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub const fn seed_in<A: AnyArena, T>(arena: &A) -> SeedIn<'_, A, T> {
    SeedIn { arena, makes: PhantomData }
}

/// See [`seed_in`].
///
/// ```
/// use blixard_arena::{Arena, collections::{SeedIn, seed_in}};
/// use serde::de::DeserializeSeed;
///
/// let arena = Arena::new();
/// let lines: SeedIn<'_, _, (&str, u32)> = seed_in(&arena); // `Copy`: one for all lines of a stream
/// for line in [r#"["vm-1", 4]"#, r#"["vm-2", 8]"#] {
///     let (name, cores) = lines.deserialize(&mut serde_json::Deserializer::from_str(line))?;
///     assert!(name.starts_with("vm-") && cores > 0);
/// }
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct SeedIn<'a, A, T> {
    arena: &'a A,
    makes: PhantomData<fn() -> T>,
}

impl<A, T> Clone for SeedIn<'_, A, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, T> Copy for SeedIn<'_, A, T> {}

impl<A, T> fmt::Debug for SeedIn<'_, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeedIn")
    }
}

impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> DeserializeSeed<'de> for SeedIn<'a, A, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize_in(self.arena, deserializer)
    }
}

/// Deserialises a struct into an arena, field by field, from a map or a sequence: implements
/// [`DeserializeIn`](crate::collections::DeserializeIn). Unknown keys are passed over, a key that comes twice or not at all is
/// an error, except that a missing `Option` is `None` in formats that say so.
///
/// `deserialize_in!(Config<'a> { name, tags })` for either kind of arena; `deserialize_in!(Config<'a> in Arena { names })`
/// where a field is a collection in that kind; `deserialize_in!(Kind)` for a type that is `serde::Deserialize`.
///
/// ```
/// use blixard_arena::{Arena, collections::{Vec, seed_in}};
/// use serde::de::DeserializeSeed;
///
/// #[derive(Debug, PartialEq, serde::Deserialize)]
/// enum Kind { Start, Stop }
/// blixard_arena::deserialize_in!(Kind);
///
/// struct Batch<'a> {
///     kind: Kind,
///     vms: Vec<&'a str, &'a Arena>, // may go on growing
/// }
/// blixard_arena::deserialize_in!(Batch<'a> in Arena { kind, vms });
///
/// let arena = Arena::new();
/// let mut body = serde_json::Deserializer::from_str(r#"{"kind": "Stop", "vms": ["vm-1"], "trace": 7}"#);
/// let mut batch: Batch<'_> = seed_in(&arena).deserialize(&mut body)?;
/// batch.vms.push("vm-2");
/// assert_eq!((batch.kind, batch.vms.len()), (Kind::Stop, 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! deserialize_in {
    ($name:ident) => {
        impl<'de, 'a, __A: $crate::arena::AnyArena> $crate::collections::DeserializeIn<'de, 'a, __A> for $name {
            fn deserialize_in<__D: $crate::collections::serde::Deserializer<'de>>(
                _: &'a __A,
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                $crate::collections::serde::Deserialize::deserialize(deserializer)
            }
        }
    };
    ($name:ident<$life:lifetime> { $($field:ident),+ $(,)? }) => {
        $crate::deserialize_in!(@ [__A: $crate::arena::AnyArena,] __A, $name, $life, $($field)+);
    };
    ($name:ident<$life:lifetime> in $arena:ident { $($field:ident),+ $(,)? }) => {
        $crate::deserialize_in!(@ [] $arena, $name, $life, $($field)+);
    };
    (@ [$($generics:tt)*] $arena:ident, $name:ident, $life:lifetime, $($field:ident)+) => {
        impl<'de, $life, $($generics)*> $crate::collections::DeserializeIn<'de, $life, $arena> for $name<$life> {
            fn deserialize_in<__D: $crate::collections::serde::Deserializer<'de>>(
                arena: &$life $arena,
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                use $crate::collections::serde::de;
                use ::core::{fmt, option::Option, result::Result};

                // Names of a macro's own types can meet those of its caller.
                struct __Fields<$life, __A>(&$life __A);
                impl<'de, $life, $($generics)*> de::Visitor<'de> for __Fields<$life, $arena> {
                    type Value = $name<$life>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(::core::concat!("struct ", ::core::stringify!($name)))
                    }

                    fn visit_map<__M: de::MapAccess<'de>>(self, mut map: __M) -> Result<Self::Value, __M::Error> {
                        $(let mut $field = Option::None;)+
                        while let Option::Some(key) =
                            map.next_key_seed($crate::collections::FieldOf(&[$(::core::stringify!($field)),+]))?
                        {
                            match key {
                                $(Option::Some(::core::stringify!($field)) => {
                                    if $field.is_some() {
                                        return Result::Err(de::Error::duplicate_field($crate::collections::plain_name(::core::stringify!($field))));
                                    }
                                    $field = Option::Some(map.next_value_seed($crate::collections::seed_in(self.0))?);
                                })+
                                _ => {
                                    map.next_value::<de::IgnoredAny>()?;
                                }
                            }
                        }
                        Result::Ok($name {
                            $($field: match $field {
                                Option::Some(value) => value,
                                Option::None => $crate::collections::missing_in(self.0, ::core::stringify!($field))?,
                            },)+
                        })
                    }

                    fn visit_seq<__S: de::SeqAccess<'de>>(self, mut fields: __S) -> Result<Self::Value, __S::Error> {
                        let mut count = 0_usize;
                        Result::Ok($name {
                            $($field: match fields.next_element_seed($crate::collections::seed_in(self.0))? {
                                Option::Some(value) => {
                                    count += 1;
                                    value
                                }
                                Option::None => return Result::Err(de::Error::invalid_length(count, &self)),
                            },)+
                        })
                    }
                }
                deserializer.deserialize_struct(
                    ::core::stringify!($name),
                    const { &[$($crate::collections::plain_name(::core::stringify!($field))),+] },
                    __Fields(arena),
                )
            }
        }
    };
}

/// Which of a struct's fields a key names: for [`deserialize_in!`](crate::deserialize_in).
#[doc(hidden)]
#[derive(Debug)]
pub struct FieldOf(pub &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldOf {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| plain_name(field) == key).copied())
    }

    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| plain_name(field).as_bytes() == key).copied())
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<Self::Value, E> {
        Ok(usize::try_from(index).ok().and_then(|index| self.0.get(index)).copied())
    }
}

/// A field's name without the mark of a raw identifier. For [`deserialize_in!`](crate::deserialize_in).
#[doc(hidden)]
#[must_use]
pub const fn plain_name(field: &'static str) -> &'static str {
    if let [b'r', b'#', ..] = field.as_bytes() { field.split_at(2).1 } else { field }
}

/// The value of a field that is missing: `None` for an `Option`, else an error. For
/// [`deserialize_in!`](crate::deserialize_in).
#[doc(hidden)]
pub fn missing_in<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>, E: Error>(
    arena: &'a A,
    field: &'static str,
) -> Result<T, E> {
    T::deserialize_in(arena, Missing(field, PhantomData))
}

/// Answers `None` where an `Option` is asked for, and that a field is missing otherwise.
struct Missing<E>(&'static str, PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Missing<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
        Err(Error::missing_field(plain_name(self.0)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

macro_rules! plain {
    ($($type:ty),*) => { $(
        impl<'de, 'a, A: AnyArena> DeserializeIn<'de, 'a, A> for $type {
            #[inline]
            fn deserialize_in<D: Deserializer<'de>>(_: &'a A, deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
    )* };
}
plain!(bool, char, (), u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);

/// Copies text into an arena.
struct Text<'a, A>(&'a A);

impl<'a, A: AnyArena> Visitor<'_> for Text<'a, A> {
    type Value = &'a mut str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.try_alloc_str(text).map_err(E::custom)
    }
}

impl<'de, 'a, A: AnyArena> DeserializeIn<'de, 'a, A> for &'a str {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(arena)).map(|text| &*text)
    }
}

impl<'de, 'a, A: AnyArena> DeserializeIn<'de, 'a, A> for String<&'a A> {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        /// Copies text into a string that can grow on.
        struct Growing<'a, A>(&'a A);
        impl<'a, A: AnyArena> Visitor<'_> for Growing<'a, A> {
            type Value = String<&'a A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let mut string = String::new_in(self.0);
                string.try_push_str(text).map_err(E::custom)?;
                Ok(string)
            }
        }
        deserializer.deserialize_str(Growing(arena))
    }
}

impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A> + 'a> DeserializeIn<'de, 'a, A> for Box<'a, T> {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        Box::try_new_in(T::deserialize_in(arena, deserializer)?, arena).map_err(D::Error::custom)
    }
}

impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> DeserializeIn<'de, 'a, A> for Option<T> {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        struct Maybe<'a, A, T>(SeedIn<'a, A, T>);
        impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> Visitor<'de> for Maybe<'a, A, T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an option")
            }

            fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                self.0.deserialize(deserializer).map(Some)
            }
        }
        deserializer.deserialize_option(Maybe(seed_in(arena)))
    }
}

impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> DeserializeIn<'de, 'a, A> for Vec<T, &'a A> {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        struct Elements<'a, A, T>(SeedIn<'a, A, T>);
        impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> Visitor<'de> for Elements<'a, A, T> {
            type Value = Vec<T, &'a A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Self::Value, S::Error> {
                let mut list = List::new(self.0.arena);
                list.reserve_exact(announced::<T>(elements.size_hint())).map_err(over_budget)?;
                while let Some(element) = elements.next_element_seed(self.0)? {
                    list.push(element).map_err(over_budget)?;
                }
                Ok(Vec::from_list(list))
            }
        }
        deserializer.deserialize_seq(Elements(seed_in(arena)))
    }
}

fn over_budget<E: Error>(refused: crate::BudgetExceeded) -> E {
    E::custom(refused)
}

/// How many elements to make room for before they come.
fn announced<T>(hint: Option<usize>) -> usize {
    hint.unwrap_or(0).min(ANNOUNCED_BYTES_MAX / size_of::<T>().max(1))
}

/// The same where an index of at most 32 bytes per entry, and two groups, comes beside them.
fn announced_indexed<T>(hint: Option<usize>) -> usize {
    hint.unwrap_or(0).min((ANNOUNCED_BYTES_MAX - 128) / (size_of::<T>() + 32))
}

impl<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>> DeserializeIn<'de, 'a, A> for &'a [T] {
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        Vec::<T, &'a A>::deserialize_in(arena, deserializer).map(|list| &*list.into_slice())
    }
}

impl<'de, 'a, A, K, V, S> DeserializeIn<'de, 'a, A> for FlatMap<K, V, &'a A, S>
where
    A: AnyArena,
    K: DeserializeIn<'de, 'a, A> + Eq + Hash,
    V: DeserializeIn<'de, 'a, A>,
    S: BuildHasher + Default,
{
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'a, A, K, V, S>(SeedIn<'a, A, K>, SeedIn<'a, A, V>, PhantomData<S>);
        impl<'de, 'a, A, K, V, S> Visitor<'de> for Pairs<'a, A, K, V, S>
        where
            A: AnyArena,
            K: DeserializeIn<'de, 'a, A> + Eq + Hash,
            V: DeserializeIn<'de, 'a, A>,
            S: BuildHasher + Default,
        {
            type Value = FlatMap<K, V, &'a A, S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut pairs: M) -> Result<Self::Value, M::Error> {
                let mut map = FlatMap::with_hasher_in(S::default(), self.0.arena);
                map.try_reserve(announced_indexed::<(K, V)>(pairs.size_hint())).map_err(over_budget)?;
                while let Some((key, value)) = pairs.next_entry_seed(self.0, self.1)? {
                    map.try_insert(key, value).map_err(over_budget)?;
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Pairs(seed_in(arena), seed_in(arena), PhantomData))
    }
}

impl<'de, 'a, A, T, S> DeserializeIn<'de, 'a, A> for FlatSet<T, &'a A, S>
where
    A: AnyArena,
    T: DeserializeIn<'de, 'a, A> + Eq + Hash,
    S: BuildHasher + Default,
{
    fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
        struct Values<'a, A, T, S>(SeedIn<'a, A, T>, PhantomData<S>);
        impl<'de, 'a, A, T, S> Visitor<'de> for Values<'a, A, T, S>
        where
            A: AnyArena,
            T: DeserializeIn<'de, 'a, A> + Eq + Hash,
            S: BuildHasher + Default,
        {
            type Value = FlatSet<T, &'a A, S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<Q: SeqAccess<'de>>(self, mut values: Q) -> Result<Self::Value, Q::Error> {
                let mut set = FlatSet::with_hasher_in(S::default(), self.0.arena);
                set.try_reserve(announced_indexed::<T>(values.size_hint())).map_err(over_budget)?;
                while let Some(value) = values.next_element_seed(self.0)? {
                    set.try_insert(value).map_err(over_budget)?;
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Values(seed_in(arena), PhantomData))
    }
}

macro_rules! tuples {
    ($len:literal $($name:ident)+) => {
        impl<'de, 'a, A: AnyArena, $($name: DeserializeIn<'de, 'a, A>),+> DeserializeIn<'de, 'a, A> for ($($name,)+) {
            fn deserialize_in<D: Deserializer<'de>>(arena: &'a A, deserializer: D) -> Result<Self, D::Error> {
                struct Parts<'a, A, T>(SeedIn<'a, A, T>);
                impl<'de, 'a, A: AnyArena, $($name: DeserializeIn<'de, 'a, A>),+> Visitor<'de>
                    for Parts<'a, A, ($($name,)+)>
                {
                    type Value = ($($name,)+);

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a tuple of ", $len))
                    }

                    fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<Self::Value, S::Error> {
                        let mut count = 0;
                        let tuple = ($(
                            match parts.next_element_seed(seed_in::<A, $name>(self.0.arena))? {
                                Some(part) => {
                                    count += 1;
                                    part
                                }
                                None => return Err(S::Error::invalid_length(count, &self)),
                            },
                        )+);
                        match parts.next_element::<IgnoredAny>()? {
                            None => Ok(tuple),
                            Some(_) => Err(S::Error::invalid_length(count + 1, &self)),
                        }
                    }
                }
                deserializer.deserialize_tuple($len, Parts(seed_in(arena)))
            }
        }
    };
}
tuples!(1 T0);
tuples!(2 T0 T1);
tuples!(3 T0 T1 T2);
tuples!(4 T0 T1 T2 T3);
tuples!(5 T0 T1 T2 T3 T4);
tuples!(6 T0 T1 T2 T3 T4 T5);

impl<T: Serialize, A: AnyArena> Serialize for Vec<T, &A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<A: AnyArena> Serialize for String<&A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<T: ?Sized + Serialize> Serialize for Box<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// As a map, in the order of insertion.
impl<K: Serialize, V: Serialize, A: Memory, H> Serialize for FlatMap<K, V, A, H> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

/// As a sequence, in the order of insertion.
impl<T: Serialize, A: Memory, H> Serialize for FlatSet<T, A, H> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// On the heap.
impl<'de, K, V, H> serde::Deserialize<'de> for FlatMap<K, V, Heap, H>
where
    K: serde::Deserialize<'de> + Eq + Hash,
    V: serde::Deserialize<'de>,
    H: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<M>(M);
        impl<'de, K, V, H> Visitor<'de> for Pairs<FlatMap<K, V, Heap, H>>
        where
            K: serde::Deserialize<'de> + Eq + Hash,
            V: serde::Deserialize<'de>,
            H: BuildHasher,
        {
            type Value = FlatMap<K, V, Heap, H>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: MapAccess<'de>>(mut self, mut pairs: M) -> Result<Self::Value, M::Error> {
                self.0.try_reserve(announced_indexed::<(K, V)>(pairs.size_hint())).map_err(over_budget)?;
                while let Some((key, value)) = pairs.next_entry()? {
                    self.0.try_insert(key, value).map_err(over_budget)?;
                }
                Ok(self.0)
            }
        }
        deserializer.deserialize_map(Pairs(Self::default()))
    }
}

/// On the heap.
impl<'de, T, H> serde::Deserialize<'de> for FlatSet<T, Heap, H>
where
    T: serde::Deserialize<'de> + Eq + Hash,
    H: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<M>(M);
        impl<'de, T, H> Visitor<'de> for Values<FlatSet<T, Heap, H>>
        where
            T: serde::Deserialize<'de> + Eq + Hash,
            H: BuildHasher,
        {
            type Value = FlatSet<T, Heap, H>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<Q: SeqAccess<'de>>(mut self, mut values: Q) -> Result<Self::Value, Q::Error> {
                self.0.try_reserve(announced_indexed::<T>(values.size_hint())).map_err(over_budget)?;
                while let Some(value) = values.next_element()? {
                    self.0.try_insert(value).map_err(over_budget)?;
                }
                Ok(self.0)
            }
        }
        deserializer.deserialize_seq(Values(Self::default()))
    }
}
