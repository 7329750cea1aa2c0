//! What the processor can do, beside what the loops do at the network's shapes: a measurement, run by hand.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use driftline_core::Precision;

use crate::Instructions;
use crate::memory::Buffer;
use crate::product::{Finish, Product, ROWS_BEYOND, Segment};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx512, Vector};
use crate::weight::Weight;

/// Makes work for each thread; what is in it is the thread's own.
type Prepare<'a> = dyn Fn() -> Box<dyn FnMut() + 'a> + Sync + 'a;

/// Does prepared work on so many threads at once, over and over; operations of all in a second, in units of 10^9.
fn rate(threads: usize, operations: f64, prepare: &Prepare<'_>) -> f64 {
    let start = Barrier::new(threads);
    let measure = || {
        let mut work = prepare();
        work();
        start.wait();
        let (begin, mut times) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_millis(500) {
            work();
            times += 1;
        }
        operations * f64::from(times) / begin.elapsed().as_secs_f64() / 1e9
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
        let rates = threads.into_iter().map(|thread| thread.join());
        rates.map(|rate| rate.expect("a rate")).sum()
    })
}

/// What the processor does when nothing has to be loaded: 24 sums that do not wait for each other.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn multiply_adds(times: usize) -> f32 {
    // SAFETY: as the function.
    let zero = unsafe { Avx512::splat(0.0) };
    let mut sums = [zero; 24];
    let factor = black_box(zero);
    for _ in 0..times {
        for sum in &mut sums {
            // SAFETY: the function has AVX-512.
            *sum = unsafe { sum.mul_add(factor, factor) };
        }
    }
    let mut lanes = [0.0; 16];
    for sum in sums {
        // SAFETY: as above.
        unsafe { sum.store(lanes.as_mut_ptr()) };
        black_box(&lanes);
    }
    lanes[0]
}

#[test]
#[ignore = "a measurement: cargo test --release -p driftline-kernels --lib ceilings -- --ignored --nocapture"]
fn ceilings() {
    println!("| GFLOP/s | 1 thread | 2 threads |");
    println!("| --- | --- | --- |");
    let row = |name: &str, operations: f64, prepare: &Prepare<'_>| {
        let [one, two] = [1, 2].map(|threads| rate(threads, operations, prepare));
        println!("| {name} | {one:.0} | {two:.0} |");
    };
    #[cfg(target_arch = "x86_64")]
    if Instructions::Avx512.kernels(Precision::Fp32).is_some() {
        let times = 10_000;
        let operations = (times * 24 * 16 * 2) as f64;
        row(
            "fused multiply-adds of registers, AVX-512",
            operations,
            &|| {
                Box::new(move || {
                    // SAFETY: the processor has AVX-512.
                    black_box(unsafe { multiply_adds(times) });
                })
            },
        );
    }
    for [rows, depth, columns] in [
        [4096, 147, 64],
        [512, 64, 64],
        [128, 128, 128],
        [32, 256, 256],
        [32, 512, 512],
    ] {
        let operations = (2 * rows * depth * columns) as f64;
        let shape = format!("{rows} x {depth} x {columns}");
        let right = vec![0.5; depth * columns];
        row(&format!("`gemm`, {shape}"), operations, &|| {
            let (left, mut out) = (vec![0.5_f32; rows * depth], vec![0.0; rows * columns]);
            let right = &right;
            // SAFETY: the three row-major matrices have these sizes.
            Box::new(move || unsafe {
                gemm::gemm(
                    rows,
                    columns,
                    depth,
                    out.as_mut_ptr(),
                    1,
                    columns as isize,
                    false,
                    left.as_ptr(),
                    1,
                    depth as isize,
                    right.as_ptr(),
                    1,
                    columns as isize,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
                black_box(&out);
            })
        });
        for precision in [Precision::Fp32, Precision::Bf16] {
            for set in Instructions::supported(precision) {
                let kernels = set.kernels(precision).expect("it is supported");
                let deep = kernels.deep(depth);
                let matrix = vec![0.5; deep * columns];
                let weight = Weight::new(&[matrix], columns, kernels).expect("memory");
                let rows_of = |width: usize| -> Vec<u32> {
                    (0..rows).map(|row| (row * width) as u32).collect()
                };
                let (input_rows, output_rows) = (rows_of(deep), rows_of(columns));
                row(
                    &format!("{set} in {precision}, {shape}"),
                    operations,
                    &|| {
                        let left = Buffer::new((rows + ROWS_BEYOND) * deep).expect("memory");
                        let out = Buffer::new(rows * columns).expect("memory");
                        let (weight, input_rows, output_rows) =
                            (&weight, &input_rows, &output_rows);
                        // SAFETY: the buffers have these sizes, and the set is supported.
                        Box::new(move || unsafe {
                            (kernels.product)(&Product {
                                input: left.start(),
                                input_rows,
                                segments: &[Segment::whole(deep)],
                                weight: weight.start(0),
                                depth: deep,
                                output: out.start(),
                                output_rows,
                                panels: 0..columns.div_ceil(kernels.panel),
                                columns,
                                finish: Finish::NOTHING,
                            });
                            black_box(out.start());
                        })
                    },
                );
            }
        }
    }
}
