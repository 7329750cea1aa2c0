//! The V3 interface, as the Python client 3.14.1 speaks it.

use std::path::Path;
use std::time::Duration;

use driftline_core::rows::{EVENT_ID, TARGET, TIMESTAMP};
use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema};
use driftline_fiddler_api::v3::{
    Column, Definition, EnvironmentType, Filter, FinishFile, Identified, Infer, Inferred, NewModel,
    NewProject, Part, Publish, Published, Schema, SentPart, ServerInfo, Source, Spec, StartFile,
    TaskParams,
};
use driftline_fiddler_api::{CustomFeature, Field, Page};
use semver::Version;
use serde::de::IgnoredAny;
use serde_json::Value;
use uuid::Uuid;

use super::existing::{Existing, features};
use super::protocol::{self, Job, PART_BYTES, Server, Wire, check_version, job_of, parts};
use crate::answer::{Failed, unexpected};
use crate::batch::{Batch, Kind};
use crate::body;
use crate::config::Settings;
use crate::http::Http;
use crate::pace::Stop;
use crate::request::{Body, Piece, Request};

/// The client whose language is spoken; servers ask for name and version.
const CLIENT_NAME: &str = "python-sdk";
const CLIENT_VERSION: &str = "3.14.1";
const HEADERS: [(&str, &str); 3] = [
    ("x-fiddler-client-name", CLIENT_NAME),
    ("x-fiddler-client-version", CLIENT_VERSION),
    ("x-fiddler-python-version", "3.11.7"),
];
const OLDEST: Version = Version::new(24, 4, 0);
/// Rows that the server looks at to infer columns and to find clusters, unless it is told otherwise.
const SAMPLE_ROWS: u64 = 10_000;
/// The server needs this long for clusters, at most.
const FACTORY: Duration = Duration::from_secs(600);
/// Files above are refused.
const FILE_BYTES: u64 = 500 << 20;
/// Texts of a row, at a guess that is not too low.
const TEXT_BYTES: u64 = 400;

const BASELINE: [body::Column; 5] = [
    body::Column::Embeddings,
    body::Column::Scores,
    body::Column::Target,
    body::Column::ImageUrl,
    body::Column::EventId,
];

/// Talks to one model of a server.
#[derive(Debug)]
pub(crate) struct V3 {
    http: Http,
    url: String,
    monitor: Option<MonitorSpec>,
    project: Uuid,
    model: Option<Uuid>,
}

impl V3 {
    pub(crate) fn new(settings: &Settings, stop: Stop) -> Result<Self> {
        Ok(Self {
            http: Http::new(settings, &HEADERS, stop)?,
            url: settings.url.to_string(),
            monitor: None,
            project: Uuid::nil(),
            model: None,
        })
    }

    fn monitor(&self) -> Result<&MonitorSpec> {
        self.monitor.as_ref().ok_or_else(protocol::unprepared)
    }

    fn model(&self) -> Result<Uuid> {
        self.model.ok_or_else(protocol::unprepared)
    }

    fn find_project(&self, name: &str) -> Result<Option<Uuid>, Failed> {
        let request = Request::get("/v3/projects").query("filter", equal(&[("name", name)]));
        let found: Page<Identified> = self.http.send(&request)?;
        Ok(found.items.first().map(|project| project.id))
    }

    /// The model, if it is there and has the schema.
    fn find_model(&self, monitor: &MonitorSpec) -> Result<Option<Uuid>, Failed> {
        let project = self.project.to_string();
        let filter = equal(&[("name", &monitor.model), ("project_id", &project)]);
        let request = Request::get("/v3/models")
            .query("filter", filter)
            .query("limit", "1")
            .query("ordering", "created_at");
        let found: Page<Identified> = self.http.send(&request)?;
        let Some(Identified { id }) = found.items.first() else {
            return Ok(None);
        };
        let whole = self.http.send(&Request::get(format!("/v3/models/{id}")))?;
        existing(whole).agree(monitor)?;
        Ok(Some(*id))
    }

    /// Makes the model from a sample of the rows: the server infers columns and finds clusters, and gets both back.
    fn make_model(&self, batch: &Batch, scratch: &Path) -> Result<Uuid, Failed> {
        let monitor = self.monitor()?;
        let rows = batch.read();
        let bytes = body::write_sample(scratch, &monitor.schema, rows, batch.rows, SAMPLE_ROWS)?;
        let file_id = self.send_file("data.parquet", scratch, bytes)?;
        let question = Infer {
            file_id,
            spec: Some(spec(monitor)),
            max_cardinality: None,
            sample_size: None,
        };
        let request =
            Request::post("/v3/model-factory", Body::json(&question)?).answer_within(FACTORY);
        let inferred = self.http.send(&request)?;
        let body = Body::json(&model(monitor, self.project, inferred))?;
        match self.http.send(&Request::post("/v3/models", body)) {
            Ok(Identified { id }) => Ok(id),
            // It was made by a request whose answer was lost, or by another process.
            Err(failed) if failed.is(&[409]) => self.find_model(monitor)?.ok_or(failed),
            Err(failed) => Err(failed),
        }
    }

