//! A plugin as a user names it.

use std::path::{Path, PathBuf};

use driftline::Plugins;
use driftline::core::{Error, ErrorKind};
use driftline::plugin_host::Manifest;
use driftline::plugin_host::manifest::SUFFIX;

/// A plugin as a user names it.
pub enum Target {
    /// With its manifest.
    Manifest(Box<Manifest>),
    /// A library without one.
    Library(PathBuf),
}

/// The plugin that `plugin` names: a manifest, a library, whose manifest is looked for beside it, or the name of one that
/// is found.
pub fn target(plugin: &str, plugins: &Plugins) -> Result<Target, Error> {
    let path = Path::new(plugin);
    if !path.is_file() {
        return Ok(Target::Manifest(Box::new(find(plugin, plugins)?.clone())));
    }
    let path = std::path::absolute(path).map_err(|e| Error::io("look up", path, e))?;
    if plugin.ends_with(SUFFIX) {
        return Ok(Target::Manifest(Box::new(Manifest::open(&path)?)));
    }
    let beside = path.parent().into_iter().flat_map(std::fs::read_dir);
    let manifest = beside
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|other| other.to_string_lossy().ends_with(SUFFIX))
        .filter_map(|other| Manifest::open(&other).ok())
        .find(|manifest| manifest.library == path);
    Ok(match manifest {
        Some(manifest) => Target::Manifest(Box::new(manifest)),
        None => Target::Library(path),
    })
}

impl Target {
    /// Its library.
    pub fn library(&self) -> &Path {
        match self {
            Self::Manifest(manifest) => &manifest.library,
            Self::Library(path) => path,
        }
    }

    /// The engine whose library must be loaded first.
    pub fn runtime(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => manifest.runtime.as_deref(),
            Self::Library(_) => None,
        }
    }
}

/// The manifest of the plugin `name`.
pub fn find<'a>(name: &str, plugins: &'a Plugins) -> Result<&'a Manifest, Error> {
    let found = plugins.search().found.iter();
    let mut manifests = found.filter_map(|found| found.manifest.as_ref().ok());
    manifests
        .find(|manifest| manifest.name == name)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "look up",
                format!("there is no plugin named `{name}`"),
            )
            .remedy(format!("looked in {}", plugins.trace()))
        })
}
