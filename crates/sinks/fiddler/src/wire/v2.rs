//! The V2 interface, as the Python client 2.5.0 speaks it.

use std::path::Path;
use std::time::{Duration, Instant};

use driftline_core::rows::{EVENT_ID, TIMESTAMP};
use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema};
use semver::Version;
use serde_json::{Value, json};

use super::existing::{Existing, features, names};
use super::profile::Profile;
use super::{Job, Server, Wire, check_version, items, job_of, parts, text_of, unexpected};
use crate::answer::Failed;
use crate::batch::{Batch, Kind};
use crate::body::{self, Column};
use crate::config::Settings;
use crate::http::{Body, Http, Piece, Request};
use crate::pace::Stop;

const CLIENT_NAME: &str = "python-sdk";
const CLIENT_VERSION: &str = "2.5.0";
const HEADERS: [(&str, &str); 1] = [("x-fiddler-client-version", CLIENT_VERSION)];
const OLDEST: Version = Version::new(23, 4, 0);
/// Files from this size on are sent in parts.
const WHOLE_BYTES: u64 = 5 << 20;
/// How often a job or a data set that is not yet there is asked for.
const POLL: Duration = Duration::from_secs(3);

const BASELINE: [Column; 5] = [
    Column::Embeddings,
    Column::Scores,
    Column::Target,
    Column::ImageNumber,
    Column::ImageUrl,
];

/// Talks to one model of a server.
#[derive(Debug)]
pub(crate) struct V2 {
    http: Http,
    url: String,
    organization: String,
    monitor: Option<MonitorSpec>,
    model: bool,
}

impl V2 {
    pub(crate) fn new(settings: &Settings, organization: String, stop: Stop) -> Result<Self> {
        Ok(Self {
            http: Http::new(settings, &HEADERS, stop)?,
            url: settings.url.to_string(),
            organization,
            monitor: None,
            model: false,
        })
    }

    fn monitor(&self) -> Result<&MonitorSpec> {
        self.monitor.as_ref().ok_or_else(super::unprepared)
    }

    /// `<organization>:<project>`, followed by the names in `rest`.
    fn path(&self, rest: &[&str]) -> Result<String> {
        let mut names = vec![self.organization.as_str(), self.monitor()?.project.as_str()];
        names.extend(rest);
        Ok(names.join(":"))
    }

    /// Names in a list of the project's things.
    fn listed(&self, what: &str) -> Result<Vec<String>, Failed> {
        let request = Request::get(format!("/v2/{what}"))
            .query("organization_name", &self.organization)
            .query("project_name", &self.monitor()?.project);
        names_in(&self.http.send(&request)?)
    }

    fn find_model(&self) -> Result<bool, Failed> {
        let monitor = self.monitor()?;
        if !self.listed("models")?.contains(&monitor.model) {
            return Ok(false);
        }
        let path = format!("/v2/models/{}", self.path(&[&monitor.model])?);
        let model = self.http.send(&Request::get(path))?;
        existing(&model).agree(monitor)?;
        Ok(true)
    }

    /// Waits until a finished data set can be seen, as a model is made from it.
    fn wait_for_dataset(&self) -> Result<(), Failed> {
        let patience = self.http.patience();
        self.http.sleep(patience.settle)?;
        let start = Instant::now();
        let dataset = &self.monitor()?.dataset;
        while !self.listed("datasets")?.contains(dataset) {
            if start.elapsed() > patience.job {
                let message = format!("the data set `{dataset}` was taken in but cannot be seen");
                return Err(
                    Error::new(ErrorKind::Unavailable, "make the model", message)
                        .retryable()
                        .into(),
                );
            }
            self.http.sleep(POLL.min(patience.job))?;
        }
        Ok(())
    }

