//! Tells the crate the version of candle that it is compiled with: candle's crates do not say it themselves.

use std::path::Path;
use std::{env, fs};

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    if env::var_os("CARGO_FEATURE_CANDLE").is_none() {
        return;
    }
    let text = fs::read_to_string(&lock).expect("the workspace has a Cargo.lock");
    let version = text
        .split("[[package]]")
        .find(|package| package.contains("name = \"candle-core\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .expect("Cargo.lock names candle-core");
    println!("cargo::rustc-env=CANDLE_VERSION={version}");
}
