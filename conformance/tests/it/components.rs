//! The cases for transforms and sinks: what is built in passes, and what is wrong is caught by the case named for it.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use driftline_conformance::transform::Configuration;
use driftline_conformance::{ComponentReport, sink, transform};
use driftline_core::{
    Ack, DriftTransform, ImageBatch, MonitorSink, MonitorSpec, Registry, Result, SinkConfig,
    SinkInfo, TransformContext, TransformInfo, TransformSpec,
};
use serde_json::Map;

fn spec(name: &str, configuration: &Configuration) -> TransformSpec {
    TransformSpec {
        name: name.to_owned(),
        positional: Vec::new(),
        named: configuration.parameters.clone(),
    }
}

#[test]
fn built_in_transforms_pass() {
    let mut registry = Registry::new("transform");
    driftline_transforms::register(&mut registry).unwrap();
    for name in ["gaussian_blur", "brightness"] {
        let make = |configuration: &Configuration| registry.build(name, &spec(name, configuration));
        let report = transform::run(name, &Map::new(), &make, &|_| {});
        assert!(report.is_conformant(), "{name}: {:?}", report.failures);
    }
}

#[test]
fn the_local_sink_passes() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = Registry::new("sink");
    driftline_sink_local::register(&mut registry).unwrap();
    let make = |options: &Map<_, _>, monitor: &MonitorSpec| {
        let config = SinkConfig {
            store: folder.path().to_owned(),
            options: options.clone(),
            monitor: monitor.clone(),
        };
        registry.build("local", &config)
    };
    let report = sink::run("local", &Map::new(), &make, &|_| {});
    assert!(report.is_conformant(), "{:?}", report.failures);
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    OtherName,
    Unwritten,
    ByPlace,
    ByCall,
    LosesParameters,
    TakesEverything,
}

struct Faulty {
    info: TransformInfo,
    fault: Fault,
    fill: u8,
    calls: AtomicU64,
}

impl DriftTransform for Faulty {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let last = images.len().saturating_sub(1);
        for (i, image) in images.images_mut().enumerate() {
            match self.fault {
                Fault::Unwritten if i == last => image.fill(self.fill),
                Fault::ByPlace => image[0] = i as u8,
                Fault::ByCall => image[0] = call as u8,
                _ => image[0] = 7,
            }
        }
        Ok(())
    }
}

fn faulty(fault: Fault) -> ComponentReport {
    let make = |configuration: &Configuration| -> Result<Box<dyn DriftTransform>> {
        let spec = spec("faulty", configuration);
        if fault != Fault::TakesEverything {
            spec.resolve(&["level"])?;
        }
        let level = configuration.parameters.get("level");
        if fault != Fault::TakesEverything && level.is_some_and(|level| !level.is_number()) {
            return Err(driftline_core::Error::new(
                driftline_core::ErrorKind::InvalidConfig,
                "configure transform",
                "`level` is no number",
            ));
        }
        let expression = match fault {
            Fault::OtherName => "another(level=1)".to_owned(),
            Fault::LosesParameters => "faulty(1)".to_owned(),
            _ => "faulty(level=1)".to_owned(),
        };
        Ok(Box::new(Faulty {
            info: TransformInfo {
                name: "faulty".to_owned(),
                expression,
            },
            fault,
            fill: configuration.fill,
            calls: AtomicU64::new(0),
        }))
    };
    transform::run("faulty", &Map::new(), &make, &|_| {})
}

#[test]
fn a_fault_of_a_transform_is_caught_by_the_case_named_for_it() {
    let sound = faulty(Fault::None);
    assert!(sound.is_conformant(), "{:?}", sound.failures);
    for (fault, case) in [
        (Fault::OtherName, "info_is_filled_in"),
        (Fault::Unwritten, "every_byte_is_written"),
        (Fault::ByPlace, "single_is_batch"),
        (Fault::ByCall, "repeatable"),
        (Fault::LosesParameters, "expression_makes_the_same"),
        (Fault::TakesEverything, "unknown_parameter_is_refused"),
    ] {
        let report = faulty(fault);
        let caught = report.failures.iter().any(|failure| failure.case == case);
        assert!(caught, "{case}: {:?}", report.failures);
    }
}

/// Counts every row as new.
struct Forgetful(SinkInfo);

impl MonitorSink for Forgetful {
    fn info(&self) -> &SinkInfo {
        &self.0
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish_events(rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        Ok(Ack {
            accepted: rows.num_rows() as u64,
            duplicates: 0,
        })
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_forgets_fails_every_case_about_memory() {
    let make = |_: &Map<_, _>, _: &MonitorSpec| -> Result<Box<dyn MonitorSink>> {
        Ok(Box::new(Forgetful(SinkInfo {
            name: "forgetful".to_owned(),
            location: "nowhere".to_owned(),
        })))
    };
    let report = sink::run("forgetful", &Map::new(), &make, &|_| {});
    let failed: Vec<_> = report.failures.iter().map(|failure| failure.case).collect();
    assert_eq!(
        failed,
        [
            "again_is_a_duplicate",
            "known_after_reopening",
            "another_schema_is_refused",
            "unknown_option_is_refused"
        ]
    );
}
