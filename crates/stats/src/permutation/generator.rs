//! Random numbers of a permutation.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The random number generator of one permutation: the same on any number of threads.
pub(crate) fn generator(seed: u64, permutation: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(permutation);
    random
}
