//! The line that says what was measured.

use driftline::core::BackendInfo;

use crate::arguments::selects;
use crate::threads::threads;

/// Names a thing, what computes it, where and how.
pub fn print(what: &str, engine: &str, device: &str, precision: &str, threads: usize) {
    println!("{what}: {engine}, {device}, {precision}, threads: {threads}");
}

/// The same for what a backend computes.
pub fn print_backend(what: &str, info: &BackendInfo) {
    let (device, precision) = (info.device.to_string(), info.precision.to_string());
    print(what, &info.engine, &device, &precision, info.threads);
}

/// The same for what driftline itself computes, if the command line selects it.
pub fn print_own(id: &str, precision: &str) {
    if selects(id) {
        let engine = concat!("driftline ", env!("CARGO_PKG_VERSION"));
        print(id, engine, "cpu", precision, threads());
    }
}
