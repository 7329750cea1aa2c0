//! Bad input: the message names the file, row or key and what to do, and nothing is lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::common::{NOW, Workspace, files, stderr};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use driftline::data::{Split, sample};
use driftline::rows::RowsReader;
use parquet::arrow::ArrowWriter;

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
fn a_truncated_archive_is_named_and_the_last_rows_stay() {
    let workspace = Workspace::new();
    let batches = workspace.cifar("cifar-10-batches-bin", 6, 6);
    let path = workspace.path("cifar-10-binary.tar.gz");
    let gzip = flate2::write::GzEncoder::new(
        fs::File::create(&path).unwrap(),
        flate2::Compression::fast(),
    );
    let mut archive = tar::Builder::new(gzip);
    archive
        .append_dir_all("cifar-10-batches-bin", batches)
        .unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let whole = workspace.json(&["embed", "cifar-10-binary.tar.gz", "-o", "rows.parquet"]);
    assert_eq!(whole["rows"], 30);

    cut(&path);
    let before = fs::read(workspace.path("rows.parquet")).unwrap();
    workspace.fails(
        &embed("cifar-10-binary.tar.gz", &[]),
        FAILED,
        &[
            "the archive is damaged or ends early",
            "cifar-10-binary.tar.gz",
            "again",
        ],
    );
    assert!(fs::read(workspace.path("rows.parquet")).unwrap() == before);
    assert_eq!(unfinished(&workspace), Vec::<String>::new());
}

/// A Parquet file with these images.
fn image_parquet(path: &Path, images: &[Vec<u8>]) {
    let labels = Int64Array::from_iter_values(images.iter().map(|_| 0));
    let images = BinaryArray::from_iter_values(images);
    let columns: [(&str, ArrayRef); 2] = [("image", Arc::new(images)), ("label", Arc::new(labels))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Row `row` of the sample data set as a PNG or JPEG file.
fn encoded(row: u64, format: image::ImageFormat) -> Vec<u8> {
    let (_, pixels) = sample::scene(Split::Test, row);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut bytes,
        &pixels,
        32,
        32,
        image::ExtendedColorType::Rgb8,
        format,
    )
    .unwrap();
    bytes.into_inner()
}

/// Names that a writer leaves when it does not end.
fn unfinished(workspace: &Workspace) -> Vec<String> {
    let names = fs::read_dir(workspace.path(".")).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

#[test]
fn truncated_and_foreign_parquet_files_are_named() {
    let workspace = Workspace::new();
    let pngs: Vec<_> = (0..20)
        .map(|row| encoded(row, image::ImageFormat::Png))
        .collect();
    image_parquet(&workspace.path("images.parquet"), &pngs);
    let report = workspace.json(&["embed", "images.parquet", "-o", "good.parquet"]);
    assert_eq!(report["rows"], 20);
    workspace.fails(
        &embed("good.parquet", &[]),
        FAILED,
        &["good.parquet", "no image column", "`img` or `image`"],
    );
    cut(&workspace.path("images.parquet"));
    workspace.fails(
        &embed("images.parquet", &[]),
        FAILED,
        &[
            "damaged or ends early",
            "images.parquet",
            "write or download it again",
        ],
    );
    let good = workspace.path("good.parquet");
    fs::copy(&good, workspace.path("cut.parquet")).unwrap();
    cut(&workspace.path("cut.parquet"));
    for (baseline, window, parts) in [
        (
            "good.parquet",
            "cut.parquet",
            ["cut.parquet", "make it again"],
        ),
        (
            "cut.parquet",
            "good.parquet",
            ["cut.parquet", "make it again"],
        ),
        (
            "none.parquet",
            "good.parquet",
            ["none.parquet", "check the path"],
        ),
    ] {
        let drift = ["drift", "--baseline", baseline, "--window", window];
        workspace.fails(&drift, FAILED, &parts);
    }
}

#[test]
fn a_damaged_file_in_the_middle_of_a_run_keeps_what_is_in_the_store() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run", "--now", NOW]);
    let before = files(&workspace.path("driftline-store/image_monitoring"));
    let pngs: Vec<_> = (0..300)
        .map(|row| encoded(row, image::ImageFormat::Png))
        .collect();
    let path = workspace.path("later.parquet");
    image_parquet(&path, &pngs);
    // A page in the middle is overwritten: only reading the rows can find that.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2_000].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let later = [
        "run",
        "--now",
        NOW,
        "--quiet",
        "--on-error",
        "fail",
        "--set",
        "baseline.source=later.parquet",
    ];
    workspace.fails(&later, FAILED, &["later.parquet", "row"]);
    let after = files(&workspace.path("driftline-store/image_monitoring"));
    for (path, bytes) in before {
        assert!(after[&path] == bytes, "{} is lost", path.display());
    }
}

