//! The digest of a model follows the files that its graph names.

use std::fs;
use std::path::Path;

use driftline_core::ErrorKind::{InvalidData, NotFound};
use driftline_model::ModelPackage;
use sha2::{Digest, Sha256};

use crate::common::assert_says;

const MANIFEST: &str = "name = \"own\"\narchitecture = \"onnx\"\n[weights]\nfile = \"m.onnx\"\n[input]\n\
    height = 8\nwidth = 8\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n\
    [embedding]\nlayer = \"features\"\ndim = 4\n";

/// A field of a protocol buffer that holds a text or a message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    if number >= 16 {
        bytes = vec![(number << 3 & 0x7f) | 0x82, number >> 4];
    }
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

/// A tensor whose data lie elsewhere, if `external`.
fn tensor(location: &str, external: u8) -> Vec<u8> {
    let entry = |key: &str, value: &str| {
        field(
            13,
            &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat(),
        )
    };
    let data_location = vec![14 << 3, external];
    [
        field(8, b"w"),
        entry("offset", "0"),
        entry("location", location),
        data_location,
    ]
    .concat()
}

/// A model with a tensor in each place that may hold one.
fn model(locations: &[&str]) -> Vec<u8> {
    let mut graph = field(2, b"own");
    for (i, location) in locations.iter().enumerate() {
        let tensor = tensor(location, 1);
        let node = |attribute: &[u8]| field(1, &field(5, attribute));
        let inner = field(5, &tensor);
        graph.extend(match i % 5 {
            0 => inner,
            1 => node(&field(5, &tensor)),
            2 => node(&field(6, &inner)),
            3 => field(15, &field(1, &tensor)),
            _ => node(&field(10, &tensor)),
        });
    }
    // Of a tensor that is not external the entries mean nothing.
    graph.extend(field(5, &tensor("nowhere", 0)));
    // What it has of its own is passed over.
    graph.extend(field(5, &field(9, &[0xff; 300])));
    [vec![1 << 3, 8], field(7, &graph)].concat()
}

fn open(folder: &Path) -> driftline_core::Result<String> {
    ModelPackage::open(folder).map(|package| package.sha256)
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(folder: &Path, locations: &[&str]) -> Vec<u8> {
    let graph = model(locations);
    fs::write(folder.join("model.toml"), MANIFEST).unwrap();
    fs::write(folder.join("m.onnx"), &graph).unwrap();
    graph
}

#[test]
fn a_graph_of_its_own_has_the_digest_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let graph = write(folder.path(), &[]);
    assert_eq!(open(folder.path()).unwrap(), hex(&graph));
}

#[test]
fn every_external_file_is_part_of_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let locations = ["w.bin", "a.bin", "more/b.bin", "s.bin", "./w.bin"];
    let graph = write(path, &locations);
    fs::create_dir(path.join("more")).unwrap();
    for (i, name) in ["w.bin", "a.bin", "more/b.bin", "s.bin"].iter().enumerate() {
        fs::write(path.join(name), [i as u8; 100]).unwrap();
    }
    let line = |i: u8, name: &str| format!("{}  {name}\n", hex(&[i; 100]));
    let text = [
        format!("{}\n", hex(&graph)),
        line(0, "./w.bin"),
        line(1, "a.bin"),
        line(2, "more/b.bin"),
        line(3, "s.bin"),
        line(0, "w.bin"),
    ];
    let whole = open(path).unwrap();
    assert_eq!(whole, hex(text.concat().as_bytes()));
    for name in ["w.bin", "a.bin", "more/b.bin", "s.bin"] {
        let content = fs::read(path.join(name)).unwrap();
        fs::write(path.join(name), b"other weights").unwrap();
        assert_ne!(open(path).unwrap(), whole, "{name}");
        fs::write(path.join(name), content).unwrap();
    }
    assert_eq!(open(path).unwrap(), whole);
    // The pin of model.toml is this digest.
    let pinned = |sha256: &str| {
        let file = "file = \"m.onnx\"";
        MANIFEST.replace(file, &format!("{file}\nsha256 = \"{sha256}\""))
    };
    fs::write(path.join("model.toml"), pinned(&whole)).unwrap();
    assert_eq!(open(path).unwrap(), whole);
    fs::write(path.join("model.toml"), pinned(&hex(&graph))).unwrap();
    assert_says(&open(path).unwrap_err(), &[&whole, "weights.sha256"]);
}

#[test]
fn data_outside_of_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::create_dir(&path).unwrap();
    fs::write(folder.path().join("secret"), b"weights?").unwrap();
    std::os::unix::fs::symlink("../secret", path.join("link")).unwrap();
    let absolute = folder.path().join("secret");
    let locations = [
        "../secret",
        "x/../../secret",
        absolute.to_str().unwrap(),
        "link",
        "a\nb",
    ];
    for location in locations {
        write(&path, &[location]);
        let error = open(&path).unwrap_err();
        assert_eq!(error.kind(), InvalidData, "{error}");
        assert_says(&error, &["outside of its folder", "m.onnx"]);
    }
    write(&path, &["absent.bin"]);
    let error = open(&path).unwrap_err();
    assert_eq!(error.kind(), NotFound, "{error}");
    assert_says(&error, &["absent.bin"]);
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = write(folder.path(), &[]);
    let nested = (0..200).fold(Vec::new(), |inner, _| {
        field(1, &field(5, &field(6, &inner)))
    });
    let nested = field(7, &nested);
    for bytes in [
        b"no model".as_slice(),
        &whole[..whole.len() - 1],
        &[0xff; 64],
        &nested,
    ] {
        fs::write(folder.path().join("m.onnx"), bytes).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), InvalidData, "{error}");
        assert_says(&error, &["not a whole ONNX model", "m.onnx"]);
    }
}
