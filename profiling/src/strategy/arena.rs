//! Strategy `arena`: each request gets an arena from the pool and returns it as a whole.

use blixard_arena::ArenaPool;
use blixard_arena::arena::PoolFigures;

use super::serve_in;
use crate::replay::{Desk, Phase, Strategy};
use crate::request::RequestError;

/// Serves each request in an arena of its own.
#[derive(Debug, Default)]
pub struct PerRequest {
    pool: ArenaPool,
}

impl PerRequest {
    /// Takes its arenas from a pool with options of its own.
    #[must_use]
    pub fn over(pool: ArenaPool) -> Self {
        Self { pool }
    }
}

impl Strategy for PerRequest {
    fn serve(&self, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
        desk.clock.begin();
        let arena = self.pool.acquire();
        serve_in(&*arena, desk, bytes)?;

        drop(arena);
        desk.clock.lap(Phase::Release);
        Ok(())
    }

    fn arenas(&self) -> Option<PoolFigures> {
        Some(self.pool.figures())
    }
}
