//! Damage to a file.

use std::fs;
use std::io;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Flips one bit of a file, chosen by `seed`; an empty file stays as it is. Returns the byte's place and the bit.
///
/// # Errors
/// Those of the file system.
pub fn flip(path: &Path, seed: u64) -> io::Result<(usize, u8)> {
    let mut bytes = fs::read(path)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let at = random.random_range(0..bytes.len().max(1));
    let bit = random.random_range(0..8_u8);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
    fs::write(path, bytes)?;
    Ok((at, bit))
}
