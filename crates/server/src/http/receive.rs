//! Files that are received.

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::sync::SemaphorePermit;

use crate::domain::error;
use crate::domain::uploads::Incoming;
use crate::http::envelope::Answer;
use crate::http::limits::{Limits, ended, slow};

/// Receives a body that is nothing but the file.
pub(crate) async fn receive(limits: &Limits, body: Body, mut into: Incoming) -> Answer<u64> {
    let _turn = turn(limits).await?;
    let all = async {
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ended())?;
            if let Ok(bytes) = frame.into_data() {
                into.write(&bytes).await?;
            }
        }
        Ok(into.finish().await?)
    };
    tokio::time::timeout(limits.upload, all)
        .await
        .map_err(|_| slow())?
}

/// Waits until a file may be received: there are not more of them at a time than [`Limits`] says.
pub(crate) async fn turn(limits: &Limits) -> Answer<SemaphorePermit<'_>> {
    let turn = limits.uploads.acquire().await;
    Ok(turn.map_err(error::internal)?)
}
