//! What a request brings: owned text that the contenders borrow and copy from, made from a seed.

use crate::random::Random;

/// A request's input.
#[derive(Clone, Debug)]
pub struct Input {
    /// What is asked for, in order.
    pub proposals: Vec<ProposalInput>,
}

/// One proposal as it came in.
#[derive(Clone, Debug)]
pub struct ProposalInput {
    /// The proposal's id.
    pub id: [u8; 16],
    /// The VM's name, 16 bytes.
    pub vm: String,
    /// The tenant's name, 16 bytes.
    pub tenant: String,
    /// Pairs in the order of insertion; of two with one key the later wins.
    pub metadata: Vec<(String, String)>,
    /// Nodes and their scores.
    pub scores: Vec<(u64, f64)>,
    /// The node chosen, four digits.
    pub node: u32,
}

const PROPOSALS: usize = 16;

const KEYS: [&str; 24] = [
    "region",
    "zone",
    "rack",
    "image",
    "kernel",
    "flavor",
    "owner",
    "project",
    "cost-center",
    "environment",
    "release",
    "tier",
    "backup",
    "snapshot",
    "network",
    "subnet",
    "firewall",
    "monitor",
    "priority",
    "lifecycle",
    "created-by",
    "ticket",
    "contact",
    "compliance",
];

impl Input {
    /// The reference request: 4 pairs with different keys and 8 scores in each proposal.
    #[must_use]
    pub fn reference() -> Self {
        let mut random = Random::new(1);
        let proposals = (0..PROPOSALS)
            .map(|index| {
                let keys = [0, 1, 2, 3].map(|step| KEYS[(index + 5 * step) % KEYS.len()]);
                random.proposal(&keys, 8)
            })
            .collect();
        Self { proposals }
    }

    /// `count` requests of the random variant.
    #[must_use]
    pub fn random(count: usize, seed: u64) -> Vec<Self> {
        let mut random = Random::new(seed);
        let mut one = || {
            let proposals = (0..PROPOSALS)
                .map(|_| {
                    let keys: Vec<&str> = (0..random.below(13)).map(|_| KEYS[random.below(KEYS.len())]).collect();
                    let scores = random.below(41);
                    random.proposal(&keys, scores)
                })
                .collect();
            Self { proposals }
        };
        (0..count).map(|_| one()).collect()
    }
}

impl Random {
    fn proposal(&mut self, keys: &[&str], scores: usize) -> ProposalInput {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_le_bytes());
        id[8..].copy_from_slice(&self.next().to_le_bytes());
        ProposalInput {
            id,
            vm: format!("vm-{:013x}", self.next() >> 12),
            tenant: format!("tenant-{:09x}", self.next() >> 28),
            metadata: keys.iter().map(|key| ((*key).to_owned(), format!("value-{:06x}", self.next() >> 40))).collect(),
            scores: (0..scores)
                .map(|_| (self.next() % 10_000, f64::from(u32::try_from(self.next() >> 32).expect("32 bits")) / 1e9))
                .collect(),
            node: u32::try_from(1000 + self.below(9000)).expect("four digits"),
        }
    }
}
