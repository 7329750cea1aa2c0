//! The events of one day of a window.

use arrow_array::{Array, RecordBatch};
use driftline_core::{Result, Row, RowSchema, Rows, RowsBuilder};
use driftline_stats::{Profile, ProfilePlan, Sample};

use crate::part::RowNames;
use crate::schedule::Event;

/// The events of one day: those not yet published, and the profile of those published.
pub(crate) struct Day {
    builder: RowsBuilder,
    /// Events so far.
    pub(crate) events: u64,
    /// Of the events that were taken to be published.
    pub(crate) profile: Profile,
    scores: Vec<f32>,
    /// One in `every` events, for the check.
    pub(crate) sample: Sample,
    every: u64,
}

impl Day {
    /// A day without events yet; every `every`th of them is checked.
    pub(crate) fn new(schema: &RowSchema, plan: &ProfilePlan, every: u64) -> Self {
        Self {
            builder: RowsBuilder::new(schema.clone()),
            sample: Sample::new(schema.clone()),
            every,
            events: 0,
            profile: plan.empty(),
            scores: Vec::with_capacity(schema.classes.len()),
        }
    }

    /// Adds row `i` of `rows` as an event.
    pub(crate) fn push(
        &mut self,
        names: &RowNames,
        rows: &Rows,
        i: usize,
        event: Event,
    ) -> Result<()> {
        let dim = names.schema.dim;
        let embedding = &rows.embeddings()[i * dim..][..dim];
        if self.events.is_multiple_of(self.every) {
            self.sample.push_some(rows, std::iter::once(i))?;
        }
        self.events += 1;
        self.scores.clear();
        let classes = names.schema.classes.len();
        self.scores
            .extend((0..classes).map(|class| rows.scores(class)[i]));
        let properties = names.schema.properties.len();
        let targets = rows.targets();
        self.builder.push(&Row {
            event_id: &names.event_id(event.number),
            timestamp_ms: event.timestamp_ms,
            embedding,
            scores: &self.scores,
            target: targets.is_valid(i).then(|| targets.value(i)),
            image_url: rows.image_urls().value(i),
            image_number: rows.image_numbers()[i],
            window: &names.window,
            properties: &rows.properties()[i * properties..][..properties],
        })
    }

    /// Events that are not published yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.builder.len() as u64
    }

    /// These events, which the profile has from now on.
    pub(crate) fn take(&mut self, plan: &ProfilePlan) -> Result<RecordBatch> {
        let rows = Rows::new(self.builder.finish()?)?;
        let mut sample = Sample::new(rows.schema().clone());
        sample.push(&rows)?;
        self.profile.merge(&plan.profile(&sample)?)?;
        Ok(rows.batch().clone())
    }
}
