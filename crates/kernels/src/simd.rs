//! Vectors of f32, one type for each instruction set.

use std::array::from_fn;

use half::bf16;

/// Values in the widest register.
const MOST_LANES: usize = 16;

/// A vector register of f32 values.
///
/// # Safety
/// A method may only be called where the processor has the instruction set of the type, and inlines into a function
/// that enables it. Pointers are valid for [`LANES`](Self::LANES) values; no alignment is needed.
pub(crate) unsafe trait Vector: Copy {
    /// Values in a register.
    const LANES: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// Stores bf16 values, each the nearest one.
    #[inline(always)]
    unsafe fn store_half(self, to: *mut u16) {
        let mut values = [0.0; MOST_LANES];
        // SAFETY: the array has room for the lanes, and `to` is the caller's.
        unsafe {
            self.store(values.as_mut_ptr());
            for (i, value) in values.iter().enumerate().take(Self::LANES) {
                *to.add(i) = bf16::from_f32(*value).to_bits();
            }
        }
    }
    /// Asks for the cache line of `from`, which need not be valid.
    unsafe fn prefetch(from: *const f32);
    /// `self * factor + sum`, rounded once where the processor can.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
}

/// Factors of a product in a register, as its instructions take them: some rows of the weights for each lane of the sum.
///
/// # Safety
/// As for [`Vector`].
pub(crate) unsafe trait Factor: Copy {
    type Sum: Vector;
    type Value;
    /// Rows in a register.
    const DEPTH: usize;

    /// [`DEPTH`](Self::DEPTH) values, in every lane.
    unsafe fn splat(from: *const Self::Value) -> Self;
    /// [`DEPTH`](Self::DEPTH) values for each lane.
    unsafe fn load(from: *const Self::Value) -> Self;
    /// `self * other + sum`, lane by lane.
    unsafe fn multiply_add(self, other: Self, sum: Self::Sum) -> Self::Sum;
}

/// One f32 row.
#[derive(Clone, Copy)]
pub(crate) struct Single<V>(V);

// SAFETY: the methods are those of the vector.
unsafe impl<V: Vector> Factor for Single<V> {
    type Sum = V;
    type Value = f32;
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { V::splat(*from) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { V::load(from) })
    }
    #[inline(always)]
    unsafe fn multiply_add(self, other: Self, sum: V) -> V {
        // SAFETY: the caller's.
        unsafe { self.0.mul_add(other.0, sum) }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    (
        $(#[$doc:meta])* $name:ident, $register:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
        $add:ident, $sub:ident, $max:ident, $prefetch:expr, |$a:ident, $b:ident, $c:ident| $mul_add:expr
        $(, store_half: |$value:ident, $to:ident| $store_half:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($register);

        // SAFETY: each method is the one instruction that the trait names; who calls it has checked the processor.
        #[expect(clippy::undocumented_unsafe_blocks, reason = "said once for all methods, above")]
        #[allow(unused_unsafe, reason = "no prefetch is a safe expression")]
        unsafe impl Vector for $name {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                Self(unsafe { $splat(value) })
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                Self(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                Self(unsafe { $max(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn prefetch(from: *const f32) {
                unsafe { $prefetch(from.cast()) }
            }
            $(
                #[inline(always)]
                unsafe fn store_half(self, $to: *mut u16) {
                    let $value = self.0;
                    unsafe { $store_half }
                }
            )?
            #[inline(always)]
            unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
                let ($a, $b, $c) = (self.0, factor.0, sum.0);
                Self(unsafe { $mul_add })
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    vector!(
        /// AVX-512.
        Avx512, __m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        _mm512_add_ps, _mm512_sub_ps, _mm512_max_ps, _mm_prefetch::<_MM_HINT_T0>, |a, b, c| _mm512_fmadd_ps(a, b, c),
        store_half: |value, to| {
            let halves = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value));
            _mm256_storeu_si256(to.cast(), halves)
        }
    );
    /// Two bf16 rows, for AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Pairs(__m512bh);

    // SAFETY: `dpbf16` multiplies pairs of bf16 and adds them to f32; who calls it has checked the processor.
    unsafe impl super::Factor for Pairs {
        type Sum = Avx512;
        type Value = u16;
        const DEPTH: usize = 2;

        #[inline(always)]
        unsafe fn splat(from: *const u16) -> Self {
            // SAFETY: two values are there; bf16 and integer registers are the same.
            unsafe {
                let pair = from.cast::<i32>().read_unaligned();
                Self(std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(
                    pair,
                )))
            }
        }
        #[inline(always)]
        unsafe fn load(from: *const u16) -> Self {
            // SAFETY: as above.
            unsafe {
                let pairs = _mm512_loadu_si512(from.cast());
                Self(std::mem::transmute::<__m512i, __m512bh>(pairs))
            }
        }
        #[inline(always)]
        unsafe fn multiply_add(self, other: Self, sum: Avx512) -> Avx512 {
            // SAFETY: the caller's.
            Avx512(unsafe { _mm512_dpbf16_ps(sum.0, self.0, other.0) })
        }
    }

    vector!(
        /// AVX2 with FMA.
        Avx2, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_add_ps, _mm256_sub_ps, _mm256_max_ps, _mm_prefetch::<_MM_HINT_T0>, |a, b, c| _mm256_fmadd_ps(a, b, c)
    );
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Pairs};

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Vector;

    vector!(
        /// NEON.
        Neon, float32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32,
        vaddq_f32, vsubq_f32, vmaxq_f32, |_: *const f32| (), |a, b, c| vfmaq_f32(c, a, b)
    );
}
#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

/// Plain Rust, for a processor with none of the others: the compiler takes what every processor of the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

// SAFETY: plain Rust, which runs everywhere.
unsafe impl Vector for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the pointer is valid for four values, and an array of them needs no other alignment.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as in `load`.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i].max(other.0[i])))
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(from_fn(|i| self.0[i] * factor.0[i] + sum.0[i]))
    }
}
