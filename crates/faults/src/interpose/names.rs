//! Calls that make, move and remove names.

use std::ffi::{c_char, c_int, c_long, c_uint};

use driftline_faults::record::Operation;

use crate::place::of_path;
use crate::setup::{Setup, setup};

const HERE: c_int = libc::AT_FDCWD;

unsafe fn open_at(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let call = || {
        // SAFETY: the caller's arguments are those of openat.
        unsafe {
            libc::syscall(
                libc::SYS_openat,
                c_long::from(folder),
                path,
                c_long::from(flags),
                c_long::from(mode),
            ) as c_int
        }
    };
    // SAFETY: `path` is a string of C, as openat wants it.
    let place = setup().and_then(|s| Some((s, unsafe { of_path(s, folder, path) }?)));
    let Some((setup, place)) = place else {
        return call();
    };
    let _turn = setup.turn();
    let creates = flags & libc::O_CREAT != 0;
    // SAFETY: as above.
    let new = creates && !unsafe { exists(folder, path) };
    if let Some(failed) = setup.fails(if new { "create" } else { "open" }, &place) {
        return failed;
    }
    let opened = call();
    if opened >= 0 {
        if new {
            setup.note(&Operation::Create(place));
        } else if flags & libc::O_TRUNC != 0 {
            setup.note(&Operation::Truncate {
                path: place,
                length: 0,
            });
        }
    }
    opened
}

unsafe fn exists(folder: c_int, path: *const c_char) -> bool {
    // SAFETY: the caller's arguments are those of faccessat.
    unsafe {
        libc::syscall(
            libc::SYS_faccessat,
            c_long::from(folder),
            path,
            c_long::from(libc::F_OK),
        ) == 0
    }
}

/// # Safety
/// That of open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_at(HERE, path, flags, mode) }
}

/// # Safety
/// That of open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_at(HERE, path, flags, mode) }
}

/// # Safety
/// That of openat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_at(folder, path, flags, mode) }
}

/// # Safety
/// That of openat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_at(folder, path, flags, mode) }
}

/// # Safety
/// That of creat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn creat(path: *const c_char, mode: c_uint) -> c_int {
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
    // SAFETY: the caller's.
    unsafe { open_at(HERE, path, flags, mode) }
}

/// A call on one name.
unsafe fn on_name(
    name: &str,
    folder: c_int,
    path: *const c_char,
    operation: impl FnOnce(std::path::PathBuf) -> Operation,
    call: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: `path` is a string of C, as the call wants it.
    let place = setup().and_then(|s| Some((s, unsafe { of_path(s, folder, path) }?)));
    let Some((setup, place)) = place else {
        return call();
    };
    let _turn = setup.turn();
    if let Some(failed) = setup.fails(name, &place) {
        return failed;
    }
    let done = call();
    if done == 0 {
        setup.note(&operation(place));
    }
    done
}

unsafe fn unlink_at(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    let (name, operation): (_, fn(_) -> _) = if flags & libc::AT_REMOVEDIR != 0 {
        ("rmdir", Operation::RemoveFolder)
    } else {
        ("unlink", Operation::Unlink)
    };
    let call = || {
        // SAFETY: the caller's arguments are those of unlinkat.
        unsafe {
            libc::syscall(
                libc::SYS_unlinkat,
                c_long::from(folder),
                path,
                c_long::from(flags),
            ) as c_int
        }
    };
    // SAFETY: the caller's.
    unsafe { on_name(name, folder, path, operation, call) }
}

/// # Safety
/// That of unlink.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { unlink_at(HERE, path, 0) }
}

/// # Safety
/// That of unlinkat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { unlink_at(folder, path, flags) }
}

/// # Safety
/// That of rmdir.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { unlink_at(HERE, path, libc::AT_REMOVEDIR) }
}

unsafe fn make_folder(folder: c_int, path: *const c_char, mode: c_uint) -> c_int {
    let call = || {
        // SAFETY: the caller's arguments are those of mkdirat.
        unsafe {
            libc::syscall(
                libc::SYS_mkdirat,
                c_long::from(folder),
                path,
                c_long::from(mode),
            ) as c_int
        }
    };
    // SAFETY: the caller's.
    unsafe { on_name("mkdir", folder, path, Operation::MakeFolder, call) }
}

/// # Safety
/// That of mkdir.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the caller's.
    unsafe { make_folder(HERE, path, mode) }
}

/// # Safety
/// That of mkdirat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the caller's.
    unsafe { make_folder(folder, path, mode) }
}

/// A call on two names.
unsafe fn on_names(
    name: &str,
    (from_folder, from): (c_int, *const c_char),
    (to_folder, to): (c_int, *const c_char),
    note: impl FnOnce(&Setup, std::path::PathBuf, std::path::PathBuf),
    call: impl FnOnce() -> c_int,
) -> c_int {
    let places = setup().and_then(|s| {
        // SAFETY: both are strings of C, as the call wants them.
        let (from, to) = unsafe { (of_path(s, from_folder, from), of_path(s, to_folder, to)) };
        Some((s, from?, to?))
    });
    let Some((setup, from, to)) = places else {
        return call();
    };
    let _turn = setup.turn();
    if let Some(failed) = setup.fails(name, &to) {
        return failed;
    }
    let done = call();
    if done == 0 {
        note(setup, from, to);
    }
    done
}

unsafe fn rename_at(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let note = |setup: &Setup, from, to| setup.note(&Operation::Rename { from, to });
    let call = || {
        // SAFETY: the caller's arguments are those of renameat2.
        unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                c_long::from(from_folder),
                from,
                c_long::from(to_folder),
                to,
                c_long::from(flags),
            ) as c_int
        }
    };
    // SAFETY: the caller's.
    unsafe { on_names("rename", (from_folder, from), (to_folder, to), note, call) }
}

/// # Safety
/// That of rename.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { rename_at(HERE, from, HERE, to, 0) }
}

/// # Safety
/// That of renameat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { rename_at(from_folder, from, to_folder, to, 0) }
}

/// # Safety
/// That of renameat2; names are not exchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat2(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { rename_at(from_folder, from, to_folder, to, flags) }
}

unsafe fn link_at(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let note = |setup: &Setup, from, to| setup.note(&Operation::Link { from, to });
    let call = || {
        // SAFETY: the caller's arguments are those of linkat.
        unsafe {
            libc::syscall(
                libc::SYS_linkat,
                c_long::from(from_folder),
                from,
                c_long::from(to_folder),
                to,
                c_long::from(flags),
            ) as c_int
        }
    };
    // SAFETY: the caller's.
    unsafe { on_names("link", (from_folder, from), (to_folder, to), note, call) }
}

/// # Safety
/// That of link.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { link_at(HERE, from, HERE, to, 0) }
}

/// # Safety
/// That of linkat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { link_at(from_folder, from, to_folder, to, flags) }
}
