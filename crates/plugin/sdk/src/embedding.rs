//! An `EmbeddingBackend` as a table.

use driftline_abi::codes::{capability, kind};
use driftline_abi::{
    DlCall, DlComponent, DlEmbeddingTable, DlError, DlInstance, DlTensor, DlTensorMut,
};
use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, Error, ErrorKind, InferenceMut, Result,
};
use serde_json::{Value, json};

use crate::arguments;
use crate::guard::{guard_or, refuse};
use crate::instance::Instance;
use crate::shim::{self, Shim, call, call_mut};

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

/// The component of `T`.
#[doc(hidden)]
pub fn component<T: EmbeddingPlugin>(version: &'static str) -> DlComponent {
    shim::component::<Backend<T>>(version)
}

/// What is behind an instance.
struct Backend<T>(T);

impl<T: EmbeddingPlugin> Shim for Backend<T> {
    const KIND: u32 = kind::EMBEDDING;
    const WORD: &'static str = "backend";
    const OPERATION: &'static str = "open backend";
    const NAME: &'static str = T::NAME;
    const SUMMARY: &'static str = T::SUMMARY;
    const CAPABILITIES: u64 = capability::DETERMINISTIC;
    const TABLE: &'static DlEmbeddingTable = &DlEmbeddingTable {
        struct_size: size_of::<DlEmbeddingTable>() as u32,
        validate: Some(shim::validate::<Self>),
        create: Some(shim::create::<Self>),
        destroy: Some(shim::destroy::<Self>),
        health: Some(shim::health::<Self>),
        dim: Some(dim::<T>),
        classes: Some(classes::<T>),
        limits: Some(limits::<T>),
        embed: Some(embed::<T>),
        describe: Some(shim::describe::<Self>),
    };
    type Table = DlEmbeddingTable;
    type Config = BackendConfig;

    /// That of a serialised `BackendConfig`.
    fn schema() -> Value {
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "model": {"type": "string", "description": "A model.toml or a weights file."},
                "threads": {"type": "integer", "minimum": 1, "description": "Threads to compute with."},
                "device": {"type": "string", "description": "cpu or cuda:N.", "default": "cpu"},
                "runtime": {"type": "string", "description": "The library of the engine."},
            },
            "required": ["model", "threads"],
            "additionalProperties": false,
        });
        if !T::PRECISIONS.is_empty() {
            schema["properties"]["precision"] = json!({"enum": T::PRECISIONS});
        }
        schema
    }

    fn capabilities() -> Value {
        json!({"engine": T::ENGINE, "devices": T::DEVICES})
    }

    fn new(config: BackendConfig) -> Result<Self> {
        check_threads(&config)?;
        T::open(&config).map(Self)
    }

    /// The model is not opened.
    fn check(config: BackendConfig) -> Result<()> {
        check_threads(&config)
    }

    fn description(&self) -> String {
        let info = self.0.info();
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
        description.to_string()
    }
}

fn check_threads(config: &BackendConfig) -> Result<()> {
    match config.threads {
        0 => Err(Error::new(
            ErrorKind::InvalidConfig,
            "open backend",
            "a backend needs at least 1 thread",
        )),
        _ => Ok(()),
    }
}

/// A number about an instance; 0 where it cannot be told.
///
/// # Safety
/// `instance` is null or what `create` made, and no other call runs on it.
unsafe fn number<T: EmbeddingPlugin>(
    instance: DlInstance,
    number: impl FnOnce(&BackendInfo) -> usize,
) -> u64 {
    guard_or(0, || {
        // SAFETY: promised by the caller.
        let number = unsafe {
            Instance::shared(instance, |Backend(backend): &Backend<T>| {
                Ok(number(backend.info()))
            })
        };
        number.unwrap_or(0) as u64
    })
}

unsafe extern "C" fn dim<T: EmbeddingPlugin>(instance: DlInstance) -> u64 {
    // SAFETY: the host passes what `create` made, and no other call runs.
    unsafe { number::<T>(instance, |info| info.dim) }
}

unsafe extern "C" fn classes<T: EmbeddingPlugin>(instance: DlInstance) -> u64 {
    // SAFETY: the host passes what `create` made, and no other call runs.
    unsafe { number::<T>(instance, |info| info.classes.len()) }
}

unsafe extern "C" fn limits<T: EmbeddingPlugin>(
    instance: DlInstance,
    max_batch: *mut u64,
    preferred_batch: *mut u64,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made, and places that may be written.
    unsafe {
        call::<Backend<T>>(instance, err, |_| {
            if max_batch.is_null() || preferred_batch.is_null() {
                return Err(refuse("there is no place for the limits"));
            }
            max_batch.write(T::MAX_BATCH as u64);
            preferred_batch.write(0);
            Ok(())
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
    // SAFETY: the host passes what `create` made and tensors as the interface has them, that do not overlap, and makes no
    // other call on this instance meanwhile.
    unsafe {
        call_mut::<Backend<T>>(instance, err, |Backend(backend)| {
            let images = arguments::images("images", images)?;
            let (_, embeddings) = arguments::output("embeddings", embeddings, 2)?;
            let scores = if scores.is_null() {
                None
            } else {
                Some(arguments::output("scores", scores, 2)?.1)
            };
            backend.embed(images, &mut InferenceMut { embeddings, scores })
        })
    }
}
