//! Developer tasks: `cargo xtask <task>`.
//!
//! | module | task |
//! | --- | --- |
//! | [`mod@memory`] | the tests of plugins under Valgrind, and with other layouts |
//! | [`mod@plugin`] | build a plugin of this repository and install it |
//! | [`mod@python`] | the Python environment of the tests |
//! | [`mod@test`] | set up what the tests need, and run all of them |
//! | [`mod@train`] | train the sample model |

mod browser;
mod memory;
mod plugin;
mod python;
mod test;
mod train;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of driftline")]
enum Task {
    /// Set up what the tests need and run all of them: format, lints, tests, documentation.
    Test,
    /// Run the tests of plugins under Valgrind, and with structs laid out by other seeds.
    Memory,
    /// Build a plugin of this repository and put it where driftline finds it.
    Plugin(plugin::Arguments),
    /// Train the sample model and write it to crates/driftline/models/sample.
    TrainSampleModel(train::Arguments),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test => test::run(),
        Task::Memory => memory::run(),
        Task::Plugin(arguments) => plugin::run(&arguments),
        Task::TrainSampleModel(arguments) => train::run(&arguments),
    }
}

/// The folder of the workspace. Cargo tells it at run time: a target folder that several checkouts share may hold an xtask that
/// was compiled in another one.
fn workspace() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let workspace = Path::new(&package).ancestors().nth(2);
    let workspace = workspace.context("xtask is not two folders below the workspace")?;
    Ok(workspace.to_path_buf())
}
