//! k-means with k-means++ starts, deterministic across thread counts.
//!
//! Starts are compared on a subsample, the best one is refined on all rows by Lloyd's iteration. Rows are processed in
//! chunks of fixed size whose sums are added in order, so that the result does not depend on the number of threads.

use driftline_core::{Error, ErrorKind, Result};
use gemm::{Parallelism, gemm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Rows in a chunk.
const CHUNK: usize = 1024;

/// Rows whose products with the centroids are found at once, always so many: kernels are chosen by the size of a product
/// and round differently, and no row may change its cluster with the rows around it.
const BLOCK: usize = 64;

/// Rows that the starts are compared on.
const SUBSAMPLE: usize = 8192;

/// Number of clusters that shares are counted over unless another is asked for, as in Fiddler: enough to tell most kinds of image
/// apart, with enough rows in each.
pub const DEFAULT_CLUSTERS: usize = 5;

/// How clusters are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KMeansConfig {
    /// Seed of the starts.
    pub seed: u64,
    /// Independent k-means++ starts.
    pub starts: usize,
    /// Largest number of Lloyd iterations.
    pub max_iterations: usize,
    /// Iteration ends when the squared movement of all centroids is at most this times the mean variance of the
    /// components (scikit-learn's rule), or when no row changes its cluster.
    pub tolerance: f64,
}

impl Default for KMeansConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            starts: 8,
            max_iterations: 300,
            tolerance: 1e-4,
        }
    }
}

/// Centroids of clusters, from the largest cluster to the smallest.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    dim: usize,
    /// f32 `[k, dim]`, row-major.
    centroids: Vec<f32>,
    /// Half the squared length of each centroid.
    half_norms: Vec<f32>,
    inertia: f64,
}

/// One pass over the rows.
struct Pass {
    labels: Vec<u32>,
    sums: Vec<f64>,
    counts: Vec<u64>,
    inertia: f64,
}

