//! The sink: accepts rows into the outbox, and delivers them while the pipeline goes on.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use driftline_core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, Rows, SinkConfig, SinkInfo,
};

use crate::batch::Kind;
use crate::config::Settings;
use crate::courier::{Courier, Extent, Out};
use crate::outbox::Outbox;
use crate::pace::Stop;
use crate::wire;

/// A [`MonitorSink`] to a Fiddler server.
///
/// # Behavior
/// - A publish call returns when its rows are in the outbox on this machine's disk; it does not wait for the server.
/// - Rows leave the outbox when the server's job has succeeded. A killed process or a full disk loses none; the next
///   sink on the same store goes on.
/// - An `event_id` that was ever accepted is never sent again, except by a repetition whose first answer was lost.
/// - The model is made from the baseline, so nothing reaches the server before the first event or `flush`.
/// - [`flush`](MonitorSink::flush) returns when the server has everything; otherwise it says what is left and where.
pub struct FiddlerSink {
    info: SinkInfo,
    monitor: MonitorSpec,
    batch_rows: u64,
    outbox: Outbox,
    courier: Arc<Mutex<Courier>>,
    background: Background,
}

impl FiddlerSink {
    /// A sink to the server that `config.options` names. The project is there when this returns, and the outbox; the model,
    /// if there is one, fits the monitor.
    ///
    /// # Errors
    /// `InvalidConfig` naming the option, also if there is no token, or the column in which the server's model differs;
    /// otherwise those of the server and of the file system.
    pub fn open(config: &SinkConfig) -> Result<Self> {
        let settings = Settings::new(&config.options)?;
        let monitor = &config.monitor;
        let folder = Outbox::folder(&config.store, &monitor.project, &monitor.model)?;
        let stop = Stop::default();
        let (mut wire, server) = wire::connect(&settings, &stop)?;
        let mut outbox = Outbox::open(&folder)?;
        outbox.bind(&server.identity)?;
        let model = wire.prepare(monitor).map_err(Error::from)?;
        if !model && outbox.has_delivered(Kind::Baseline)? {
            let message = format!(
                "the server has lost the model `{}`, whose rows were delivered before",
                monitor.model
            );
            return Err(
                Error::new(ErrorKind::NotFound, "prepare the model", message)
                    .with("outbox", folder.display())
                    .remedy(
                        "remove the outbox, and run the same command again to send everything anew",
                    ),
            );
        }
        outbox.note_monitor(monitor)?;
        let courier = Arc::new(Mutex::new(Courier::new(
            Outbox::open(&folder)?,
            wire,
            monitor.clone(),
            settings.batch_rows,
            settings.patience.job,
        )));
        Ok(Self {
            info: SinkInfo {
                name: "fiddler".to_owned(),
                location: settings.url.to_string(),
            },
            monitor: monitor.clone(),
            batch_rows: settings.batch_rows,
            outbox,
            background: Background::start(courier.clone(), stop)?,
            courier,
        })
    }

    fn publish(&mut self, kind: Kind, batch: &RecordBatch) -> Result<Ack> {
        let rows = checked(batch, &self.monitor)?;
        let ack = self.outbox.accept(kind, &rows, self.batch_rows)?;
        self.background.wake();
        Ok(ack)
    }
}

impl MonitorSink for FiddlerSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(Kind::Baseline, rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(Kind::Events, rows)
    }

    /// Labels follow the events of the outbox; all count as accepted, as only the server knows its events.
    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        self.outbox.accept_labels(labels, self.batch_rows)?;
        self.background.wake();
        Ok(Ack {
            accepted: labels.len() as u64,
            duplicates: 0,
        })
    }

    fn flush(&mut self) -> Result<()> {
        let mut courier = self.background.interrupt(&self.courier);
        let stays = courier.deliver(Extent::Everything);
        let out = courier.take_out();
        outcome(&self.outbox, stays.unwrap_or_else(Some), &out)
    }
}

