//! A plugin that does on request what a plugin must not do, so that the host can be seen to cope.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `backend` | panics, NaN and unwritten rows, by the variable `VARIABLE` |
//! | `transform` | panics, by the parameter `how` |
//! | `raw` | breaks the C interface itself, by the parameter `how` |
//! | `request` | what is asked for |
//! | `sink` | panics and miscounts, by the option `how` |
//!
//! What happens while it is loaded is chosen by the variable too: `crash`, `hang`, `panic`, `null`, `small`,
//! `panic_abort`, `bad_utf8`, `null_table`, `null_member`, `many_components`, `other_name`. A component of an unknown
//! kind is always there.

mod backend;
mod raw;
mod request;
mod sink;
mod transform;

use std::sync::OnceLock;

use driftline_plugin_sdk as sdk;
use sdk::abi::codes::{plugin_flags, status};
use sdk::abi::{DlComponent, DlError, DlHost, DlPlugin, DlStr};

use crate::request::{hang, how};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The entry of the plugin.
///
/// # Safety
/// Called by a host of driftline, with arguments as the interface has them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftline_plugin_v1(
    _: *const DlHost,
    err: *mut DlError,
) -> *const DlPlugin {
    static PLUGIN: OnceLock<DlPlugin> = OnceLock::new();
    match how().as_str() {
        "crash" => std::process::abort(),
        "hang" => hang(),
        "null" => {
            // SAFETY: the host gives a place for the error.
            unsafe { raw::complain(err, status::UNSUPPORTED, b"it is Tuesday") };
            return std::ptr::null();
        }
        _ => {}
    }
    PLUGIN.get_or_init(|| plugin(&how()))
}

fn plugin(how: &str) -> DlPlugin {
    let mut components = vec![
        sdk::embedding::component::<backend::Misbehaving>(VERSION),
        sdk::transform::component::<transform::Misbehaving>(VERSION),
        raw::component(),
        sdk::sink::component::<sink::Misbehaving>(VERSION),
        DlComponent {
            kind: 4711,
            ..raw::component()
        },
    ];
    let mut plugin = DlPlugin {
        struct_size: size_of::<DlPlugin>() as u32,
        abi_minor: 0,
        flags: 0,
        name: DlStr::new(env!("CARGO_PKG_NAME")),
        version: DlStr::new(VERSION),
        license: DlStr::EMPTY,
        target: DlStr::EMPTY,
        build_info: DlStr::EMPTY,
        component_count: components.len() as u32,
        component_stride: size_of::<DlComponent>() as u32,
        components: std::ptr::null(),
    };
    match how {
        "small" => plugin.struct_size = 40,
        "panic_abort" => plugin.flags = plugin_flags::PANIC_ABORT,
        "bad_utf8" => {
            plugin.name = DlStr {
                ptr: [0xff_u8, 0xfe].as_slice().as_ptr(),
                len: 2,
            };
        }
        "other_name" => plugin.name = DlStr::new("somebody-else"),
        "null_table" => components[1].vtable = std::ptr::null(),
        "null_member" => components[2].vtable = std::ptr::from_ref(raw::WITHOUT_APPLY).cast(),
        "many_components" => plugin.component_count = u32::MAX,
        _ => {}
    }
    plugin.components = Vec::leak(components).as_ptr();
    plugin
}
