//! `List`, `Each` and `Pair`: every kind of list and map, and what an iterator gives, becomes an `ArchivedVec`, its elements by a wrapper of
//! their own.
//!
//! Stands beside `text`, under the derived code of rkyv. Invariant: the bytes depend on the elements and their order alone, not on what
//! held them. Cost: no heap call of ours; what is known of each element until the list is written, and what an iterator gave, takes scratch
//! memory that the encoder keeps.
#![expect(unsafe_code, reason = "rkyv's call for an aligned value is unsafe")]

use super::decode::ArenaDecoder;
use super::encode::Encoder;
use super::errors::DecodeError;
use crate::arena::AnyArena;
use crate::collections::{self, FlatMap, FlatSet, Memory};
use rkyv::munge::munge;
use rkyv::rancor::Fallible;
use rkyv::ser::{Allocator, Positional as _, Writer, WriterExt as _};
use rkyv::tuple::ArchivedTuple2;
use rkyv::util::SerVec;
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::with::{ArchiveWith, DeserializeWith, Identity, SerializeWith, With};
use rkyv::{Archive, Place, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::ops::Deref;

/// Archives any kind of list as [`ArchivedVec`]: `&[T]`, std's `Vec`, `Box<[T]>`, `Arc<[T]>`, this library's
/// [`Vec`](crate::collections::Vec), and as lists of pairs or of keys, in the order of insertion,
/// [`FlatMap`](crate::collections::FlatMap) and [`FlatSet`](crate::collections::FlatSet).
///
/// Elements without bytes are refused when code is generated (`cargo check` does not see it): archive their number.
///
/// `E` archives the elements: plain `List` as they say themselves, `List<Text>` strings, `List<Pair<Text, Text>>` pairs of them,
/// `List<List<Text>>` lists of them.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::archive::{self, List, Pair, Schema, Text, rkyv};
/// use blixard_arena::collections::FlatMap;
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Config<'a> {
///     #[rkyv(with = List<Pair<Text, Text>>)]
///     labels: &'a [(&'a str, &'a str)],
///     #[rkyv(with = List)]
///     ports: &'a [u16],
/// }
///
/// impl Schema for Config<'_> {
///     const NAME: &'static str = "example.config";
/// }
///
/// let arena = Arena::new();
/// let mut labels = FlatMap::new_in(&arena);
/// labels.insert("tier", "db");
/// let bytes = archive::encode(&Config { labels: labels.freeze(), ports: &[80, 443] })?;
/// let config = archive::access::<Config<'_>>(&bytes)?;
/// assert_eq!((config.labels[0].1.as_str(), config.ports[1].to_native()), ("db", 443));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct List<E = Identity>(PhantomData<E>);

impl<E> fmt::Debug for List<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("List")
    }
}

/// Archives what an iterator gives, to the same bytes as [`List`] archives a slice of it: a map of std's, a column, anything that would
/// have to be collected first.
///
/// The iterator is cloned and walked once; its items lie in scratch memory that the encoder keeps until the list is written, so no heap call is made.
/// Of an iterator that gives fewer items than its `len` says, those become a list.
///
/// # Panics
///
/// Encoding panics where an iterator gives more items than its `len` says.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use blixard_arena::archive::{self, Each, List, Pair, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Config<'a> {
///     #[rkyv(with = List<Pair<Text, Text>>)]
///     labels: &'a [(&'a str, &'a str)],
/// }
///
/// /// A look at labels that lie in whatever map.
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct ConfigView<'a, I: ExactSizeIterator<Item = (&'a str, &'a str)> + Clone> {
///     #[rkyv(with = Each<Pair<Text, Text>>)]
///     labels: I,
/// }
///
/// impl Schema for Config<'_> {
///     const NAME: &'static str = "example.config";
/// }
///
/// impl<'a, I: ExactSizeIterator<Item = (&'a str, &'a str)> + Clone> Schema for ConfigView<'a, I> {
///     const NAME: &'static str = "example.config";
/// }
///
/// let owned = BTreeMap::from([("tier".to_owned(), "db".to_owned()), ("app".to_owned(), "vm".to_owned())]);
/// let labels = owned.iter().map(|(key, value)| (key.as_str(), value.as_str()));
/// let bytes = archive::encode(&ConfigView { labels })?; // nothing is collected
/// assert_eq!(bytes, archive::encode(&Config { labels: &[("app", "vm"), ("tier", "db")] })?);
/// # Ok::<(), archive::EncodeError>(())
/// ```
pub struct Each<E = Identity>(PhantomData<E>);

