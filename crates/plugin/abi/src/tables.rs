//! Function tables. Each begins with the members of [`DlLeadingTable`].
//!
//! `create`, calls and `destroy` may come from different threads, one at a time for each instance, unless the
//! component declares [`CONCURRENT`](crate::codes::capability::CONCURRENT). Different instances may always run in
//! parallel. A function is absent where it is null; all but `health` and `publish_labels` are required.

use std::ffi::c_void;

use crate::{DlCall, DlError, DlStr, DlTensor, DlTensorMut, DlWriter};

/// A component that was created; only its plugin knows what is behind the pointer.
pub type DlInstance = *mut c_void;

/// Checks a configuration without making anything.
pub type Validate = unsafe extern "C" fn(config: DlStr, err: *mut DlError) -> u32;
/// Makes an instance from a configuration, which is JSON.
pub type Create =
    unsafe extern "C" fn(config: DlStr, instance: *mut DlInstance, err: *mut DlError) -> u32;
/// Frees an instance; it is not used afterwards.
pub type Destroy = unsafe extern "C" fn(instance: DlInstance);
/// Says whether an instance can still work.
pub type Health = unsafe extern "C" fn(instance: DlInstance, err: *mut DlError) -> u32;

/// What every table begins with.
#[repr(C)]
#[derive(Debug)]
pub struct DlLeadingTable {
    /// Bytes of the whole table.
    pub struct_size: u32,
    /// See [`Validate`].
    pub validate: Option<Validate>,
    /// See [`Create`].
    pub create: Option<Create>,
    /// See [`Destroy`].
    pub destroy: Option<Destroy>,
    /// See [`Health`].
    pub health: Option<Health>,
}

/// A drift transform.
#[repr(C)]
#[derive(Debug)]
pub struct DlTransformTable {
    /// Bytes of this table.
    pub struct_size: u32,
    /// See [`Validate`].
    pub validate: Option<Validate>,
    /// See [`Create`].
    pub create: Option<Create>,
    /// See [`Destroy`].
    pub destroy: Option<Destroy>,
    /// See [`Health`].
    pub health: Option<Health>,
    /// u8 `[N, H, W, 3]` RGB, 0..=255, to the same shape. The result depends on configuration, seed, row and image
    /// only. `input` and `output` are the same memory only where
    /// [`IN_PLACE`](crate::codes::capability::IN_PLACE) is declared.
    pub apply: Option<
        unsafe extern "C" fn(
            instance: DlInstance,
            call: *const DlCall,
            input: *const DlTensor,
            output: *const DlTensorMut,
            err: *mut DlError,
        ) -> u32,
    >,
    /// Writes the transform with all its parameters, in the form that `--transform` reads.
    pub describe: Option<
        unsafe extern "C" fn(instance: DlInstance, text: *const DlWriter, err: *mut DlError) -> u32,
    >,
}

/// An embedding backend.
#[repr(C)]
#[derive(Debug)]
pub struct DlEmbeddingTable {
    /// Bytes of this table.
    pub struct_size: u32,
    /// See [`Validate`].
    pub validate: Option<Validate>,
    /// See [`Create`].
    pub create: Option<Create>,
    /// See [`Destroy`].
    pub destroy: Option<Destroy>,
    /// See [`Health`].
    pub health: Option<Health>,
    /// Length of an embedding; 0 is a defect.
    pub dim: Option<unsafe extern "C" fn(instance: DlInstance) -> u64>,
    /// Number of classes; 0 where there are no scores.
    pub classes: Option<unsafe extern "C" fn(instance: DlInstance) -> u64>,
    /// Most images in one call (0 is no limit), and how many it likes best (0 is no matter).
    pub limits: Option<
        unsafe extern "C" fn(
            instance: DlInstance,
            max_batch: *mut u64,
            preferred_batch: *mut u64,
            err: *mut DlError,
        ) -> u32,
    >,
    /// u8 `[N, H, W, 3]` RGB to f32 `[N, dim]` and, where `scores` is not null, f32 `[N, classes]`. Every element is
    /// written and finite, or the call fails.
    pub embed: Option<
        unsafe extern "C" fn(
            instance: DlInstance,
            call: *const DlCall,
            images: *const DlTensor,
            embeddings: *const DlTensorMut,
            scores: *const DlTensorMut,
            err: *mut DlError,
        ) -> u32,
    >,
    /// Writes a JSON object: `engine` and `device` (text), `precision` (as in `fp32`), `threads`, `height`, `width`,
    /// `classes` (names in the order of the scores), and optionally `notes` (lines that a user is told at the start).
    pub describe: Option<
        unsafe extern "C" fn(instance: DlInstance, text: *const DlWriter, err: *mut DlError) -> u32,
    >,
}

/// A sink. Rows travel as Arrow C data: `schema` and `array` are an `ArrowSchema` and an `ArrowArray`, moved in.
#[repr(C)]
#[derive(Debug)]
pub struct DlSinkTable {
    /// Bytes of this table.
    pub struct_size: u32,
    /// See [`Validate`].
    pub validate: Option<Validate>,
    /// See [`Create`].
    pub create: Option<Create>,
    /// See [`Destroy`].
    pub destroy: Option<Destroy>,
    /// See [`Health`].
    pub health: Option<Health>,
    /// Makes project, model, schema and custom feature known, right after `create`; `monitor` is JSON.
    pub prepare: Option<
        unsafe extern "C" fn(instance: DlInstance, monitor: DlStr, err: *mut DlError) -> u32,
    >,
    /// Keeps rows of `part` (0: baseline, 1: events); says how many are new and how many were there.
    pub publish: Option<
        unsafe extern "C" fn(
            instance: DlInstance,
            call: *const DlCall,
            part: u32,
            schema: *mut c_void,
            array: *mut c_void,
            accepted: *mut u64,
            duplicates: *mut u64,
            err: *mut DlError,
        ) -> u32,
    >,
    /// Returns when everything that was accepted is where it should be.
    pub flush: Option<
        unsafe extern "C" fn(instance: DlInstance, call: *const DlCall, err: *mut DlError) -> u32,
    >,
    /// Writes where the rows end up: a folder or an address.
    pub describe: Option<
        unsafe extern "C" fn(instance: DlInstance, text: *const DlWriter, err: *mut DlError) -> u32,
    >,
    /// Since 1.1; absent where events cannot be changed. Gives `count` events, by their ids, their true class; says how many
    /// labels changed an event, and how many changed nothing: the event has the label, or is not there.
    pub publish_labels: Option<
        unsafe extern "C" fn(
            instance: DlInstance,
            call: *const DlCall,
            event_ids: *const DlStr,
            targets: *const DlStr,
            count: u64,
            accepted: *mut u64,
            duplicates: *mut u64,
            err: *mut DlError,
        ) -> u32,
    >,
}

// SAFETY: a table is a constant of the plugin: nobody writes it.
unsafe impl Sync for DlTransformTable {}
// SAFETY: as above.
unsafe impl Sync for DlEmbeddingTable {}
// SAFETY: as above.
unsafe impl Sync for DlSinkTable {}
