//! A `MonitorSink` as a table.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::{RecordBatch, StructArray};
use driftline_abi::codes::{kind, part};
use driftline_abi::{DlCall, DlComponent, DlError, DlInstance, DlSinkTable, DlStr};
use driftline_core::{Ack, EventLabel, MonitorSink, MonitorSpec, Result};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments;
use crate::guard::{guard, refuse, text};
use crate::instance::Instance;
use crate::shim::{self, Shim, call_mut};

/// A sink that a plugin offers.
pub trait SinkPlugin: MonitorSink + Sized + 'static {
    /// The name a user writes.
    const NAME: &'static str;
    /// One line about it.
    const SUMMARY: &'static str;
    /// What a user writes below `[sink.options]`. Deny unknown fields, so that a mistyped name is an error.
    type Options: DeserializeOwned + JsonSchema + Send;

    /// Checks the options, and says where rows will end up: a folder or an address. It has no effect.
    fn location(options: &Self::Options) -> Result<String>;

    /// Opens the sink for the rows of `monitor`. A place that knows the monitor with another schema refuses.
    fn open(options: Self::Options, monitor: &MonitorSpec) -> Result<Self>;
}

/// The component of `T`.
#[doc(hidden)]
pub fn component<T: SinkPlugin>(version: &'static str) -> DlComponent {
    shim::component::<Opening<T>>(version)
}

/// What is behind an instance: the options, then the sink, which `prepare` opens.
struct Opening<T: SinkPlugin> {
    options: Option<T::Options>,
    location: String,
    sink: Option<T>,
}

impl<T: SinkPlugin> Opening<T> {
    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<()> {
        let options = self.options.take();
        let options = options.ok_or_else(|| refuse("`prepare` was called before"))?;
        self.sink = Some(T::open(options, monitor)?);
        Ok(())
    }

    fn sink(&mut self) -> Result<&mut T> {
        let sink = self.sink.as_mut();
        sink.ok_or_else(|| refuse("`prepare` comes first"))
    }
}

impl<T: SinkPlugin> Shim for Opening<T> {
    const KIND: u32 = kind::SINK;
    const WORD: &'static str = "sink";
    const OPERATION: &'static str = "open sink";
    const NAME: &'static str = T::NAME;
    const SUMMARY: &'static str = T::SUMMARY;
    const CAPABILITIES: u64 = 0;
    const TABLE: &'static DlSinkTable = &DlSinkTable {
        struct_size: size_of::<DlSinkTable>() as u32,
        validate: Some(shim::validate::<Self>),
        create: Some(shim::create::<Self>),
        destroy: Some(shim::destroy::<Self>),
        health: Some(shim::health::<Self>),
        prepare: Some(prepare::<T>),
        publish: Some(publish::<T>),
        flush: Some(flush::<T>),
        describe: Some(shim::describe::<Self>),
        publish_labels: Some(publish_labels::<T>),
    };
    type Table = DlSinkTable;
    type Config = T::Options;

    fn schema() -> Value {
        schema_for!(T::Options).to_value()
    }

    fn new(options: T::Options) -> Result<Self> {
        Ok(Self {
            location: T::location(&options)?,
            options: Some(options),
            sink: None,
        })
    }

    fn description(&self) -> String {
        match &self.sink {
            Some(sink) => sink.info().location.clone(),
            // A host of version 1.0 asks before it calls `prepare`.
            None => self.location.clone(),
        }
    }
}

unsafe extern "C" fn prepare<T: SinkPlugin>(
    instance: DlInstance,
    monitor: DlStr,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made and a text, and makes no other call on this instance meanwhile.
    unsafe {
        call_mut::<Opening<T>>(instance, err, |opening| {
            let monitor: MonitorSpec = serde_json::from_str(text("monitor", monitor)?)
                .map_err(|cause| refuse(format!("bad monitor: {cause}")))?;
            opening.prepare(&monitor)
        })
    }
}

/// The rows, moved out of the caller's structs.
///
/// # Safety
/// Both pointers are null or to structs of the Arrow C data interface that describe a struct array.
unsafe fn take(schema: *mut c_void, array: *mut c_void) -> Result<RecordBatch> {
    if schema.is_null() || array.is_null() {
        return Err(refuse("the rows are null"));
    }
    // SAFETY: checked for null, and promised by the caller; the caller's structs are left released.
    let (schema, array) = unsafe {
        (
            FFI_ArrowSchema::from_raw(schema.cast()),
            FFI_ArrowArray::from_raw(array.cast()),
        )
    };
    // SAFETY: promised by the caller.
    let data = unsafe { from_ffi(array, &schema) }
        .map_err(|cause| refuse(format!("the rows cannot be read: {cause}")))?;
    Ok(RecordBatch::from(StructArray::from(data)))
}

unsafe extern "C" fn publish<T: SinkPlugin>(
    instance: DlInstance,
    _: *const DlCall,
    part: u32,
    schema: *mut c_void,
    array: *mut c_void,
    accepted: *mut u64,
    duplicates: *mut u64,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made, rows as the interface has them and places that may be written, and
        // makes no other call on this instance meanwhile.
        unsafe {
            // First of all: they are this module's now, whatever comes.
            let rows = take(schema, array)?;
            Instance::exclusive(instance, |opening: &mut Opening<T>| {
                let sink = opening.sink()?;
                let ack = match part {
                    part::BASELINE => sink.publish_baseline(&rows)?,
                    part::EVENTS => sink.publish_events(&rows)?,
                    other => return Err(refuse(format!("there is no part {other}"))),
                };
                tell(ack, accepted, duplicates)
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}

unsafe extern "C" fn publish_labels<T: SinkPlugin>(
    instance: DlInstance,
    _: *const DlCall,
    event_ids: *const DlStr,
    targets: *const DlStr,
    count: u64,
    accepted: *mut u64,
    duplicates: *mut u64,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made, `count` texts each and places that may be written, and makes no other call
    // on this instance meanwhile.
    unsafe {
        call_mut::<Opening<T>>(instance, err, |opening| {
            let event_ids = arguments::texts("event ids", event_ids, count)?;
            let targets = arguments::texts("targets", targets, count)?;
            let label = |(event_id, target): (&str, &str)| EventLabel {
                event_id: event_id.to_owned(),
                target: target.to_owned(),
            };
            let labels: Vec<_> = event_ids.into_iter().zip(targets).map(label).collect();
            tell(
                opening.sink()?.publish_labels(&labels)?,
                accepted,
                duplicates,
            )
        })
    }
}

/// Writes the counts of a call.
///
/// # Safety
/// Both places are null or may be written.
unsafe fn tell(ack: Ack, accepted: *mut u64, duplicates: *mut u64) -> Result<()> {
    if accepted.is_null() || duplicates.is_null() {
        return Err(refuse("there is no place for the counts"));
    }
    // SAFETY: checked for null, and promised by the caller.
    unsafe {
        accepted.write(ack.accepted);
        duplicates.write(ack.duplicates);
    }
    Ok(())
}

unsafe extern "C" fn flush<T: SinkPlugin>(
    instance: DlInstance,
    _: *const DlCall,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made, and makes no other call on this instance meanwhile.
    unsafe { call_mut::<Opening<T>>(instance, err, |opening| opening.sink()?.flush()) }
}