#[test]
fn a_picture_that_is_none_is_skipped_and_listed_or_ends_the_run() {
    let workspace = Workspace::new();
    workspace.small_run();
    let folder = workspace.path("test/bricks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("00000-bad.jpg"), "not a picture").unwrap();
    let jpeg = encoded(0, image::ImageFormat::Jpeg);
    fs::write(folder.join("00000-cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    let summary = workspace.json(&["run", "--now", NOW]);
    // Both, once in each of the two windows.
    assert_eq!(summary["skipped_images"], 4);
    assert_eq!(
        summary["skipped"],
        serde_json::json!([
            {"stage": "october", "row": 0, "url": "bricks/00000-bad.jpg", "reason": "not a JPEG, PNG or WebP image"},
            {"stage": "october", "row": 1, "url": "bricks/00000-cut.jpg", "reason": "the JPEG ends early"},
            {"stage": "november", "row": 0, "url": "bricks/00000-bad.jpg", "reason": "not a JPEG, PNG or WebP image"},
            {"stage": "november", "row": 1, "url": "bricks/00000-cut.jpg", "reason": "the JPEG ends early"},
        ])
    );
    assert_eq!(summary["windows"][1]["published"], 200);
    let table = workspace.run(["run", "--now", NOW]).stdout;
    let line = "skipped: october row 1 (bricks/00000-cut.jpg): the JPEG ends early";
    assert!(String::from_utf8(table).unwrap().contains(line));

    let before = files(&workspace.path("driftline-store/image_monitoring"));
    let strict = ["--quiet", "--on-error", "fail", "--run-id", "strict"];
    workspace.fails(
        &[&["run", "--now", NOW], &strict[..]].concat(),
        FAILED,
        &[
            "not a JPEG, PNG or WebP image",
            "source: test",
            "row: 0",
            "image: bricks/00000-bad.jpg",
            "`--on-error skip`",
        ],
    );
    let after = files(&workspace.path("driftline-store/image_monitoring"));
    for (path, bytes) in before {
        assert!(after[&path] == bytes, "{} is lost", path.display());
    }
}

#[test]
fn a_resumed_run_is_as_strict_as_it_is_told_to_be_now() {
    let workspace = Workspace::new();
    workspace.small_run();
    let folder = workspace.path("train/bricks");
    fs::write(folder.join("00000-bad.jpg"), "not a picture").unwrap();
    // The window that comes last cannot work, so the parts of the baseline stay for the next start.
    image_parquet(&workspace.path("broken.parquet"), &[b"no image".to_vec()]);
    let settings = workspace.path("driftline.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("\"test\"", "\"broken.parquet\"")).unwrap();
    workspace.fails(
        &["run", "--now", NOW],
        FAILED,
        &["the window has no usable image", "october"],
    );
    workspace.fails(
        &["run", "--now", NOW, "--on-error", "fail"],
        FAILED,
        &["source: train", "row: 0", "bricks/00000-bad.jpg"],
    );
}

/// The embedding of every image of a source, by its url.
fn embeddings(
    workspace: &Workspace,
    source: &str,
    model: &str,
) -> std::collections::BTreeMap<String, Vec<u32>> {
    // One at a time, so that equal images give equal bits.
    workspace.json(&[
        "embed",
        source,
        "-o",
        "embeddings.parquet",
        "--model",
        model,
        "--batch-size",
        "1",
    ]);
    let mut found = std::collections::BTreeMap::new();
    for rows in RowsReader::open(&workspace.path("embeddings.parquet")).unwrap() {
        let rows = rows.unwrap();
        let all = rows.embeddings().chunks(rows.schema().dim);
        for (url, embedding) in rows.image_urls().iter().zip(all) {
            let bits = embedding.iter().map(|value| value.to_bits()).collect();
            found.insert(url.unwrap().to_owned(), bits);
        }
    }
    found
}

#[test]
fn grey_and_transparent_images_are_those_with_three_channels() {
    let workspace = Workspace::new();
    let folder = workspace.path("images");
    fs::create_dir(&folder).unwrap();
    let save = |name: &str, pixels: &[u8], color| {
        image::save_buffer(folder.join(name), pixels, 32, 32, color).unwrap();
    };
    let (_, rgb) = sample::scene(Split::Test, 0);
    let grey: Vec<u8> = rgb.iter().step_by(3).copied().collect();
    let repeated: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let rgba: Vec<u8> = rgb
        .chunks(3)
        .enumerate()
        .flat_map(|(i, pixel)| [pixel[0], pixel[1], pixel[2], i as u8])
        .collect();
    save("rgb.png", &rgb, image::ColorType::Rgb8);
    save("rgba.png", &rgba, image::ColorType::Rgba8);
    save("grey.png", &grey, image::ColorType::L8);
    save("repeated.png", &repeated, image::ColorType::Rgb8);
    let found = embeddings(&workspace, "images", "sample");
    assert_eq!(found.len(), 4);
    assert!(found["rgba.png"] == found["rgb.png"]);
    assert!(found["grey.png"] == found["repeated.png"]);
    assert!(found["grey.png"] != found["rgb.png"]);
}

#[test]
fn images_of_another_size_follow_the_rule_of_the_model() {
    let workspace = Workspace::new();
    let folder = workspace.path("images");
    fs::create_dir(&folder).unwrap();
    let (_, scene) = sample::scene(Split::Test, 0);
    // The scene with black to its left and right.
    let wide: Vec<u8> = scene
        .chunks(3 * 32)
        .flat_map(|line| [&[0; 3 * 16][..], line, &[0; 3 * 16]].concat())
        .collect();
    let rgb = image::ColorType::Rgb8;
    image::save_buffer(folder.join("scene.png"), &scene, 32, 32, rgb).unwrap();
    image::save_buffer(folder.join("wide.png"), &wide, 64, 32, rgb).unwrap();
    image::save_buffer(folder.join("flat.png"), &[90; 3 * 32 * 32], 32, 32, rgb).unwrap();
    image::save_buffer(folder.join("large.png"), &[90; 3 * 80 * 80], 80, 80, rgb).unwrap();
    model(&workspace, |_| {});
    let manifest = workspace.path("model/model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    for (rule, same) in [("stretch", false), ("crop", true)] {
        let text = text.replace("resize = \"stretch\"", &format!("resize = \"{rule}\""));
        assert!(text.contains(&format!("\"{rule}\"")));
        fs::write(&manifest, text).unwrap();
        let found = embeddings(&workspace, "images", "model/model.toml");
        assert_eq!(found["wide.png"] == found["scene.png"], same, "{rule}");
        assert!(found["large.png"] == found["flat.png"], "{rule}");
    }
}

#[test]
fn no_image_is_refused_with_the_name_of_the_source() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("empty")).unwrap();
    workspace.fails(
        &embed("empty", &[]),
        FAILED,
        &["no images", "empty", "images end in .jpg"],
    );
    workspace.fails(
        &embed("missing", &[]),
        FAILED,
        &["no such file or folder", "missing", "a source is one of"],
    );
    image_parquet(&workspace.path("none.parquet"), &[]);
    let none = ["the source has no images", "none.parquet", "at least one"];
    workspace.fails(&embed("none.parquet", &[]), FAILED, &none);
    image_parquet(&workspace.path("broken.parquet"), &[b"no image".to_vec()]);
    workspace.fails(
        &embed("broken.parquet", &[]),
        FAILED,
        &["no usable image", "broken.parquet", "`--on-error fail`"],
    );
    assert!(!workspace.path("rows.parquet").exists());
    assert_eq!(unfinished(&workspace), Vec::<String>::new());

    workspace.small_run();
    let run = |setting| ["run", "--now", NOW, "--quiet", "--set", setting];
    workspace.fails(&run("baseline.source=none.parquet"), FAILED, &none);
    workspace.fails(
        &run("baseline.source=broken.parquet"),
        FAILED,
        &["the baseline has no usable image", "`--on-error fail`"],
    );
}