/// What a delivery has left in the outbox and taken out of it, and what to do about it.
fn outcome(outbox: &Outbox, cause: Option<Error>, out: &Out) -> Result<()> {
    let damaged: u64 = out.damaged.iter().map(|damaged| damaged.rows).sum();
    let dead: u64 = out.dead.iter().map(|dead| dead.rows).sum();
    let folder = |note: &Path| {
        note.parent()
            .unwrap_or(Path::new("."))
            .display()
            .to_string()
    };
    let error = match (cause, out.damaged.first(), out.dead.first()) {
        (None, None, None) => return Ok(()),
        (Some(cause), ..) => left_over(outbox, &cause, damaged == 0),
        (None, Some(first), _) => {
            let message = format!("{damaged} rows in the outbox are damaged: {}", first.reason);
            Error::new(ErrorKind::InvalidData, "deliver rows", message).remedy(
                "run the same command again: these rows are sent anew; then remove their files",
            )
        }
        (None, None, Some(first)) => {
            let message = format!("the server did not take {dead} rows: {}", first.reason);
            Error::new(ErrorKind::InvalidData, "deliver rows", message)
                .remedy("correct the cause, remove the dead letters, and run the same command again: these rows are sent anew")
        }
    };
    let error = match out.damaged.first() {
        Some(first) => error.with(
            "damaged",
            format!("{damaged} rows, in {}", folder(&first.note)),
        ),
        None => error,
    };
    Err(match out.dead.first() {
        Some(first) => error.with(
            "dead letters",
            format!("{dead} rows, in {}", folder(&first.note)),
        ),
        None => error,
    })
}

/// What a failed delivery leaves, and what to do about it.
fn left_over(outbox: &Outbox, cause: &Error, is_all_there: bool) -> Error {
    let rows = match outbox.queued() {
        Ok(rows) => format!("{rows} rows have"),
        // The first cause is the one to be told.
        Err(_) => "some rows have".to_owned(),
    };
    let message = format!("{rows} not reached the server; they wait in the outbox");
    let error = Error::new(cause.kind(), "deliver rows", message)
        .with("outbox", outbox.location().display())
        .because(cause.to_string());
    let error = error.remedy(if is_all_there {
        "then run `driftline sink flush`; nothing is lost"
    } else {
        "then run the same command again: it sends the damaged rows anew"
    });
    if cause.is_retryable() {
        error.retryable()
    } else {
        error
    }
}

fn checked(batch: &RecordBatch, monitor: &MonitorSpec) -> Result<Rows> {
    let rows = driftline_rows::check(batch)?;
    if !rows.schema().fits(&monitor.schema) {
        let message = format!(
            "these rows have embeddings of {} values and {} classes; the model has {} and {}",
            rows.schema().dim,
            rows.schema().classes.len(),
            monitor.schema.dim,
            monitor.schema.classes.len()
        );
        return Err(Error::new(ErrorKind::InvalidData, "publish rows", message)
            .remedy("publish the rows of one model under one model name"));
    }
    Ok(rows)
}

/// The thread that delivers full batches.
struct Background {
    wake: Sender<()>,
    stop: Stop,
}

impl Background {
    fn start(courier: Arc<Mutex<Courier>>, stop: Stop) -> Result<Self> {
        let (wake, woken) = channel();
        let run = move || deliver_when_woken(&courier, &woken);
        let thread = std::thread::Builder::new().name("fiddler".to_owned());
        thread.spawn(run).map_err(|cause| {
            let message = "no thread could be started for the delivery";
            Error::new(ErrorKind::Resource, "prepare the model", message).because(cause)
        })?;
        Ok(Self { wake, stop })
    }

    fn wake(&self) {
        // The thread ends after a permanent failure, which `flush` meets again and reports.
        let _ = self.wake.send(());
    }

    /// Takes over from the thread, whose waits end at once.
    fn interrupt<'a>(&self, courier: &'a Mutex<Courier>) -> MutexGuard<'a, Courier> {
        self.stop.set(true);
        let courier = courier.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop.set(false);
        courier
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // What is on its way when the process ends is resumed by the next.
        self.stop.set(true);
    }
}

fn deliver_when_woken(courier: &Mutex<Courier>, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        while woken.try_recv().is_ok() {}
        let mut courier = courier.lock().unwrap_or_else(PoisonError::into_inner);
        match courier.deliver(Extent::Full) {
            // What stays is noted and logged, and due again later.
            Ok(_) => {}
            Err(error) if error.is_retryable() || error.kind() == ErrorKind::Interrupted => {
                log::info!("{error}");
            }
            Err(error) => {
                log::warn!("rows wait in the outbox: {error}");
                return;
            }
        }
    }
}
