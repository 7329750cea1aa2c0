//! Bad input: the message names the file, row or key and what to do, and nothing is lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::{NOW, Workspace, files, stderr};
use driftline::data::Split;

const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;

/// Keeps the first half of a file.
fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn embed<'a>(source: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["embed", source, "-o", "rows.parquet", "--quiet"], rest].concat()
}

#[test]
fn a_truncated_archive_is_named() {
    let workspace = Workspace::new();
    let path = workspace.path("cifar-10-binary.tar.gz");
    let file = fs::File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    // More than the reader can do without: noise that does not compress.
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    gzip.write_all(&noise).unwrap();
    gzip.finish().unwrap();
    cut(&path);
    workspace.fails(
        &embed("cifar-10-binary.tar.gz", &[]),
        FAILED,
        &["cifar-10-binary.tar.gz"],
    );
    assert!(!workspace.path("rows.parquet").exists());
}

#[test]
fn truncated_and_foreign_parquet_files_are_named() {
    let workspace = Workspace::new();
    workspace.images("images", Split::Test, 20);
    workspace.json(&["embed", "images", "-o", "good.parquet"]);
    workspace.fails(
        &embed("good.parquet", &[]),
        FAILED,
        &["good.parquet", "`img` or `image`"],
    );
    fs::copy(
        workspace.path("good.parquet"),
        workspace.path("cut.parquet"),
    )
    .unwrap();
    cut(&workspace.path("cut.parquet"));
    workspace.fails(&embed("cut.parquet", &[]), FAILED, &["cut.parquet"]);
    let drift = [
        "drift",
        "--baseline",
        "good.parquet",
        "--window",
        "cut.parquet",
    ];
    workspace.fails(&drift, FAILED, &["cut.parquet"]);
    workspace.fails(
        &[
            "drift",
            "--baseline",
            "none.parquet",
            "--window",
            "good.parquet",
        ],
        FAILED,
        &["none.parquet"],
    );
}

#[test]
fn a_picture_that_is_none_is_skipped_and_listed_or_ends_the_run() {
    let workspace = Workspace::new();
    workspace.small_run();
    let bad = workspace.path("test/bricks/00000-bad.jpg");
    fs::create_dir_all(bad.parent().unwrap()).unwrap();
    fs::write(&bad, "not a picture").unwrap();
    let summary = workspace.json(&["run", "--now", NOW]);
    // Once in each of the two windows.
    assert_eq!(summary["skipped_images"], 2);
    let skipped = summary["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 2);
    assert_eq!(skipped[0]["stage"], "october");
    assert!(
        skipped[0]["url"]
            .as_str()
            .unwrap()
            .ends_with("00000-bad.jpg"),
        "{skipped:?}"
    );
    assert!(skipped[0]["row"].is_u64() && !skipped[0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(summary["windows"][1]["published"], 200);
    let before = files(&workspace.path("driftline-store/image_monitoring"));
    workspace.fails(
        &[
            "run",
            "--now",
            NOW,
            "--quiet",
            "--on-error",
            "fail",
            "--run-id",
            "strict",
        ],
        FAILED,
        &["00000-bad.jpg", "row"],
    );
    let after = files(&workspace.path("driftline-store/image_monitoring"));
    for (path, bytes) in before {
        assert!(after[&path] == bytes, "{} is lost", path.display());
    }
}

#[test]
fn other_sizes_grey_and_transparent_images_are_taken() {
    let workspace = Workspace::new();
    let folder = workspace.images("images", Split::Test, 6);
    let save = |name: &str, pixels: &[u8], side: u32, color| {
        image::save_buffer(folder.join("bricks").join(name), pixels, side, side, color).unwrap();
    };
    fs::create_dir_all(folder.join("bricks")).unwrap();
    save("grey.png", &[90; 32 * 32], 32, image::ColorType::L8);
    save("alpha.png", &[90; 4 * 32 * 32], 32, image::ColorType::Rgba8);
    save("large.png", &[90; 3 * 80 * 80], 80, image::ColorType::Rgb8);
    let report = workspace.json(&["embed", "images", "-o", "rows.parquet"]);
    assert_eq!(report["rows"], 9);
    assert_eq!(report["skipped_images"], 0);
}

#[test]
fn no_image_is_refused_and_one_is_enough() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("empty")).unwrap();
    workspace.fails(&embed("empty", &[]), FAILED, &["empty"]);
    workspace.fails(&embed("missing", &[]), FAILED, &["missing"]);
    workspace.images("one", Split::Test, 1);
    assert_eq!(
        workspace.json(&["embed", "one", "-o", "one.parquet"])["rows"],
        1
    );
    workspace.images("many", Split::Train, 40);
    workspace.json(&["embed", "many", "-o", "many.parquet"]);
    let drift = workspace.json(&[
        "drift",
        "--baseline",
        "many.parquet",
        "--window",
        "one.parquet",
    ]);
    assert!(drift["statistics"]["jsd"]["value"].as_f64().unwrap() > 0.0);
    // Five clusters need five rows.
    let swapped = [
        "drift",
        "--baseline",
        "one.parquet",
        "--window",
        "many.parquet",
    ];
    workspace.fails(&swapped, FAILED, &["one.parquet", "5"]);
}

#[test]
fn labels_out_of_range_are_named() {
    let workspace = Workspace::new();
    let batch = workspace.path("cifar-10-batches-bin");
    fs::create_dir(&batch).unwrap();
    let mut rows = Vec::new();
    for row in 0..30_u64 {
        let (class, pixels) = driftline::data::sample::scene(Split::Test, row);
        // The second image has a label that CIFAR-10 does not know.
        rows.push(if row == 1 { 77 } else { class as u8 });
        rows.extend((0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()));
    }
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        fs::write(batch.join(format!("{name}.bin")), &rows).unwrap();
    }
    let output = workspace.run(embed("cifar-10-batches-bin#test", &["--on-error", "fail"]));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(FAILED), "{message}");
    assert!(
        message.contains("77") && message.contains("test_batch.bin"),
        "{message}"
    );
    let report = workspace.json(&["embed", "cifar-10-batches-bin#test", "-o", "rows.parquet"]);
    assert_eq!(
        (&report["rows"], &report["skipped_images"]),
        (&29.into(), &1.into())
    );
}

