//! `driftline.toml`, environment and flags in layers.
//!
//! Defaults < `driftline.toml` < `DRIFTLINE__SECTION__KEY` < flags. An unknown key is an error that names the nearest
//! known one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use driftline_core::{Device, Error, ErrorKind, Precision, Result};
use driftline_pipeline::OnError;
use figment::providers::{Env, Serialized};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Sections of the environment that belong to other commands.
const OTHER_SECTIONS: [&str; 2] = ["fetch", "serve"];

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the whole run shares.
    pub run: RunSettings,
    /// What is monitored.
    pub monitor: MonitorSettings,
    /// The model.
    pub model: ModelSettings,
    /// The backend.
    pub backend: BackendSettings,
    /// The plugins.
    pub plugins: PluginSettings,
    /// The baseline.
    pub baseline: BaselineSettings,
    /// The windows in order.
    pub windows: Vec<WindowSettings>,
    /// The sink.
    pub sink: SinkSettings,
}

/// `[run]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// Seed of transforms, samples and clusters.
    pub seed: u64,
    /// Images per backend call.
    pub batch_size: NonZeroUsize,
    /// Whether an image that cannot be read is skipped or ends the run.
    pub on_error: OnError,
    /// Id of the run; by default a hash of configuration and inputs.
    #[serde(rename = "id")]
    pub run_id: Option<String>,
    /// Time that windows are dated back from; by default the first start.
    pub now: Option<Timestamp>,
}

/// `[monitor]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorSettings {
    /// Project name.
    pub project: String,
    /// Name of the baseline data set.
    pub dataset: String,
    /// Name under which the model is published; by default the name in the model package.
    pub model: Option<String>,
    /// Name of the custom feature over the embedding.
    pub feature: String,
    /// Number of clusters of the baseline.
    pub clusters: NonZeroUsize,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// A `model.toml`, a weights file, `sample` or `cifar10`.
    pub path: String,
}

/// `[backend]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackendSettings {
    /// Registered name.
    pub name: String,
    /// Number of threads; by default one per core.
    pub threads: Option<NonZeroUsize>,
    /// Where to compute.
    pub device: Device,
    /// Library of the engine, such as libonnxruntime; by default the backend searches for one.
    pub runtime: Option<PathBuf>,
    /// Precision: `fp32`, or `bf16` with the backend `candle` on processors that have it; by default fp32.
    pub precision: Option<Precision>,
    /// What else the backend is told; see the backend's own page, or `driftline plugin inspect`.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// `[plugins]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginSettings {
    /// Folders to search for plugins first; absolute paths.
    pub path: Vec<PathBuf>,
    /// File that lists the trusted plugins; by default `driftline/plugins.lock` in the configuration folder.
    pub lock: Option<PathBuf>,
    /// Whether only plugins in that file are loaded.
    pub require_lock: bool,
}

/// `[baseline]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineSettings {
    /// Path or name of the images.
    pub source: String,
}

/// One `[[windows]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSettings {
    /// Name, unique in the run.
    pub name: String,
    /// Path or name of the images.
    pub source: String,
    /// Drift transform to apply, as in `blur(sigma=0.1..2)`.
    #[serde(default = "no_transform")]
    pub transform: String,
    /// First day; without it windows are a week apart and the last begins a week before `run.now`.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// Days with events.
    #[serde(default = "six_days")]
    pub days: NonZeroUsize,
    /// Events sampled for each day; without it every image is one event.
    #[serde(default)]
    pub per_day: Option<u64>,
}

fn no_transform() -> String {
    "none".to_owned()
}

fn six_days() -> NonZeroUsize {
    const { NonZeroUsize::new(6).unwrap() }
}

/// `[sink]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkSettings {
    /// Registered name.
    pub name: String,
    /// Folder of the local store, and of what a stopped run needs to resume.
    pub store: PathBuf,
    /// Further options of the sink; see its documentation, or `driftline plugin inspect`.
    pub options: serde_json::Map<String, serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: RunSettings::default(),
            monitor: MonitorSettings::default(),
            model: ModelSettings::default(),
            backend: BackendSettings::default(),
            plugins: PluginSettings::default(),
            baseline: BaselineSettings::default(),
            windows: three_weeks("sample", six_days(), 1000),
            sink: SinkSettings::default(),
        }
    }
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            seed: 42,
            batch_size: const { NonZeroUsize::new(256).unwrap() },
            on_error: OnError::default(),
            run_id: None,
            now: None,
        }
    }
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self {
            project: "image_monitoring".to_owned(),
            dataset: "baseline".to_owned(),
            model: None,
            feature: "image_feature".to_owned(),
            clusters: const { NonZeroUsize::new(driftline_stats::DEFAULT_CLUSTERS).unwrap() },
        }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            path: "sample".to_owned(),
        }
    }
}

impl Default for BackendSettings {
    fn default() -> Self {
        Self {
            name: driftline_backend_candle::NAME.to_owned(),
            threads: None,
            device: Device::default(),
            runtime: None,
            precision: None,
            options: serde_json::Map::new(),
        }
    }
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self {
            source: "sample".to_owned(),
        }
    }
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            name: "local".to_owned(),
            store: PathBuf::from("driftline-store"),
            options: serde_json::Map::new(),
        }
    }
}

