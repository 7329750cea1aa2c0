//! `POST /v3/dimensionality-reduction/{id}`: embeddings in two dimensions.

use axum::extract::{Path, State};
use driftline_metrics::MapPoint;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::TimeFilter;
use super::read::read;
use crate::domain::error::refused;
use crate::domain::objects;
use crate::domain::queries::{baseline_of, rows_of};
use crate::domain::times;
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::v3::id;

#[derive(Deserialize)]
struct Request {
    baseline_id: Option<Uuid>,
    #[serde(flatten)]
    filter: TimeFilter,
}

/// Answers samples of the baseline and of the events of `time_range` on the two principal components of the baseline.
/// Fiddler draws UMAP, which has no meaning of its own for distances; `method` says that this is PCA.
pub(super) async fn answer(
    State(app): State<App>,
    Path(model): Path<String>,
    Payload(body): Payload,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&model, "Model")?;
        let request: Request = read(body)?;
        let (model, baseline) = app.catalog.read(|documents| {
            let model = objects::model(documents, id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            Ok((model, baseline))
        })?;
        let (range, _) = request.filter.read()?;
        let answer = app.counts.with(&model, |counted| {
            let range = range.unwrap_or_else(|| counted.extent());
            let map = counted
                .map(rows_of(baseline.as_ref()), &[range])
                .map_err(refused)?;
            let events = map.windows.first().map_or(&[][..], Vec::as_slice);
            Ok(json!({
                "method": "PCA",
                "explained_variance": map.explained,
                "baseline": points(&map.baseline),
                "production": points(events),
            }))
        })?;
        Ok(normal(answer))
    })
    .await
}

fn points(points: &[MapPoint]) -> Vec<Value> {
    let object = |point: &MapPoint| {
        json!({
            "x": point.x,
            "y": point.y,
            "event_id": point.row.event_id,
            "timestamp": times::text(point.row.timestamp),
            "image_url": point.row.image_url,
            "target": point.row.target,
            "prediction": point.row.prediction,
        })
    };
    points.iter().map(object).collect()
}
