//! Products of bf16 factors on the tiles of AMX: 32 rows and 32 columns at a time, in four tiles of sums.
//!
//! The instructions stand in assembler, since the compiler's own are not stable.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use crate::product::Product;
use crate::simd::{Avx512, Vector};

/// Rows and columns of a block of sums.
const BLOCK: usize = 32;
/// Depth of a tile, in bf16 values.
const DEPTH: usize = 32;

/// Eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

#[repr(align(64))]
struct Sums([f32; BLOCK * BLOCK]);

/// Whether the processor has tiles for bf16, and the system lets this process use them; asked for once.
pub(crate) fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        // Intel's manual, CPUID leaf 7: AMX-BF16 is bit 22 of EDX, AMX-TILE bit 24.
        let bits = __cpuid_count(7, 0).edx;
        let (request_permission, tile_data) = (0x1023, 18);
        bits & (1 << 22) != 0
            && bits & (1 << 24) != 0
            // SAFETY: the call changes what this process may use, and nothing else.
            && unsafe { libc::syscall(libc::SYS_arch_prctl, request_permission, tile_data) } == 0
    })
}

/// A [`Product`] of one segment, whose rows lie side by side and may be read beyond the last.
#[inline(always)]
pub(crate) unsafe fn product(p: &Product<'_>) {
    let Some(first) = p.input_rows.first() else {
        return;
    };
    let mut sums = Sums([0.0; BLOCK * BLOCK]);
    // SAFETY: the caller's: input, weights and output are as large as the product says, and AMX is there.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
        let input = p.input.cast::<u16>().add(*first as usize);
        for panel in p.panels.clone() {
            let column = panel * BLOCK;
            let weight = p.weight.cast::<u16>().add(column * p.depth);
            for (block, rows) in p.output_rows.chunks(BLOCK).enumerate() {
                let input = input.add(block * BLOCK * p.depth);
                multiply(input, weight, p.depth, &mut sums);
                for (row, at) in rows.iter().enumerate() {
                    let at = *at as usize;
                    for lane in (0..BLOCK).step_by(Avx512::LANES) {
                        let sum = Avx512::load(sums.0.as_ptr().add(row * BLOCK + lane));
                        let value = p.finish.apply(sum, column + lane, at);
                        value.store(p.output.add(at + column + lane));
                    }
                }
            }
        }
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// 32 rows of `depth` bf16 values times weights `[depth / 2][32][2]`.
#[inline(always)]
unsafe fn multiply(input: *const u16, weight: *const u16, depth: usize, sums: &mut Sums) {
    // SAFETY: the caller's; the tiles are configured.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {row}*1]",
            "tileloadd tmm5, [{lower} + {row}*1]",
            "tileloadd tmm6, [{weight} + {pair}*1]",
            "tileloadd tmm7, [{weight} + {pair}*1 + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {weight}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {pair}*1], tmm0",
            "tilestored [{sums} + {pair}*1 + 64], tmm1",
            "tilestored [{half} + {pair}*1], tmm2",
            "tilestored [{half} + {pair}*1 + 64], tmm3",
            upper = inout(reg) input => _,
            lower = inout(reg) input.add(BLOCK / 2 * depth) => _,
            row = in(reg) depth * size_of::<u16>(),
            weight = inout(reg) weight => _,
            pair = in(reg) BLOCK * size_of::<f32>(),
            steps = inout(reg) depth / DEPTH => _,
            sums = in(reg) sums.0.as_mut_ptr(),
            half = in(reg) sums.0.as_mut_ptr().add(BLOCK / 2 * BLOCK),
            options(nostack),
        );
    }
}
