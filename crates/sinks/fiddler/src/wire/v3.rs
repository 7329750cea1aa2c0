//! The V3 interface, as the Python client 3.14.1 speaks it.

use std::path::Path;
use std::time::Duration;

use driftline_core::rows::{EVENT_ID, TARGET, TIMESTAMP};
use driftline_core::{MonitorSpec, Result, RowSchema};
use semver::Version;
use serde_json::{Value, json};

use super::existing::{Existing, features, names};
use super::{
    Job, PART_BYTES, Server, Wire, check_version, items, job_of, parts, text_of, unexpected,
};
use crate::answer::Failed;
use crate::batch::{Batch, Kind};
use crate::body::{self, Column};
use crate::config::Settings;
use crate::http::{Body, Http, Piece, Request};
use crate::pace::Stop;

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

const BASELINE: [Column; 5] = [
    Column::Embeddings,
    Column::Scores,
    Column::Target,
    Column::ImageUrl,
    Column::EventId,
];

/// Talks to one model of a server.
#[derive(Debug)]
pub(crate) struct V3 {
    http: Http,
    url: String,
    monitor: Option<MonitorSpec>,
    project: String,
    model: Option<String>,
}

impl V3 {
    pub(crate) fn new(settings: &Settings, stop: Stop) -> Result<Self> {
        Ok(Self {
            http: Http::new(settings, &HEADERS, stop)?,
            url: settings.url.to_string(),
            monitor: None,
            project: String::new(),
            model: None,
        })
    }

    fn monitor(&self) -> Result<&MonitorSpec> {
        self.monitor.as_ref().ok_or_else(super::unprepared)
    }

    fn model(&self) -> Result<&str> {
        self.model.as_deref().ok_or_else(super::unprepared)
    }

    fn find_project(&self, name: &str) -> Result<Option<String>, Failed> {
        let request = Request::get("/v3/projects").query("filter", equal(&[("name", name)]));
        let found = self.http.send(&request)?;
        let project = items(&found)?.first();
        Ok(project.map(id_of).transpose()?)
    }

    /// The model, if it is there and has the schema.
    fn find_model(&self, monitor: &MonitorSpec) -> Result<Option<String>, Failed> {
        let filter = equal(&[("name", &monitor.model), ("project_id", &self.project)]);
        let request = Request::get("/v3/models")
            .query("filter", filter)
            .query("limit", "1")
            .query("ordering", "created_at");
        let found = self.http.send(&request)?;
        let Some(model) = items(&found)?.first() else {
            return Ok(None);
        };
        let id = id_of(model)?;
        let whole = self.http.send(&Request::get(format!("/v3/models/{id}")))?;
        existing(&whole).agree(monitor)?;
        Ok(Some(id))
    }

    /// Makes the model from a sample of the rows: the server infers columns and finds clusters, and gets both back.
    fn make_model(&self, batch: &Batch, scratch: &Path) -> Result<String, Failed> {
        let monitor = self.monitor()?;
        let rows = batch.read();
        let bytes = body::write_sample(scratch, &monitor.schema, rows, batch.rows, SAMPLE_ROWS)?;
        let file_id = self.send_file("data.parquet", scratch, bytes)?;
        let body = json!({ "file_id": file_id, "spec": spec(monitor) });
        let request = Request::post("/v3/model-factory", Body::Json(&body)).answer_within(FACTORY);
        let inferred = self.http.send(&request)?;
        let body = model(monitor, &self.project, &inferred)?;
        match self
            .http
            .send(&Request::post("/v3/models", Body::Json(&body)))
        {
            Ok(made) => Ok(id_of(&made)?),
            // It was made by a request whose answer was lost, or by another process.
            Err(failed) if failed.is(&[409]) => self.find_model(monitor)?.ok_or(failed),
            Err(failed) => Err(failed),
        }
    }

    fn send_file(&self, name: &str, path: &Path, bytes: u64) -> Result<String, Failed> {
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
            let file = self.http.send(&Request::post("/v3/files/upload", form))?;
            return Ok(id_of(&file)?);
        }
        let body = json!({ "filename": name });
        let request = Request::post("/v3/files/multipart-init", Body::Json(&body));
        let file_id = id_of(&self.http.send(&request)?)?;
        let mut sent = Vec::new();
        for (number, start, bytes) in parts(bytes) {
            let form = Body::Form {
                file: Piece { path, start, bytes },
                file_name: &format!("part_{number}_{name}"),
                texts: &[
                    ("file_id", file_id.clone()),
                    ("part_number", number.to_string()),
                ],
            };
            let request = Request::post("/v3/files/multipart-upload", form);
            let part = self.http.send(&request)?;
            let id = part.get("part_id").cloned();
            let id = id.ok_or_else(|| unexpected("the answer has no `part_id`"))?;
            sent.push(json!({ "number": number, "id": id }));
        }
        let body = json!({ "file_id": file_id, "parts": sent });
        let request = Request::post("/v3/files/multipart-complete", Body::Json(&body));
        Ok(id_of(&self.http.send(&request)?)?)
    }
}

