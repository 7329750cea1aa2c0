//! `<name>.plugin.toml`: what a plugin says about itself, read without running it.

use std::collections::BTreeMap;
use std::path::{Component as Part, Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// End of a manifest's file name.
pub const SUFFIX: &str = ".plugin.toml";

/// Largest manifest, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Version of the manifest's form.
const MANIFEST_VERSION: u32 = 1;

/// A checked manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file it was read from.
    pub path: PathBuf,
    /// Name of the plugin.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// The library for this machine.
    pub library: PathBuf,
    /// Hex sha256 that the library must have, where the manifest says.
    pub sha256: Option<String>,
    /// The engine whose library must be loaded before the plugin, as in `driftline runtime install tch`.
    pub runtime: Option<String>,
    /// What it offers.
    pub components: Vec<ManifestComponent>,
}

/// One thing a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestComponent {
    /// Its sort.
    pub kind: ComponentKind,
    /// The name a user writes.
    pub name: String,
    /// One line about it.
    #[serde(default)]
    pub summary: String,
}

/// Sorts of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// An embedding backend.
    Embedding,
    /// A drift transform.
    Transform,
    /// A sink.
    Sink,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    manifest_version: u32,
    plugin: PluginSection,
    library: BTreeMap<String, LibrarySection>,
    component: Vec<ManifestComponent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginSection {
    name: String,
    version: String,
    #[serde(rename = "publisher")]
    _publisher: Option<String>,
    #[serde(rename = "license")]
    _license: Option<String>,
    abi: String,
    runtime: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibrarySection {
    path: PathBuf,
    sha256: Option<String>,
}

/// The name of this machine in a manifest, as in `linux_amd64`.
pub fn machine() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{architecture}", std::env::consts::OS)
}

impl ComponentKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "backend",
            Self::Transform => "transform",
            Self::Sink => "sink",
        }
    }
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// `InvalidConfig` that says what is wrong: an unknown key or version, another ABI, no library for this machine, a
    /// library outside the manifest's folder.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io("read plugin manifest", path, e);
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidConfig, "read plugin manifest", message)
                .with("file", path.display())
        };
        if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
            return Err(refuse("a manifest has at most 1 MiB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        let file: File = toml::from_str(&text)
            .map_err(|cause| refuse(cause.to_string().trim_end().to_owned()))?;
        if file.manifest_version != MANIFEST_VERSION {
            return Err(refuse(format!(
                "manifest_version is {}, and {MANIFEST_VERSION} is known",
                file.manifest_version
            )));
        }
        let major = file.plugin.abi.split('.').next().unwrap_or_default();
        if major.parse() != Ok(driftline_abi::ABI_MAJOR) {
            return Err(refuse(format!(
                "the plugin is for ABI {}, and this driftline has ABI {}.{}",
                file.plugin.abi,
                driftline_abi::ABI_MAJOR,
                driftline_abi::ABI_MINOR
            )));
        }
        let machine = machine();
        let Some(library) = file.library.get(&machine) else {
            let others: Vec<_> = file.library.keys().map(String::as_str).collect();
            return Err(refuse(format!(
                "it has no library for {machine}, only for: {}",
                others.join(", ")
            )));
        };
        let plain = library
            .path
            .components()
            .all(|part| matches!(part, Part::Normal(_)));
        if !plain {
            return Err(refuse(format!(
                "the library's path `{}` leaves the manifest's folder",
                library.path.display()
            )));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            path: path.to_owned(),
            name: file.plugin.name,
            version: file.plugin.version,
            library: folder.join(&library.path),
            sha256: library.sha256.clone(),
            runtime: file.plugin.runtime,
            components: file.component,
        })
    }
}
