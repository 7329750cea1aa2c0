//! Delivery: batch by batch from the outbox to the server, resumed where it ended.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};

use crate::answer::Failed;
use crate::batch::{Batch, Kind};
use crate::outbox::order::{Hold, Next, Now};
use crate::outbox::quarantine::Damaged;
use crate::outbox::{Outbox, busy, try_lock};
use crate::wire::{self, Job, Wire};

const SCRATCH: &str = "upload.parquet";
const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(6);
/// Batches in a row that fail, each for itself, until the server is taken to be at fault.
const UNWELL: usize = 3;

/// How much is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What no later row can join any more, if no other process delivers.
    Full,
    /// All that waits.
    Everything,
}

/// Rows that the server did not take.
#[derive(Debug)]
pub(crate) struct Buried {
    pub(crate) rows: u64,
    pub(crate) reason: String,
    pub(crate) note: PathBuf,
}

/// What was taken out of the queue without being delivered.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) dead: Vec<Buried>,
    pub(crate) damaged: Vec<Damaged>,
}

/// Brings the batches of one outbox to one model.
pub(crate) struct Courier {
    outbox: Outbox,
    wire: Box<dyn Wire>,
    monitor: MonitorSpec,
    batch_rows: u64,
    job_patience: Duration,
    out: Out,
}

impl Courier {
    pub(crate) fn new(
        outbox: Outbox,
        wire: Box<dyn Wire>,
        monitor: MonitorSpec,
        batch_rows: u64,
        job_patience: Duration,
    ) -> Self {
        Self {
            outbox,
            wire,
            monitor,
            batch_rows,
            job_patience,
            out: Out::default(),
        }
    }

    /// What was taken out of the queue since the last call.
    pub(crate) fn take_out(&mut self) -> Out {
        std::mem::take(&mut self.out)
    }

    /// Delivers what `extent` asks for. What cannot be begun, and what fails for itself alone, stays in its place and is
    /// passed; returns why something stays, if that is for more than that later rows may join it.
    ///
    /// # Errors
    /// What keeps every batch from being delivered. A batch that the server takes and then fails on is no error: see
    /// [`take_out`](Self::take_out).
    pub(crate) fn deliver(&mut self, extent: Extent) -> Result<Option<Error>> {
        let Some(_lock) = self.lock(extent)? else {
            return Ok(None);
        };
        if !self.wire.has_model() && self.outbox.has_delivered_anything()? {
            // Another process has made it meanwhile.
            self.wire.prepare(&self.monitor)?;
        }
        let mut failed = HashSet::new();
        let mut first = None;
        let mut in_a_row = 0;
        loop {
            let mut batch = match self.next(extent, &failed)? {
                Next::Batch(batch) => batch,
                Next::Nothing(hold) => {
                    return Ok(first.or(hold.map(|hold| self.held(hold))));
                }
            };
            match self.carry(&mut batch) {
                Ok(()) => in_a_row = 0,
                Err(fault) => {
                    let Some(error) = self.keep(&batch, fault)? else {
                        continue;
                    };
                    log::warn!("{} rows stay in the outbox: {error}", batch.rows);
                    failed.insert(batch.id);
                    in_a_row += 1;
                    if in_a_row == UNWELL {
                        return Err(first.unwrap_or(error));
                    }
                    first.get_or_insert(error);
                }
            }
        }
    }

    fn next(&mut self, extent: Extent, failed: &HashSet<i64>) -> Result<Next> {
        let (wire, usual, schema) = (&self.wire, self.batch_rows, &self.monitor.schema);
        self.outbox.next(&Now {
            everything: extent == Extent::Everything,
            most: &|kind| wire.most_rows(kind, usual, schema),
            has_model: wire.has_model(),
            model_from_events: wire.makes_model_from_events(),
            baseline_in_pieces: wire.takes_baseline_in_pieces(),
            failed,
        })
    }

    /// Notes what became of a batch that was not delivered. Returns the fault if it is the batch's own and the batch
    /// stays; none if what was damaged in it is out of the way.
    fn keep(&mut self, batch: &Batch, fault: Failed) -> Result<Option<Error>> {
        if fault.error.kind() == ErrorKind::Interrupted {
            return Err(fault.error);
        }
        let mut is_of_all = fault.is_of_the_server();
        if fault.is_local() {
            let examined = self.outbox.examine(batch)?;
            for damaged in &examined.damaged {
                log::warn!(
                    "{} rows in the outbox are damaged and were moved aside: {}; see {}",
                    damaged.rows,
                    damaged.reason,
                    damaged.note.display()
                );
            }
            if !examined.damaged.is_empty() {
                self.out.damaged.extend(examined.damaged);
                return Ok(None);
            }
            // A full disk, for one, is there for the next batch too.
            is_of_all = !examined.is_unreadable && fault.error.kind() == ErrorKind::Resource;
        }
        self.outbox
            .failed(batch, &fault.error, !is_of_all, fault.retry_after)?;
        if is_of_all {
            return Err(fault.error);
        }
        Ok(Some(fault.error))
    }

    /// What is said where nothing can be begun.
    fn held(&self, hold: Hold) -> Error {
        let waits = |message: &str| Error::new(ErrorKind::NotFound, "deliver rows", message);
        match hold {
            Hold::Model => wire::no_model(&self.monitor),
            Hold::Baseline => waits("the baseline, which the model is made from, has not arrived")
                .remedy("`driftline sink list` shows what keeps it"),
            Hold::DamagedBaseline => {
                waits("rows of the baseline, which the model is made from, are damaged").remedy(
                    "publish the baseline again, or go on without these rows: `driftline sink list`, `sink skip`",
                )
            }
            Hold::Events => waits("labels wait for their events, which have not arrived")
                .remedy("`driftline sink list` shows what keeps them"),
        }
    }