impl<E> fmt::Debug for Each<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Each")
    }
}

/// Archives a pair, each part by a wrapper of its own: see [`List`].
///
/// ```
/// use blixard_arena::archive::{self, List, Pair, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Ports<'a> {
///     #[rkyv(with = List<Pair<Text>>)] // a name, and a number that archives by itself
///     ports: &'a [(&'a str, u16)],
/// }
///
/// impl Schema for Ports<'_> {
///     const NAME: &'static str = "example.ports";
/// }
///
/// let bytes = archive::encode(&Ports { ports: &[("http", 80), ("https", 443)] })?;
/// let ports = &archive::access::<Ports<'_>>(&bytes)?.ports;
/// assert_eq!((ports[1].0.as_str(), ports[1].1.to_native()), ("https", 443));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pair<K = Identity, V = Identity>(PhantomData<(K, V)>);

impl<K, V> fmt::Debug for Pair<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair")
    }
}

/// A length that anybody can write is bounded by the bytes that so many elements take; without any it would be a loop of four thousand
/// million steps.
const fn refuse_nothing<T>() {
    assert!(size_of::<T>() > 0, "a list of elements without bytes is a number: archive its length");
}

fn serialize<T, E, S>(list: &[T], serializer: &mut S) -> Result<VecResolver, S::Error>
where
    E: SerializeWith<T, S>,
    S: Fallible + Writer + Allocator + ?Sized,
{
    SerVec::with_capacity(serializer, list.len(), |resolvers, serializer| {
        for value in list {
            resolvers.push(E::serialize_with(value, serializer)?);
        }
        // SAFETY: the resolvers are the values', in the same order.
        unsafe { write::<&T, T, E, S>(list.len(), list.iter().zip(resolvers.drain()), serializer) }
    })?
}

/// Writes a list of `len` values whose own parts are written.
///
/// # Safety
///
/// Each resolver is what serialising its value gave.
#[inline(always)]
unsafe fn write<V, T, E, S>(
    len: usize,
    values: impl Iterator<Item = (V, E::Resolver)>,
    serializer: &mut S,
) -> Result<VecResolver, S::Error>
where
    V: Borrow<T>,
    E: SerializeWith<T, S>,
    S: Fallible + Writer + ?Sized,
{
    const { refuse_nothing::<E::Archived>() };
    if let Some(encoder) = Encoder::with_room::<E::Archived, S>(&mut *serializer, len) {
        let start = encoder.pos();
        encoder.write_each(values, |(value, resolver), out| E::resolve_with(value.borrow(), resolver, out));
        return Ok(VecResolver::from_pos(start));
    }
    let start = serializer.align_for::<E::Archived>()?;
    for (value, resolver) in values {
        // SAFETY: the resolver is this value's, as the caller says, and the serializer was aligned for the first element, hence is for all.
        unsafe { serializer.resolve_aligned(With::<T, E>::cast(value.borrow()), resolver) }?;
    }
    Ok(VecResolver::from_pos(start))
}

impl<F: Deref<Target = [T]>, T, E: ArchiveWith<T>> ArchiveWith<F> for List<E> {
    type Archived = ArchivedVec<E::Archived>;
    type Resolver = VecResolver;

    #[inline]
    fn resolve_with(field: &F, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_len(field.len(), resolver, out);
    }
}

