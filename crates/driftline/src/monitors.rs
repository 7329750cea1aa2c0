//! Monitors that runs have used: what a sink needs to know again when labels come, or when it has rows left to deliver.
//!
//! One JSON file each under `<store>/.driftline/monitors/`, whatever the sink.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_rows::{create_folder, write_atomic};

use crate::hash::hash;

fn folder(store: &Path) -> PathBuf {
    store.join(".driftline").join("monitors")
}

/// Keeps a monitor in mind; one of the same project and model is replaced.
pub fn remember(store: &Path, monitor: &MonitorSpec) -> Result<()> {
    let folder = folder(store);
    create_folder(&folder)?;
    let name = hash(&(&monitor.project, &monitor.model))?;
    let text = serde_json::to_vec_pretty(monitor).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "keep the monitor",
            "it cannot be written as JSON",
        )
        .because(cause)
    })?;
    write_atomic(&folder.join(format!("{name}.json")), &text)
}

/// Every monitor that was kept, in order of project and model.
pub fn all(store: &Path) -> Result<Vec<MonitorSpec>> {
    let folder = folder(store);
    let failed = |e| Error::io("list the monitors", &folder, e);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut monitors = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read the monitor", &path, e))?;
        let monitor: MonitorSpec = serde_json::from_slice(&bytes).map_err(|cause| {
            Error::new(
                ErrorKind::InvalidData,
                "read the monitor",
                "the description of the monitor is damaged",
            )
            .with("file", path.display())
            .because(cause)
            .remedy("remove it and start the run again")
        })?;
        monitors.push(monitor);
    }
    monitors.sort_by(|a, b| (&a.project, &a.model).cmp(&(&b.project, &b.model)));
    Ok(monitors)
}

/// The monitor of `project` and `model`, where given; it must be the only one.
pub fn one(store: &Path, project: Option<&str>, model: Option<&str>) -> Result<MonitorSpec> {
    let all = all(store)?;
    let names: Vec<String> = all
        .iter()
        .map(|monitor| format!("{}/{}", monitor.project, monitor.model))
        .collect();
    let mut fitting = all.into_iter().filter(|monitor| {
        project.is_none_or(|project| project == monitor.project)
            && model.is_none_or(|model| model == monitor.model)
    });
    let refuse = |kind, message: &str, remedy: String| {
        Error::new(kind, "find the monitor", message)
            .with("store", store.display())
            .remedy(remedy)
    };
    match (fitting.next(), fitting.next()) {
        (Some(monitor), None) => Ok(monitor),
        (Some(_), Some(_)) => Err(refuse(
            ErrorKind::InvalidConfig,
            "more than one model was run into this store",
            format!(
                "choose one with `monitor.project` and `monitor.model`: {}",
                names.join(", ")
            ),
        )),
        (None, _) if names.is_empty() => Err(refuse(
            ErrorKind::NotFound,
            "nothing was run into this store yet",
            "check `sink.store`".to_owned(),
        )),
        (None, _) => Err(refuse(
            ErrorKind::NotFound,
            "no such model was run into this store",
            format!("there is: {}", names.join(", ")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use driftline_core::{RowSchema, sink::ImageEmbedding};

    use super::*;

    fn monitor(project: &str, model: &str) -> MonitorSpec {
        MonitorSpec {
            project: project.to_owned(),
            dataset: "baseline".to_owned(),
            model: model.to_owned(),
            model_sha256: String::new(),
            schema: RowSchema::new(2, vec!["cat".to_owned()]).unwrap(),
            custom_feature: ImageEmbedding {
                name: "image_feature".to_owned(),
                source_column: "image_url".to_owned(),
                column: "embeddings".to_owned(),
                n_clusters: 5,
            },
        }
    }

    #[test]
    fn a_monitor_is_found_by_as_much_as_makes_it_unique() {
        let store = tempfile::tempdir().unwrap();
        let find = |project, model| one(store.path(), project, model);
        assert!(
            find(None, None)
                .unwrap_err()
                .to_string()
                .contains("nothing was run")
        );
        // Names may hold anything: they are no file names.
        for (project, model) in [("p", "a"), ("p", "../b"), ("q", "a"), ("p", "a")] {
            remember(store.path(), &monitor(project, model)).unwrap();
        }
        assert_eq!(all(store.path()).unwrap().len(), 3);
        assert_eq!(find(Some("q"), None).unwrap(), monitor("q", "a"));
        assert_eq!(find(None, Some("../b")).unwrap(), monitor("p", "../b"));
        let error = find(None, Some("a")).unwrap_err().to_string();
        assert!(error.contains("p/../b, p/a, q/a"), "{error}");
        let error = find(Some("r"), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
