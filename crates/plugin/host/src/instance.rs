//! An instance of a component: what every kind does alike.

use driftline_abi::codes::status;
use driftline_abi::{DlCall, DlError, DlInstance, DlLeadingTable, DlStr, DlWriter};
use driftline_core::Result;
use serde_json::Value;

use crate::library::Component;
use crate::message::{ErrorBuffer, collect, defect, missing};
use crate::schema;

/// A component's function that writes about an instance.
pub(crate) type Describe = unsafe extern "C" fn(DlInstance, *const DlWriter, *mut DlError) -> u32;

/// An instance, destroyed when it is dropped.
pub(crate) struct Instance {
    pointer: DlInstance,
    destroy: driftline_abi::tables::Destroy,
}

// SAFETY: the interface allows an instance to be used from any thread.
unsafe impl Send for Instance {}
// SAFETY: whoever holds it calls one function at a time, unless the component declares that calls may be concurrent.
unsafe impl Sync for Instance {}

impl Instance {
    /// Has `component` make an instance from `config`, which its schema and its own check accept.
    pub(crate) fn create(
        component: &Component,
        operation: &'static str,
        config: &Value,
    ) -> Result<Self> {
        let name = &component.name;
        // SAFETY: every table begins with these members.
        let table: DlLeadingTable = unsafe { component.table.read() }
            .ok_or_else(|| defect(name, "its table is missing".to_owned()))?;
        let validate = table.validate.ok_or_else(|| missing(name, "validate"))?;
        let create = table.create.ok_or_else(|| missing(name, "create"))?;
        let destroy = table.destroy.ok_or_else(|| missing(name, "destroy"))?;
        schema::check(component, operation, config)?;
        let config = config.to_string();
        let config = DlStr::new(&config);
        let mut error = ErrorBuffer::new();
        // SAFETY: the text and the buffer live for the call.
        let code = unsafe { validate(config, error.as_mut()) };
        if code != status::OK {
            return Err(error.error(code, operation, name));
        }
        let mut pointer: DlInstance = std::ptr::null_mut();
        // SAFETY: the text, the place and the buffer live for the call.
        let code = unsafe { create(config, &mut pointer, error.as_mut()) };
        if code != status::OK {
            return Err(error.error(code, operation, name));
        }
        if pointer.is_null() {
            let message = "`create` succeeded without an instance";
            return Err(defect(name, message.to_owned()));
        }
        Ok(Self { pointer, destroy })
    }

    /// What `describe` writes about it.
    pub(crate) fn describe(
        &self,
        describe: Describe,
        operation: &'static str,
        name: &str,
    ) -> Result<String> {
        let mut error = ErrorBuffer::new();
        let (code, text) =
            // SAFETY: the instance lives, the writer and the buffer live for the call.
            collect(|writer| unsafe { describe(self.pointer, writer, error.as_mut()) });
        if code != status::OK {
            return Err(error.error(code, operation, name));
        }
        text.map_err(|message| defect(name, message))
    }

    /// The pointer, for functions of the component.
    pub(crate) fn pointer(&self) -> DlInstance {
        self.pointer
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `create` made it, and nobody uses it any more.
        unsafe { (self.destroy)(self.pointer) };
    }
}

/// What belongs to a call, for as long as `rows` live; no rows where rows have no meaning.
pub(crate) fn call(batch_id: u64, seed: u64, rows: &[u64]) -> DlCall {
    DlCall {
        struct_size: size_of::<DlCall>() as u32,
        flags: 0,
        batch_id,
        seed,
        deadline_ns: 0,
        rows: match rows {
            [] => std::ptr::null(),
            rows => rows.as_ptr(),
        },
        row_count: rows.len() as u64,
    }
}
