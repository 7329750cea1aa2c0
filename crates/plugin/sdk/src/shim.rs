//! What components of all kinds have in common: how one is described, made, entered and freed.

use driftline_abi::{DlComponent, DlError, DlInstance, DlStr, DlWriter};
use driftline_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::arguments;
use crate::guard::{guard, guard_or, text};
use crate::instance::Instance;

/// A kind of component, over the type that a plugin offers. An instance of the interface is a value of it.
pub(crate) trait Shim: Sized + 'static {
    /// One of [`kind`](driftline_abi::codes::kind).
    const KIND: u32;
    /// The word for it.
    const WORD: &'static str;
    /// What is done where one is made.
    const OPERATION: &'static str;
    /// The name a user writes.
    const NAME: &'static str;
    /// One line about it.
    const SUMMARY: &'static str;
    /// Bits of [`capability`](driftline_abi::codes::capability).
    const CAPABILITIES: u64;
    /// Its functions: those of this module first, then those of the kind.
    const TABLE: &'static Self::Table;
    /// The table of the kind.
    type Table: 'static;
    /// What one is made from, as JSON.
    type Config: DeserializeOwned;

    /// JSON Schema of a configuration.
    fn schema() -> Value;

    /// More about it, an object.
    fn capabilities() -> Value {
        json!({})
    }

    /// Makes one.
    fn new(config: Self::Config) -> Result<Self>;

    /// Refuses a configuration that none can be made from; it has no effect.
    fn check(config: Self::Config) -> Result<()> {
        Self::new(config).map(drop)
    }

    /// What `describe` writes.
    fn description(&self) -> String;
}

/// The component of a plugin of `version`.
pub(crate) fn component<S: Shim>(version: &'static str) -> DlComponent {
    // Both are made once in the life of the process.
    let [schema, capabilities] =
        [S::schema(), S::capabilities()].map(|json| DlStr::new(String::leak(json.to_string())));
    DlComponent {
        struct_size: size_of::<DlComponent>() as u32,
        kind: S::KIND,
        name: DlStr::new(S::NAME),
        version: DlStr::new(version),
        summary: DlStr::new(S::SUMMARY),
        config_schema_json: schema,
        capabilities_json: capabilities,
        capability_bits: S::CAPABILITIES,
        vtable: std::ptr::from_ref(S::TABLE).cast(),
    }
}

/// # Safety
/// `json` is as the interface has it, for the time of the call.
unsafe fn config<S: Shim>(json: DlStr) -> Result<S::Config> {
    // SAFETY: promised by the caller.
    let json = unsafe { text("configuration", json)? };
    serde_json::from_str(json).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            S::OPERATION,
            "the configuration is wrong",
        )
        .with(S::WORD, S::NAME)
        .because(cause)
    })
}

/// `validate` of every table.
pub(crate) unsafe extern "C" fn validate<S: Shim>(json: DlStr, err: *mut DlError) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || S::check(config::<S>(json)?)) }
}

/// `create` of every table.
pub(crate) unsafe extern "C" fn create<S: Shim>(
    json: DlStr,
    instance: *mut DlInstance,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || Instance::put(S::new(config::<S>(json)?)?, instance)) }
}

/// `destroy` of every table.
pub(crate) unsafe extern "C" fn destroy<S: Shim>(instance: DlInstance) {
    // SAFETY: the host destroys what `create` made, once.
    guard_or((), || unsafe { Instance::<S>::free(instance) });
}

/// `health` of every table.
pub(crate) unsafe extern "C" fn health<S: Shim>(instance: DlInstance, err: *mut DlError) -> u32 {
    // SAFETY: the host passes what `create` made.
    unsafe { call::<S>(instance, err, |_| Ok(())) }
}

/// `describe` of every table.
pub(crate) unsafe extern "C" fn describe<S: Shim>(
    instance: DlInstance,
    writer: *const DlWriter,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made and its writer.
    unsafe {
        call::<S>(instance, err, |shim| {
            arguments::give(writer, &shim.description())
        })
    }
}

/// A function of a table that other calls on the same instance may run beside.
///
/// # Safety
/// `instance` is null or what `create` made of the same kind, no [`call_mut`] runs on it, and `err` is null or as the
/// interface has it.
pub(crate) unsafe fn call<S: Shim>(
    instance: DlInstance,
    err: *mut DlError,
    body: impl FnOnce(&S) -> Result<()>,
) -> u32 {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || Instance::shared(instance, body)) }
}

/// A function of a table that has its instance for itself.
///
/// # Safety
/// As for [`call`], and no other call runs on the instance.
pub(crate) unsafe fn call_mut<S: Shim>(
    instance: DlInstance,
    err: *mut DlError,
    body: impl FnOnce(&mut S) -> Result<()>,
) -> u32 {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || Instance::exclusive(instance, body)) }
}
