//! `POST /v3/histograms`: a column of a bin beside the baseline.

use axum::extract::State;
use driftline_core::Result;
use driftline_fiddler_api::v3::{Bins, Histograms, HistogramsRequest};
use driftline_metrics::{BinSize, Column};
use jiff::Timestamp;

use crate::domain::error::{self, refused};
use crate::domain::queries::{baseline, baseline_of, column, column_name, rows_of};
use crate::domain::{objects, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

/// Answers `bins`, `baseline_histogram` and `production_histogram`, counts of rows. The bins are names of categories or
/// numbers of clusters; of a score they are its 11 edges.
pub(super) async fn answer(
    State(app): State<App>,
    Payload(request): Payload<HistogramsRequest>,
) -> Answer {
    app.blocking(move |app| {
        let size: BinSize = request.bin_size.parse().map_err(refused)?;
        let start = size.start_of(times::moment(&request.start_time)?.as_millisecond());
        let bin = moment(start)?..moment(start + size.milliseconds())?;
        let (model, baseline) = app.catalog.read(|documents| {
            let id = match (request.model_id, request.baseline_id) {
                (Some(model), _) => model,
                (None, Some(id)) => baseline(documents, id)?.model,
                (None, None) => {
                    return Err(error::invalid("neither model_id nor baseline_id is given"));
                }
            };
            let model = objects::model(documents, id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            Ok((model, baseline))
        })?;
        let answer = app.counts.with(&model, |counted| {
            let column = column(counted, &model, &request.column_id)?;
            let before = counted
                .baseline(rows_of(baseline.as_ref()), bin.start)
                .map_err(refused)?;
            let found = counted.bins(&bin, size);
            let now: Vec<u64> = match found.first() {
                Some(bin) => bin.counts.histogram(column).to_vec(),
                None => vec![0; before.histogram(column).len()],
            };
            let bins = match column {
                Column::Score(class) => Bins::Edges(counted.binning().score_edges(class).to_vec()),
                _ => Bins::Names(counted.bin_names(column)),
            };
            Ok(Histograms {
                column: column_name(counted, &model, column)?,
                start_time: times::text(bin.start),
                bin_size: size.name().to_owned(),
                bins,
                baseline_histogram: before.histogram(column).to_vec(),
                production_histogram: now,
            })
        })?;
        Ok(normal(answer))
    })
    .await
}

fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| error::invalid(format!("the calendar has no moment {ms}")))
}
