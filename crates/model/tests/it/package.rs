//! `model.toml` and weights files, right and wrong.

use std::fs;
use std::io::Write;

use crate::common::{assert_says, network, save};
use driftline_core::ErrorKind::{InvalidConfig, InvalidData, NotFound, Unsupported};
use driftline_core::{ErrorKind, ImageShape, Resize};
use driftline_model::{ModelPackage, Weights};
use tempfile::TempDir;

const MANIFEST: &str = r#"
name = "tiny"
architecture = "resnet18"
classes = ["a", "b", "c", "d"]

[weights]
file = "weights.safetensors"

[input]
height = 48
width = 32
mean = [0.1, 0.2, 0.3]
std = [0.4, 0.5, 0.6]
resize = "crop"

[embedding]
layer = "fc.0"
dim = 3
"#;

/// A folder with a `model.toml` of this text and the tiny network beside it.
fn package(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.toml"), manifest).unwrap();
    save(&network(), &folder.path().join("weights.safetensors"));
    folder
}

#[test]
fn a_package_is_found_by_folder_manifest_and_weights() {
    let folder = package(MANIFEST);
    let by_folder = ModelPackage::open(folder.path()).unwrap();
    for name in ["model.toml", "weights.safetensors"] {
        let path = folder.path().join(name);
        assert_eq!(ModelPackage::open(&path).unwrap(), by_folder);
    }
    assert_eq!(by_folder.name, "tiny");
    let preprocessing = by_folder.preprocessing;
    let shape = ImageShape {
        height: 48,
        width: 32,
    };
    assert_eq!(
        (preprocessing.shape, preprocessing.resize),
        (shape, Resize::Crop)
    );
    assert_eq!(preprocessing.std, [0.4, 0.5, 0.6]);
    let (network, classes) = by_folder.network().unwrap();
    assert_eq!(network.dim(), 3);
    assert_eq!(classes, ["a", "b", "c", "d"]);
}

#[test]
fn weights_that_no_manifest_describes_are_taken_as_32x32_with_numbered_classes() {
    let folder = package(MANIFEST);
    let path = folder.path().join("my_own.safetensors");
    save(&network(), &path);
    let package = ModelPackage::open(&path).unwrap();
    assert_eq!(package.name, "my-own");
    assert_eq!(package.preprocessing.shape.to_string(), "32x32");
    assert_eq!(package.preprocessing.mean, [0.5; 3]);
    let (_, classes) = package.network().unwrap();
    assert_eq!(classes, ["class_0", "class_1", "class_2", "class_3"]);
}

#[test]
fn a_wrong_manifest_is_named_with_what_is_wrong() {
    for (from, to, parts) in [
        (
            "[input]",
            "sizes = 3\n[input]",
            &["unknown field `sizes`", "line 9"][..],
        ),
        ("mean =", "means =", &["unknown field `means`", "`mean`"]),
        ("dim = 3", "", &["missing field `dim`"]),
        (
            "[weights]\nfile = \"weights.safetensors\"",
            "",
            &["missing field `weights`"],
        ),
        ("name = \"tiny\"", "name = tiny", &["line 2"]),
        ("\"resnet18\"", "\"vgg\"", &["`vgg`", "`resnet18`"]),
        ("\"crop\"", "\"pad\"", &["`pad`", "`stretch`", "`crop`"]),
        ("height = 48", "height = -1", &["height", "-1"]),
        (
            "height = 48",
            "height = 0",
            &["input.height", "from 1 to 4096"],
        ),
        (
            "width = 32",
            "width = 4611686018427387904",
            &["input.width", "from 1 to 4096"],
        ),
        (
            "[0.1, 0.2, 0.3]",
            "[0.1, 0.2]",
            &["mean", "an array of length 3"],
        ),
        (
            "0.5, 0.6]",
            "0.0, 0.6]",
            &["input.std must be finite", "above 0"],
        ),
        ("[0.1", "[nan", &["input.mean", "must be finite"]),
        ("\"fc.0\"", "\"fc.2\"", &["output of `fc.0`, not of `fc.2`"]),
        ("dim = 3", "dim = 0", &["embedding.dim must be at least 1"]),
        (
            "[\"a\", \"b\", \"c\", \"d\"]",
            "[]",
            &["classes must name at least one class"],
        ),
        (
            "[input]",
            "[input]\nlayout = \"nhwc\"",
            &["input.layout", "`architecture = \"onnx\"`"],
        ),
    ] {
        assert_eq!(MANIFEST.matches(from).count(), 1, "{from}");
        let folder = package(&MANIFEST.replace(from, to));
        let error = ModelPackage::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), InvalidConfig, "{error}");
        assert_says(&error, parts);
        assert_says(&error, &["model.toml"]);
    }
}