    /// Brings one batch as far as it goes.
    fn carry(&mut self, batch: &mut Batch) -> Result<(), Failed> {
        let scratch = self.outbox.location().join(SCRATCH);
        let carried = self.carry_with(batch, &scratch);
        // It is made anew for every upload.
        let _ = std::fs::remove_file(&scratch);
        carried
    }

    fn carry_with(&mut self, batch: &mut Batch, scratch: &Path) -> Result<(), Failed> {
        let first = batch.job.is_none();
        let mut resumed = batch.upload.is_some();
        loop {
            if batch.upload.is_none() {
                if let Err(failed) = self.wire.begin(batch, scratch) {
                    // The model may be made from fewer rows, but a single one is not at fault for it.
                    return match failed.is(&[413]) && self.halve(batch)? {
                        true => Ok(()),
                        false => Err(failed),
                    };
                }
                if let Err(failed) = self.upload(batch, scratch) {
                    return self.refused(batch, failed);
                }
            }
            match self.ingest(batch) {
                Ok(()) => {}
                // An upload of an earlier time may be gone by now.
                Err(failed) if resumed && failed.is(&[400, 404]) => {
                    resumed = false;
                    self.outbox.set_upload(batch, None)?;
                    continue;
                }
                Err(failed) if failed.is(&[400, 422]) => {
                    return Ok(self.bury(batch, failed.error.to_string())?);
                }
                Err(failed) => return self.refused(batch, failed),
            }
            match self.wait(batch, first)? {
                Job::Failed(reason) => return Ok(self.bury(batch, reason)?),
                Job::Unknown if resumed => {
                    resumed = false;
                    self.outbox.set_job(batch, None)?;
                    self.outbox.set_upload(batch, None)?;
                }
                Job::Unknown => {
                    let message = "the server does not know the job that it has just begun";
                    let error = Error::new(ErrorKind::Unavailable, "deliver rows", message)
                        .with("job", batch.job.as_deref().unwrap_or_default());
                    return Err(error.into());
                }
                Job::Done | Job::Running => {
                    self.wire.end(batch)?;
                    return Ok(self.outbox.delivered(batch)?);
                }
            }
        }
    }

    /// What becomes of a batch whose body the server does not take: it is halved, and a single row is a dead letter.
    fn refused(&mut self, batch: &Batch, failed: Failed) -> Result<(), Failed> {
        if !failed.is(&[413]) {
            return Err(failed);
        }
        if self.halve(batch)? {
            return Ok(());
        }
        match batch.rows {
            0 | 1 => Ok(self.bury(batch, failed.error.to_string())?),
            _ => Err(failed),
        }
    }

    fn halve(&mut self, batch: &Batch) -> Result<bool> {
        let may = batch.kind != Kind::Baseline || self.wire.takes_baseline_in_pieces();
        Ok(may && self.outbox.halve(batch)?)
    }

    /// Sends the rows; noted as soon as it is done.
    fn upload(&mut self, batch: &mut Batch, scratch: &Path) -> Result<(), Failed> {
        let upload = self.wire.upload(batch, scratch)?;
        self.outbox.set_upload(batch, Some(upload))?;
        Ok(())
    }

    /// Has the server take in what was uploaded, unless a job does so already; noted as soon as it is begun.
    fn ingest(&mut self, batch: &mut Batch) -> Result<(), Failed> {
        if let (None, Some(upload)) = (&batch.job, &batch.upload) {
            let job = self.wire.ingest(batch, upload)?;
            self.outbox.set_job(batch, job)?;
        }
        Ok(())
    }

    /// Waits for the end of the batch's job.
    fn wait(&self, batch: &Batch, mut first: bool) -> Result<Job, Failed> {
        let Some(job) = &batch.job else {
            return Ok(Job::Done);
        };
        let start = Instant::now();
        let mut pause = FIRST_POLL;
        loop {
            let state = self.wire.job(job, first)?;
            first = false;
            if state != Job::Running {
                return Ok(state);
            }
            let left = self.job_patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                let message = format!(
                    "the server's job has not ended after {} seconds",
                    self.job_patience.as_secs_f64()
                );
                let error = Error::new(ErrorKind::Unavailable, "deliver rows", message)
                    .with("job", job)
                    .retryable()
                    .remedy("check the server's jobs; `job_seconds` sets how long to wait");
                return Err(error.into());
            }
            self.wire.sleep(pause.min(left))?;
            pause = (pause * 2).min(LONGEST_POLL);
        }
    }

    fn bury(&mut self, batch: &Batch, reason: String) -> Result<()> {
        let note = self.outbox.bury(batch, &reason)?;
        log::warn!(
            "the server did not take {} rows: {reason}; see {}",
            batch.rows,
            note.display()
        );
        self.out.dead.push(Buried {
            rows: batch.rows,
            reason,
            note,
        });
        Ok(())
    }

    /// The right to deliver. Without `Everything`, none if another process has it.
    fn lock(&self, extent: Extent) -> Result<Option<File>> {
        let start = Instant::now();
        loop {
            match try_lock(self.outbox.location())? {
                Some(lock) => return Ok(Some(lock)),
                None if extent == Extent::Full => return Ok(None),
                None if start.elapsed() > self.job_patience => {
                    return Err(busy(self.outbox.location()));
                }
                None => self.wire.sleep(FIRST_POLL)?,
            }
        }
    }
}
