//! The `driftline` command.

mod args;
mod conformance;
mod doctor;
mod drift;
mod embed;
mod list;
mod model;
mod output;
mod progress;
mod run;
mod runtime;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use driftline::core::{Error, ErrorKind};

use crate::args::{Cli, Command};

/// What a command that did its work found.
enum Outcome {
    /// It is done.
    Done,
    /// It is done, and a statistic is above a limit that the user set.
    AboveLimit,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::AboveLimit) => ExitCode::from(3),
        Err(error) => {
            let error: Error = match error.downcast() {
                Ok(error) => error,
                Err(other) => {
                    eprintln!("error: {other:#}");
                    return ExitCode::FAILURE;
                }
            };
            eprintln!("error: {error}");
            if error.kind() == ErrorKind::InvalidConfig {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Outcome> {
    let output = cli.output;
    match cli.command {
        Command::Quickstart(args) => run::quickstart(&args, output),
        Command::Run(args) => run::run(&args, output),
        Command::Embed(args) => embed::embed(&args, output),
        Command::Drift(args) => drift::drift(&args, output),
        Command::Model(args) => model::model(&args, output),
        Command::Runtime(args) => runtime::runtime(&args, output),
        Command::Conformance(args) => conformance::conformance(&args, output),
        Command::Backends => list::backends(output),
        Command::Transforms => list::transforms(output),
        Command::Sinks => list::sinks(output),
        Command::Statistics => list::statistics(output),
        Command::Doctor(args) => doctor::doctor(&args, output),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "driftline",
                &mut std::io::stdout(),
            );
            Ok(Outcome::Done)
        }
    }
}
