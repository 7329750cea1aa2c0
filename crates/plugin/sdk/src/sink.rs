//! A `MonitorSink` as a table.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::{RecordBatch, StructArray};
use driftline_abi::codes::{kind, part};
use driftline_abi::{DlCall, DlComponent, DlError, DlInstance, DlSinkTable, DlStr, DlWriter};
use driftline_core::{Ack, Error, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::arguments;
use crate::guard::{guard, refuse, text};
use crate::instance::{Instance, destroy, health};

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
    let schema = schemars::schema_for!(T::Options);
    DlComponent {
        struct_size: size_of::<DlComponent>() as u32,
        kind: kind::SINK,
        name: DlStr::new(T::NAME),
        version: DlStr::new(version),
        summary: DlStr::new(T::SUMMARY),
        // Made once in the life of the process.
        config_schema_json: DlStr::new(String::leak(schema.as_value().to_string())),
        capabilities_json: DlStr::new("{}"),
        capability_bits: 0,
        vtable: std::ptr::from_ref(Table::<T>::TABLE).cast(),
    }
}

/// What is behind an instance: the options, then the sink, which `prepare` opens.
struct Opening<T: SinkPlugin> {
    options: Option<T::Options>,
    location: String,
    sink: Option<T>,
}

impl<T: SinkPlugin> Opening<T> {
    /// # Safety
    /// `json` is as the interface has it, for the time of the call.
    unsafe fn new(json: DlStr) -> Result<Self> {
        // SAFETY: promised by the caller.
        let json = unsafe { text("configuration", json)? };
        let options = serde_json::from_str(json).map_err(|cause| {
            Error::new(
                ErrorKind::InvalidConfig,
                "open sink",
                "the options are wrong",
            )
            .with("sink", T::NAME)
            .because(cause)
        })?;
        Ok(Self {
            location: T::location(&options)?,
            options: Some(options),
            sink: None,
        })
    }

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

    fn location(&self) -> &str {
        match &self.sink {
            Some(sink) => &sink.info().location,
            // A host of version 1.0 asks before it calls `prepare`.
            None => &self.location,
        }
    }
}

struct Table<T>(T);

impl<T: SinkPlugin> Table<T> {
    const TABLE: &'static DlSinkTable = &DlSinkTable {
        struct_size: size_of::<DlSinkTable>() as u32,
        validate: Some(validate::<T>),
        create: Some(create::<T>),
        destroy: Some(destroy::<Opening<T>>),
        health: Some(health::<Opening<T>>),
        prepare: Some(prepare::<T>),
        publish: Some(publish::<T>),
        flush: Some(flush::<T>),
        describe: Some(describe::<T>),
        publish_labels: Some(publish_labels::<T>),
    };
}

unsafe extern "C" fn validate<T: SinkPlugin>(json: DlStr, err: *mut DlError) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || Opening::<T>::new(json).map(drop)) }
}

unsafe extern "C" fn create<T: SinkPlugin>(
    json: DlStr,
    instance: *mut DlInstance,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || Instance::put(Opening::<T>::new(json)?, instance)) }
}

unsafe extern "C" fn prepare<T: SinkPlugin>(
    instance: DlInstance,
    monitor: DlStr,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made and a text, and makes no other call on this instance meanwhile.
        unsafe {
            Instance::<Opening<T>>::enter(instance, |opening| {
                let monitor: MonitorSpec = serde_json::from_str(text("monitor", monitor)?)
                    .map_err(|cause| refuse(format!("bad monitor: {cause}")))?;
                (*opening).prepare(&monitor)
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
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
            Instance::<Opening<T>>::enter(instance, |opening| {
                let ack = match part {
                    part::BASELINE => (*opening).sink()?.publish_baseline(&rows)?,
                    part::EVENTS => (*opening).sink()?.publish_events(&rows)?,
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
    let body = || {
        // SAFETY: the host passes what `create` made, `count` texts each and places that may be written, and makes no other
        // call on this instance meanwhile.
        unsafe {
            Instance::<Opening<T>>::enter(instance, |opening| {
                let event_ids = arguments::texts("event ids", event_ids, count)?;
                let targets = arguments::texts("targets", targets, count)?;
                let pairs = event_ids.into_iter().zip(targets);
                let labels: Vec<EventLabel> = pairs
                    .map(|(event_id, target)| EventLabel {
                        event_id: event_id.to_owned(),
                        target: target.to_owned(),
                    })
                    .collect();
                let ack = (*opening).sink()?.publish_labels(&labels)?;
                tell(ack, accepted, duplicates)
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
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
    unsafe {
        guard(err, || {
            Instance::<Opening<T>>::enter(instance, |opening| (*opening).sink()?.flush())
        })
    }
}

unsafe extern "C" fn describe<T: SinkPlugin>(
    instance: DlInstance,
    writer: *const DlWriter,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made and its writer.
        unsafe {
            Instance::<Opening<T>>::enter(instance, |opening| {
                arguments::give(writer, (*opening).location())
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}
