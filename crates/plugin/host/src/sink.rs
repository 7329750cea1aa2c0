//! A plugin's component as a `MonitorSink`.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow_array::{Array, RecordBatch, StructArray};
use driftline_abi::codes::{part, status};
use driftline_abi::{DlCall, DlError, DlInstance, DlSinkTable, DlStr};
use driftline_core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, SinkInfo,
};
use serde_json::{Map, Value};

use crate::instance::{Instance, call};
use crate::library::Library;
use crate::manifest::ComponentKind;
use crate::message::{ErrorBuffer, defect, missing};

const OPERATION: &str = "open sink";
const PUBLISH_LABELS: &str = "publish labels";

/// A sink of a plugin.
pub struct PluginSink {
    info: SinkInfo,
    functions: Functions,
    instance: Instance,
    calls: u64,
}

type Prepare = unsafe extern "C" fn(DlInstance, DlStr, *mut DlError) -> u32;
type Publish = unsafe extern "C" fn(
    DlInstance,
    *const DlCall,
    u32,
    *mut c_void,
    *mut c_void,
    *mut u64,
    *mut u64,
    *mut DlError,
) -> u32;
type PublishLabels = unsafe extern "C" fn(
    DlInstance,
    *const DlCall,
    *const DlStr,
    *const DlStr,
    u64,
    *mut u64,
    *mut u64,
    *mut DlError,
) -> u32;
type Flush = unsafe extern "C" fn(DlInstance, *const DlCall, *mut DlError) -> u32;

struct Functions {
    publish: Publish,
    flush: Flush,
    /// Not in plugins of version 1.0.
    publish_labels: Option<PublishLabels>,
}

impl PluginSink {
    /// Opens the sink `name` of `library` for the rows of `monitor`.
    pub fn open(
        library: &'static Library,
        name: &str,
        options: &Map<String, Value>,
        monitor: &MonitorSpec,
    ) -> Result<Self> {
        let component = library.component(ComponentKind::Sink, name)?;
        let missing = |function: &str| missing(name, function);
        // SAFETY: the component says that it is a sink.
        let table: DlSinkTable = unsafe { component.table.read() }
            .ok_or_else(|| defect(name, "its table is missing".to_owned()))?;
        let prepare = table.prepare.ok_or_else(|| missing("prepare"))?;
        let functions = Functions {
            publish: table.publish.ok_or_else(|| missing("publish"))?,
            flush: table.flush.ok_or_else(|| missing("flush"))?,
            publish_labels: table.publish_labels,
        };
        let describe = table.describe.ok_or_else(|| missing("describe"))?;
        let config = Value::Object(options.clone());
        let instance = Instance::create(component, OPERATION, &config)?;
        self::prepare(prepare, &instance, name, monitor)?;
        let location = instance.describe(describe, OPERATION, name)?;
        Ok(Self {
            info: SinkInfo {
                name: name.to_owned(),
                location,
            },
            functions,
            instance,
            calls: 0,
        })
    }

    fn next_call(&mut self) -> DlCall {
        self.calls += 1;
        call(self.calls - 1, 0, &[])
    }

    fn publish(&mut self, part: u32, rows: &RecordBatch) -> Result<Ack> {
        let count = rows.num_rows() as u64;
        let data = StructArray::from(rows.clone()).to_data();
        let (mut array, mut schema): (FFI_ArrowArray, FFI_ArrowSchema) = to_ffi(&data)
            .map_err(|cause| defect(&self.info.name, format!("the rows do not cross: {cause}")))?;
        let call = self.next_call();
        let (mut accepted, mut duplicates) = (0, 0);
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance lives, no other call runs on it, and everything else lives for the call. The plugin moves
        // schema and array out, or leaves them to be dropped here.
        let code = unsafe {
            (self.functions.publish)(
                self.instance.pointer(),
                &call,
                part,
                (&raw mut schema).cast(),
                (&raw mut array).cast(),
                &mut accepted,
                &mut duplicates,
                error.as_mut(),
            )
        };
        if code != status::OK {
            return Err(error.error(code, "publish", &self.info.name));
        }
        self.counted(count, "rows", accepted, duplicates)
    }

    /// What the plugin says about `count` rows or labels, if that can be.
    fn counted(&self, count: u64, of: &str, accepted: u64, duplicates: u64) -> Result<Ack> {
        if u64::checked_add(accepted, duplicates) != Some(count) {
            return Err(defect(
                &self.info.name,
                format!("of {count} {of} it says it has {accepted} new and {duplicates} known"),
            ));
        }
        Ok(Ack {
            accepted,
            duplicates,
        })
    }
}

/// Tells a new instance what its rows belong to.
fn prepare(
    function: Prepare,
    instance: &Instance,
    name: &str,
    monitor: &MonitorSpec,
) -> Result<()> {
    let monitor = serde_json::to_string(monitor)
        .map_err(|cause| defect(name, format!("the monitor is no JSON: {cause}")))?;
    let mut error = ErrorBuffer::new();
    // SAFETY: the instance is new, and text and buffer live for the call.
    let code = unsafe { function(instance.pointer(), DlStr::new(&monitor), error.as_mut()) };
    match code {
        status::OK => Ok(()),
        code => Err(error.error(code, OPERATION, name)),
    }
}

impl MonitorSink for PluginSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(part::BASELINE, rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(part::EVENTS, rows)
    }

    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        let Some(publish_labels) = self.functions.publish_labels else {
            let message = format!("the sink `{}` does not support labels", self.info.name);
            return Err(
                Error::new(ErrorKind::Unsupported, PUBLISH_LABELS, message).remedy(
                    "use a version of its plugin that has `publish_labels` (interface 1.1), or another sink",
                ),
            );
        };
        let texts = |text: fn(&EventLabel) -> &str| -> Vec<DlStr> {
            labels.iter().map(|label| DlStr::new(text(label))).collect()
        };
        let event_ids = texts(|label| &label.event_id);
        let targets = texts(|label| &label.target);
        let call = self.next_call();
        let (mut accepted, mut duplicates) = (0, 0);
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance lives, no other call runs on it, and everything else lives for the call.
        let code = unsafe {
            publish_labels(
                self.instance.pointer(),
                &call,
                event_ids.as_ptr(),
                targets.as_ptr(),
                labels.len() as u64,
                &mut accepted,
                &mut duplicates,
                error.as_mut(),
            )
        };
        if code != status::OK {
            return Err(error.error(code, PUBLISH_LABELS, &self.info.name));
        }
        self.counted(labels.len() as u64, "labels", accepted, duplicates)
    }

    fn flush(&mut self) -> Result<()> {
        let call = self.next_call();
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance lives, no other call runs on it, and call and buffer live for the call.
        let code =
            unsafe { (self.functions.flush)(self.instance.pointer(), &call, error.as_mut()) };
        match code {
            status::OK => Ok(()),
            code => Err(error.error(code, "flush sink", &self.info.name)),
        }
    }
}