#[test]
fn a_wrong_key_names_the_nearest_and_the_file() {
    let workspace = Workspace::new();
    workspace.small_run();
    fs::write(workspace.path("typo.toml"), "[backend]\nthread = 2\n").unwrap();
    workspace.fails(
        &["run", "-c", "typo.toml"],
        WRONG_USE,
        &["`backend.thread`", "did you mean `threads`?", "typo.toml"],
    );
    workspace.fails(
        &["run", "--set", "sink.folder=x"],
        WRONG_USE,
        &["`sink.folder`", "store"],
    );
    let output = workspace
        .command(["run"])
        .env("DRIFTLINE__RUN__SEEDS", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(WRONG_USE));
    assert!(
        stderr(&output).contains("did you mean `seed`?"),
        "{}",
        stderr(&output)
    );
    workspace.fails(&["run", "-c", "none.toml"], FAILED, &["none.toml"]);
    assert!(!workspace.path("driftline-store").exists());
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let workspace = Workspace::new();
    workspace.images("images", Split::Test, 3);
    workspace.fails(
        &embed("images", &["--backend", "tensorflow"]),
        WRONG_USE,
        &["`tensorflow`", "candle"],
    );
    workspace.fails(
        &embed("images", &["--transform", "blurr"]),
        WRONG_USE,
        &["`blurr`", "gaussian_blur"],
    );
    workspace.fails(
        &embed("images", &["--transform", "blur(sigma=9..1)"]),
        WRONG_USE,
        &["sigma"],
    );
    workspace.fails(
        &embed("images", &["--model", "none.pth"]),
        FAILED,
        &["none.pth"],
    );
    workspace.fails(
        &["quickstart", "--sink", "kafka"],
        WRONG_USE,
        &["`kafka`", "local"],
    );
    workspace.fails(
        &["quickstart", "--dataset", "images"],
        WRONG_USE,
        &["--events"],
    );
    workspace.fails(
        &[
            "drift",
            "--baseline",
            "a",
            "--window",
            "b",
            "--fail-above",
            "jsd",
        ],
        WRONG_USE,
        &["--fail-above jsd=0.1"],
    );
}

