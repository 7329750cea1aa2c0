//! Which file is meant.

use std::ffi::{CStr, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::setup::Setup;

/// The path below the root that a path from outside means; `None` for files that do not count.
///
/// # Safety
/// `path` is null or a string of C.
pub(crate) unsafe fn of_path(setup: &Setup, folder: c_int, path: *const c_char) -> Option<PathBuf> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as promised by the caller.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    let mut whole = Vec::new();
    if !path.starts_with(b"/") {
        whole = if folder == libc::AT_FDCWD {
            std::env::current_dir().ok()?.into_os_string().into_vec()
        } else {
            target(folder)?
        };
        whole.push(b'/');
    }
    whole.extend(path);
    below(setup, &normal(&whole))
}

/// The same for an open file; `None` for one without a name as well.
pub(crate) fn of_descriptor(setup: &Setup, descriptor: c_int) -> Option<PathBuf> {
    let target = target(descriptor)?;
    if target.ends_with(b" (deleted)") {
        return None;
    }
    below(setup, &target)
}

fn target(descriptor: c_int) -> Option<Vec<u8>> {
    let link = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
    Some(link.into_os_string().into_vec())
}

fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut normal = vec![b'/'];
    normal.extend(parts.join(&b'/'));
    normal
}

fn below(setup: &Setup, path: &[u8]) -> Option<PathBuf> {
    let rest = path.strip_prefix(setup.root.as_slice())?;
    let rest = match rest {
        [] => rest,
        [b'/', rest @ ..] => rest,
        _ => return None,
    };
    Some(PathBuf::from(std::ffi::OsString::from_vec(rest.to_vec())))
}