    fn make_model(&self, batch: &Batch) -> Result<(), Failed> {
        let monitor = self.monitor()?;
        let feature = &monitor.custom_feature;
        let profile = Profile::of(&monitor.schema, batch.read())?;
        let body = json!({
            "name": monitor.model,
            "project_name": monitor.project,
            "organization_name": self.organization,
            "info": {
                "name": " model",
                "input-type": "structured",
                "model-task": "multiclass_classification",
                "datasets": [monitor.dataset],
                "inputs": [profile.embeddings()],
                "outputs": profile.outputs(),
                "targets": [profile.target()],
                "target-class-order": monitor.schema.classes,
                "metadata": [profile.image_url()],
                "description": "made by driftline",
                "schema_version": "1.2",
                "data_type_version": "v1",
                "custom-explanation-names": [],
                "custom_features": [{
                    "name": feature.name,
                    "type": "FROM_IMAGE_EMBEDDING",
                    "n_clusters": feature.n_clusters,
                    "column": feature.column,
                    "source_column": feature.source_column,
                }],
            },
        });
        let made = match self
            .http
            .send(&Request::post("/v2/models", Body::Json(&body)))
        {
            Ok(made) => made,
            // It was made by a request whose answer was lost, or by another process.
            Err(failed) if failed.is(&[409]) && self.find_model()? => return Ok(()),
            Err(failed) => return Err(failed),
        };
        match made.get("job_uuid").and_then(Value::as_str) {
            Some(job) => self.wait_for_model(job),
            None => Ok(()),
        }
    }

    fn wait_for_model(&self, job: &str) -> Result<(), Failed> {
        let patience = self.http.patience();
        let start = Instant::now();
        let fail = |message: String| {
            Failed::from(
                Error::new(ErrorKind::Unavailable, "make the model", message).with("job", job),
            )
        };
        loop {
            match self.job(job, false)? {
                Job::Done => return Ok(()),
                Job::Failed(reason) => return Err(fail(format!("the model failed: {reason}"))),
                Job::Unknown => return Err(fail("the server lost the model's job".to_owned())),
                Job::Running if start.elapsed() > patience.job => {
                    return Err(fail("the model is not ready in time".to_owned()));
                }
                Job::Running => self.http.sleep(POLL.min(patience.job))?,
            }
        }
    }

    /// Sends a file, in parts if it is large, and returns what the server calls it.
    fn send_file(
        &self,
        batch: &Batch,
        name: &str,
        path: &Path,
        bytes: u64,
    ) -> Result<String, Failed> {
        let monitor = self.monitor()?;
        let (kind, owner) = match batch.kind {
            Kind::Baseline => ("dataset", &monitor.dataset),
            Kind::Events | Kind::Labels => ("event", &monitor.model),
        };
        let base = format!("/v2/datasets/{}", self.path(&[])?);
        let upload = |name: &str, piece, in_parts: bool| {
            Request::put(format!("{base}/upload"), Body::Raw(piece))
                .query("upload_type", kind)
                .query("multipart_upload", if in_parts { "True" } else { "False" })
                .query("resource_identifier", owner)
                .query("file_name", name)
        };
        if bytes < WHOLE_BYTES {
            let whole = Piece {
                path,
                start: 0,
                bytes,
            };
            let sent = self.http.send(&upload(name, whole, false))?;
            return Ok(file_name(&sent)?);
        }
        let body = json!({
            "resource_identifier": owner,
            "file_name": name,
            "upload_type": kind,
            "num_cols": monitor.schema.classes.len() + BASELINE.len() - 1,
            "num_rows": batch.rows,
        });
        let request = Request::post(format!("{base}/initialize"), Body::Json(&body));
        let begun = self.http.send(&request)?;
        let name = file_name(&begun)?;
        let upload_id = text_of(&begun, "upload_id", "by which parts are sent")?;
        let mut sent = Vec::new();
        for (number, start, bytes) in parts(bytes) {
            let request = upload(&name, Piece { path, start, bytes }, true)
                .query("upload_id", upload_id)
                .query("part_number", number.to_string());
            let part = self.http.send(&request)?;
            let info = part.get("info").cloned();
            sent.push(info.ok_or_else(|| unexpected("the answer has no `info` on the part"))?);
        }
        let body = json!({ "parts": sent });
        let request = Request::post(format!("{base}/complete"), Body::Json(&body))
            .query("upload_type", kind)
            .query("resource_identifier", owner)
            .query("file_name", name)
            .query("upload_id", upload_id);
        Ok(file_name(&self.http.send(&request)?)?)
    }

