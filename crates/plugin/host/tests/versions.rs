//! Old plugins and new ones: a plugin of the first released header, and one whose structs have grown since.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use driftline_core::{DriftTransform, ImageBatch, ImageShape, TransformContext, TransformSpec};
use driftline_plugin_host::manifest::machine;
use driftline_plugin_host::{Library, Lock, Manifest, PluginTransform, Policy};
use sha2::{Digest, Sha256};

const HEADER: &[u8] = include_bytes!("frozen/driftline_plugin_1_0.h");

/// Compiles the frozen plugin with `flags`, loads it by its manifest and applies its transform.
fn works(name: &str, flags: &[&str]) -> usize {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/plugin.c");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let library = folder.path().join("frozen.so");
    let mut compiler = Command::new("cc");
    compiler.args([
        "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
    ]);
    let status = compiler.arg(&library).arg(source).args(flags).status();
    assert!(status.unwrap().success(), "{name}");
    let manifest = folder.path().join("frozen.plugin.toml");
    let text = format!(
        "manifest_version = 1\n[plugin]\nname = \"frozen\"\nversion = \"1.0.0\"\nabi = \"1.0\"\n         [library.{}]\npath = \"frozen.so\"\n[[component]]\nkind = \"transform\"\nname = \"frozen\"\n",
        machine()
    );
    std::fs::write(&manifest, text).unwrap();
    let policy = Policy {
        lock: Lock::open(&folder.path().join("plugins.lock")).unwrap(),
        require_lock: false,
        probe: None,
    };
    let library = Library::open(&Manifest::open(&manifest).unwrap(), &policy).unwrap();
    let spec = TransformSpec::parse_list("frozen").unwrap().remove(0);
    let transform = PluginTransform::new(library, &spec).unwrap();
    let shape = ImageShape {
        height: 2,
        width: 3,
    };
    let bytes: Vec<u8> = (0..2 * shape.bytes() as u8).collect();
    let mut images = ImageBatch::new(shape, bytes.clone()).unwrap();
    let context = TransformContext {
        seed: 1,
        rows: &[0, 1],
    };
    transform.apply(&mut images, &context).unwrap();
    let expected: Vec<u8> = bytes.iter().map(|value| 255 - value).collect();
    assert_eq!(images.as_bytes(), expected, "{name}");
    library.components.len()
}

#[test]
fn plugins_of_the_first_header_and_of_a_later_minor_version_work_beside_each_other() {
    // One after the other: neither is taken for the other.
    assert_eq!(works("old", &[]), 1);
    assert_eq!(works("newer", &["-DNEWER"]), 2);
    assert_eq!(works("old, built again", &["-DAGAIN", "-g"]), 1);
}

#[test]
fn the_first_header_is_as_it_was_released() {
    let digest: String = Sha256::digest(HEADER)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        digest,
        "67a3fc4cf44e5a3b5df6be27ff536fdb3574c70a72f25c3e59dbfbc51ad7ad66"
    );
}
