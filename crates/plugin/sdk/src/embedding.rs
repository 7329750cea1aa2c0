//! An `EmbeddingBackend` as a table.

use driftline_abi::codes::{capability, kind};
use driftline_abi::{
    DlCall, DlComponent, DlEmbeddingTable, DlError, DlInstance, DlStr, DlTensor, DlTensorMut,
    DlWriter,
};
use driftline_core::{BackendConfig, EmbeddingBackend, Error, ErrorKind, InferenceMut, Result};
use serde_json::json;

use crate::arguments;
use crate::guard::{guard, guard_or, refuse, text};
use crate::instance::{Instance, destroy, health};

/// An embedding backend that a plugin offers.
pub trait EmbeddingPlugin: EmbeddingBackend + Sized + 'static {
    /// The name a user writes.
    const NAME: &'static str;
    /// One line about it.
    const SUMMARY: &'static str;
    /// Version of the engine, as in `libtorch 2.11.0`.
    const ENGINE: &'static str;
    /// What it can compute on, of `cpu` and `cuda`.
    const DEVICES: &'static [&'static str];
    /// Arithmetic that a user can choose, such as `fp32` and `bf16`; a backend without a choice has none.
    const PRECISIONS: &'static [&'static str] = &[];
    /// Most images in one call; 0 is no limit.
    const MAX_BATCH: usize = 0;

    /// Opens the model.
    fn open(config: &BackendConfig) -> Result<Self>;
}

/// JSON Schema of a serialised `BackendConfig`.
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "model": {"type": "string", "description": "A model.toml or a weights file."},
    "threads": {"type": "integer", "minimum": 1, "description": "Threads to compute with."},
    "device": {"type": "string", "description": "cpu or cuda:N.", "default": "cpu"},
    "runtime": {"type": "string", "description": "The library of the engine."}
  },
  "required": ["model", "threads"],
  "additionalProperties": false
}"#;

/// The component of `T`.
#[doc(hidden)]
pub fn component<T: EmbeddingPlugin>(version: &'static str) -> DlComponent {
    let capabilities = json!({"engine": T::ENGINE, "devices": T::DEVICES});
    DlComponent {
        struct_size: size_of::<DlComponent>() as u32,
        kind: kind::EMBEDDING,
        name: DlStr::new(T::NAME),
        version: DlStr::new(version),
        summary: DlStr::new(T::SUMMARY),
        // Both are made once in the life of the process.
        config_schema_json: DlStr::new(String::leak(schema(T::PRECISIONS))),
        capabilities_json: DlStr::new(String::leak(capabilities.to_string())),
        capability_bits: capability::DETERMINISTIC,
        vtable: std::ptr::from_ref(Table::<T>::TABLE).cast(),
    }
}

/// The schema of a backend that lets its user choose among `precisions`.
fn schema(precisions: &[&str]) -> String {
    match serde_json::from_str::<serde_json::Value>(SCHEMA) {
        Ok(mut schema) if !precisions.is_empty() => {
            schema["properties"]["precision"] = json!({"enum": precisions});
            schema.to_string()
        }
        _ => SCHEMA.to_owned(),
    }
}

struct Table<T>(T);

impl<T: EmbeddingPlugin> Table<T> {
    const TABLE: &'static DlEmbeddingTable = &DlEmbeddingTable {
        struct_size: size_of::<DlEmbeddingTable>() as u32,
        validate: Some(validate),
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        health: Some(health::<T>),
        dim: Some(dim::<T>),
        classes: Some(classes::<T>),
        limits: Some(limits::<T>),
        embed: Some(embed::<T>),
        describe: Some(describe::<T>),
    };
}

/// # Safety
/// `json` is as the interface has it, for the time of the call.
unsafe fn config(json: DlStr) -> Result<BackendConfig> {
    // SAFETY: promised by the caller.
    let json = unsafe { text("configuration", json)? };
    let config: BackendConfig = serde_json::from_str(json).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "read configuration",
            "the configuration of the backend is wrong",
        )
        .because(cause)
    })?;
    if config.threads == 0 {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "read configuration",
            "a backend needs at least 1 thread",
        ));
    }
    Ok(config)
}

unsafe extern "C" fn validate(json: DlStr, err: *mut DlError) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || config(json).map(drop)) }
}

unsafe extern "C" fn create<T: EmbeddingPlugin>(
    json: DlStr,
    instance: *mut DlInstance,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || Instance::put(T::open(&config(json)?)?, instance)) }
}

unsafe extern "C" fn dim<T: EmbeddingPlugin>(instance: DlInstance) -> u64 {
    guard_or(0, || {
        // SAFETY: the host passes what `create` made, and no other call runs.
        let dim = unsafe { Instance::<T>::enter(instance, |backend| Ok((*backend).info().dim)) };
        dim.unwrap_or(0) as u64
    })
}

unsafe extern "C" fn classes<T: EmbeddingPlugin>(instance: DlInstance) -> u64 {
    guard_or(0, || {
        // SAFETY: the host passes what `create` made, and no other call runs.
        let classes = unsafe {
            Instance::<T>::enter(instance, |backend| Ok((*backend).info().classes.len()))
        };
        classes.unwrap_or(0) as u64
    })
}

unsafe extern "C" fn limits<T: EmbeddingPlugin>(
    instance: DlInstance,
    max_batch: *mut u64,
    preferred_batch: *mut u64,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made, and places that may be written.
    unsafe {
        guard(err, || {
            Instance::<T>::enter(instance, |_| {
                if max_batch.is_null() || preferred_batch.is_null() {
                    return Err(refuse("there is no place for the limits"));
                }
                max_batch.write(T::MAX_BATCH as u64);
                preferred_batch.write(0);
                Ok(())
            })
        })
    }
}

unsafe extern "C" fn embed<T: EmbeddingPlugin>(
    instance: DlInstance,
    _: *const DlCall,
    images: *const DlTensor,
    embeddings: *const DlTensorMut,
    scores: *const DlTensorMut,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made and tensors as the interface has them, that do not overlap, and
        // makes no other call on this instance meanwhile.
        unsafe {
            Instance::<T>::enter(instance, |backend| {
                let images = arguments::images("images", images)?;
                let (_, embeddings) = arguments::output("embeddings", embeddings, 2)?;
                let scores = if scores.is_null() {
                    None
                } else {
                    Some(arguments::output("scores", scores, 2)?.1)
                };
                (*backend).embed(images, &mut InferenceMut { embeddings, scores })
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}

unsafe extern "C" fn describe<T: EmbeddingPlugin>(
    instance: DlInstance,
    writer: *const DlWriter,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made and its writer.
        unsafe {
            Instance::<T>::enter(instance, |backend| {
                let info = (*backend).info();
                let description = json!({
                    "engine": info.engine,
                    "device": info.device,
                    "precision": info.precision,
                    "threads": info.threads,
                    "height": info.input.height,
                    "width": info.input.width,
                    "classes": info.classes,
                    "notes": info.notes,
                });
                arguments::give(writer, &description.to_string())
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}
