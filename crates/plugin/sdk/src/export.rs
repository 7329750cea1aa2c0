//! What [`export_plugin!`](crate::export_plugin) expands to.

use std::sync::OnceLock;

use driftline_abi::codes::plugin_flags;
use driftline_abi::{ABI_MINOR, DlComponent, DlError, DlHost, DlPlugin, DlStr};

use crate::guard::guard;
use crate::logger;

/// What the macro knows about the crate it is in.
#[doc(hidden)]
pub struct Crate {
    pub name: &'static str,
    pub version: &'static str,
    pub license: &'static str,
    pub unwinds: bool,
    pub spawns_threads: bool,
}

/// The plugin of a crate, made when the host first asks for it.
#[doc(hidden)]
pub struct Exported(OnceLock<DlPlugin>);

impl Exported {
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The body of the entry function.
    ///
    /// # Safety
    /// `host` and `err` are as the interface has them.
    pub unsafe fn enter(
        &'static self,
        host: *const DlHost,
        err: *mut DlError,
        about: &Crate,
        components: impl FnOnce() -> Vec<DlComponent>,
    ) -> *const DlPlugin {
        let mut plugin = std::ptr::null();
        let body = || {
            // SAFETY: promised by the caller.
            unsafe { logger::install(host) };
            plugin = self.0.get_or_init(|| about.plugin(components()));
            Ok(())
        };
        // SAFETY: promised by the caller.
        unsafe { guard(err, body) };
        plugin
    }
}

impl Crate {
    fn plugin(&self, components: Vec<DlComponent>) -> DlPlugin {
        let components: &'static [DlComponent] = Vec::leak(components);
        let mut flags = 0;
        if !self.unwinds {
            flags |= plugin_flags::PANIC_ABORT;
        }
        if self.spawns_threads {
            flags |= plugin_flags::SPAWNS_THREADS;
        }
        DlPlugin {
            struct_size: size_of::<DlPlugin>() as u32,
            abi_minor: ABI_MINOR,
            flags,
            name: DlStr::new(self.name),
            version: DlStr::new(self.version),
            license: DlStr::new(self.license),
            target: DlStr::new(std::env::consts::ARCH),
            build_info: DlStr::new(concat!("driftline-plugin-sdk ", env!("CARGO_PKG_VERSION"))),
            component_count: components.len() as u32,
            component_stride: size_of::<DlComponent>() as u32,
            components: components.as_ptr(),
        }
    }
}

/// Exports the types of this crate as a plugin: `export_plugin! { embeddings: [A], transforms: [B, C], sinks: [D] }`; any
/// list may be left out. Once in a crate of type `cdylib`.
///
/// A crate whose `create` starts threads that `drop` joins says so with `spawns_threads: true,` first.
#[macro_export]
macro_rules! export_plugin {
    (
        $(spawns_threads: $spawns:literal,)?
        $(embeddings: [$($embedding:ty),* $(,)?])? $(,)?
        $(transforms: [$($transform:ty),* $(,)?])? $(,)?
        $(sinks: [$($sink:ty),* $(,)?])? $(,)?
    ) => {
        /// The entry of the plugin.
        ///
        /// # Safety
        /// Called by a host of driftline, with arguments as the interface has them.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn driftline_plugin_v1(
            host: *const $crate::abi::DlHost,
            err: *mut $crate::abi::DlError,
        ) -> *const $crate::abi::DlPlugin {
            static EXPORTED: $crate::export::Exported = $crate::export::Exported::new();
            let about = $crate::export::Crate {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                license: env!("CARGO_PKG_LICENSE"),
                unwinds: cfg!(panic = "unwind"),
                spawns_threads: false $(|| $spawns)?,
            };
            let components = || vec![
                $($($crate::embedding::component::<$embedding>(env!("CARGO_PKG_VERSION")),)*)?
                $($($crate::transform::component::<$transform>(env!("CARGO_PKG_VERSION")),)*)?
                $($($crate::sink::component::<$sink>(env!("CARGO_PKG_VERSION")),)*)?
            ];
            // SAFETY: the host passes both as the interface has them.
            unsafe { EXPORTED.enter(host, err, &about, components) }
        }
    };
}
