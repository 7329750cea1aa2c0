//! driftline as a separate process, in which a plugin may crash or hang.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use driftline::core::{Error, ErrorKind};

/// A process that was started.
pub(super) struct Child {
    process: std::process::Child,
    stdout: JoinHandle<Vec<u8>>,
    /// Lines of stderr, as they come.
    lines: Receiver<String>,
}

/// How it ended.
pub(super) enum Ended {
    /// With success.
    Done { stdout: Vec<u8> },
    /// With an error.
    Failed { stdout: Vec<u8>, message: String },
    /// By a signal.
    Crashed { status: ExitStatus },
    /// Not in time: it was killed.
    Late,
}

impl Child {
    /// Starts driftline with what `describe` adds.
    pub(super) fn start(describe: impl FnOnce(&mut Command)) -> Result<Self, Error> {
        let failed = |cause| {
            Error::new(
                ErrorKind::Unavailable,
                "start process",
                "driftline cannot start itself",
            )
            .because(cause)
        };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        describe(&mut command);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let stdout = process.stdout.take();
        let stderr = process.stderr.take();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let Some(stderr) = stderr else { return };
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                if send
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            stdout: std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stdout) = stdout {
                    // What came before it broke off is what there is.
                    let _ = stdout.read_to_end(&mut bytes);
                }
                bytes
            }),
            lines,
        })
    }

    /// Waits for its end; between two lines of its stderr, which `line` is told, it may take `deadline`.
    pub(super) fn wait(mut self, deadline: Duration, mut line: impl FnMut(&str)) -> Ended {
        let mut message = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline) {
                Ok(text) => {
                    line(&text);
                    message.push(text);
                }
                Err(RecvTimeoutError::Timeout) => {
                    // It may have ended by itself in between.
                    let _ = self.process.kill();
                    let _ = self.process.wait();
                    return Ended::Late;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let stdout = self.stdout.join().unwrap_or_default();
        match self.process.wait() {
            Ok(status) if status.success() => Ended::Done { stdout },
            Ok(status) if status.code().is_none() => Ended::Crashed { status },
            _ => {
                let text = message.join("\n");
                let message = text.trim().trim_start_matches("error: ").to_owned();
                Ended::Failed { stdout, message }
            }
        }
    }
}