/// A copy of the sample model whose weights `change` rewrites.
fn model(workspace: &Workspace, change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../driftline/models/sample");
    let folder = workspace.path("model");
    fs::create_dir_all(&folder).unwrap();
    let manifest = fs::read_to_string(sample.join("model.toml")).unwrap();
    let without_sha: Vec<_> = manifest
        .lines()
        .filter(|line| !line.starts_with("sha256"))
        .collect();
    fs::write(folder.join("model.toml"), without_sha.join("\n")).unwrap();
    let bytes = fs::read(sample.join("weights.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let dtype = file.tensor("fc.0.bias").unwrap().dtype();
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .filter(|(_, view)| view.dtype() == dtype)
        .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    safetensors::serialize_to_file(views, None, &folder.join("weights.safetensors")).unwrap();
}

#[test]
fn wrong_weights_are_refused_with_the_tensor_and_both_shapes() {
    let workspace = Workspace::new();
    workspace.images("images", Split::Test, 3);
    let fails = |parts: &[&str]| {
        workspace.fails(
            &embed("images", &["--model", "model/model.toml"]),
            FAILED,
            parts,
        );
    };
    model(&workspace, |tensors| {
        let bias = tensors
            .iter_mut()
            .find(|(name, ..)| name == "fc.0.bias")
            .unwrap();
        bias.2.fill(0xff);
    });
    fails(&["fc.0.bias", "weights.safetensors", "NaN"]);
    model(&workspace, |tensors| {
        tensors.retain(|(name, ..)| name != "layer3.0.conv1.weight")
    });
    fails(&["layer3.0.conv1.weight", "weights.safetensors"]);
    model(&workspace, |tensors| {
        let mut extra = tensors[0].clone();
        extra.0 = "layer5.conv.weight".to_owned();
        tensors.push(extra);
    });
    fails(&["layer5.conv.weight", "weights.safetensors"]);
    model(&workspace, |tensors| {
        let weight = tensors
            .iter_mut()
            .find(|(name, ..)| name == "fc.2.weight")
            .unwrap();
        weight.1.reverse();
    });
    fails(&["fc.2.weight", "[128, 10]", "128]"]);
    cut(&workspace.path("model/weights.safetensors"));
    fails(&["weights.safetensors", "not a whole safetensors file"]);
}

#[test]
fn embeddings_of_another_model_are_not_compared_or_mixed() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run", "--now", NOW]);
    workspace.json(&["embed", "test", "-o", "wide.parquet"]);
    // The sample model with an embedding of 64 values.
    model(&workspace, |tensors| {
        for (name, shape, data) in tensors.iter_mut() {
            match name.as_str() {
                "fc.0.weight" | "fc.0.bias" => {
                    data.truncate(data.len() / 2);
                    shape[0] = 64;
                }
                "fc.2.weight" => {
                    let row = data.len() / shape[0];
                    *data = data
                        .chunks(row)
                        .flat_map(|row| &row[..row.len() / 2])
                        .copied()
                        .collect();
                    shape[1] = 64;
                }
                _ => {}
            }
        }
    });
    let manifest = workspace.path("model/model.toml");
    let text = fs::read_to_string(&manifest)
        .unwrap()
        .replace("dim = 128", "dim = 64");
    fs::write(&manifest, text).unwrap();
    workspace.json(&[
        "embed",
        "test",
        "-o",
        "narrow.parquet",
        "--model",
        "model/model.toml",
    ]);
    workspace.fails(
        &[
            "drift",
            "--baseline",
            "wide.parquet",
            "--window",
            "narrow.parquet",
        ],
        FAILED,
        &["128", "64", "narrow.parquet"],
    );
    let before = files(&workspace.path("driftline-store/image_monitoring"));
    let run = [
        "run",
        "--now",
        NOW,
        "--quiet",
        "--model",
        "model/model.toml",
    ];
    workspace.fails(&run, WRONG_USE, &["128", "64", "--store"]);
    assert!(files(&workspace.path("driftline-store/image_monitoring")) == before);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_store_is_named_and_the_same_command_completes_once_there_is_space() {
    let workspace = Workspace::new();
    workspace.small_run();
    let store = workspace.path("store");
    fs::create_dir(&store).unwrap();
    let mount = |options: &str| {
        std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&store)
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !mount("size=300k") {
        println!("skipped: full and read-only store, because this user may not mount a tmpfs");
        return;
    }
    let run = ["run", "--now", NOW, "--quiet", "--store", "store"];
    workspace.fails(&run, FAILED, &["store", "space"]);
    assert!(mount_again(&store, "remount,size=50m"));
    let output = workspace.run(run);
    let rows = output
        .status
        .success()
        .then(|| workspace.rows("store", "sample-resnet18").len());
    assert!(mount_again(&store, "remount,ro"));
    let read_only = workspace.run(run);
    let unmounted = std::process::Command::new("umount")
        .arg(&store)
        .status()
        .unwrap();
    assert!(unmounted.success());
    assert_eq!(rows, Some(700), "{}", stderr(&output));
    let message = stderr(&read_only);
    assert_eq!(read_only.status.code(), Some(FAILED), "{message}");
    assert!(
        message.contains("store") && message.contains("ead-only"),
        "{message}"
    );
}

#[cfg(target_os = "linux")]
fn mount_again(store: &Path, options: &str) -> bool {
    let status = std::process::Command::new("mount")
        .args(["-o", options])
        .arg(store)
        .status();
    status.is_ok_and(|status| status.success())
}
