//! Developer tasks: `cargo xtask <task>`.
//!
//! | module | task |
//! | --- | --- |
//! | [`mod@test`] | set up what the tests need, and run all of them |
//! | [`mod@modules`] | no circles among the modules of a crate |
//! | [`mod@timing`] | how long each step and each test took |
//! | [`mod@soak`] | a server under load that is killed now and then |
//! | [`mod@memory`] | the tests of plugins under Valgrind, and with other layouts |
//! | [`mod@fuzz`] | the fuzz targets, each for a while |
//! | [`mod@plugin`] | build a plugin of this repository and install it |
//! | [`mod@dist`] | an archive of the command |
//! | [`mod@gpu`] | a folder that measures a machine with a GPU |
//! | [`mod@python`], [`mod@browser`] | the Python environments and the browser of the tests |
//! | [`mod@cargo`] | cargo, and where it builds |

mod browser;
mod cargo;
mod dist;
mod fuzz;
mod gpu;
mod memory;
mod modules;
mod plugin;
mod python;
mod soak;
mod test;
mod timing;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of driftline")]
enum Task {
    /// Set up what the tests need and run all of them: format, lints, documentation, tests.
    Test(test::Arguments),
    /// Run the tests of plugins under Valgrind, and with structs laid out by other seeds.
    Memory,
    /// Publish millions of rows to a server that is killed now and then, and look whether all are there.
    Soak(soak::Arguments),
    /// Run the fuzz targets, one after the other or one of them; needs cargo-fuzz.
    Fuzz(fuzz::Arguments),
    /// Build a plugin of this repository and put it where driftline finds it.
    Plugin(plugin::Arguments),
    /// Make a stripped archive of the command, with completions, man pages and licences.
    Dist(dist::Arguments),
    /// Make a folder that checks and measures driftline on a Linux machine with an NVIDIA GPU and PyTorch.
    GpuBundle(gpu::Arguments),
    /// Run one test binary and keep the time of each of its tests; cargo calls it.
    #[command(hide = true)]
    TimedTest(timing::Arguments),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Test(arguments) => test::run(&arguments),
        Task::Memory => memory::run(),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Plugin(arguments) => plugin::run(&arguments),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::GpuBundle(arguments) => gpu::run(&arguments),
        Task::TimedTest(arguments) => timing::run_test(&arguments),
    }
}
