//! The `driftline` command.

mod args;
mod calibrate;
mod conclusion;
mod conformance;
mod doctor;
mod drift;
mod embed;
mod flags;
mod list;
mod model;
mod outcome;
mod output;
mod plugin;
mod power;
mod progress;
mod run;
mod runtime;
mod serve;
mod store;
mod stored;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use driftline::core::{Error, ErrorKind};
use driftline::{Plugins, Settings};

use crate::args::{Cli, Command};
use crate::outcome::Outcome;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return explain(&message),
    };
    // A server writes its own log.
    if !matches!(cli.command, Command::Serve(_)) {
        progress::log_to_stderr(cli.output.verbose);
    }
    match dispatch(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::AboveLimit) => ExitCode::from(3),
        Ok(Outcome::Damaged) => ExitCode::FAILURE,
        Err(error) => {
            let error: Error = match error.downcast() {
                Ok(error) => error,
                Err(other) => {
                    output::notice(&format!("error: {other:#}"));
                    return ExitCode::FAILURE;
                }
            };
            output::notice(&format!("error: {}", flags::explain(&error)));
            if error.kind() == ErrorKind::InvalidConfig {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Shows help or the version on stdout, or on stderr what is wrong with the arguments.
fn explain(message: &clap::Error) -> ExitCode {
    match message.print() {
        Err(cause) if !message.use_stderr() && cause.kind() != io::ErrorKind::BrokenPipe => {
            output::notice(&format!("error: {cause}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(1)),
    }
}

/// Paths on the command line are relative to the working directory.
fn absolute(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let absolute = |folder: &PathBuf| {
        std::path::absolute(folder).map_err(|e| Error::io("read `--plugin-path`", folder, e))
    };
    folders.iter().map(absolute).collect()
}

fn dispatch(cli: Cli) -> anyhow::Result<Outcome> {
    let output = cli.output;
    let plugins = absolute(&cli.plugin_path)?;
    let find = || -> Result<Plugins, Error> {
        // A settings file belongs to a run; the environment and the flag count everywhere.
        let mut settings = Settings::load(&Settings::default(), None, &[])?.plugins;
        settings.path.splice(..0, plugins.iter().cloned());
        plugin::search(&settings)
    };
    match cli.command {
        Command::Quickstart(args) => run::quickstart(&args, &plugins, output),
        Command::Run(args) => run::run(&args, &plugins, output),
        Command::Embed(args) => embed::embed(&args, &find()?, output),
        Command::Drift(args) => drift::drift(&args, output),
        Command::Baseline(args) => calibrate::baseline(&args, output),
        Command::Power(args) => power::power(&args, &find()?, output),
        Command::Calibrate(args) => calibrate::calibrate(&args, output),
        Command::Report(args) => serve::report(&args, output),
        Command::Serve(args) => serve::serve(&args, output),
        Command::Model(args) => model::model(&args, output),
        Command::Runtime(args) => runtime::runtime(&args, &find()?, output),
        Command::Labels(args) => stored::labels(&args, &plugins, output),
        Command::Sink(args) => stored::sink(&args, &plugins, output),
        Command::Store(args) => store::store(&args, output),
        Command::Plugin(args) => plugin::plugin(&args, &find()?, output),
        Command::Conformance(args) => conformance::conformance(&args, &find()?, output),
        Command::Backends => list::backends(&find()?, output),
        Command::Transforms => list::transforms(&find()?, output),
        Command::Sinks => list::sinks(&find()?, output),
        Command::Statistics => list::statistics(output),
        Command::Doctor(args) => doctor::doctor(&args, &find()?, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "driftline", &mut script);
            output::result(&script)?;
            Ok(Outcome::Done)
        }
        Command::Man { folder: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            output::text(String::from_utf8_lossy(&page).trim_end())?;
            Ok(Outcome::Done)
        }
        Command::Man {
            folder: Some(folder),
        } => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
                .map_err(|e| Error::io("write man pages", &folder, e))?;
            Ok(Outcome::Done)
        }
    }
}
