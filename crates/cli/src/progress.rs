//! Progress on stderr: a bar on a terminal, a line every few seconds elsewhere, nothing with `--quiet`.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use driftline::pipeline::{Cancel, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::flags::with_flags;
use crate::output::{notice, printable};

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on stderr.
pub enum Reporter {
    /// On a terminal.
    Bar(Mutex<Option<ProgressBar>>),
    /// In a file or a pipe.
    Lines(Mutex<Stage>),
    /// Not at all.
    Quiet,
}

/// The stage in progress.
pub struct Stage {
    name: String,
    rows: u64,
    done: u64,
    begun: Instant,
    written: Instant,
}

impl Reporter {
    /// Chooses by `quiet` and by where stderr goes.
    pub fn new(quiet: bool) -> Self {
        let now = Instant::now();
        if quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            Self::Bar(Mutex::new(None))
        } else {
            Self::Lines(Mutex::new(Stage {
                name: String::new(),
                rows: 0,
                done: 0,
                begun: now,
                written: now,
            }))
        }
    }
}

impl Progress for Reporter {
    fn begin(&self, name: &str, rows: u64) {
        match self {
            Self::Bar(current) => {
                let bar = if rows == 0 {
                    ProgressBar::new_spinner()
                } else {
                    let template =
                        "{msg:12} {bar:32} {human_pos}/{human_len}  {per_sec}  {eta} left";
                    let style = ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_bar());
                    ProgressBar::new(rows).with_style(style)
                };
                bar.set_message(printable(name).into_owned());
                *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
            }
            Self::Lines(stage) => {
                let now = Instant::now();
                *stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage {
                    name: name.to_owned(),
                    rows,
                    done: 0,
                    begun: now,
                    written: now,
                };
            }
            Self::Quiet => {}
        }
    }

    fn advance(&self, rows: u64) {
        match self {
            Self::Bar(current) => {
                if let Some(bar) = &*current.lock().unwrap_or_else(PoisonError::into_inner) {
                    bar.inc(rows);
                }
            }
            Self::Lines(stage) => {
                let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
                stage.done += rows;
                if stage.written.elapsed() >= LINE_EVERY {
                    stage.written = Instant::now();
                    let rate = stage.done as f64 / stage.begun.elapsed().as_secs_f64();
                    notice(&format!(
                        "{}: {} of {} ({rate:.0}/s)",
                        stage.name, stage.done, stage.rows
                    ));
                }
            }
            Self::Quiet => {}
        }
    }

    fn end(&self) {
        match self {
            Self::Bar(current) => {
                let bar = current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
            }
            Self::Lines(stage) => {
                let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
                let seconds = stage.begun.elapsed().as_secs_f64();
                notice(&format!("{}: done in {seconds:.1} s", stage.name));
            }
            Self::Quiet => {}
        }
    }

    fn note(&self, line: &str) {
        match self {
            Self::Bar(current) => match &*current.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(bar) => bar.println(printable(line)),
                None => notice(line),
            },
            Self::Lines(_) => notice(line),
            Self::Quiet => {}
        }
    }
}

/// Stops cleanly on Ctrl-C; a second Ctrl-C ends the process at once.
pub fn stop_on_ctrl_c() -> anyhow::Result<Cancel> {
    let cancel = Cancel::default();
    let request = cancel.clone();
    let mut asked = false;
    ctrlc::set_handler(move || {
        if asked {
            std::process::exit(1);
        }
        asked = true;
        notice("stopping after the current batch; press Ctrl-C again to stop at once");
        request.request();
    })?;
    Ok(cancel)
}

/// Logs to stderr what every part and every plugin says: warnings, what `DRIFTLINE_LOG` asks for, or what `-v` does.
pub fn log_to_stderr(verbose: u8) {
    use std::io::Write;
    let environment = env_logger::Env::new().filter_or("DRIFTLINE_LOG", "warn");
    let mut logger = env_logger::Builder::from_env(environment);
    match verbose {
        0 => &mut logger,
        1 => logger.parse_filters("info"),
        2 => logger.parse_filters("debug"),
        _ => logger.parse_filters("trace"),
    }
    .format(|out, record| {
        let level = match record.level() {
            log::Level::Warn => "warning".to_owned(),
            other => other.to_string().to_lowercase(),
        };
        let message = with_flags(&record.args().to_string());
        writeln!(out, "{level}: {}", printable(&message))
    })
    .init();
}
