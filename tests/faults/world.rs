//! What requests share: pools, caches, names, an archive, a table on disk.
#![forbid(unsafe_code)]

use crate::guests::{Guest, tick};
use crate::samples::PROPOSAL;
use blixard_arena::arc::{ArcCache, CacheReader, WeakCache};
use blixard_arena::intern::StringPool;
use blixard_arena::mapped::TableBuilder;
use blixard_arena::pool::{BufferPool, TypedObjectPool};
use blixard_arena::{ArenaOptions, ArenaPool, archive};
use bytes::Bytes;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub(crate) type Objects = TypedObjectPool<Vec<Guest>>;

/// What requests share: pools, caches, a table on disk. Warm, but for the arenas, where a request brings nothing.
pub(crate) struct World {
    pub(crate) arenas: ArenaPool,
    pub(crate) names: StringPool,
    pub(crate) objects: Objects,
    pub(crate) buffers: BufferPool,
    pub(crate) cache: ArcCache<u32, Guest>,
    pub(crate) weak: WeakCache<u32, Guest>,
    pub(crate) reader: RefCell<CacheReader<u32, Guest>>,
    pub(crate) held: Arc<Guest>,
    pub(crate) archive: Bytes,
}

impl World {
    pub(crate) fn new() -> Self {
        let objects = TypedObjectPool::builder(|| Vec::with_capacity(4))
            .reset(|guests: &mut Vec<Guest>| {
                tick();
                guests.clear();
            })
            .check(|guests| {
                tick();
                guests.is_empty()
            })
            .retained_bytes(|guests| {
                tick();
                guests.capacity() * size_of::<Guest>()
            })
            .leak_sites_one_in(0)
            .build();
        let buffers = BufferPool::new();
        drop((objects.acquire(), buffers.acquire(100)));
        let (cache, weak) = (ArcCache::with_entries_max(8), WeakCache::new());
        let held = weak.get_or_build(&1, || Guest::new(1));
        cache.insert(1, Guest::new(1));
        let mut reader = cache.reader();
        assert_eq!(reader.get(&1).expect("just inserted").worth, 1);
        let archive = archive::encode(&PROPOSAL).expect("small");
        // A pool that has come and gone: this thread looks after it when it meets the next one.
        let gone = ArenaPool::new();
        let guard = gone.acquire();
        drop(gone);
        drop(guard);
        let (arenas, names) = (ArenaOptions::new().first_chunk_bytes(256).pool(), StringPool::new());
        Self { arenas, names, objects, buffers, cache, weak, reader: RefCell::new(reader), held, archive }
    }

    /// Asserts that the last request has left nothing out, and that what lies idle can be let go.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self) {
        let arenas = self.arenas.figures();
        assert_eq!((arenas.acquired, arenas.live), (arenas.returned, 0), "{arenas:?}");
        for pool in self.buffers.figures().into_iter().chain([self.objects.figures()]) {
            assert_eq!((pool.live, pool.created), (0, pool.idle as u64 + pool.dropped + pool.detached), "{pool}");
        }
        let names = self.names.figures();
        assert_eq!(names.pins, 0, "{names:?}");
        self.names.sweep();
        let names = self.names.figures();
        assert_eq!((names.entries, names.entered, names.bytes), (0, names.freed, names.table_bytes), "{names:?}");
        self.arenas.trim();
        assert_eq!(self.arenas.figures().idle, 0);
        assert_eq!(self.cache.figures().entries, 1);
    }
}

/// The file of a table that requests open.
pub(crate) struct TableFile;

impl TableFile {
    /// The process that wrote it: this one, or the parent of this one.
    pub(crate) const WRITER: &str = "BLIXARD_FAULTS_WRITER";

    /// Writes the file, unless a parent has. It goes when this is dropped.
    pub(crate) fn written() -> Option<Self> {
        Self::path();
        if std::env::var(Self::WRITER).is_ok() {
            return None;
        }
        let mut builder = TableBuilder::new();
        for number in 0..2000 {
            builder.add(&format!("node-{number}")).expect("few");
        }
        builder.write(Self::path()).expect("a folder for the tests' files");
        Some(Self)
    }

    pub(crate) fn path() -> &'static PathBuf {
        static PATH: OnceLock<PathBuf> = OnceLock::new();
        PATH.get_or_init(|| {
            let writer = std::env::var(Self::WRITER).unwrap_or_else(|_| std::process::id().to_string());
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{writer}.table"))
        })
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(Self::path()));
    }
}