#[test]
fn weights_that_are_not_those_of_the_manifest_are_refused() {
    let sha256 = ModelPackage::open(package(MANIFEST).path()).unwrap().sha256;
    let file = "file = \"weights.safetensors\"";
    let with_sha = |sha: &str| MANIFEST.replace(file, &format!("{file}\nsha256 = \"{sha}\""));
    let right = package(&with_sha(&sha256.to_uppercase()));
    assert_eq!(ModelPackage::open(right.path()).unwrap().sha256, sha256);

    let wrong = "0".repeat(64);
    let error = ModelPackage::open(package(&with_sha(&wrong)).path()).unwrap_err();
    assert_eq!(error.kind(), InvalidData);
    assert_says(
        &error,
        &[
            &wrong,
            &sha256,
            "weights.safetensors",
            "correct weights.sha256",
        ],
    );
    let absent = package(&MANIFEST.replace("weights.safetensors", "absent.pth"));
    let error = ModelPackage::open(absent.path()).unwrap_err();
    assert_eq!(error.kind(), NotFound);
    assert_says(&error, &["absent.pth", "check the path"]);

    for (from, to, message) in [
        (
            "dim = 3",
            "dim = 5",
            "model.toml promises embeddings of 5 values, the weights give 3",
        ),
        (
            ", \"d\"",
            "",
            "model.toml names 3 classes, the weights have 4",
        ),
    ] {
        let folder = package(&MANIFEST.replace(from, to));
        let package = ModelPackage::open(folder.path()).unwrap();
        let error = package.network().unwrap_err();
        assert_eq!(error.kind(), InvalidConfig);
        let parts = [
            message,
            "model: tiny",
            "weights.safetensors",
            "correct model.toml",
        ];
        assert_says(&error, &parts);
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        ModelPackage::open(&path).and_then(|package| package.network())
    };
    let says = |name, content: &[u8], kind: ErrorKind, parts: &[&str]| {
        let error = open(name, content).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_says(&error, &[&[name], parts].concat());
    };
    says("cat.jpg", b"", InvalidConfig, &["pass a model.toml"]);
    says("graph.onnx", b"", InvalidConfig, &["write a model.toml"]);
    says("cut.pth", b"PK\x03\x04", InvalidData, &["torch.save"]);
    says("cut.safetensors", b"{}", InvalidData, &["bring it again"]);
    let error = ModelPackage::open(&folder.path().join("empty")).unwrap_err();
    assert_says(&error, &["empty", "pass a model.toml"]);
}

/// A zip archive as `torch.save` makes one.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_pth_that_is_no_state_dict_is_refused_and_nothing_in_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    // `os.system("touch ...")`, as an attack would be pickled.
    let touched = folder.path().join("touched");
    let attack = format!("cos\nsystem\n(S'touch {}'\ntR.", touched.display());
    for (entries, part) in [
        (&[("x/version", &b"3"[..])][..], "no data.pkl"),
        (&[("x/data.pkl", b"\x80\x02}.")], "conv1.weight"),
        (&[("x/data.pkl", b"\x80\x02]q\0.")], "not a state dict"),
        (
            &[("x/data.pkl", b"\x80\x02}X\x01\0\0\0aK\x01s.")],
            "`a` is a",
        ),
        (
            &[("x/byteorder", b"big"), ("x/data.pkl", b"\x80\x02}.")],
            "big-endian",
        ),
        (&[("x/data.pkl", b"\x80\x02}X\xff\xff")], "weights.pth"),
        (&[("x/data.pkl", attack.as_bytes())], "system"),
    ] {
        fs::write(&path, archive(entries)).unwrap();
        let package = ModelPackage::open(&path).unwrap();
        let error = package.network().unwrap_err();
        assert_eq!(error.kind(), InvalidData, "{error}");
        assert_says(&error, &[part, "weights.pth"]);
    }
    assert!(!touched.exists());
}

#[test]
fn safetensors_keep_their_values_and_refuse_types_that_are_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&network(), &path);
    assert_eq!(Weights::open(&path).unwrap(), network());
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F8_E4M3, vec![2], &[0, 0])
        .unwrap();
    safetensors::serialize_to_file([("conv1.weight", view)], None, &path).unwrap();
    let error = Weights::open(&path).unwrap_err();
    assert_eq!(error.kind(), Unsupported);
    assert_says(
        &error,
        &["conv1.weight", "F8_E4M3", "save the weights as f32"],
    );
}
