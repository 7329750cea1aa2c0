//! Delivery: batch by batch from the outbox to the server, resumed where it ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};

use crate::answer::Failed;
use crate::batch::{Batch, Kind};
use crate::outbox::Outbox;
use crate::wire::{Job, Wire};

const LOCK: &str = "deliver.lock";
const SCRATCH: &str = "upload.parquet";
const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(6);

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

/// Brings the batches of one outbox to one model.
pub(crate) struct Courier {
    outbox: Outbox,
    wire: Box<dyn Wire>,
    monitor: MonitorSpec,
    batch_rows: u64,
    job_patience: Duration,
    buried: Vec<Buried>,
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
            buried: Vec::new(),
        }
    }

    /// What the server did not take since the last call.
    pub(crate) fn take_buried(&mut self) -> Vec<Buried> {
        std::mem::take(&mut self.buried)
    }

    /// Delivers; returns when the server has what `extent` asks for.
    ///
    /// # Errors
    /// What kept a batch from being delivered; it stays in the outbox. A batch that the server takes and then fails on is
    /// no error: see [`take_buried`](Self::take_buried).
    pub(crate) fn deliver(&mut self, extent: Extent) -> Result<()> {
        let Some(_lock) = self.lock(extent)? else {
            return Ok(());
        };
        let everything = extent == Extent::Everything;
        loop {
            let (wire, usual, schema) = (&self.wire, self.batch_rows, &self.monitor.schema);
            let next = self
                .outbox
                .next(everything, |kind| wire.most_rows(kind, usual, schema))?;
            match next {
                Some(batch) => self.carry(batch)?,
                None => return Ok(()),
            }
        }
    }

    /// Brings one batch as far as it goes.
    fn carry(&mut self, mut batch: Batch) -> Result<()> {
        let scratch = self.outbox.location().join(SCRATCH);
        let carried = self.carry_with(&mut batch, &scratch);
        // It is made anew for every upload.
        let _ = std::fs::remove_file(&scratch);
        carried
    }

    fn carry_with(&mut self, batch: &mut Batch, scratch: &Path) -> Result<()> {
        let first = batch.job.is_none();
        let mut resumed = batch.upload.is_some();
        loop {
            if batch.upload.is_none()
                && let Err(failed) = self.upload(batch, scratch)
            {
                let halved =
                    failed.is(&[413]) && self.may_halve(batch) && self.outbox.halve(batch)?;
                return if halved { Ok(()) } else { Err(failed.error) };
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
                    return self.bury(batch, failed.error.to_string());
                }
                Err(failed) => return Err(failed.error),
            }
            match self.wait(batch, first)? {
                Job::Failed(reason) => return self.bury(batch, reason),
                Job::Unknown if resumed => {
                    resumed = false;
                    self.outbox.set_job(batch, None)?;
                    self.outbox.set_upload(batch, None)?;
                }
                Job::Unknown => {
                    let message = "the server does not know the job that it has just begun";
                    return Err(Error::new(ErrorKind::Unavailable, "deliver rows", message)
                        .with("job", batch.job.as_deref().unwrap_or_default()));
                }
                Job::Done | Job::Running => {
                    self.wire.end(batch)?;
                    return self.outbox.delivered(batch);
                }
            }
        }
    }

    /// Sends the rows; noted as soon as it is done.
    fn upload(&mut self, batch: &mut Batch, scratch: &Path) -> Result<(), Failed> {
        self.wire.begin(batch, scratch)?;
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

    fn may_halve(&self, batch: &Batch) -> bool {
        batch.kind != Kind::Baseline || self.wire.takes_baseline_in_pieces()
    }

    /// Waits for the end of the batch's job.
    fn wait(&self, batch: &Batch, mut first: bool) -> Result<Job> {
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
                return Err(Error::new(ErrorKind::Unavailable, "deliver rows", message)
                    .with("job", job)
                    .retryable()
                    .remedy("look at the server's jobs; `job_seconds` says how long is waited"));
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
        self.buried.push(Buried {
            rows: batch.rows,
            reason,
            note,
        });
        Ok(())
    }

    /// The right to deliver. Without `Everything`, none if another process has it.
    fn lock(&self, extent: Extent) -> Result<Option<File>> {
        let path = self.outbox.location().join(LOCK);
        let failed = |e| Error::io("lock the outbox", &path, e);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(e)) => return Err(failed(e)),
                Err(TryLockError::WouldBlock) if extent == Extent::Full => return Ok(None),
                Err(TryLockError::WouldBlock) if start.elapsed() > self.job_patience => {
                    let message = "another process is delivering from this outbox";
                    return Err(Error::new(ErrorKind::Resource, "deliver rows", message)
                        .with("file", path.display())
                        .retryable()
                        .remedy("wait until it has ended"));
                }
                Err(TryLockError::WouldBlock) => self.wire.sleep(FIRST_POLL)?,
            }
        }
    }
}
