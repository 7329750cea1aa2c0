//! `plugin test`: the conformance cases of everything that a plugin offers.

use std::time::Duration;

use driftline::core::{BackendConfig, Error, ErrorKind, TransformSpec};
use driftline::plugin_host::library::Component;
use driftline::plugin_host::{ComponentKind, Library, PluginBackend, PluginSink, PluginTransform};
use driftline::{Plugins, prepare_runtime};
use driftline_conformance::{ComponentReport, Report, Suite, sink, transform};
use serde_json::{Map, Value, json};

use super::child::{Child, Ended};
use super::target::{Target, target};
use crate::args::{Output, TestArgs};
use crate::conclusion::conclude;
use crate::outcome::Outcome;
use crate::output;

/// What the separate process prints before each case.
const CASE: &str = "case: ";

/// Runs the cases.
pub fn test(args: &TestArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let target = target(&args.plugin, plugins)?;
    if args.in_this_process {
        let report = run(args, &target)?;
        if output.json {
            output::json(&json!({"components": report.components}))?;
        } else {
            output::text(report.text().trim_end())?;
        }
        return conclude(&report, args.junit.as_deref());
    }
    let child = Child::start(|driftline| {
        driftline.args(["plugin", "test", "--in-this-process"]);
        driftline.arg(&args.plugin).args(["--config", &args.config]);
        for folder in &plugins.search().trace {
            driftline.arg("--plugin-path").arg(&folder.0);
        }
        if let Some(component) = &args.component {
            driftline.args(["--component", component]);
        }
        if let Some(junit) = &args.junit {
            driftline.arg("--junit").arg(junit);
        }
        if output.json {
            driftline.arg("--json");
        }
    })?;
    let mut case = "load".to_owned();
    let mut said = Vec::new();
    let ended = child.wait(Duration::from_secs(args.deadline), |line| {
        match line.strip_prefix(CASE) {
            Some(name) => case = name.to_owned(),
            None => said.push(line.to_owned()),
        }
    });
    let failed = |message: String| {
        Error::new(ErrorKind::InvalidData, "test plugin", message)
            .with("plugin", target.library().display())
    };
    let (stdout, message) = match ended {
        Ended::Done { stdout } => (stdout, None),
        Ended::Failed { stdout, .. } => {
            let message = said.join("\n");
            let message = message.trim_start_matches("error: ").to_owned();
            (stdout, Some(message))
        }
        Ended::Crashed { status } => {
            return Err(failed(format!("it crashed in the case {case} ({status})")).into());
        }
        Ended::Late => {
            return Err(failed(format!(
                "the case {case} did not end within {} s",
                args.deadline
            ))
            .into());
        }
    };
    output::text(String::from_utf8_lossy(&stdout).trim_end())?;
    match message {
        None => Ok(Outcome::Done),
        Some(message) => Err(failed(message).into()),
    }
}

fn run(args: &TestArgs, target: &Target) -> anyhow::Result<Report> {
    let config: Map<String, Value> = serde_json::from_str(&args.config).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "read `--config`",
            "it is not a JSON object",
        )
        .because(cause)
        .remedy("write it as in --config '{\"amount\": 0.5}'")
    })?;
    output::notice(&format!("{CASE}load"));
    let runtime = prepare_runtime(target.runtime(), None)?;
    let library = Library::inspect(target.library())?;
    if let Target::Manifest(manifest) = target {
        library.agrees_with(manifest)?;
    }
    let wanted = |component: &&Component| {
        let name = args.component.as_ref();
        component.kind.is_some() && name.is_none_or(|name| *name == component.name)
    };
    let mut report = Report::default();
    for component in library.components.iter().filter(wanted) {
        let (Some(kind), name) = (component.kind, component.name.as_str()) else {
            continue;
        };
        let started = |case: &'static str| {
            output::notice(&format!("{CASE}{}::{name}::{case}", kind.name()));
        };
        let tested: ComponentReport = match kind {
            ComponentKind::Embedding => Suite::new()?.run(
                name,
                &|config| {
                    let config = BackendConfig {
                        runtime: runtime.clone(),
                        ..config.clone()
                    };
                    Ok(Box::new(PluginBackend::open(library, name, &config)?))
                },
                &started,
            ),
            ComponentKind::Transform => transform::run(
                name,
                &config,
                &|configuration| {
                    let spec = TransformSpec {
                        name: name.to_owned(),
                        positional: Vec::new(),
                        named: configuration.parameters.clone(),
                    };
                    let transform = PluginTransform::new(library, &spec)?;
                    Ok(Box::new(transform.written_over(configuration.fill)))
                },
                &started,
            ),
            ComponentKind::Sink => sink::run(
                name,
                &config,
                &|options, monitor| {
                    let sink = PluginSink::open(library, name, options, monitor)?;
                    Ok(Box::new(sink))
                },
                &started,
            ),
        };
        report.components.push(tested);
    }
    if report.components.is_empty() {
        let what = match &args.component {
            Some(name) => format!("it offers no `{name}`"),
            None => "it offers nothing that is known here".to_owned(),
        };
        return Err(Error::new(ErrorKind::InvalidConfig, "test plugin", what).into());
    }
    Ok(report)
}