    fn send_file(&self, name: &str, path: &Path, bytes: u64) -> Result<Uuid, Failed> {
        let whole = Piece {
            path,
            start: 0,
            bytes,
        };
        if bytes < PART_BYTES {
            let form = Body::Form {
                file: whole,
                file_name: name,
                texts: &[],
            };
            let file: Identified = self.http.send(&Request::post("/v3/files/upload", form))?;
            return Ok(file.id);
        }
        let begun = Body::json(&StartFile {
            filename: name.to_owned(),
        })?;
        let request = Request::post("/v3/files/multipart-init", begun);
        let Identified { id: file_id } = self.http.send(&request)?;
        let mut sent = Vec::new();
        for (number, start, bytes) in parts(bytes) {
            let form = Body::Form {
                file: Piece { path, start, bytes },
                file_name: &format!("part_{number}_{name}"),
                texts: &[
                    ("file_id", file_id.to_string()),
                    ("part_number", number.to_string()),
                ],
            };
            let request = Request::post("/v3/files/multipart-upload", form);
            let SentPart { part_id: id } = self.http.send(&request)?;
            sent.push(Part { number, id });
        }
        let all = Body::json(&FinishFile {
            file_id,
            parts: sent,
        })?;
        let request = Request::post("/v3/files/multipart-complete", all);
        let file: Identified = self.http.send(&request)?;
        Ok(file.id)
    }
}

impl Wire for V3 {
    fn greet(&mut self) -> Result<Server, Failed> {
        let info: ServerInfo = self.http.send(&Request::get("/v3/server-info"))?;
        let version = check_version(&info.server_version, OLDEST, "V3")?;
        let organization = info.organization;
        let request = Request::get("/v3/version-compatibility")
            .query("client_version", CLIENT_VERSION)
            .query("client_name", CLIENT_NAME);
        self.http.send::<IgnoredAny>(&request)?;
        Ok(Server {
            url: self.url.clone(),
            api: "v3",
            version,
            identity: format!(
                "the organization {} ({})",
                organization.name, organization.id
            ),
            organization: organization.name,
        })
    }

    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<bool, Failed> {
        self.monitor = Some(monitor.clone());
        let mut made = false;
        self.project = match self.find_project(&monitor.project)? {
            Some(id) => id,
            None => {
                let body = Body::json(&NewProject {
                    name: monitor.project.clone(),
                })?;
                match self.http.send(&Request::post("/v3/projects", body)) {
                    Ok(Identified { id }) => {
                        made = true;
                        id
                    }
                    Err(failed) if failed.is(&[409]) => {
                        self.find_project(&monitor.project)?.ok_or(failed)?
                    }
                    Err(failed) => return Err(failed),
                }
            }
        };
        self.model = if made {
            None
        } else {
            self.find_model(monitor)?
        };
        Ok(self.model.is_some())
    }

    fn has_model(&self) -> bool {
        self.model.is_some()
    }

    fn makes_model_from_events(&self) -> bool {
        true
    }

    fn takes_baseline_in_pieces(&self) -> bool {
        true
    }

    // Pre-production data cannot be changed once it is there, so it comes in one file as long as one can hold it.
    fn most_rows(&self, kind: Kind, usual: u64, schema: &RowSchema) -> u64 {
        let row = (8 * schema.dim + 4 * schema.classes.len()) as u64 + TEXT_BYTES;
        match kind {
            Kind::Baseline => FILE_BYTES / row,
            Kind::Events | Kind::Labels => usual,
        }
    }

    fn begin(&mut self, batch: &Batch, scratch: &Path) -> Result<(), Failed> {
        if self.model.is_none() {
            if batch.kind == Kind::Labels {
                return Err(protocol::no_model(self.monitor()?).into());
            }
            self.model = Some(self.make_model(batch, scratch)?);
        }
        Ok(())
    }

    fn upload(&mut self, batch: &Batch, scratch: &Path) -> Result<String, Failed> {
        let schema = &self.monitor()?.schema;
        let bytes = match batch.kind {
            Kind::Baseline => body::write(scratch, &BASELINE, schema, batch.read())?,
            Kind::Events => body::write(scratch, &body::EVENTS, schema, batch.read())?,
            Kind::Labels => body::write_labels(scratch, &batch.labels()?)?,
        };
        let name = format!("{}-{}.parquet", batch.kind.name(), batch.id);
        Ok(self.send_file(&name, scratch, bytes)?.to_string())
    }

