//! The V2 interface, as the Python client 2.5.0 speaks it.

use std::path::Path;
use std::time::{Duration, Instant};

use driftline_core::rows::{EVENT_ID, TIMESTAMP};
use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema};
use driftline_fiddler_api::v2::{
    Accepted, Column, Complete, Initialize, Initialized, Model, Named, Names, NewDataset, NewModel,
    NewProject, Publish, SentPart, ServerInfo, Uploaded,
};
use driftline_fiddler_api::{Field, Page};
use semver::Version;
use serde::de::IgnoredAny;

use super::existing::{Existing, features};
use super::profile::Profile;
use super::protocol::{self, Job, Server, Wire, check_version, job_of, parts};
use crate::answer::Failed;
use crate::batch::{Batch, Kind};
use crate::body;
use crate::config::Settings;
use crate::http::Http;
use crate::pace::Stop;
use crate::request::{Body, Piece, Request};

const CLIENT_NAME: &str = "python-sdk";
const CLIENT_VERSION: &str = "2.5.0";
const HEADERS: [(&str, &str); 1] = [("x-fiddler-client-version", CLIENT_VERSION)];
const OLDEST: Version = Version::new(23, 4, 0);
/// Files from this size on are sent in parts.
const WHOLE_BYTES: u64 = 5 << 20;
/// How often a job or a data set that is not yet there is asked for.
const POLL: Duration = Duration::from_secs(3);