#[test]
fn one_image_is_enough_for_a_window_and_too_few_for_clusters() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.images("one", Split::Test, 1);
    assert_eq!(
        workspace.json(&["embed", "one", "-o", "one.parquet"])["rows"],
        1
    );
    workspace.json(&["embed", "train", "-o", "many.parquet"]);
    let drift = |baseline, window| ["drift", "--baseline", baseline, "--window", window];
    let report = workspace.json(&drift("many.parquet", "one.parquet"));
    assert_eq!(report["window"]["rows"], 1);
    assert!(report["statistics"]["jsd"]["value"].as_f64().unwrap() > 0.0);
    let few = "5 clusters cannot be found in 1 rows";
    workspace.fails(
        &drift("one.parquet", "many.parquet"),
        FAILED,
        &[few, "one.parquet", "as many rows as clusters"],
    );
    workspace.fails(
        &[
            "run",
            "--now",
            NOW,
            "--quiet",
            "--set",
            "baseline.source=one",
        ],
        FAILED,
        &[few, "baseline: one", "as many rows as clusters"],
    );

    let settings = workspace.path("driftline.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("\"test\"", "\"one\"")).unwrap();
    let summary = workspace.json(&["run", "--now", NOW]);
    // Sampled: on each of the four days; whole: once.
    assert_eq!(summary["windows"][0]["published"], 4);
    assert_eq!(summary["windows"][1]["published"], 1);
}

