//! `POST /v3/dimensionality-reduction/{id}`: embeddings in two dimensions.

use axum::extract::{Path, State};
use driftline_fiddler_api::v3::{Reduction, ReductionPoint, ReductionRequest};
use driftline_metrics::MapPoint;

use super::filter;
use crate::domain::error::refused;
use crate::domain::queries::{baseline_of, rows_of};
use crate::domain::{objects, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::v3::id;

/// Answers samples of the baseline and of the events of `time_range` on the two principal components of the baseline.
/// Fiddler draws UMAP, which has no meaning of its own for distances; `method` says that this is PCA.
pub(super) async fn answer(
    State(app): State<App>,
    Path(model): Path<String>,
    Payload(request): Payload<ReductionRequest>,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&model, "Model")?;
        let (model, baseline) = app.catalog.read(|documents| {
            let model = objects::model(documents, id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            Ok((model, baseline))
        })?;
        let (range, _) = filter::bins(&request.filter)?;
        let answer = app.counts.with(&model, |counted| {
            let range = range.unwrap_or_else(|| counted.extent());
            let map = counted
                .map(rows_of(baseline.as_ref()), &[range])
                .map_err(refused)?;
            let events = map.windows.first().map_or(&[][..], Vec::as_slice);
            Ok(Reduction {
                method: "PCA".to_owned(),
                explained_variance: map.explained,
                baseline: points(&map.baseline),
                production: points(events),
            })
        })?;
        Ok(normal(answer))
    })
    .await
}

fn points(points: &[MapPoint]) -> Vec<ReductionPoint> {
    let object = |point: &MapPoint| ReductionPoint {
        x: point.x,
        y: point.y,
        event_id: point.row.event_id.clone(),
        timestamp: times::text(point.row.timestamp),
        image_url: point.row.image_url.clone(),
        target: point.row.target.clone(),
        prediction: point.row.prediction.clone(),
    };
    points.iter().map(object).collect()
}
