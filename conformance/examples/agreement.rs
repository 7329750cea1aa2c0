//! Whether row files of several backends agree, row by row, within the fp32 class:
//! `cargo run --release -p driftline-conformance --example agreement -- candle.parquet onnx.parquet tch.parquet`.
//!
//! Each file is compared with the first; all were made by `driftline embed` from the same source.

use std::path::Path;
use std::process::ExitCode;

use driftline_conformance::tolerance::{Difference, FP32};
use driftline_rows::RowsReader;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [reference, others @ ..] = files.as_slice() else {
        eprintln!("usage: agreement REFERENCE.parquet OTHER.parquet...");
        return ExitCode::from(2);
    };
    let mut agree = true;
    for other in others {
        match compare(Path::new(reference), Path::new(other)) {
            Ok((rows, difference)) => println!(
                "{other}: {rows} rows agree within {}: max abs {:.2e}, relative L2 {:.2e}, cosine {:.10}, norm ratio {:.8}",
                FP32.name,
                difference.max_abs,
                difference.relative_l2,
                difference.min_cosine,
                difference.norm_ratio
            ),
            Err(message) => {
                agree = false;
                println!("{other}: {message}");
            }
        }
    }
    if agree {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn compare(reference: &Path, other: &Path) -> Result<(u64, Difference), String> {
    let open = |path: &Path| RowsReader::open(path).map_err(|error| error.to_string());
    let (expected, found) = (open(reference)?, open(other)?);
    let rows = expected.num_rows();
    if rows != found.num_rows() {
        return Err(format!("{} rows, expected {rows}", found.num_rows()));
    }
    let dim = expected.schema().dim;
    let mut worst = Difference::default();
    for (expected, found) in expected.zip(found) {
        let expected = expected.map_err(|error| error.to_string())?;
        let found = found.map_err(|error| error.to_string())?;
        if expected.image_urls() != found.image_urls() {
            return Err("the files are not about the same images".to_owned());
        }
        let wide: Vec<f64> = expected
            .embeddings()
            .iter()
            .copied()
            .map(f64::from)
            .collect();
        let difference = FP32.embeddings.compare(found.embeddings(), dim, |row| {
            &wide[row * dim..(row + 1) * dim]
        })?;
        worst = worst.worst(difference);
    }
    Ok((rows, worst))
}