/// The three weeks of the demo over one source: unchanged, blurred, darkened.
pub fn three_weeks(source: &str, days: NonZeroUsize, per_day: u64) -> Vec<WindowSettings> {
    [
        ("week-1", "none"),
        ("week-2", "gaussian_blur(sigma=0.1..2)"),
        ("week-3", "brightness(factor=0.4..0.6)"),
    ]
    .map(|(name, transform)| WindowSettings {
        name: name.to_owned(),
        source: source.to_owned(),
        transform: transform.to_owned(),
        start: None,
        days,
        per_day: Some(per_day),
    })
    .to_vec()
}

impl Settings {
    /// Reads the layers: `base`, then the file, then the environment, then `overrides` such as
    /// `("backend.name", "onnx")`, whose values are read as TOML where they can be and as text elsewhere.
    pub fn load(base: &Self, file: Option<&Path>, overrides: &[(String, String)]) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(base));
        if let Some(path) = file {
            // Read here, so that a missing file is an error and not an empty layer.
            let text =
                std::fs::read_to_string(path).map_err(|e| Error::io("read settings", path, e))?;
            let table: Dict = toml::from_str(&text).map_err(|cause| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "read settings",
                    cause.to_string().trim_end(),
                )
                .with("file", path.display())
            })?;
            figment = figment.merge(Serialized::globals(table));
            figment = refuse_with_file(figment, path)?;
        }
        let others = |key: &figment::value::UncasedStr| {
            let section = key.as_str().split("__").next().unwrap_or_default();
            !OTHER_SECTIONS.contains(&section.to_ascii_lowercase().as_str())
        };
        figment = figment.merge(Env::prefixed("DRIFTLINE__").filter(others).split("__"));
        for (key, value) in overrides {
            let known = key.contains('.');
            if !known {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "read settings",
                    format!("`{key}` is not a setting"),
                )
                .remedy("write its section too, as in `backend.name`"));
            }
            figment = figment.merge(Flag(key, parse(value)));
        }
        figment.extract().map_err(|error| explain(error, None))
    }
}

/// A setting from a flag; errors say so.
struct Flag<'a>(&'a str, Value);

impl Provider for Flag<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("flags")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::global(self.0, &self.1).data()
    }
}

fn parse(value: &str) -> Value {
    // Figment's own reader of environment values: numbers, booleans, arrays and tables, otherwise text.
    value
        .parse()
        .unwrap_or_else(|never: std::convert::Infallible| match never {})
}

/// Errors of the file are found before other layers are added, so that they name the file.
fn refuse_with_file(figment: Figment, path: &Path) -> Result<Figment> {
    match figment.extract::<Settings>() {
        Ok(_) => Ok(figment),
        Err(error) => Err(explain(error, Some(path))),
    }
}

fn explain(error: figment::Error, file: Option<&Path>) -> Error {
    use figment::error::Kind;
    let path = error.path.join(".");
    let (message, remedy) = match &error.kind {
        Kind::UnknownField(field, known) => {
            // Figment's path ends with the unknown key in some places and with its section in others.
            let mut keys = error.path.clone();
            if keys.last() != Some(field) {
                keys.push(field.clone());
            }
            let key = keys.join(".");
            let nearest = known
                .iter()
                .max_by(|a, b| strsim::jaro(field, a).total_cmp(&strsim::jaro(field, b)));
            (
                format!("there is no setting `{key}`"),
                nearest
                    .map(|near| format!("did you mean `{near}`? known here: {}", known.join(", "))),
            )
        }
        kind if path.is_empty() => (kind.to_string(), None),
        kind => (format!("`{path}`: {kind}"), None),
    };
    let mut explained = Error::new(ErrorKind::InvalidConfig, "read settings", message);
    if let Some(file) = file {
        explained = explained.with("file", file.display());
    } else if let Some(metadata) = &error.metadata {
        explained = explained.with("from", &metadata.name);
    }
    match remedy {
        Some(remedy) => explained.remedy(remedy),
        None => explained,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, overrides: &[(&str, &str)]) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("driftline.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<_> = overrides
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::load(&Settings::default(), Some(&path), &overrides)
    }

    #[test]
    fn later_layers_win() {
        let settings = load(
            "[run]\nseed = 7\n[backend]\nthreads = 3\n",
            &[("run.seed", "8"), ("sink.store", "elsewhere")],
        )
        .unwrap();
        assert_eq!(settings.run.seed, 8);
        assert_eq!(settings.backend.threads, NonZeroUsize::new(3));
        assert_eq!(settings.sink.store, Path::new("elsewhere"));
        assert_eq!(settings.monitor.clusters.get(), 5);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_and_the_file() {
        let error = load("[run]\nbatchsize = 7\n", &[]).unwrap_err().to_string();
        assert!(error.contains("no setting `run.batchsize`"), "{error}");
        assert!(error.contains("did you mean `batch_size`?"), "{error}");
        assert!(error.contains("driftline.toml"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_the_key() {
        let error = load("[run]\nbatch_size = 0\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("`run.batch_size`"), "{error}");
        let error = load("", &[("run.seed", "many")]).unwrap_err().to_string();
        assert!(error.contains("`run.seed`"), "{error}");
        assert!(error.contains("(from: flags)"), "{error}");
    }

    #[test]
    fn windows_of_the_file_replace_the_default_ones() {
        let settings = load(
            "[[windows]]\nname = \"now\"\nsource = \"images\"\ndays = 1\n",
            &[],
        )
        .unwrap();
        assert_eq!(settings.windows.len(), 1);
        assert_eq!(settings.windows[0].transform, "none");
        assert_eq!(settings.windows[0].per_day, None);
    }
}
