//! Foreign code that may never return, on a thread of its own.

use std::sync::mpsc;
use std::time::Duration;

/// What `work` returns, or nothing if it takes longer than `deadline` or panics.
///
/// The thread of late work stays behind, and the process ends without waiting for it. Where the work was loading a
/// library, no other library can be loaded any more.
pub fn within<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new()
        .name("load-library".to_owned())
        .spawn(move || send.send(work()))
        .ok()?;
    let result = receive.recv_timeout(deadline);
    if matches!(result, Err(mpsc::RecvTimeoutError::Timeout)) {
        exit_without_the_loader();
    }
    result.ok()
}

/// A library that hangs while it loads holds the loader's lock, which glibc takes again as the process ends: without
/// this, the process would print its error and then never end.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn exit_without_the_loader() {
    use std::ffi::{c_int, c_void};
    use std::sync::Once;

    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
        fn _exit(status: c_int) -> !;
    }
    extern "C" fn exit_now(status: c_int, _: *mut c_void) {
        // SAFETY: it ends the process at once; Rust's own buffers were written before handlers of `exit` run.
        unsafe { _exit(status) }
    }
    static REGISTERED: Once = Once::new();
    // SAFETY: glibc's signature of `on_exit`; the handler uses no argument and lives as long as the process.
    REGISTERED.call_once(|| unsafe {
        on_exit(exit_now, std::ptr::null_mut());
    });
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn exit_without_the_loader() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_returns_is_given_up() {
        let slow = || std::thread::sleep(Duration::from_secs(3600));
        assert_eq!(within(Duration::from_millis(50), slow), None);
        assert_eq!(within(Duration::from_secs(5), || 3), Some(3));
    }
}
