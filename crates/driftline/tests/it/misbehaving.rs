//! What the host makes of plugins that misbehave: an error that names the plugin, and nothing is lost.
//!
//! `DRIFTLINE_TEST_MISBEHAVING` names the folder with the plugin `misbehaving`. What it does wrong while it is loaded is tested
//! in the command's tests, with a process for each.

use driftline::core::sink::ImageEmbedding;
use driftline::core::{
    DriftTransform, Error, EventLabel, ImageBatch, ImageShape, MonitorSink, MonitorSpec, Result,
    Row, RowSchema, RowsBuilder, SinkConfig, TransformContext,
};
use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};
use serde_json::json;

const SHAPE: ImageShape = ImageShape {
    height: 4,
    width: 6,
};

fn plugins() -> Option<Plugins> {
    let Some(folder) = std::env::var_os("DRIFTLINE_TEST_MISBEHAVING") else {
        println!(
            "skipped: set DRIFTLINE_TEST_MISBEHAVING to the folder with the plugin misbehaving"
        );
        return None;
    };
    let settings = PluginSettings {
        path: vec![folder.into()],
        ..PluginSettings::default()
    };
    Some(Plugins::find(&settings, None).unwrap())
}

fn transform(expression: &str, plugins: &Plugins) -> Result<Box<dyn DriftTransform>> {
    Ok(registries::build_transforms(expression, plugins)?.remove(0))
}

fn apply(transform: &dyn DriftTransform) -> Result<Vec<u8>> {
    let mut images = ImageBatch::new(SHAPE, vec![7; 3 * SHAPE.bytes()]).unwrap();
    let context = TransformContext {
        seed: 42,
        rows: &[0, 1, 2],
    };
    transform.apply(&mut images, &context)?;
    Ok(images.as_bytes().to_vec())
}

fn says<T>(what: &str, result: Result<T>, expected: &str) -> Error {
    let error = result.err().unwrap_or_else(|| panic!("{what}: no error"));
    let text = error.to_string();
    assert!(text.contains(expected), "{what}: {text}");
    error
}

#[test]
fn a_panic_is_an_error_and_the_instance_is_not_entered_again() {
    let Some(plugins) = plugins() else { return };
    for how in ["panic_in_create", "panic_in_describe"] {
        let expression = format!("misbehaving({how})");
        says(how, transform(&expression, &plugins), "panics on request");
    }
    let poisoned = transform("misbehaving(panic_in_apply)", &plugins).unwrap();
    says("first", apply(poisoned.as_ref()), "apply panics on request");
    says(
        "again",
        apply(poisoned.as_ref()),
        "earlier call of this instance panicked",
    );
    let number = transform("misbehaving(panic_with_a_number)", &plugins).unwrap();
    says(
        "number",
        apply(number.as_ref()),
        "it panicked: without a message",
    );
    // Another instance knows nothing of it.
    let sound = transform("misbehaving(well)", &plugins).unwrap();
    assert_eq!(apply(sound.as_ref()).unwrap(), vec![7; 3 * SHAPE.bytes()]);
    let last = transform("misbehaving(panic_in_destroy)", &plugins).unwrap();
    apply(last.as_ref()).unwrap();
    drop(last);
}

#[test]
fn what_breaks_the_interface_is_seen() {
    let Some(plugins) = plugins() else { return };
    let shape = transform("misbehaving(other_shape)", &plugins).unwrap();
    says("shape", apply(shape.as_ref()), "changed the shape");
    says(
        "null instance",
        transform("raw(null_instance)", &plugins),
        "`create` succeeded without an instance",
    );
    says(
        "description",
        transform("raw(describes_bytes)", &plugins),
        "not UTF-8",
    );
    for (how, expected) in [
        ("without_reason", "it gave no reason"),
        ("unknown_code", "a code that nobody knows"),
        ("bad_utf8", "bad\u{fffd}"),
        ("endless_error", "endless"),
    ] {
        let transform = transform(&format!("raw({how})"), &plugins).unwrap();
        let error = says(how, apply(transform.as_ref()), expected);
        assert!(error.to_string().contains("raw"), "{how}: no name");
    }
}

#[test]
fn a_configuration_is_checked_before_the_plugin_sees_it_and_secrets_are_not_shown() {
    let Some(plugins) = plugins() else { return };
    says("missing", transform("misbehaving", &plugins), "how");
    let error = transform("misbehaving(well, _token=hunter2)", &plugins);
    let error = says("secret", error, "_token");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

fn monitor() -> MonitorSpec {
    MonitorSpec {
        project: "project".to_owned(),
        dataset: "dataset".to_owned(),
        model: "model".to_owned(),
        model_sha256: String::new(),
        schema: RowSchema::new(1, vec!["cat".to_owned()]).unwrap(),
        custom_feature: ImageEmbedding {
            name: "feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    }
}

fn sink(how: &str, plugins: &Plugins) -> Result<Box<dyn MonitorSink>> {
    let mut config = SinkConfig::new("unused".into(), monitor());
    config.options.insert("how".to_owned(), json!(how));
    registries::sinks(plugins)?.build("misbehaving", &config)
}

#[test]
fn a_sink_that_panics_or_miscounts_is_an_error() {
    let Some(plugins) = plugins() else { return };
    let mut rows = RowsBuilder::new(monitor().schema);
    rows.push(&Row {
        event_id: "event",
        timestamp_ms: 0,
        embedding: &[0.5],
        scores: &[0.5],
        target: None,
        image_url: "url",
        image_number: 0,
        window: "week-1",
        properties: &[],
    })
    .unwrap();
    let rows = rows.finish().unwrap();
    says(
        "open",
        sink("panic_in_open", &plugins),
        "open panics on request",
    );
    says(
        "prepare",
        sink("panic_in_prepare", &plugins),
        "prepare panics",
    );
    let mut publish = sink("panic_in_publish", &plugins).unwrap();
    says("publish", publish.publish_events(&rows), "publish panics");
    says("again", publish.publish_events(&rows), "earlier call");
    let mut miscount = sink("miscount", &plugins).unwrap();
    says("count", miscount.publish_baseline(&rows), "of 1 rows");
    let labels = ["event", "other"].map(|event_id| EventLabel {
        event_id: event_id.to_owned(),
        target: "cat".to_owned(),
    });
    says("count", miscount.publish_labels(&labels), "of 2 labels");
    let mut publish = sink("panic_in_labels", &plugins).unwrap();
    says("labels", publish.publish_labels(&labels), "labels panic");
    says("again", publish.publish_labels(&labels), "earlier call");
    let mut flush = sink("panic_in_flush", &plugins).unwrap();
    says("flush", flush.flush(), "flush panics");
    let mut sound = sink("well", &plugins).unwrap();
    assert_eq!(sound.publish_events(&rows).unwrap().accepted, 1);
    assert_eq!(sound.publish_labels(&labels).unwrap().accepted, 2);
    assert_eq!(sound.info().location, "nowhere");
}
