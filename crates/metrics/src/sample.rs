//! Seeded samples of rows that do not depend on the order in which rows are met.

use std::collections::BTreeMap;

/// At most `size` things, those whose names hash to the least numbers. Samples of parts merge into the sample of the
/// whole.
#[derive(Debug, Clone)]
pub(crate) struct HashedSample<T> {
    kept: BTreeMap<(u64, String), T>,
}

impl<T> Default for HashedSample<T> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
        }
    }
}

impl<T> HashedSample<T> {
    /// Offers a thing by its unique name; `make` is called only if it is taken.
    pub(crate) fn offer(&mut self, size: usize, name: &str, make: impl FnOnce() -> T) {
        let hash = hash(name);
        if self.kept.len() >= size
            && self
                .kept
                .last_key_value()
                .is_none_or(|((greatest, _), _)| hash > *greatest)
        {
            return;
        }
        self.kept.insert((hash, name.to_owned()), make());
        self.shrink(size);
    }

    /// Takes over what belongs into the sample of both.
    pub(crate) fn merge(&mut self, size: usize, other: Self) {
        self.kept.extend(other.kept);
        self.shrink(size);
    }

    /// In random, but always the same order: any number of the first ones is a sample as well.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.kept.into_values()
    }

    fn shrink(&mut self, size: usize) {
        while self.kept.len() > size {
            self.kept.pop_last();
        }
    }
}

/// FNV-1a, whose bits are then mixed so that names which differ in their last digit lie far apart.
fn hash(name: &str) -> u64 {
    let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_any_order_give_the_same_sample() {
        let whole = |order: &mut dyn Iterator<Item = u32>| {
            let mut sample = HashedSample::default();
            for i in order {
                sample.offer(50, &format!("e{i}"), || i);
            }
            sample
        };
        let expected: Vec<u32> = whole(&mut (0..1_000)).into_values().collect();
        let mut merged = whole(&mut (400..1_000).rev());
        merged.merge(50, whole(&mut (0..400)));
        assert_eq!(merged.into_values().collect::<Vec<_>>(), expected);
        assert_eq!(expected.len(), 50);
        // A fair sample of 0..1000 has a mean of 500 +- 41.
        let mean = f64::from(expected.iter().sum::<u32>()) / 50.0;
        assert!((mean - 499.5).abs() < 123.0, "{mean}");
    }
}
