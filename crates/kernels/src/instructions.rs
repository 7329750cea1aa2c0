//! Instruction sets that the inner loops are compiled for.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Precision, Result};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use crate::amx;
use crate::kernel::{self, Kernels};

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// AVX-512 of x86-64 with the tiles of AMX, for bf16.
    Amx,
    /// AVX-512 of x86-64, with AVX512-BF16 for bf16.
    Avx512,
    /// AVX2 and FMA of x86-64.
    Avx2,
    /// NEON of 64-bit Arm.
    Neon,
    /// What every processor has that driftline is compiled for.
    Portable,
}

impl Instructions {
    /// All of them, the fastest first.
    pub const ALL: [Self; 5] = [
        Self::Amx,
        Self::Avx512,
        Self::Avx2,
        Self::Neon,
        Self::Portable,
    ];

    /// Those of this processor with loops for `precision`, the fastest first.
    pub fn supported(precision: Precision) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |instructions| instructions.kernels(precision).is_some())
    }

    /// The fastest of this processor for `precision`.
    ///
    /// # Errors
    /// `Unsupported` when this processor has none.
    pub fn fastest(precision: Precision) -> Result<Self> {
        Self::supported(precision).next().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!("this processor has no instructions for {precision}"),
            )
            .remedy("use `backend.precision=fp32`")
        })
    }

    /// The loops for `precision`, if this processor has the set.
    pub(crate) fn kernels(self, precision: Precision) -> Option<&'static Kernels> {
        let half = match precision {
            Precision::Fp32 => false,
            Precision::Bf16 => true,
            _ => return None,
        };
        #[cfg(target_arch = "x86_64")]
        let avx512 = std::is_x86_feature_detected!("avx512f");
        #[cfg(target_arch = "x86_64")]
        let avx512_bf16 = avx512 && std::is_x86_feature_detected!("avx512bf16");
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx if half && avx512_bf16 && amx::is_there() => Some(&kernel::amx_bf16::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if half && avx512_bf16 => Some(&kernel::avx512_bf16::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if !half && avx512 => Some(&kernel::avx512::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2
                if !half
                    && std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma") =>
            {
                Some(&kernel::avx2::KERNELS)
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon if !half && std::arch::is_aarch64_feature_detected!("neon") => {
                Some(&kernel::neon::KERNELS)
            }
            Self::Portable if !half => Some(&kernel::portable::KERNELS),
            _ => None,
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amx => "amx",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}

impl FromStr for Instructions {
    type Err = Error;

    /// Reads the name of a set.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|set| set.to_string() == name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "open backend",
                    format!("there is no instruction set `{name}`"),
                )
            })
    }
}