impl<F, T, E, S> SerializeWith<F, S> for List<E>
where
    F: Deref<Target = [T]>,
    E: SerializeWith<T, S>,
    S: Fallible + Writer + Allocator + ?Sized,
{
    #[inline]
    fn serialize_with(field: &F, serializer: &mut S) -> Result<VecResolver, S::Error> {
        serialize::<T, E, S>(field, serializer)
    }
}

impl<I: ExactSizeIterator + Clone, E: ArchiveWith<I::Item>> ArchiveWith<I> for Each<E> {
    type Archived = ArchivedVec<E::Archived>;
    /// Where the list lies, and of how many elements it is.
    type Resolver = (VecResolver, usize);

    #[inline]
    fn resolve_with(_: &I, (list, len): Self::Resolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_len(len, list, out);
    }
}

impl<I, E, S> SerializeWith<I, S> for Each<E>
where
    I: ExactSizeIterator + Clone,
    E: SerializeWith<I::Item, S>,
    S: Fallible + Writer + Allocator + ?Sized,
{
    #[inline]
    fn serialize_with(items: &I, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        let items = items.clone();
        // Walked again, it might give something else, which no resolver here would be of: so the items are kept.
        SerVec::with_capacity(serializer, items.len(), |kept, serializer| {
            for item in items {
                let resolver = E::serialize_with(&item, serializer)?;
                assert!(kept.len() < kept.capacity(), "an iterator gives no more items than its `len` says");
                kept.push((item, resolver));
            }
            let len = kept.len();
            // SAFETY: each resolver was made of the item that lies beside it.
            let list = unsafe { write::<I::Item, I::Item, E, S>(len, kept.drain(), serializer) }?;
            Ok((list, len))
        })?
    }
}

macro_rules! slices {
    ($type:ident<$($part:ident),+>, $element:ty) => {
        impl<$($part,)+ A: Memory, H, E: ArchiveWith<$element>> ArchiveWith<$type<$($part,)+ A, H>> for List<E> {
            type Archived = ArchivedVec<E::Archived>;
            type Resolver = VecResolver;

            #[inline]
            fn resolve_with(field: &$type<$($part,)+ A, H>, resolver: VecResolver, out: Place<Self::Archived>) {
                ArchivedVec::resolve_from_len(field.len(), resolver, out);
            }
        }

        impl<$($part,)+ A, H, E, S> SerializeWith<$type<$($part,)+ A, H>, S> for List<E>
        where
            A: Memory,
            E: SerializeWith<$element, S>,
            S: Fallible + Writer + Allocator + ?Sized,
        {
            #[inline]
            fn serialize_with(field: &$type<$($part,)+ A, H>, serializer: &mut S) -> Result<VecResolver, S::Error> {
                serialize::<$element, E, S>(field.as_slice(), serializer)
            }
        }
    };
}
slices!(FlatMap<K, V>, (K, V));
slices!(FlatSet<T>, T);

impl<X, Y, K: ArchiveWith<X>, V: ArchiveWith<Y>> ArchiveWith<(X, Y)> for Pair<K, V> {
    type Archived = ArchivedTuple2<K::Archived, V::Archived>;
    type Resolver = (K::Resolver, V::Resolver);

    #[inline]
    fn resolve_with(field: &(X, Y), resolver: Self::Resolver, out: Place<Self::Archived>) {
        munge!(let ArchivedTuple2(first, second) = out);
        K::resolve_with(&field.0, resolver.0, first);
        V::resolve_with(&field.1, resolver.1, second);
    }
}

impl<X, Y, K, V, S> SerializeWith<(X, Y), S> for Pair<K, V>
where
    K: SerializeWith<X, S>,
    V: SerializeWith<Y, S>,
    S: Fallible + ?Sized,
{
    #[inline(always)]
    fn serialize_with(field: &(X, Y), serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        Ok((K::serialize_with(&field.0, serializer)?, V::serialize_with(&field.1, serializer)?))
    }
}