#[test]
fn labels_out_of_range_are_skipped_and_listed_or_end_the_run() {
    let workspace = Workspace::new();
    let folder = workspace.cifar("cifar-10-batches-bin", 60, 30);
    let test = folder.join("test_batch.bin");
    let mut bytes = fs::read(&test).unwrap();
    // The label of the second image.
    bytes[1 + 3072] = 77;
    fs::write(&test, bytes).unwrap();
    let settings = "[baseline]\nsource = \"cifar-10-batches-bin#train\"\n\
        [[windows]]\nname = \"now\"\nsource = \"cifar-10-batches-bin#test\"\ndays = 2\n";
    fs::write(workspace.path("driftline.toml"), settings).unwrap();
    let summary = workspace.json(&["run", "--now", NOW]);
    assert_eq!(
        summary["skipped"],
        serde_json::json!([{
            "stage": "now",
            "row": 1,
            "url": "test_batch.bin#1",
            "reason": "the label 77 is not one of the model's 10 classes",
        }])
    );
    assert_eq!(summary["windows"][0]["published"], 29);
    workspace.fails(
        &embed("cifar-10-batches-bin#test", &["--on-error", "fail"]),
        FAILED,
        &[
            "the label 77 is not one of the model's 10 classes",
            "source: cifar-10-batches-bin#test",
            "row: 1",
            "image: test_batch.bin#1",
            "`--on-error skip`",
        ],
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
        &["`sink.folder`", "did you mean `store`?", "from: flags"],
    );
    workspace.fails(
        &["run", "--project", "report.html"],
        WRONG_USE,
        &["`report.html` cannot name a project", "monitor.project"],
    );
    let output = workspace
        .command(["run"])
        .env("DRIFTLINE__RUN__SEEDS", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(WRONG_USE));
    let message = stderr(&output);
    assert!(
        message.contains("did you mean `seed`?") && message.contains("environment"),
        "{message}"
    );
    workspace.fails(
        &["run", "-c", "none.toml"],
        FAILED,
        &["none.toml", "check the path"],
    );
    assert!(!workspace.path("driftline-store").exists());
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let workspace = Workspace::new();
    workspace.images("images", Split::Test, 3);
    workspace.fails(
        &embed("images", &["--backend", "tensorflow"]),
        WRONG_USE,
        &["`tensorflow`", "available: candle"],
    );
    workspace.fails(
        &embed("images", &["--transform", "blurr"]),
        WRONG_USE,
        &["`blurr`", "available: gaussian_blur (or blur), brightness"],
    );
    workspace.fails(
        &embed("images", &["--transform", "blur(sigma=9..1)"]),
        WRONG_USE,
        &["sigma"],
    );
    workspace.fails(
        &embed("images", &["--model", "none.pth"]),
        FAILED,
        &["none.pth", "pass a model.toml"],
    );
    workspace.fails(
        &["quickstart", "--sink", "kafka"],
        WRONG_USE,
        &["`kafka`", "available: local"],
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
    for flag in ["--statistic=entropy", "--fail-above=entropy=0.1"] {
        workspace.fails(
            &["drift", "--baseline", "a", "--window", "b", flag],
            WRONG_USE,
            &["`entropy`", "available: hotelling, properties"],
        );
    }
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
    fails(&[
        "`fc.0.bias` holds NaN at position 0",
        "weights.safetensors",
        "must be finite",
    ]);
    model(&workspace, |tensors| {
        tensors.retain(|(name, ..)| name != "layer3.0.conv1.weight")
    });
    fails(&[
        "`layer3.0.conv1.weight` of shape [64, 32, 3, 3] is missing",
        "weights.safetensors",
        "do not belong to a ResNet-18",
    ]);
    model(&workspace, |tensors| {
        let mut extra = tensors[0].clone();
        extra.0 = "layer5.conv.weight".to_owned();
        tensors.push(extra);
    });
    fails(&[
        "`layer5.conv.weight` of shape [",
        "no place in the architecture",
        "weights.safetensors",
    ]);
    model(&workspace, |tensors| {
        let weight = tensors
            .iter_mut()
            .find(|(name, ..)| name == "fc.2.weight")
            .unwrap();
        weight.1.reverse();
    });
    fails(&[
        "`fc.2.weight` has shape [128, 10], expected [128, 128]",
        "weights.safetensors",
    ]);
    cut(&workspace.path("model/weights.safetensors"));
    fails(&[
        "not a whole safetensors file",
        "weights.safetensors",
        "bring it again",
    ]);
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
        &[
            "the baseline was embedded with weights",
            "wide.parquet",
            "narrow.parquet",
            "the same model",
        ],
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
fn a_store_that_is_a_file_is_refused_and_left_alone() {
    let workspace = Workspace::new();
    workspace.small_run();
    fs::write(workspace.path("store"), "mine").unwrap();
    workspace.fails(
        &["run", "--store", "store", "--quiet"],
        WRONG_USE,
        &["not a folder", "file: store", "give a folder"],
    );
    assert_eq!(fs::read(workspace.path("store")).unwrap(), b"mine");
}

#[cfg(target_os = "linux")]
mod small_disk {
    //! A store on a small file system in memory.

    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::*;

    struct Disk(PathBuf);

    impl Disk {
        /// Prints which check is skipped where mounting is not allowed.
        fn new(workspace: &Workspace, size: &str, check: &str) -> Option<Self> {
            let folder = workspace.path("store");
            fs::create_dir(&folder).unwrap();
            if mount(&folder, size) {
                return Some(Self(folder));
            }
            println!("skipped: {check}, because this user may not mount a tmpfs");
            None
        }
    }

    fn mount(folder: &Path, options: &str) -> bool {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success())
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    const RUN: [&str; 5] = ["run", "--now", NOW, "--store", "store"];

    #[test]
    fn a_full_store_is_named_and_the_same_command_completes_once_there_is_space() {
        let workspace = Workspace::new();
        workspace.small_run();
        let Some(disk) = Disk::new(&workspace, "size=560k", "full store") else {
            return;
        };
        workspace.fails(
            &RUN,
            FAILED,
            &["file: store/", "No space left", "free some space"],
        );
        let kept = workspace.rows("store", "sample-resnet18");
        assert!(!kept.is_empty() && kept.len() < 700, "{} kept", kept.len());
        assert!(mount(&disk.0, "remount,size=50m"));
        workspace.json(&RUN);
        let all = workspace.rows("store", "sample-resnet18");
        assert_eq!(all.len(), 700);
        for (id, row) in kept {
            assert_eq!(all[&id], row);
        }
    }

    #[test]
    fn a_read_only_store_is_named_and_keeps_its_rows() {
        let workspace = Workspace::new();
        workspace.small_run();
        let Some(disk) = Disk::new(&workspace, "size=50m", "read-only store") else {
            return;
        };
        workspace.json(&RUN);
        let before = files(&disk.0);
        assert!(mount(&disk.0, "remount,ro"));
        for run in [&RUN[..], &[&RUN[..], &["--seed", "7"]].concat()] {
            workspace.fails(
                run,
                FAILED,
                &[
                    "file: store/",
                    "Read-only",
                    "choose a place you may write to",
                ],
            );
        }
        assert!(files(&disk.0) == before);
        assert_eq!(workspace.rows("store", "sample-resnet18").len(), 700);
    }
}
