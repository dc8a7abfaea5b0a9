//! Strategy `shared-arena`: as `arena`, with an arena that any thread and task of the request may use.

use blixard_arena::ArenaPool;
use blixard_arena::arena::PoolFigures;

use super::serve_in;
use crate::replay::{Desk, Phase, Strategy};
use crate::request::RequestError;

/// Serves each request in a shared arena of its own.
#[derive(Debug, Default)]
pub struct PerRequestShared {
    pool: ArenaPool,
}

impl PerRequestShared {
    /// Takes its arenas from a pool with options of its own.
    #[must_use]
    pub fn over(pool: ArenaPool) -> Self {
        Self { pool }
    }
}

impl Strategy for PerRequestShared {
    fn serve(&self, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
        desk.clock.begin();
        let arena = self.pool.acquire_shared();
        serve_in(&*arena, desk, bytes)?;

        drop(arena);
        desk.clock.lap(Phase::Release);
        Ok(())
    }

    fn arenas(&self) -> Option<PoolFigures> {
        Some(self.pool.figures())
    }
}
