//! The `onnx` Python package accepts exported graphs.

use std::path::Path;
use std::process::Command;

use driftline_model::ModelPackage;

#[test]
fn the_official_checker_accepts_the_export() {
    let Some(python) = std::env::var_os("DRIFTLINE_PYTHON") else {
        println!("skipped: set DRIFTLINE_PYTHON to a Python with the package onnx");
        return;
    };
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../driftline/models/sample");
    let folder = tempfile::tempdir().unwrap();
    let graph = folder.path().join("model.onnx");
    let package = ModelPackage::open(&sample).unwrap();
    package.export_onnx(&graph).unwrap();
    let code = r#"
import sys, onnx
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
assert model.opset_import[0].version >= 17, model.opset_import
batch = model.graph.input[0].type.tensor_type.shape.dim[0]
assert batch.dim_param == "N" and not batch.HasField("dim_value"), batch
assert [output.name for output in model.graph.output] == ["embeddings", "probabilities"]
"#;
    let output = Command::new(python)
        .args(["-c", code])
        .arg(&graph)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let again = package.export_onnx(&graph).unwrap_err().to_string();
    assert!(
        again.contains("model.toml beside the graph already"),
        "{again}"
    );
}