impl KMeans {
    /// Finds `k` clusters in `rows`, f32 `[N, dim]`, all finite, `N >= k >= 1`.
    pub fn fit(rows: &[f32], dim: usize, k: usize, config: &KMeansConfig) -> Result<Self> {
        let n = check(rows, dim)?;
        if k == 0 || k > n {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "find clusters",
                format!("{k} clusters cannot be found in {n} rows"),
            )
            .remedy("ask for at least 1 cluster and bring at least as many rows as clusters"));
        }
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "find clusters",
                format!("an embedding holds {}", rows[at]),
            )
            .with("row", at / dim));
        }
        let threshold = config.tolerance * mean_variance(rows, dim);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let subsample = subsample(rows, dim, &mut rng);
        let best = (0..config.starts.max(1))
            .map(|_| {
                let start = Self::new(dim, plus_plus(&subsample, dim, k, &mut rng));
                start.lloyd(&subsample, config.max_iterations, threshold)
            })
            .min_by(|a, b| a.inertia.total_cmp(&b.inertia));
        let best = best.unwrap_or_else(|| Self::new(dim, Vec::new()));
        let fitted = best.lloyd(rows, config.max_iterations, threshold);
        fitted.canonical(rows)
    }

    /// Clusters that were found before, from their centroids, f32 `[k, dim]`, `k >= 1`, all finite. Their inertia is not
    /// known: it is infinite.
    pub fn from_centroids(centroids: Vec<f32>, dim: usize) -> Result<Self> {
        let k = check(&centroids, dim)?;
        if k == 0 || centroids.iter().any(|value| !value.is_finite()) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "read clusters",
                format!("{k} centroids of {dim} values that are not all finite are no clusters"),
            ));
        }
        Ok(Self::new(dim, centroids))
    }

    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.half_norms.len()
    }

    fn new(dim: usize, centroids: Vec<f32>) -> Self {
        let half_norms = centroids
            .chunks_exact(dim)
            .map(|centroid| centroid.iter().map(|c| c * c).sum::<f32>() / 2.0)
            .collect();
        Self {
            dim,
            centroids,
            half_norms,
            inertia: f64::INFINITY,
        }
    }

    /// f32 `[k, dim]`, row-major.
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// Sum over the rows it was fitted on of the squared distance to the nearest centroid.
    pub fn inertia(&self) -> f64 {
        self.inertia
    }

    /// The centroid nearest to each row of `rows`, f32 `[N, dim]`.
    pub fn labels(&self, rows: &[f32]) -> Result<Vec<u32>> {
        check(rows, self.dim)?;
        let labels = rows.par_chunks(CHUNK * self.dim);
        Ok(labels.flat_map_iter(|chunk| self.assign(chunk)).collect())
    }

    /// Rows of `rows`, f32 `[N, dim]`, nearest to each centroid.
    pub fn histogram(&self, rows: &[f32]) -> Result<Vec<u64>> {
        let mut counts = vec![0; self.half_norms.len()];
        for label in self.labels(rows)? {
            counts[label as usize] += 1;
        }
        Ok(counts)
    }

    /// Adds to `counts` the rows nearest to each centroid, on this thread.
    pub(crate) fn count(&self, rows: &[f32], counts: &mut [u64]) {
        for label in self.assign(rows) {
            counts[label as usize] += 1;
        }
    }

    /// The nearest centroid of each row: the least of `|c|^2 / 2 - x c`.
    fn assign(&self, rows: &[f32]) -> Vec<u32> {
        let (k, dim) = (self.half_norms.len(), self.dim);
        let mut labels = Vec::with_capacity(rows.len() / dim);
        let mut products = vec![0_f32; BLOCK * k];
        let mut padded = Vec::new();
        for block in rows.chunks(BLOCK * dim) {
            let whole = if block.len() == BLOCK * dim {
                block
            } else {
                padded.extend_from_slice(block);
                padded.resize(BLOCK * dim, 0.0);
                &padded
            };
            self.products(whole, &mut products);
            let rows = products.chunks_exact(k).take(block.len() / dim);
            labels.extend(rows.map(|products| self.nearest(products)));
        }
        labels
    }

    /// The products of [`BLOCK`] rows with the centroids, `[BLOCK, k]`.
    fn products(&self, rows: &[f32], products: &mut [f32]) {
        let (k, dim) = (self.half_norms.len(), self.dim);
        assert_eq!((rows.len(), products.len()), (BLOCK * dim, BLOCK * k));
        // SAFETY: the three matrices are dense and row-major: [n, k], [n, dim] and [k, dim] read as its transpose.
        unsafe {
            gemm(
                BLOCK,
                k,
                dim,
                products.as_mut_ptr(),
                1,
                k as isize,
                false,
                rows.as_ptr(),
                1,
                dim as isize,
                self.centroids.as_ptr(),
                dim as isize,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }

    fn nearest(&self, products: &[f32]) -> u32 {
        let mut nearest = (0, f32::INFINITY);
        for (j, (product, half_norm)) in products.iter().zip(&self.half_norms).enumerate() {
            let distance = half_norm - product;
            if distance < nearest.1 {
                nearest = (j as u32, distance);
            }
        }
        nearest.0
    }

    fn pass(&self, rows: &[f32]) -> Pass {
        let (k, dim) = (self.half_norms.len(), self.dim);
        let parts: Vec<Pass> = rows
            .par_chunks(CHUNK * dim)
            .map(|chunk| {
                let labels = self.assign(chunk);
                let mut sums = vec![0_f64; k * dim];
                let mut counts = vec![0; k];
                let mut inertia = 0.0;
                for (row, label) in chunk.chunks_exact(dim).zip(&labels) {
                    let label = *label as usize;
                    counts[label] += 1;
                    let mut squares = 0_f32;
                    let centroid = &self.centroids[label * dim..][..dim];
                    let sum = &mut sums[label * dim..][..dim];
                    for ((sum, x), c) in sum.iter_mut().zip(row).zip(centroid) {
                        *sum += f64::from(*x);
                        squares += (x - c) * (x - c);
                    }
                    inertia += f64::from(squares);
                }
                Pass {
                    labels,
                    sums,
                    counts,
                    inertia,
                }
            })
            .collect();
        let mut whole = Pass {
            labels: Vec::with_capacity(rows.len() / dim),
            sums: vec![0.0; k * dim],
            counts: vec![0; k],
            inertia: 0.0,
        };
        for part in parts {
            whole.labels.extend(part.labels);
            whole.inertia += part.inertia;
            for (sum, value) in whole.sums.iter_mut().zip(part.sums) {
                *sum += value;
            }
            for (sum, count) in whole.counts.iter_mut().zip(part.counts) {
                *sum += count;
            }
        }
        whole
    }

    fn lloyd(mut self, rows: &[f32], max_iterations: usize, threshold: f64) -> Self {
        let dim = self.dim;
        let mut before = Vec::new();
        for _ in 0..max_iterations {
            let pass = self.pass(rows);
            self.inertia = pass.inertia;
            if pass.labels == before {
                return self;
            }
            let mut centroids = self.centroids.clone();
            for (j, count) in pass.counts.iter().enumerate() {
                let centroid = &mut centroids[j * dim..][..dim];
                if *count == 0 {
                    centroid.copy_from_slice(self.farthest(rows, &pass.labels));
                } else {
                    for (c, sum) in centroid.iter_mut().zip(&pass.sums[j * dim..]) {
                        *c = (sum / *count as f64) as f32;
                    }
                }
            }
            let movement: f64 = centroids
                .iter()
                .zip(&self.centroids)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            self = Self::new(dim, centroids);
            before = pass.labels;
            if movement <= threshold {
                break;
            }
        }
        self.inertia = self.pass(rows).inertia;
        self
    }

    /// The row farthest from its centroid, which takes the place of an empty cluster.
    fn farthest<'a>(&self, rows: &'a [f32], labels: &[u32]) -> &'a [f32] {
        let distance = |row: &[f32], label: u32| {
            let centroid = &self.centroids[label as usize * self.dim..][..self.dim];
            squared_distance(row, centroid)
        };
        rows.chunks_exact(self.dim)
            .zip(labels)
            .max_by(|(a, i), (b, j)| distance(a, **i).total_cmp(&distance(b, **j)))
            .map_or(&rows[..self.dim], |(row, _)| row)
    }

    /// The same clusters from the largest to the smallest.
    fn canonical(self, rows: &[f32]) -> Result<Self> {
        let counts = self.histogram(rows)?;
        let mut clusters: Vec<(&[f32], u64)> =
            self.centroids.chunks_exact(self.dim).zip(counts).collect();
        clusters.sort_by(|(a, m), (b, n)| {
            let values = a.iter().zip(*b).map(|(x, y)| x.total_cmp(y));
            let order = values.into_iter().find(|order| order.is_ne());
            n.cmp(m).then(order.unwrap_or(std::cmp::Ordering::Equal))
        });
        let centroids = clusters
            .iter()
            .flat_map(|(c, _)| c.iter().copied())
            .collect();
        Ok(Self {
            inertia: self.inertia,
            ..Self::new(self.dim, centroids)
        })
    }
}

