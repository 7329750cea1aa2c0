//! `log` -> the host.

use std::sync::atomic::{AtomicPtr, Ordering};

use driftline_abi::codes::level;
use driftline_abi::{DlHost, DlStr};
use log::{Level, LevelFilter, Log, Metadata, Record};

static HOST: AtomicPtr<DlHost> = AtomicPtr::new(std::ptr::null_mut());

struct HostLogger;

/// Sends what is logged from now on to `host`.
///
/// # Safety
/// `host` is null or outlives every use of the plugin, as the interface has it.
pub(crate) unsafe fn install(host: *const DlHost) {
    // SAFETY: promised by the caller.
    let Some(host) = (unsafe { host.as_ref() }) else {
        return;
    };
    if (host.struct_size as usize) < size_of::<DlHost>() {
        return;
    }
    HOST.store(std::ptr::from_ref(host).cast_mut(), Ordering::Release);
    // The second time it is there already.
    if log::set_logger(&HostLogger).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // SAFETY: `install` stored null or a host that outlives the plugin.
        let Some(host) = (unsafe { HOST.load(Ordering::Acquire).as_ref() }) else {
            return;
        };
        let Some(log) = host.log else { return };
        let level = match record.level() {
            Level::Error => level::ERROR,
            Level::Warn => level::WARN,
            Level::Info => level::INFO,
            Level::Debug | Level::Trace => level::DEBUG,
        };
        let message = record.args().to_string();
        // SAFETY: the host's function, called as it says; both texts live until it returns.
        unsafe {
            log(
                host.ctx,
                level,
                DlStr::new(record.target()),
                DlStr::new(&message),
            )
        };
    }

    fn flush(&self) {}
}