impl<X, Y, K, V, P, Q, D> DeserializeWith<ArchivedTuple2<P, Q>, (X, Y), D> for Pair<K, V>
where
    K: DeserializeWith<P, X, D>,
    V: DeserializeWith<Q, Y, D>,
    D: Fallible + ?Sized,
{
    #[inline]
    fn deserialize_with(pair: &ArchivedTuple2<P, Q>, deserializer: &mut D) -> Result<(X, Y), D::Error> {
        Ok((K::deserialize_with(&pair.0, deserializer)?, V::deserialize_with(&pair.1, deserializer)?))
    }
}

impl<'a, U, T, E, D> DeserializeWith<ArchivedVec<U>, &'a [T], D> for List<E>
where
    E: DeserializeWith<U, T, D>,
    D: ArenaDecoder<'a> + ?Sized,
{
    fn deserialize_with(list: &ArchivedVec<U>, decoder: &mut D) -> Result<&'a [T], DecodeError> {
        const { refuse_nothing::<U>() };
        let mut values = collections::Vec::new_in(decoder.arena());
        values.try_reserve_exact(list.len())?;
        for value in list.as_slice() {
            values.try_push(E::deserialize_with(value, decoder)?)?;
        }
        Ok(values.into_slice())
    }
}

impl<U, T, E, D> DeserializeWith<ArchivedVec<U>, Vec<T>, D> for List<E>
where
    E: DeserializeWith<U, T, D>,
    D: Fallible + ?Sized,
{
    fn deserialize_with(list: &ArchivedVec<U>, deserializer: &mut D) -> Result<Vec<T>, D::Error> {
        const { refuse_nothing::<U>() };
        list.as_slice().iter().map(|value| E::deserialize_with(value, deserializer)).collect()
    }
}

/// On the heap; in an arena, decode the pairs as a slice.
impl<U, K, V, H, E, D> DeserializeWith<ArchivedVec<U>, FlatMap<K, V, collections::Heap, H>, D> for List<E>
where
    K: Eq + Hash,
    H: BuildHasher + Default,
    E: DeserializeWith<U, (K, V), D>,
    D: Fallible + ?Sized,
{
    fn deserialize_with(
        list: &ArchivedVec<U>,
        deserializer: &mut D,
    ) -> Result<FlatMap<K, V, collections::Heap, H>, D::Error> {
        const { refuse_nothing::<U>() };
        let mut map = FlatMap::default();
        for pair in list.as_slice() {
            let (key, value) = E::deserialize_with(pair, deserializer)?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl<T: Archive, A: AnyArena> Archive for collections::Vec<T, &A> {
    type Archived = ArchivedVec<T::Archived>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(self, resolver, out);
    }
}

impl<T: Serialize<S>, A: AnyArena, S: Fallible + Writer + Allocator + ?Sized> Serialize<S> for collections::Vec<T, &A> {
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(self, serializer)
    }
}

impl<K: Archive, V: Archive, A: Memory, H> Archive for FlatMap<K, V, A, H> {
    type Archived = ArchivedVec<ArchivedTuple2<K::Archived, V::Archived>>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(self.as_slice(), resolver, out);
    }
}

impl<K, V, A, H, S> Serialize<S> for FlatMap<K, V, A, H>
where
    K: Serialize<S>,
    V: Serialize<S>,
    A: Memory,
    S: Fallible + Writer + Allocator + ?Sized,
{
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(self.as_slice(), serializer)
    }
}

impl<T: Archive, A: Memory, H> Archive for FlatSet<T, A, H> {
    type Archived = ArchivedVec<T::Archived>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(self.as_slice(), resolver, out);
    }
}

impl<T, A, H, S> Serialize<S> for FlatSet<T, A, H>
where
    T: Serialize<S>,
    A: Memory,
    S: Fallible + Writer + Allocator + ?Sized,
{
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(self.as_slice(), serializer)
    }
}