impl Wire for V3 {
    fn greet(&mut self) -> Result<Server, Failed> {
        let info = self.http.send(&Request::get("/v3/server-info"))?;
        let version = check_version(&info, OLDEST, "V3")?;
        let none = Value::Null;
        let organization = info.get("organization").unwrap_or(&none);
        let name = text_of(organization, "name", "the organization of the token")?;
        let identity = id_of(organization)?;
        let request = Request::get("/v3/version-compatibility")
            .query("client_version", CLIENT_VERSION)
            .query("client_name", CLIENT_NAME);
        self.http.send(&request)?;
        Ok(Server {
            url: self.url.clone(),
            api: "v3",
            version,
            organization: name.to_owned(),
            identity: format!("the organization {name} ({identity})"),
        })
    }

    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<bool, Failed> {
        self.monitor = Some(monitor.clone());
        let mut made = false;
        self.project = match self.find_project(&monitor.project)? {
            Some(id) => id,
            None => {
                let body = json!({ "name": monitor.project });
                match self
                    .http
                    .send(&Request::post("/v3/projects", Body::Json(&body)))
                {
                    Ok(project) => {
                        made = true;
                        id_of(&project)?
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
                return Err(super::no_model(self.monitor()?).into());
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
        self.send_file(&name, scratch, bytes)
    }

    fn ingest(&mut self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed> {
        let (environment, name) = match batch.kind {
            Kind::Baseline => ("PRE_PRODUCTION", Some(&self.monitor()?.dataset)),
            Kind::Events | Kind::Labels => ("PRODUCTION", None),
        };
        let body = json!({
            "source": { "file_id": upload, "type": "FILE" },
            "model_id": self.model()?,
            "env_type": environment,
            "env_name": name,
        });
        let request = match batch.kind {
            Kind::Labels => Request::patch("/v3/events", Body::Json(&body)),
            Kind::Baseline | Kind::Events => Request::post("/v3/events", Body::Json(&body)),
        };
        let taken = self.http.send(&request)?;
        let job = taken.get("job").unwrap_or(&Value::Null);
        Ok(Some(id_of(job)?))
    }

    fn job(&self, job: &str, first: bool) -> Result<Job, Failed> {
        let mut request = Request::get(format!("/v3/jobs/{job}"));
        if first {
            request = request.query("verbose", "False");
        }
        match self.http.send(&request) {
            Ok(data) => Ok(job_of(&data)),
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

fn id_of(object: &Value) -> Result<String> {
    text_of(object, "id", "by which it is named later").map(str::to_owned)
}

/// A filter: all of these fields have these values.
fn equal(fields: &[(&str, &str)]) -> String {
    let rules: Vec<Value> = fields
        .iter()
        .map(|(field, value)| json!({ "field": field, "operator": "equal", "value": value }))
        .collect();
    json!({ "condition": "AND", "rules": rules }).to_string()
}

/// What is in which column.
fn spec(monitor: &MonitorSpec) -> Value {
    let feature = &monitor.custom_feature;
    json!({
        "schema_version": 1,
        "inputs": [feature.column],
        "outputs": monitor.schema.classes,
        "targets": [TARGET],
        "decisions": [],
        "metadata": [feature.source_column],
        "custom_features": [{
            "name": feature.name,
            "type": "FROM_IMAGE_EMBEDDING",
            "n_clusters": feature.n_clusters,
            "centroids": null,
            "column": feature.column,
            "source_column": feature.source_column,
        }],
    })
}

/// The model, with columns and centroids as the server inferred them.
fn model(monitor: &MonitorSpec, project: &str, inferred: &Value) -> Result<Value> {
    let columns = inferred
        .pointer("/schema/columns")
        .and_then(Value::as_array);
    let columns = columns.ok_or_else(|| unexpected("the answer has no `schema.columns`"))?;
    let columns = columns.iter().map(|column| {
        let keys = [
            "name",
            "data_type",
            "min",
            "max",
            "categories",
            "bins",
            "replace_with_nulls",
            "n_dimensions",
        ];
        let value = |key: &str| column.get(key).cloned().unwrap_or(Value::Null);
        keys.into_iter()
            .map(|key| (key.to_owned(), value(key)))
            .collect::<Value>()
    });
    let spec = inferred.get("spec").cloned();
    let spec = spec.ok_or_else(|| unexpected("the answer has no `spec`"))?;
    Ok(json!({
        "name": monitor.model,
        "project_id": project,
        "schema": { "schema_version": 1, "columns": columns.collect::<Vec<_>>() },
        "spec": spec,
        "input_type": "structured",
        "task": "multiclass_classification",
        "task_params": {
            "binary_classification_threshold": null,
            "target_class_order": monitor.schema.classes,
            "group_by": null,
            "top_k": null,
            "class_weights": null,
            "weighted_ref_histograms": null,
        },
        "description": null,
        "event_id_col": EVENT_ID,
        "event_ts_col": TIMESTAMP,
        "event_ts_format": null,
        "xai_params": { "custom_explain_methods": [], "default_explain_method": null },
    }))
}

fn existing(model: &Value) -> Existing {
    let text = |name: &str| model.get(name).and_then(Value::as_str).map(str::to_owned);
    let columns = model.pointer("/schema/columns").and_then(Value::as_array);
    let vector = |column: &Value| {
        let kind = column.get("data_type").and_then(Value::as_str);
        let name = column.get("name").and_then(Value::as_str)?;
        let dim = column.get("n_dimensions").and_then(Value::as_u64);
        (kind == Some("vector")).then(|| (name.to_owned(), dim))
    };
    Existing {
        vectors: columns.into_iter().flatten().filter_map(vector).collect(),
        outputs: names(model.pointer("/spec/outputs")),
        targets: names(model.pointer("/spec/targets")),
        metadata: names(model.pointer("/spec/metadata")),
        features: features(model.pointer("/spec/custom_features")),
        event_columns: Some((text("event_id_col"), text("event_ts_col"))),
    }
}
