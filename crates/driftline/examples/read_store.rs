//! Reads a store: `read_store [STORE]`. Without a store it fills one with the sample images first.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use driftline::pipeline::Cancel;
use driftline::sink_local::{Store, monitors};
use driftline::{Components, QuickstartOptions, Settings, run};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = match std::env::args_os().nth(1) {
        Some(store) => PathBuf::from(store),
        None => {
            fill(folder.path())?;
            folder.path().to_owned()
        }
    };
    for (project, model) in monitors(&store)? {
        let store = Store::open(&store, &project, &model)?;
        let mut baseline = 0;
        for rows in store.baseline()? {
            baseline += rows?.len();
        }
        println!("{project}/{model}: {baseline} rows of the baseline");
        let mut windows: BTreeMap<String, (usize, f64)> = BTreeMap::new();
        // `..` is every day; rows come batch by batch.
        for rows in store.events(..)? {
            let rows = rows?;
            let dim = rows.schema().dim;
            let embeddings = rows.embeddings().chunks_exact(dim);
            for (window, embedding) in rows.windows().iter().flatten().zip(embeddings) {
                let (events, length) = windows.entry(window.to_owned()).or_default();
                *events += 1;
                *length += f64::from(embedding.iter().map(|x| x * x).sum::<f32>().sqrt());
            }
        }
        for (window, (events, length)) in windows {
            let mean = length / events as f64;
            println!("{window}: {events} events, mean length of an embedding {mean:.2}");
        }
    }
    Ok(())
}

/// Fills a store as `driftline quickstart` does.
fn fill(store: &Path) -> driftline::core::Result<()> {
    let mut settings = Settings::quickstart(&QuickstartOptions {
        per_day: 50,
        ..QuickstartOptions::default()
    })?;
    settings.sink.store = store.to_owned();
    run(&settings, &Components::built_in()?, &Cancel::default(), &())?;
    Ok(())
}
