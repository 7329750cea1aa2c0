//! The examples run, and the book shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use driftline::data::{Split, sample};

/// What an example prints.
fn run(name: &str, arguments: &[&Path]) -> String {
    // Tests lie in `deps`, examples beside it.
    let test = std::env::current_exe().unwrap();
    let examples = test.ancestors().nth(2).unwrap().join("examples");
    let program = examples.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&program).args(arguments).output();
    let output = output.unwrap_or_else(|e| {
        panic!(
            "{}: {e}; `cargo build --examples` builds it",
            program.display()
        )
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with some of the sample images, each channel over `divisor`.
fn images(folder: &Path, split: Split, divisor: u8) -> PathBuf {
    let folder = folder.join(format!("{split:?}-{divisor}"));
    std::fs::create_dir(&folder).unwrap();
    for image in 0..200 {
        let (_, pixels) = sample::scene(split, image);
        let pixels: Vec<u8> = pixels.iter().map(|value| value / divisor).collect();
        let file = folder.join(format!("{image:03}.png"));
        image::save_buffer(file, &pixels, 32, 32, image::ColorType::Rgb8).unwrap();
    }
    folder
}

#[test]
fn embed_folder_sees_drift() {
    let folder = tempfile::tempdir().unwrap();
    let train = images(folder.path(), Split::Train, 1);
    let test = images(folder.path(), Split::Test, 1);
    let dark = images(folder.path(), Split::Test, 2);
    let said = run("embed_folder", &[&train, &test]);
    assert!(said.contains(": 200 rows of 128 values"), "{said}");
    assert!(said.contains("no drift, p-value"), "{said}");
    let said = run("embed_folder", &[&train, &dark]);
    assert!(said.contains("\ndrift, p-value"), "{said}");
    assert!(said.contains("brightness -"), "{said}");
}

#[test]
fn compare_vectors_sees_what_moved() {
    let said = run("compare_vectors", &[]);
    assert!(said.contains("as before: None"), "{said}");
    assert!(said.contains("moved: Drift"), "{said}");
}

#[test]
fn own_backend_embeds() {
    let said = run("own_backend", &[]);
    assert!(said.contains("none: 6000 rows of 3 values"), "{said}");
    assert!(said.contains("Drift: "), "{said}");
}

#[test]
fn own_transform_injects_drift() {
    let said = run("own_transform", &[]);
    assert!(said.contains("Drift: "), "{said}");
}

#[test]
fn own_sink_hears_every_row() {
    let said = run("own_sink", &[]);
    // The baseline, and 6 days of 50 events in each of three weeks.
    assert!(said.contains("10900 rows in all"), "{said}");
    assert!(said.contains("week-3: 300 published"), "{said}");
}

#[test]
fn read_store_counts_events() {
    let said = run("read_store", &[]);
    assert!(said.contains(": 10000 rows of the baseline"), "{said}");
    assert!(said.contains("week-2: 300 events"), "{said}");
}

#[test]
fn serve_store_answers_and_stops() {
    let said = run("serve_store", &[]);
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
}

#[test]
fn the_book_shows_every_example() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = package.join("../../docs/src/guide/library.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut shown = 0;
    for entry in std::fs::read_dir(package.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_string_lossy();
            let include = format!("{{{{#include ../../../crates/driftline/examples/{name}}}}}");
            assert!(page.contains(&include), "{name} is not shown");
            shown += 1;
        }
    }
    assert_eq!(shown, 7);
}