const BASELINE: [body::Column; 5] = [
    body::Column::Embeddings,
    body::Column::Scores,
    body::Column::Target,
    body::Column::ImageNumber,
    body::Column::ImageUrl,
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
        self.monitor.as_ref().ok_or_else(protocol::unprepared)
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
        self.names(&request)
    }

    /// Names in a list.
    fn names(&self, request: &Request<'_>) -> Result<Vec<String>, Failed> {
        let list: Page<Named> = self.http.send(request)?;
        Ok(list.items.into_iter().map(|item| item.name).collect())
    }

    fn find_model(&self) -> Result<bool, Failed> {
        let monitor = self.monitor()?;
        if !self.listed("models")?.contains(&monitor.model) {
            return Ok(false);
        }
        let path = format!("/v2/models/{}", self.path(&[&monitor.model])?);
        let model = self.http.send(&Request::get(path))?;
        existing(model).agree(monitor)?;
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
        let profile = Profile::of(&monitor.schema, batch.read())?;
        let body = Body::json(&NewModel {
            name: monitor.model.clone(),
            project_name: monitor.project.clone(),
            organization_name: Some(self.organization.clone()),
            info: profile.model(monitor),
            model_type: Field::Absent,
            file_list: Field::Absent,
        })?;
        let made: Accepted = match self.http.send(&Request::post("/v2/models", body)) {
            Ok(made) => made,
            // It was made by a request whose answer was lost, or by another process.
            Err(failed) if failed.is(&[409]) && self.find_model()? => return Ok(()),
            Err(failed) => return Err(failed),
        };
        match made.job_uuid.get() {
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
            let sent: Uploaded = self.http.send(&upload(name, whole, false))?;
            return Ok(sent.file_name);
        }
        let begin = Body::json(&Initialize {
            resource_identifier: owner.clone(),
            file_name: name.to_owned(),
            upload_type: kind.to_owned(),
            num_cols: (monitor.schema.classes.len() + BASELINE.len() - 1) as u64,
            num_rows: batch.rows,
        })?;
        let begun: Initialized = self
            .http
            .send(&Request::post(format!("{base}/initialize"), begin))?;
        let (name, upload_id) = (&begun.file_name, &begun.upload_id);
        let mut sent = Vec::new();
        for (number, start, bytes) in parts(bytes) {
            let request = upload(name, Piece { path, start, bytes }, true)
                .query("upload_id", upload_id)
                .query("part_number", number.to_string());
            let part: SentPart = self.http.send(&request)?;
            sent.push(part.info);
        }
        let all = Body::json(&Complete { parts: sent })?;
        let request = Request::post(format!("{base}/complete"), all)
            .query("upload_type", kind)
            .query("resource_identifier", owner)
            .query("file_name", name)
            .query("upload_id", upload_id);
        let whole: Uploaded = self.http.send(&request)?;
        Ok(whole.file_name)
    }

    fn ingest_baseline(&self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed> {
        let monitor = self.monitor()?;
        let profile = Profile::of(&monitor.schema, batch.read())?;
        let body = Body::json_in_json(&NewDataset {
            name: monitor.dataset.clone().into(),
            file_name: Names::Many(vec![upload.to_owned()]),
            upload_type: "DATASET".to_owned().into(),
            info: profile.dataset(),
            file_type: ".parquet".to_owned().into(),
            file_schema: Field::Absent,
        })?;
        let path = format!("/v2/datasets/{}/ingest", self.path(&[&monitor.dataset])?);
        match self.http.send::<Accepted>(&Request::post(path, body)) {
            Ok(taken) => Ok(taken.job_uuid.into_value()),
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
        let info: ServerInfo = self.http.send(&request)?;
        let version = check_version(&info.server_version, OLDEST, "V2")?;
        let request = Request::get("/v2/version-compatibility")
            .query("client_version", CLIENT_VERSION)
            .query("client_name", CLIENT_NAME);
        self.http.send::<IgnoredAny>(&request)?;
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
        if !self.names(&request)?.contains(&monitor.project) {
            let body = Body::json(&NewProject {
                name: monitor.project.clone(),
                organization_name: Some(self.organization.clone()),
            })?;
            let request =
                Request::post("/v2/projects", body).query("organization_name", &self.organization);
            match self.http.send::<IgnoredAny>(&request) {
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
        Err(protocol::no_model(self.monitor()?).into())
    }

    fn upload(&mut self, batch: &Batch, scratch: &Path) -> Result<String, Failed> {
        let schema = &self.monitor()?.schema;
        let (name, bytes) = match batch.kind {
            Kind::Baseline => {
                self.listed("datasets")?;
                let project = format!("/v2/projects/{}", self.path(&[])?);
                self.http.send::<IgnoredAny>(&Request::get(project))?;
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
        let timestamp = (!is_update).then(|| TIMESTAMP.to_owned());
        let body = Body::json(&Publish {
            file_name: Names::Many(vec![upload.to_owned()]),
            batch_id: Field::Null,
            events_schema: Field::Null,
            id_field: EVENT_ID.to_owned().into(),
            is_update: is_update.into(),
            timestamp_field: timestamp.into(),
            timestamp_format: "infer".to_owned().into(),
            group_by: Field::Null,
            file_type: ".parquet".to_owned().into(),
            upload_type: "event".to_owned().into(),
        })?;
        let path = format!(
            "/v2/events/{}/ingest",
            self.path(&[&self.monitor()?.model])?
        );
        let taken: Accepted = self.http.send(&Request::post(path, body))?;
        Ok(taken.job_uuid.into_value())
    }

    fn job(&self, job: &str, _: bool) -> Result<Job, Failed> {
        match self.http.send(&Request::get(format!("/v2/jobs/{job}"))) {
            Ok(job) => Ok(job_of(job)),
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

fn existing(model: Model) -> Existing {
    let info = model.info;
    let named = |columns: &Field<Vec<Column>>| -> Vec<String> {
        let columns = columns.elements().iter();
        columns.map(|column| column.name.clone()).collect()
    };
    let vector = |column: &Column| {
        let dim = column.n_dimensions.get().copied();
        (column.data_type == "vector").then(|| (column.name.clone(), dim))
    };
    // Outputs may be listed in any order; their classes are in this one.
    let order = info.target_class_order.elements().iter();
    let order: Vec<String> = order
        .filter_map(|class| class.as_str().map(str::to_owned))
        .collect();
    let outputs = named(&info.outputs);
    let same = order.len() == outputs.len() && order.iter().all(|class| outputs.contains(class));
    Existing {
        vectors: info.inputs.elements().iter().filter_map(vector).collect(),
        outputs: if same { order } else { outputs },
        targets: named(&info.targets),
        metadata: named(&info.metadata),
        features: features(info.custom_features.elements()),
        event_columns: None,
    }
}
