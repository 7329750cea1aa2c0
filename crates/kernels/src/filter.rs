//! 3x3 convolution with fewer products: minimal filtering after Winograd.
//!
//! One dimension of a tile: a few inputs become `PRODUCTS` factors, each is multiplied with one factor made from the
//! three weights, and sums of the products are the outputs. Nested, it does the same for rows and columns of a plane. Between
//! the two transforms stand matrix products over the channels.

use crate::simd::Vector;

/// Most products of a filter in one dimension, which is also the most inputs.
pub(crate) const MOST_PRODUCTS: usize = 4;

/// Up to [`MOST_PRODUCTS`] things.
pub(crate) type Small<T> = [T; MOST_PRODUCTS];

/// A tile of a plane: where its inputs and outputs start; none outside the plane.
pub(crate) struct Tile {
    pub(crate) input: Small<Small<Option<u32>>>,
    pub(crate) output: Small<Small<Option<u32>>>,
}

/// A way to convolve with three taps in one dimension: `y[i] = sum of w[t] x[i + t]`.
pub(crate) trait Filter {
    /// Inputs of a tile.
    const INPUT: usize;
    /// Outputs of a tile.
    const OUTPUT: usize;
    /// Products of a tile.
    const PRODUCTS: usize;

    /// Inputs to factors. As unsafe as the methods of [`Vector`].
    unsafe fn input<V: Vector>(x: Small<V>) -> Small<V>;
    /// Products to outputs. As unsafe as the methods of [`Vector`].
    unsafe fn output<V: Vector>(m: Small<V>) -> Small<V>;
    /// Weights to factors.
    fn weight(w: [f64; 3]) -> Small<f64>;
}

/// F(2, 3): two outputs from four inputs with four products instead of six (Winograd 1980; Lavin and Gray 2016).
pub(crate) struct Winograd;

impl Filter for Winograd {
    const INPUT: usize = 4;
    const OUTPUT: usize = 2;
    const PRODUCTS: usize = 4;

    #[inline(always)]
    unsafe fn input<V: Vector>([a, b, c, d]: Small<V>) -> Small<V> {
        // SAFETY: the caller's.
        unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
    }

    #[inline(always)]
    unsafe fn output<V: Vector>([a, b, c, d]: Small<V>) -> Small<V> {
        // SAFETY: the caller's.
        unsafe { [a.add(b.add(c)), b.sub(c.add(d)), a, a] }
    }

    fn weight([a, b, c]: [f64; 3]) -> Small<f64> {
        [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c]
    }
}

/// A side of two positions between padding: both outputs from both inputs with three products instead of four. The matrix
/// `[[w1, w2], [w0, w1]]` has one diagonal, so that `w1 (x0 + x1)` serves both.
pub(crate) struct Pair;

impl Filter for Pair {
    const INPUT: usize = 2;
    const OUTPUT: usize = 2;
    const PRODUCTS: usize = 3;

    #[inline(always)]
    unsafe fn input<V: Vector>([a, b, _, _]: Small<V>) -> Small<V> {
        // SAFETY: the caller's.
        unsafe { [a, a.add(b), b, b] }
    }

    #[inline(always)]
    unsafe fn output<V: Vector>([a, b, c, _]: Small<V>) -> Small<V> {
        // SAFETY: the caller's.
        unsafe { [b.add(c), b.add(a), a, a] }
    }

    fn weight([a, b, c]: [f64; 3]) -> Small<f64> {
        [a - b, b, c - b, 0.0]
    }
}
