//! What the environment asks for.

use std::ffi::{c_int, c_long};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use driftline_faults::inject::{FAIL, Fault, LOG, ROOT};
use driftline_faults::record::Operation;

/// What calls are done to, in one program.
pub(crate) struct Setup {
    /// The folder, absolute and without a slash at its end.
    pub(crate) root: Vec<u8>,
    log: c_int,
    fault: Option<Fault>,
}

static SETUP: OnceLock<Option<Setup>> = OnceLock::new();
static COUNT: AtomicU64 = AtomicU64::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// `None` in a program that nothing is asked of.
pub(crate) fn setup() -> Option<&'static Setup> {
    SETUP.get_or_init(read).as_ref()
}

fn read() -> Option<Setup> {
    let root = std::env::var_os(ROOT)?.into_vec();
    let mut log = std::env::var_os(LOG)?.into_vec();
    log.push(0);
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
    // SAFETY: `log` ends with a zero byte.
    let log = unsafe {
        libc::syscall(
            libc::SYS_openat,
            c_long::from(libc::AT_FDCWD),
            log.as_ptr(),
            c_long::from(flags),
            0o644 as c_long,
        )
    };
    let fault = std::env::var(FAIL).ok().and_then(|text| text.parse().ok());
    (log >= 0).then_some(Setup {
        root,
        log: log as c_int,
        fault,
    })
}

impl Setup {
    /// Holds the turn of a call: what the log says happened in that order.
    pub(crate) fn turn(&self) -> MutexGuard<'static, ()> {
        ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to the log.
    pub(crate) fn note(&self, operation: &Operation) {
        let record = operation.encode();
        // SAFETY: the buffer is as long as is said.
        unsafe {
            libc::syscall(
                libc::SYS_write,
                c_long::from(self.log),
                record.as_ptr(),
                record.len(),
            );
        }
    }

    /// Whether this call is the one that fails, and how.
    pub(crate) fn fault(&self, call: &str, path: &Path) -> Option<Fault> {
        let fault = self.fault.filter(|fault| fault.kind.concerns(call))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let now = number == fault.number || (fault.lasting && number > fault.number);
        if !now {
            return None;
        }
        let name = fault.kind.name();
        self.note(&Operation::Fault(format!(
            "{name} from {call} {number}: {}",
            path.display()
        )));
        Some(fault)
    }

    /// The result of a call that fails; `None` for one that goes on.
    pub(crate) fn fails(&self, call: &str, path: &Path) -> Option<c_int> {
        let errno = self.fault(call, path)?.kind.errno()?;
        // SAFETY: the place of errno is this thread's own.
        unsafe { *libc::__errno_location() = errno };
        Some(-1)
    }
}
