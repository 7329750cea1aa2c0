//! A plugin of this SDK under hosts that know less, and more, than it does.

#![allow(clippy::unwrap_used)]

use std::ffi::c_void;

use driftline_plugin_sdk::abi::codes::{part, status};
use driftline_plugin_sdk::abi::{
    DlCall, DlError, DlHost, DlInstance, DlSinkTable, DlStr, DlWriter, tables,
};
use driftline_plugin_sdk::arrow_array::ffi::to_ffi;
use driftline_plugin_sdk::arrow_array::{Array, RecordBatch, StructArray};
use driftline_plugin_sdk::core::sink::ImageEmbedding;
use driftline_plugin_sdk::core::{
    Ack, DriftTransform, ImageBatch, MonitorSink, MonitorSpec, Result, Row, RowSchema, RowsBuilder,
    SinkInfo, TransformContext, TransformInfo,
};
use driftline_plugin_sdk::{SinkPlugin, TransformPlugin, export_plugin, sink};

/// No parameters.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct Same(TransformInfo);

impl DriftTransform for Same {
    fn info(&self) -> &TransformInfo {
        &self.0
    }

    fn apply(&self, _: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        Ok(())
    }
}

impl TransformPlugin for Same {
    const NAME: &'static str = "same";
    const SUMMARY: &'static str = "the image as it is";
    type Parameters = Parameters;

    fn new(Parameters {}: Parameters) -> Result<Self> {
        Ok(Self(TransformInfo {
            name: "same".to_owned(),
            expression: "same".to_owned(),
        }))
    }
}

export_plugin! { transforms: [Same] }

fn host(struct_size: u32) -> DlHost {
    DlHost {
        struct_size,
        abi_minor: 0,
        host_name: DlStr::new("another"),
        host_version: DlStr::new("9.9.9"),
        // Behind the end of a small struct there may be anything.
        ctx: std::ptr::dangling_mut(),
        log: None,
    }
}

#[test]
fn hosts_with_smaller_and_larger_structs_get_the_same_plugin() {
    for host in [4, 8, 40, size_of::<DlHost>() as u32, 4096].map(host) {
        let mut error = DlError {
            struct_size: 16,
            code: 0,
            flags: 0,
            cap: 0,
            text: std::ptr::null_mut(),
            len: 0,
        };
        // SAFETY: both live for the call; nothing is logged after it.
        let plugin = unsafe { driftline_plugin_v1(&host, &mut error).as_ref() }.unwrap();
        assert_eq!(plugin.component_count, 1);
        // SAFETY: the plugin has one component, whose name is a constant.
        let name = unsafe { (*plugin.components).name.read() };
        assert_eq!(name, Ok("same"));
        assert_eq!(error.code, 0);
    }
}

/// A sink that counts rows, and knows labels as its host may not.
struct Counting(SinkInfo);

impl MonitorSink for Counting {
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

impl SinkPlugin for Counting {
    const NAME: &'static str = "counting";
    const SUMMARY: &'static str = "counts rows";
    type Options = Parameters;

    fn location(Parameters {}: &Parameters) -> Result<String> {
        Ok("nowhere".to_owned())
    }

    fn open(_: Parameters, monitor: &MonitorSpec) -> Result<Self> {
        Ok(Self(SinkInfo {
            name: "counting".to_owned(),
            location: format!("nowhere/{}", monitor.project),
        }))
    }
}

/// The functions of a sink as version 1.0 has them: what comes behind them it does not see.
#[repr(C)]
struct FirstSinkTable {
    struct_size: u32,
    validate: Option<tables::Validate>,
    create: Option<tables::Create>,
    destroy: Option<tables::Destroy>,
    health: Option<tables::Health>,
    prepare: Option<unsafe extern "C" fn(DlInstance, DlStr, *mut DlError) -> u32>,
    publish: Option<
        unsafe extern "C" fn(
            DlInstance,
            *const DlCall,
            u32,
            *mut c_void,
            *mut c_void,
            *mut u64,
            *mut u64,
            *mut DlError,
        ) -> u32,
    >,
    flush: Option<unsafe extern "C" fn(DlInstance, *const DlCall, *mut DlError) -> u32>,
    describe: Option<unsafe extern "C" fn(DlInstance, *const DlWriter, *mut DlError) -> u32>,
}

/// # Safety
/// `ctx` is a `String`, and `piece` a text.
unsafe extern "C" fn append(ctx: *mut c_void, piece: DlStr) {
    // SAFETY: promised by the caller.
    unsafe { (*ctx.cast::<String>()).push_str(piece.read().unwrap()) };
}

#[test]
fn a_sink_with_labels_works_under_a_host_that_has_none() {
    let component = sink::component::<Counting>("1.0.0");
    // SAFETY: the component has the table of a sink, of which version 1.0 knows the beginning.
    let table = unsafe { &*component.vtable.cast::<FirstSinkTable>() };
    assert_eq!(size_of::<FirstSinkTable>(), 72);
    assert_eq!(table.struct_size as usize, size_of::<DlSinkTable>());

    let monitor = MonitorSpec {
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
    };
    let mut rows = RowsBuilder::new(monitor.schema.clone());
    let row = Row {
        event_id: "event",
        timestamp_ms: 0,
        embedding: &[0.5],
        scores: &[0.5],
        target: None,
        image_url: "url",
        image_number: 0,
        window: "week-1",
        properties: &[],
    };
    rows.push(&row).unwrap();
    let rows = StructArray::from(rows.finish().unwrap()).to_data();
    let monitor = serde_json::to_string(&monitor).unwrap();
    let mut text = String::new();
    let writer = DlWriter {
        struct_size: size_of::<DlWriter>() as u32,
        ctx: (&raw mut text).cast(),
        write: Some(append),
    };
    let mut instance: DlInstance = std::ptr::null_mut();
    let no_error = std::ptr::null_mut();
    let no_call = std::ptr::null();
    // SAFETY: the calls of a host of version 1.0, in its order; all arguments live for the call.
    unsafe {
        let config = DlStr::new("{}");
        assert_eq!(table.validate.unwrap()(config, no_error), status::OK);
        assert_eq!(
            table.create.unwrap()(config, &mut instance, no_error),
            status::OK
        );
        let describe = || table.describe.unwrap()(instance, &writer, no_error);
        assert_eq!(describe(), status::OK);
        let publish = || {
            let (mut array, mut schema) = to_ffi(&rows).unwrap();
            let (mut accepted, mut duplicates) = (0, 0);
            let code = table.publish.unwrap()(
                instance,
                no_call,
                part::EVENTS,
                (&raw mut schema).cast(),
                (&raw mut array).cast(),
                &mut accepted,
                &mut duplicates,
                no_error,
            );
            (code, accepted, duplicates)
        };
        assert_eq!(publish(), (status::INVALID_ARGUMENT, 0, 0));
        let prepare = || table.prepare.unwrap()(instance, DlStr::new(&monitor), no_error);
        assert_eq!(prepare(), status::OK);
        assert_eq!(prepare(), status::INVALID_ARGUMENT);
        assert_eq!(publish(), (status::OK, 1, 0));
        assert_eq!(
            table.flush.unwrap()(instance, no_call, no_error),
            status::OK
        );
        assert_eq!(table.health.unwrap()(instance, no_error), status::OK);
        assert_eq!(describe(), status::OK);
        table.destroy.unwrap()(instance);
    }
    assert_eq!(text, "nowherenowhere/project");
}