    fn ingest_baseline(&self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed> {
        let monitor = self.monitor()?;
        let profile = Profile::of(&monitor.schema, batch.read())?;
        let body = json!({
            "name": monitor.dataset,
            "file_name": [upload],
            "upload_type": "DATASET",
            "info": {
                "name": "",
                "data_type_version": "v1",
                "columns": profile.columns(),
                "files": [],
            },
            "file_type": ".parquet",
        });
        let path = format!("/v2/datasets/{}/ingest", self.path(&[&monitor.dataset])?);
        // The body is JSON in a JSON string.
        let body = Value::String(body.to_string());
        match self.http.send(&Request::post(path, Body::Json(&body))) {
            Ok(taken) => Ok(job_uuid(&taken)),
            // Data sets cannot be changed: this one came earlier, perhaps by a request whose answer was lost.
            Err(failed) if failed.is(&[409]) => {
                log::warn!(
                    "the data set `{}` is on the server already",
                    monitor.dataset
                );
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }
}

impl Wire for V2 {
    fn greet(&mut self) -> Result<Server, Failed> {
        let request =
            Request::get("/v2/server-info").query("organization_name", &self.organization);
        let version = check_version(&self.http.send(&request)?, OLDEST, "V2")?;
        let request = Request::get("/v2/version-compatibility")
            .query("client_version", CLIENT_VERSION)
            .query("client_name", CLIENT_NAME);
        self.http.send(&request)?;
        Ok(Server {
            url: self.url.clone(),
            api: "v2",
            version,
            organization: self.organization.clone(),
            identity: format!("the organization {} at {}", self.organization, self.url),
        })
    }

    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<bool, Failed> {
        self.monitor = Some(monitor.clone());
        let request = Request::get("/v2/projects")
            .query("organization_name", &self.organization)
            .query("limit", "300")
            .query("offset", "0");
        let projects = names_in(&self.http.send(&request)?)?;
        if !projects.contains(&monitor.project) {
            let body = json!({
                "name": monitor.project,
                "organization_name": self.organization,
            });
            let request = Request::post("/v2/projects", Body::Json(&body))
                .query("organization_name", &self.organization);
            match self.http.send(&request) {
                Ok(_) => return Ok(false),
                // The list shows one page only.
                Err(failed) if failed.is(&[409]) => {}
                Err(failed) => return Err(failed),
            }
        }
        self.model = self.find_model()?;
        Ok(self.model)
    }

    fn has_model(&self) -> bool {
        self.model
    }

    fn makes_model_from_events(&self) -> bool {
        false
    }

    fn takes_baseline_in_pieces(&self) -> bool {
        false
    }

    fn most_rows(&self, kind: Kind, usual: u64, _: &RowSchema) -> u64 {
        match kind {
            // A data set is made by one request, and its files are sent in parts of any number.
            Kind::Baseline => u64::MAX,
            Kind::Events | Kind::Labels => usual,
        }
    }

    fn begin(&mut self, batch: &Batch, _: &Path) -> Result<(), Failed> {
        if self.model || batch.kind == Kind::Baseline {
            return Ok(());
        }
        Err(super::no_model(self.monitor()?).into())
    }

    fn upload(&mut self, batch: &Batch, scratch: &Path) -> Result<String, Failed> {
        let schema = &self.monitor()?.schema;
        let (name, bytes) = match batch.kind {
            Kind::Baseline => {
                self.listed("datasets")?;
                let project = format!("/v2/projects/{}", self.path(&[])?);
                self.http.send(&Request::get(project))?;
                let bytes = body::write(scratch, &BASELINE, schema, batch.read())?;
                ("baseline.parquet".to_owned(), bytes)
            }
            Kind::Events => {
                let bytes = body::write(scratch, &body::EVENTS, schema, batch.read())?;
                (format!("events-{}.parquet", batch.id), bytes)
            }
            Kind::Labels => {
                let bytes = body::write_labels(scratch, &batch.labels()?)?;
                (format!("labels-{}.parquet", batch.id), bytes)
            }
        };
        self.send_file(batch, &name, scratch, bytes)
    }

    fn ingest(&mut self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed> {
        if batch.kind == Kind::Baseline {
            return self.ingest_baseline(batch, upload);
        }
        let is_update = batch.kind == Kind::Labels;
        let body = json!({
            "file_name": [upload],
            "batch_id": null,
            "events_schema": null,
            "id_field": EVENT_ID,
            "is_update": is_update,
            "timestamp_field": if is_update { Value::Null } else { TIMESTAMP.into() },
            "timestamp_format": "infer",
            "group_by": null,
            "file_type": ".parquet",
            "upload_type": "event",
        });
        let path = format!(
            "/v2/events/{}/ingest",
            self.path(&[&self.monitor()?.model])?
        );
        let taken = self.http.send(&Request::post(path, Body::Json(&body)))?;
        Ok(job_uuid(&taken))
    }

    fn job(&self, job: &str, _: bool) -> Result<Job, Failed> {
        match self.http.send(&Request::get(format!("/v2/jobs/{job}"))) {
            Ok(data) => Ok(job_of(&data)),
            Err(failed) if failed.is(&[404]) => Ok(Job::Unknown),
            Err(failed) => Err(failed),
        }
    }

    fn end(&mut self, batch: &Batch) -> Result<(), Failed> {
        if batch.kind == Kind::Baseline && !self.model {
            self.wait_for_dataset()?;
            if !self.find_model()? {
                self.make_model(batch)?;
            }
            self.model = true;
        }
        Ok(())
    }

    fn sleep(&self, duration: Duration) -> Result<()> {
        self.http.sleep(duration)
    }
}

fn names_in(list: &Value) -> Result<Vec<String>, Failed> {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(items(list)?.iter().filter_map(name).collect())
}

fn file_name(answer: &Value) -> Result<String> {
    text_of(answer, "file_name", "by which the upload is named later").map(str::to_owned)
}

fn job_uuid(answer: &Value) -> Option<String> {
    let job = answer.get("job_uuid").and_then(Value::as_str);
    job.map(str::to_owned)
}

fn existing(model: &Value) -> Existing {
    let text = |column: &Value, key: &str| {
        let text = column.get(key).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let columns = |name: &str| -> Vec<Value> {
        let columns = model
            .pointer(&format!("/info/{name}"))
            .and_then(Value::as_array);
        columns.cloned().unwrap_or_default()
    };
    let named = |name: &str| -> Vec<String> {
        let columns = columns(name);
        columns
            .iter()
            .filter_map(|c| text(c, "column-name"))
            .collect()
    };
    let vector = |column: &Value| {
        let is_vector = text(column, "data-type").as_deref() == Some("vector");
        let name = text(column, "column-name").filter(|_| is_vector)?;
        Some((name, column.get("n-dimensions").and_then(Value::as_u64)))
    };
    // Outputs may be listed in any order; their classes are in this one.
    let order = names(model.pointer("/info/target-class-order"));
    let outputs = named("outputs");
    let same = order.len() == outputs.len() && order.iter().all(|class| outputs.contains(class));
    Existing {
        vectors: columns("inputs").iter().filter_map(vector).collect(),
        outputs: if same { order } else { outputs },
        targets: named("targets"),
        metadata: named("metadata"),
        features: features(model.pointer("/info/custom_features")),
        event_columns: None,
    }
}
