//! Embeds a folder of images and checks it against another one: `embed_folder [BASELINE WINDOW]`.
//!
//! Without arguments it takes the two splits of the sample images that ship with driftline.

use std::error::Error;

use driftline::pipeline::Cancel;
use driftline::stats::Verdict;
use driftline::{Components, DriftOptions, EmbedOptions, drift, embed};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let baseline = arguments
        .next()
        .unwrap_or_else(|| "sample#train".to_owned());
    let window = arguments.next().unwrap_or_else(|| "sample#test".to_owned());

    let folder = tempfile::tempdir()?;
    let files = [baseline, window].map(|images| {
        let name = format!("{}.parquet", images.replace('/', "_"));
        (images, folder.path().join(name))
    });
    let components = Components::built_in()?;
    let (options, cancel) = (EmbedOptions::default(), Cancel::default());
    for (images, rows) in &files {
        let report = embed(images, rows, &options, &components, &cancel, &())?;
        println!("{images}: {} rows of {} values", report.rows, report.dim);
        for bad in report.skipped {
            println!("left out: {}: {}", bad.url, bad.reason);
        }
    }

    let [(_, baseline), (_, window)] = &files;
    let report = drift(baseline, window, &DriftOptions::default())?;
    match (report.verdict, report.p_value) {
        (Verdict::Drift, Some(p)) => println!("drift, p-value {p:.3}"),
        (Verdict::None, Some(p)) => println!("no drift, p-value {p:.3}"),
        _ => println!("not enough rows to say"),
    }
    for change in &report.explanation.changes {
        println!("{change}");
    }
    Ok(())
}
