//! The log: JSON objects on standard error, one a line. A line that cannot be written is lost and counted, nothing else.
//!
//! A thread of its own writes, so that a full disk fails no request, and a pipe that nobody reads holds none up.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;

/// Lines that may wait to be written; one more is lost.
const WAITING: usize = 4_096;
/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The count of lines that were lost since the start of the process.
pub(crate) fn lost() -> Counter {
    LOST.clone()
}

/// The log of this process. Dropping it waits until the last lines are written, for at most a second.
#[derive(Debug)]
#[must_use = "the last lines are waited for when it is dropped"]
pub struct Log {
    waiting: Arc<AtomicUsize>,
}

impl Drop for Log {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_LINES;
        while self.waiting.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Sends logs to standard error; `RUST_LOG` chooses what is logged (default `info`). A second call, or one after another
/// subscriber was installed, changes nothing.
pub fn json_logs() -> Log {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (queue, lines) = sync_channel(WAITING);
    let waiting = Arc::new(AtomicUsize::new(0));
    let log = Log {
        waiting: Arc::clone(&waiting),
    };
    let written = Arc::clone(&waiting);
    let thread = std::thread::Builder::new().name("log".to_owned());
    // Without the thread every line is lost, and counted.
    let _no_thread = thread.spawn(move || write(&lines, &written, &LOST, io::stderr()));
    let writer = Queued {
        queue,
        waiting,
        lost: lost(),
    };
    let _installed_earlier = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(move || writer.clone())
        .try_init();
    log
}

fn write(lines: &Receiver<Vec<u8>>, waiting: &AtomicUsize, lost: &Counter, mut target: impl Write) {
    let mut broken = false;
    for line in lines {
        // What was written of a line before it failed must not spoil the next one.
        let begun = if broken {
            target.write_all(b"\n")
        } else {
            Ok(())
        };
        broken = begun.and_then(|()| target.write_all(&line)).is_err();
        if broken {
            lost.inc();
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The writer's end of the queue, which never fails and never waits.
#[derive(Clone)]
struct Queued {
    queue: SyncSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    lost: Counter,
}

impl Write for Queued {
    /// `tracing_subscriber` gives whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(escaped(line)).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.lost.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON as it was, but with DEL and the control characters above it, which a terminal may obey and which JSON allows in
/// strings, as escapes.
fn escaped(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let obeyed = |letter: char| ('\u{7f}'..='\u{9f}').contains(&letter);
    if !text.contains(obeyed) {
        return line.to_vec();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if obeyed(letter) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    safe.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Takes what the script says: so many bytes, or fails. After the script it takes everything.
    #[derive(Default)]
    struct Disk {
        script: VecDeque<Option<usize>>,
        bytes: Vec<u8>,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let most = self.script.pop_front().unwrap_or(Some(usize::MAX));
            let taken = most.ok_or(io::ErrorKind::StorageFull)?.min(bytes.len());
            self.bytes.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queued(room: usize) -> (Queued, Receiver<Vec<u8>>) {
        let (queue, lines) = sync_channel(room);
        let (waiting, lost) = (Arc::default(), Counter::default());
        let writer = Queued {
            queue,
            waiting,
            lost,
        };
        (writer, lines)
    }

    #[test]
    fn a_line_that_failed_is_counted_and_spoils_no_other() {
        let (mut writer, lines) = queued(8);
        for line in ["first\n", "cut off here\n", "last\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        let (waiting, lost) = (Arc::clone(&writer.waiting), writer.lost.clone());
        drop(writer);
        let mut disk = Disk {
            script: [Some(usize::MAX), Some(3), None].into(),
            ..Disk::default()
        };
        write(&lines, &waiting, &lost, &mut disk);
        assert_eq!(disk.bytes, b"first\ncut\nlast\n");
        assert_eq!(lost.get(), 1);
        assert_eq!(waiting.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_log_that_takes_nothing_holds_nothing_up() {
        let (mut writer, lines) = queued(1);
        for _ in 0..3 {
            writer.write_all(b"{}\n").unwrap();
        }
        assert_eq!(writer.lost.get(), 2);
        drop(lines);
        writer.write_all(b"{}\n").unwrap();
        assert_eq!(writer.lost.get(), 3);
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let line = "{\"a\":\"\u{9b}31m\u{7f} ü\"}\n";
        assert_eq!(
            escaped(line.as_bytes()),
            "{\"a\":\"\\u009b31m\\u007f ü\"}\n".as_bytes()
        );
        assert_eq!(escaped(b"{}\n"), b"{}\n");
    }
}