fn check(rows: &[f32], dim: usize) -> Result<usize> {
    if dim == 0 || !rows.len().is_multiple_of(dim) {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "read embeddings",
            format!("{} values are not rows of {dim} values", rows.len()),
        ));
    }
    Ok(rows.len() / dim)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Mean over the components of their variance over the rows.
fn mean_variance(rows: &[f32], dim: usize) -> f64 {
    let n = (rows.len() / dim) as f64;
    // The sums of all components, then the sums of their squares.
    let parts: Vec<Vec<f64>> = rows
        .par_chunks(CHUNK * dim)
        .map(|chunk| {
            let mut both = vec![0.0; 2 * dim];
            let (sums, squares) = both.split_at_mut(dim);
            for row in chunk.chunks_exact(dim) {
                for ((sum, square), x) in sums.iter_mut().zip(squares.iter_mut()).zip(row) {
                    *sum += f64::from(*x);
                    *square += f64::from(*x).powi(2);
                }
            }
            both
        })
        .collect();
    let total = |at: usize| -> f64 { parts.iter().map(|part| part[at]).sum() };
    let variances = (0..dim).map(|component| {
        let mean = total(component) / n;
        (total(dim + component) / n - mean * mean).max(0.0)
    });
    variances.sum::<f64>() / dim as f64
}

/// At most [`SUBSAMPLE`] rows, drawn without repetition.
fn subsample(rows: &[f32], dim: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = rows.len() / dim;
    if n <= SUBSAMPLE {
        return rows.to_vec();
    }
    let mut chosen = rand::seq::index::sample(rng, n, SUBSAMPLE).into_vec();
    chosen.sort_unstable();
    chosen
        .into_iter()
        .flat_map(|row| &rows[row * dim..][..dim])
        .copied()
        .collect()
}