    fn ingest(&mut self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed> {
        let (env_type, env_name) = match batch.kind {
            Kind::Baseline => {
                let dataset = self.monitor()?.dataset.clone();
                (EnvironmentType::PreProduction, Some(dataset))
            }
            Kind::Events | Kind::Labels => (EnvironmentType::Production, None),
        };
        let body = Body::json(&Publish {
            source: Source::File {
                file_id: file_id(upload)?,
            },
            model_id: self.model()?,
            env_type,
            env_name,
        })?;
        let request = match batch.kind {
            Kind::Labels => Request::patch("/v3/events", body),
            Kind::Baseline | Kind::Events => Request::post("/v3/events", body),
        };
        let taken: Published = self.http.send(&request)?;
        let job = taken.job.into_value();
        let job = job.ok_or_else(|| unexpected("the answer has no `job`"))?;
        Ok(Some(job.id.to_string()))
    }

    fn job(&self, job: &str, first: bool) -> Result<Job, Failed> {
        let mut request = Request::get(format!("/v3/jobs/{job}"));
        if first {
            request = request.query("verbose", "False");
        }
        match self.http.send(&request) {
            Ok(job) => Ok(job_of(job)),
            Err(failed) if failed.is(&[404]) => Ok(Job::Unknown),
            Err(failed) => Err(failed),
        }
    }

    fn end(&mut self, _: &Batch) -> Result<(), Failed> {
        Ok(())
    }

    fn sleep(&self, duration: Duration) -> Result<()> {
        self.http.sleep(duration)
    }
}

/// The id of an upload, as the outbox keeps it.
fn file_id(upload: &str) -> Result<Uuid> {
    upload.parse().map_err(|cause| {
        let message = format!("the upload `{upload}` is not one of this server");
        Error::new(ErrorKind::Internal, "deliver rows", message).because(cause)
    })
}

/// A filter: all of these fields have these values.
fn equal(fields: &[(&str, &str)]) -> String {
    Filter::equal(fields).to_string()
}

/// What is in which column.
fn spec(monitor: &MonitorSpec) -> Spec {
    let feature = &monitor.custom_feature;
    let clusters = feature.n_clusters as u64;
    let embedding = CustomFeature {
        centroids: Field::Null,
        ..CustomFeature::image_embedding(
            &feature.name,
            clusters,
            &feature.column,
            &feature.source_column,
        )
    };
    Spec {
        schema_version: 1.into(),
        inputs: vec![feature.column.clone()].into(),
        outputs: monitor.schema.classes.clone().into(),
        targets: vec![TARGET.to_owned()].into(),
        decisions: Vec::new().into(),
        metadata: vec![feature.source_column.clone()].into(),
        custom_features: vec![embedding].into(),
        ..Spec::default()
    }
}

/// The model, with columns and centroids as the server inferred them.
fn model(monitor: &MonitorSpec, project: Uuid, inferred: Inferred) -> NewModel {
    let columns = inferred.schema.columns.into_iter().map(Column::of_client);
    let classes = monitor
        .schema
        .classes
        .iter()
        .map(|class| Value::from(class.as_str()));
    NewModel {
        name: monitor.model.clone(),
        project_id: project,
        version: Field::Absent,
        definition: Definition {
            schema: Schema::new(columns.collect()),
            spec: inferred.spec,
            input_type: "structured".to_owned(),
            task: "multiclass_classification".to_owned(),
            task_params: Some(TaskParams::classification(
                classes.collect::<Vec<_>>().into(),
            )),
            description: None,
            event_id_col: Some(EVENT_ID.to_owned()),
            event_ts_col: Some(TIMESTAMP.to_owned()),
            event_ts_format: None,
            xai_params: Definition::not_explained(),
        },
    }
}

fn existing(model: Definition) -> Existing {
    let spec = model.spec;
    let vectors = model.schema.columns.into_iter();
    let vectors = vectors.filter(|column| column.data_type == "vector");
    Existing {
        vectors: vectors
            .map(|column| (column.name, column.n_dimensions.into_value()))
            .collect(),
        features: features(spec.custom_features.elements()),
        outputs: spec.outputs.into_value().unwrap_or_default(),
        targets: spec.targets.into_value().unwrap_or_default(),
        metadata: spec.metadata.into_value().unwrap_or_default(),
        event_columns: Some((model.event_id_col, model.event_ts_col)),
    }
}
