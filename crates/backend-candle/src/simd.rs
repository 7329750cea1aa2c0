//! Vectors of f32, one type for each instruction set.

use std::array::from_fn;

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
    /// Asks for the cache line of `from`, which need not be valid.
    unsafe fn prefetch(from: *const f32);
    /// `self * factor + sum`, rounded once where the processor can.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    (
        $(#[$doc:meta])* $name:ident, $register:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
        $add:ident, $sub:ident, $max:ident, $prefetch:expr, |$a:ident, $b:ident, $c:ident| $mul_add:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($register);

        // SAFETY: each method is the one instruction that the trait names; who calls it has checked the processor.
        #[expect(clippy::undocumented_unsafe_blocks, reason = "said once for all methods, above")]
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
        _mm512_add_ps, _mm512_sub_ps, _mm512_max_ps, _mm_prefetch::<_MM_HINT_T0>, |a, b, c| _mm512_fmadd_ps(a, b, c)
    );
    vector!(
        /// AVX2 with FMA.
        Avx2, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_add_ps, _mm256_sub_ps, _mm256_max_ps, _mm_prefetch::<_MM_HINT_T0>, |a, b, c| _mm256_fmadd_ps(a, b, c)
    );
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

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