/// k-means++: every further centroid is a row drawn in proportion to its squared distance to the nearest one so far,
/// the best of `2 + ln k` draws (Arthur and Vassilvitskii 2007, greedy variant).
fn plus_plus(rows: &[f32], dim: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = rows.len() / dim;
    let row = |i: usize| &rows[i * dim..][..dim];
    let distances = |centroid: &[f32]| -> Vec<f32> {
        rows.par_chunks_exact(dim)
            .with_min_len(CHUNK)
            .map(|row| squared_distance(row, centroid))
            .collect()
    };
    let candidates = 2 + (k as f64).ln() as usize;
    let mut centroids = row(rng.random_range(0..n)).to_vec();
    let mut nearest = distances(&centroids);
    while centroids.len() < k * dim {
        let total: f64 = nearest.iter().map(|d| f64::from(*d)).sum();
        let mut best: Option<(f64, usize, Vec<f32>)> = None;
        for _ in 0..candidates {
            let mut left = rng.random::<f64>() * total;
            let chosen = nearest
                .iter()
                .position(|d| {
                    left -= f64::from(*d);
                    left <= 0.0
                })
                .unwrap_or(n - 1);
            let mut after = distances(row(chosen));
            for (a, b) in after.iter_mut().zip(&nearest) {
                *a = a.min(*b);
            }
            let potential: f64 = after.iter().map(|d| f64::from(*d)).sum();
            if best.as_ref().is_none_or(|(least, ..)| potential < *least) {
                best = Some((potential, chosen, after));
            }
        }
        if let Some((_, chosen, after)) = best {
            centroids.extend_from_slice(row(chosen));
            nearest = after;
        }
    }
    centroids
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` rows around `k` well separated centres.
    fn blobs(n: usize, dim: usize, k: usize) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        (0..n)
            .flat_map(|i| {
                let centre = (i % k) as f32 * 10.0;
                (0..dim)
                    .map(|_| centre + rng.random_range(-1.0_f32..1.0))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn separated_clusters_are_found() {
        let rows = blobs(3_000, 4, 3);
        let fitted = KMeans::fit(&rows, 4, 3, &KMeansConfig::default()).unwrap();
        assert_eq!(fitted.histogram(&rows).unwrap(), [1_000; 3]);
        let mut firsts: Vec<f32> = fitted.centroids().chunks_exact(4).map(|c| c[0]).collect();
        firsts.sort_by(f32::total_cmp);
        for (found, expected) in firsts.iter().zip([0.0, 10.0, 20.0]) {
            assert!((found - expected).abs() < 0.1, "{found}");
        }
        // Uniform noise on (-1, 1): a variance of 1/3 in each component.
        let expected = 3_000.0 * 4.0 / 3.0;
        assert!((fitted.inertia() / expected - 1.0).abs() < 0.05);
    }

    #[test]
    fn threads_change_nothing() {
        let rows = blobs(20_000, 8, 7);
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| KMeans::fit(&rows, 8, 5, &KMeansConfig::default()).unwrap())
        };
        assert_eq!(fit(1), fit(3));
    }

    #[test]
    fn no_row_changes_its_cluster_with_the_rows_around_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (dim, k) in [(1, 2), (2, 3), (3, 5), (32, 10), (128, 5), (600, 3)] {
            let centroids: Vec<f32> = (0..k * dim).map(|_| rng.random()).collect();
            let clusters = KMeans::from_centroids(centroids, dim).unwrap();
            // Half-way between two centroids rounding decides.
            let mut rows = Vec::new();
            for _ in 0..150 {
                let (i, j) = (rng.random_range(0..k), rng.random_range(0..k));
                let [a, b] = [i, j].map(|at| &clusters.centroids()[at * dim..][..dim]);
                rows.extend(a.iter().zip(b).map(|(a, b)| (a + b) / 2.0));
            }
            let whole = clusters.assign(&rows);
            for size in [1, 2, 5, 40, 64, 100] {
                let parts = rows.chunks(size * dim);
                let labels: Vec<u32> = parts.flat_map(|part| clusters.assign(part)).collect();
                assert_eq!(labels, whole, "{dim} {k} {size}");
            }
        }
    }

    #[test]
    fn equal_rows_and_as_many_clusters_as_rows_work() {
        let same = vec![1.0; 40];
        let fitted = KMeans::fit(&same, 4, 3, &KMeansConfig::default()).unwrap();
        assert_eq!(fitted.histogram(&same).unwrap().iter().sum::<u64>(), 10);
        let rows = blobs(3, 2, 3);
        let fitted = KMeans::fit(&rows, 2, 3, &KMeansConfig::default()).unwrap();
        assert_eq!(fitted.histogram(&rows).unwrap(), [1; 3]);
    }

    #[test]
    fn bad_input_is_refused() {
        let config = KMeansConfig::default();
        let rows = [0.0, 1.0, f32::NAN, 3.0];
        let error = KMeans::fit(&rows, 2, 1, &config).unwrap_err().to_string();
        assert!(error.contains("(row: 1)"), "{error}");
        for (dim, k) in [(3, 1), (2, 0), (2, 3), (0, 1)] {
            assert!(KMeans::fit(&rows, dim, k, &config).is_err());
        }
    }
}
