//! A plugin's component as a `MonitorSink`.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow_array::{Array, RecordBatch, StructArray};
use driftline_abi::codes::{part, status};
use driftline_abi::{DlCall, DlError, DlInstance, DlSinkTable, DlStr};
use driftline_core::{Ack, MonitorSink, MonitorSpec, Result, SinkInfo};
use serde_json::{Map, Value};

use crate::instance::{Instance, call, defect, missing};
use crate::library::Library;
use crate::manifest::ComponentKind;
use crate::message::ErrorBuffer;

const OPERATION: &str = "open sink";

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
type Flush = unsafe extern "C" fn(DlInstance, *const DlCall, *mut DlError) -> u32;

struct Functions {
    publish: Publish,
    flush: Flush,
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
        if u64::checked_add(accepted, duplicates) != Some(count) {
            return Err(defect(
                &self.info.name,
                format!("of {count} rows it says it has {accepted} new and {duplicates} known"),
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
