//! Instruction sets that the inner loops are compiled for.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};

use crate::kernel::{self, Kernels};

/// Variable that names the instruction set, for a comparison or a test; without it the best one of the processor is used.
pub const VARIABLE: &str = "DRIFTLINE_CANDLE_INSTRUCTIONS";

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// AVX-512 of x86-64.
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
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Those of this processor, the fastest first; the last is always [`Self::Portable`].
    pub fn supported() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|instructions| instructions.kernels().is_some())
    }

    /// The set that [`VARIABLE`] names, or the fastest of this processor.
    ///
    /// # Errors
    /// `InvalidConfig` when the variable names no set, or one that this processor does not have.
    pub fn chosen() -> Result<Self> {
        match std::env::var(VARIABLE) {
            Ok(name) => name.parse(),
            Err(_) => Ok(Self::supported().next().unwrap_or(Self::Portable)),
        }
    }

    /// The loops for this set, if this processor has it.
    pub(crate) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if std::is_x86_feature_detected!("avx512f") => {
                Some(&kernel::avx512::KERNELS)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2
                if std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma") =>
            {
                Some(&kernel::avx2::KERNELS)
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon if std::arch::is_aarch64_feature_detected!("neon") => {
                Some(&kernel::neon::KERNELS)
            }
            Self::Portable => Some(&kernel::portable::KERNELS),
            _ => None,
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}

impl FromStr for Instructions {
    type Err = Error;

    /// Reads the name of a set that this processor has.
    fn from_str(name: &str) -> Result<Self> {
        Self::supported()
            .find(|set| set.to_string() == name)
            .ok_or_else(|| {
                let supported: Vec<_> = Self::supported().map(|set| set.to_string()).collect();
                Error::new(
                    ErrorKind::InvalidConfig,
                    "open backend",
                    format!("this processor has no instruction set `{name}`"),
                )
                .with("variable", VARIABLE)
                .remedy(format!(
                    "unset it for the fastest, or name one of {}",
                    supported.join(", ")
                ))
            })
    }
}
