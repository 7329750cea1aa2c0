//! `cargo xtask test`: format, lints, documentation, tests.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Sets up Python, runs every step in order and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let workspace = crate::workspace()?;
    let python = crate::python::environment(workspace)?;
    let onnxruntime = crate::python::onnxruntime(&python)?;
    let steps: [(&str, &[&str]); 4] = [
        ("fmt", &["--all", "--check"]),
        (
            "clippy",
            &["--workspace", "--all-targets", "--", "-D", "warnings"],
        ),
        ("doc", &["--workspace", "--no-deps"]),
        ("test", &["--workspace"]),
    ];
    let mut times = Vec::new();
    for (step, arguments) in steps {
        let command = format!("cargo {step} {}", arguments.join(" "));
        println!("==> {command}");
        let start = Instant::now();
        let status = Command::new(env!("CARGO"))
            .arg(step)
            .args(arguments)
            .env("RUSTDOCFLAGS", "-D warnings")
            .env("DRIFTLINE_PYTHON", &python)
            .env("ORT_DYLIB_PATH", &onnxruntime)
            // None of these may be missing silently.
            .env("DRIFTLINE_REQUIRE_BACKENDS", "candle,onnx")
            .current_dir(workspace)
            .status()
            .with_context(|| format!("`{command}` could not be started"))?;
        ensure!(status.success(), "`{command}` failed");
        times.push((step, start.elapsed().as_secs()));
    }
    for (step, seconds) in times {
        println!("{step}: {seconds} s");
    }
    println!("All tests passed.");
    Ok(())
}
