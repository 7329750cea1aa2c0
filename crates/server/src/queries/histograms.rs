//! `POST /v3/histograms`: a column of a bin beside the baseline.

use axum::extract::State;
use driftline_metrics::{BinSize, Column};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{baseline, baseline_of, column, column_name, read, refused, rows_of, times};
use crate::App;
use crate::app::Payload;
use crate::envelope::{Answer, ApiError, normal};
use crate::objects;

#[derive(Deserialize)]
struct Request {
    /// Needed only where no baseline says which model it is.
    model_id: Option<Uuid>,
    baseline_id: Option<Uuid>,
    start_time: Value,
    #[serde(default = "day")]
    bin_size: String,
    column_id: String,
}

fn day() -> String {
    BinSize::Day.name().to_owned()
}

/// Answers `bins`, `baseline_histogram` and `production_histogram`, counts of rows. The bins are names of categories or
/// numbers of clusters; of a score they are its 11 edges.
pub async fn answer(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        let request: Request = read(body)?;
        let size: BinSize = request.bin_size.parse().map_err(refused)?;
        let start = size.start_of(times::moment(&request.start_time)?.as_millisecond());
        let bin = moment(start)?..moment(start + size.milliseconds())?;
        let (model, baseline) = app.catalog.read(|documents| {
            let id = match (request.model_id, request.baseline_id) {
                (Some(model), _) => model,
                (None, Some(id)) => baseline(documents, id)?.model,
                (None, None) => {
                    return Err(ApiError::bad_request(
                        "neither model_id nor baseline_id is given",
                    ));
                }
            };
            let model = objects::model(documents, id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            Ok((model, baseline))
        })?;
        let answer = app.counts.with(app, &model, |counted| {
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
                Column::Score(class) => json!(counted.binning().score_edges(class)),
                _ => json!(counted.bin_names(column)),
            };
            Ok(json!({
                "column": column_name(counted, &model, column)?,
                "start_time": times::text(bin.start),
                "bin_size": size.name(),
                "bins": bins,
                "baseline_histogram": before.histogram(column),
                "production_histogram": now,
            }))
        })?;
        Ok(normal(answer))
    })
    .await
}

fn moment(ms: i64) -> Answer<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| ApiError::bad_request(format!("the calendar has no moment {ms}")))
}
