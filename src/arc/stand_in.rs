//! What loom runs in quick_cache's place, whose locks it cannot see: a lock and a list, with the calls that `cache` makes.
//!
//! Stands under `cache` in models alone, and does what `cache` counts on: one lock, under which who leaves is told; whoever is
//! replaced by a value of its own key leaves too. The oldest is evicted. Cost: no part of what ships.
#![forbid(unsafe_code)]

use crate::sync::{RwLock, read, write};
use quick_cache::{Equivalent, Lifecycle, Weighter};
use std::marker::PhantomData;

pub(super) struct Cache<K, V, We, B, L> {
    list: RwLock<Vec<(K, V)>>,
    weight_max: u64,
    weights: We,
    lifecycle: L,
    hasher: PhantomData<B>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct OptionsBuilder {
    weight_max: u64,
}

impl OptionsBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn shards(&mut self, _: usize) -> &mut Self {
        self
    }

    pub(super) fn estimated_items_capacity(&mut self, _: usize) -> &mut Self {
        self
    }

    pub(super) fn weight_capacity(&mut self, weight: u64) -> &mut Self {
        self.weight_max = weight;
        self
    }

    pub(super) fn build(&self) -> Option<Self> {
        Some(*self)
    }
}

impl<K: Eq, V: Clone, We: Weighter<K, V>, B, L: Lifecycle<K, V>> Cache<K, V, We, B, L> {
    pub(super) fn with_options(options: OptionsBuilder, weights: We, _: B, lifecycle: L) -> Self {
        let (list, weight_max) = (RwLock::new(Vec::new()), options.weight_max);
        Self { list, weight_max, weights, lifecycle, hasher: PhantomData }
    }

    pub(super) fn get<Q: Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        read(&self.list).iter().find(|(entered, _)| key.equivalent(entered)).map(|(_, value)| value.clone())
    }

    pub(super) fn peek<Q: Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.get(key)
    }

    pub(super) fn remove_if<Q: Equivalent<K> + ?Sized>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Option<(K, V)> {
        let mut list = write(&self.list);
        let at = list.iter().position(|(entered, _)| key.equivalent(entered))?;
        f(&list[at].1).then(|| list.remove(at))
    }

    pub(super) fn drain(&self) -> impl Iterator<Item = (K, V)> {
        std::mem::take(&mut *write(&self.list)).into_iter()
    }

    pub(super) fn insert_with_lifecycle(&self, key: K, value: V, left: &mut L::RequestState) {
        let mut list = write(&self.list);
        if let Some(at) = list.iter().position(|(entered, _)| *entered == key) {
            let (key, value) = list.remove(at);
            self.lifecycle.on_evict(left, key, value);
        }
        list.push((key, value));
        while list.iter().map(|(key, value)| self.weights.weight(key, value)).sum::<u64>() > self.weight_max {
            let (key, value) = list.remove(0);
            self.lifecycle.on_evict(left, key, value);
        }
    }

    pub(super) fn len(&self) -> usize {
        read(&self.list).len()
    }

    pub(super) fn weight(&self) -> u64 {
        read(&self.list).iter().map(|(key, value)| self.weights.weight(key, value)).sum()
    }
}
