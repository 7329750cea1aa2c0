//! Calls that write and sync.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::path::{Path, PathBuf};

use driftline_faults::record::Operation;
use libc::{iovec, off_t, size_t, ssize_t};

use crate::place::{of_descriptor, of_path};
use crate::setup::{Setup, setup};

/// The file, if calls on this descriptor count.
fn counted(file: c_int) -> Option<(&'static Setup, PathBuf)> {
    let setup = setup()?;
    Some((setup, of_descriptor(setup, file)?))
}

/// Where the file's next byte goes.
fn position(file: c_int) -> u64 {
    // SAFETY: seeking by nothing changes nothing.
    let at = unsafe { libc::lseek(file, 0, libc::SEEK_CUR) };
    u64::try_from(at).unwrap_or(0)
}

/// A call that writes at most `count` bytes: `call` is told how many it may write, `bytes` gives those that it wrote.
fn writes(
    name: &str,
    file: c_int,
    count: size_t,
    at: Option<off_t>,
    call: impl FnOnce(size_t) -> ssize_t,
    bytes: impl FnOnce(usize) -> Vec<u8>,
) -> ssize_t {
    let Some((setup, path)) = counted(file) else {
        return call(count);
    };
    let _turn = setup.turn();
    let mut allowed = count;
    if let Some(fault) = setup.fault(name, &path) {
        match fault.kind.errno() {
            Some(errno) => {
                // SAFETY: the place of errno is this thread's own.
                unsafe { *libc::__errno_location() = errno };
                return -1;
            }
            None => allowed = (count / 2).max(1).min(count),
        }
    }
    let written = call(allowed);
    if let Ok(length) = usize::try_from(written)
        && length > 0
    {
        let at = match at {
            Some(at) => u64::try_from(at).unwrap_or(0),
            None => position(file).saturating_sub(length as u64),
        };
        let bytes = bytes(length);
        setup.note(&Operation::Write { path, at, bytes });
    }
    written
}

/// # Safety
/// That of write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: c_int, buffer: *const c_void, count: size_t) -> ssize_t {
    let call = |count: size_t| {
        // SAFETY: the caller's.
        unsafe { libc::syscall(libc::SYS_write, c_long::from(file), buffer, count) as ssize_t }
    };
    // SAFETY: the kernel has read that many bytes there.
    let bytes = |n| unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), n) }.to_vec();
    writes("write", file, count, None, call, bytes)
}

unsafe fn write_at(file: c_int, buffer: *const c_void, count: size_t, at: off_t) -> ssize_t {
    let call = |count: size_t| {
        // SAFETY: the caller's.
        unsafe {
            libc::syscall(libc::SYS_pwrite64, c_long::from(file), buffer, count, at) as ssize_t
        }
    };
    // SAFETY: the kernel has read that many bytes there.
    let bytes = |n| unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), n) }.to_vec();
    writes("pwrite", file, count, Some(at), call, bytes)
}

/// # Safety
/// That of pwrite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    file: c_int,
    buffer: *const c_void,
    count: size_t,
    at: off_t,
) -> ssize_t {
    // SAFETY: the caller's.
    unsafe { write_at(file, buffer, count, at) }
}

/// # Safety
/// That of pwrite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    file: c_int,
    buffer: *const c_void,
    count: size_t,
    at: off_t,
) -> ssize_t {
    // SAFETY: the caller's.
    unsafe { write_at(file, buffer, count, at) }
}

/// The bytes of several buffers.
unsafe fn gathered(buffers: *const iovec, count: c_int) -> Vec<u8> {
    let count = usize::try_from(count).unwrap_or(0);
    let mut bytes = Vec::new();
    for i in 0..count {
        // SAFETY: the caller says that there are so many buffers, each as long as it says.
        bytes.extend(unsafe {
            let buffer = *buffers.add(i);
            std::slice::from_raw_parts(buffer.iov_base.cast::<u8>(), buffer.iov_len)
        });
    }
    bytes
}

/// # Safety
/// That of writev.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(file: c_int, buffers: *const iovec, count: c_int) -> ssize_t {
    if counted(file).is_none() {
        // SAFETY: the caller's.
        return unsafe {
            libc::syscall(
                libc::SYS_writev,
                c_long::from(file),
                buffers,
                c_long::from(count),
            ) as ssize_t
        };
    }
    // SAFETY: the caller's.
    let bytes = unsafe { gathered(buffers, count) };
    // SAFETY: the buffer is as long as is said.
    unsafe { write(file, bytes.as_ptr().cast(), bytes.len()) }
}

/// # Safety
/// That of pwritev.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev(
    file: c_int,
    buffers: *const iovec,
    count: c_int,
    at: off_t,
) -> ssize_t {
    // SAFETY: the caller's.
    let bytes = unsafe { gathered(buffers, count) };
    // SAFETY: the buffer is as long as is said.
    unsafe { write_at(file, bytes.as_ptr().cast(), bytes.len(), at) }
}

/// # Safety
/// That of pwritev.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev64(
    file: c_int,
    buffers: *const iovec,
    count: c_int,
    at: off_t,
) -> ssize_t {
    // SAFETY: the caller's.
    unsafe { pwritev(file, buffers, count, at) }
}

/// Bytes of a file that was copied from.
fn read_at(file: c_int, at: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    // SAFETY: the buffer is as long as is said.
    let read = unsafe { libc::pread(file, bytes.as_mut_ptr().cast(), count, at as off_t) };
    bytes.truncate(usize::try_from(read).unwrap_or(0));
    bytes
}

/// # Safety
/// That of copy_file_range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_at: *mut off_t,
    to: c_int,
    to_at: *mut off_t,
    count: size_t,
    flags: u32,
) -> ssize_t {
    // SAFETY: the caller's pointers are null or good.
    let (source, target) = unsafe { (from_at.as_ref().copied(), to_at.as_ref().copied()) };
    let source = source.map_or_else(|| position(from), |at| at as u64);
    let call = |count: size_t| {
        // SAFETY: the caller's.
        unsafe {
            libc::syscall(
                libc::SYS_copy_file_range,
                c_long::from(from),
                from_at,
                c_long::from(to),
                to_at,
                count,
                c_long::from(flags),
            ) as ssize_t
        }
    };
    let bytes = |length| read_at(from, source, length);
    writes("copy_file_range", to, count, target, call, bytes)
}

unsafe fn send(to: c_int, from: c_int, at: *mut off_t, count: size_t) -> ssize_t {
    // SAFETY: the caller's pointer is null or good.
    let source = unsafe { at.as_ref().copied() };
    let source = source.map_or_else(|| position(from), |at| at as u64);
    let call = |count: size_t| {
        // SAFETY: the caller's.
        unsafe {
            libc::syscall(
                libc::SYS_sendfile,
                c_long::from(to),
                c_long::from(from),
                at,
                count,
            ) as ssize_t
        }
    };
    let bytes = |length| read_at(from, source, length);
    writes("sendfile", to, count, None, call, bytes)
}

/// # Safety
/// That of sendfile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendfile(
    to: c_int,
    from: c_int,
    at: *mut off_t,
    count: size_t,
) -> ssize_t {
    // SAFETY: the caller's.
    unsafe { send(to, from, at, count) }
}

/// # Safety
/// That of sendfile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    at: *mut off_t,
    count: size_t,
) -> ssize_t {
    // SAFETY: the caller's.
    unsafe { send(to, from, at, count) }
}

/// A call on an open file that succeeds with 0.
fn on_file(
    name: &str,
    file: c_int,
    note: impl FnOnce(&Setup, &Path),
    call: impl FnOnce() -> c_int,
) -> c_int {
    let Some((setup, path)) = counted(file) else {
        return call();
    };
    let _turn = setup.turn();
    if let Some(failed) = setup.fails(name, &path) {
        return failed;
    }
    let done = call();
    if done == 0 {
        note(setup, &path);
    }
    done
}

fn note_sync(setup: &Setup, path: &Path) {
    setup.note(&Operation::Sync(path.to_owned()));
}

/// # Safety
/// That of fsync.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    // SAFETY: the caller's.
    let call = || unsafe { libc::syscall(libc::SYS_fsync, c_long::from(file)) as c_int };
    on_file("fsync", file, note_sync, call)
}

/// # Safety
/// That of fdatasync.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    // SAFETY: the caller's.
    let call = || unsafe { libc::syscall(libc::SYS_fdatasync, c_long::from(file)) as c_int };
    on_file("fdatasync", file, note_sync, call)
}

/// It promises nothing about a power cut, so the log does not have it.
///
/// # Safety
/// That of sync_file_range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(
    file: c_int,
    at: off_t,
    count: off_t,
    flags: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller's.
        unsafe {
            libc::syscall(
                libc::SYS_sync_file_range,
                c_long::from(file),
                at,
                count,
                c_long::from(flags),
            ) as c_int
        }
    };
    on_file("sync_file_range", file, |_, _| {}, call)
}

unsafe fn cut(file: c_int, length: off_t) -> c_int {
    let note = |setup: &Setup, path: &Path| {
        setup.note(&Operation::Truncate {
            path: path.to_owned(),
            length: length as u64,
        });
    };
    // SAFETY: the caller's.
    let call =
        || unsafe { libc::syscall(libc::SYS_ftruncate, c_long::from(file), length) as c_int };
    on_file("ftruncate", file, note, call)
}

/// # Safety
/// That of ftruncate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(file: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's.
    unsafe { cut(file, length) }
}

/// # Safety
/// That of ftruncate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(file: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's.
    unsafe { cut(file, length) }
}

/// # Safety
/// That of truncate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn truncate(path: *const c_char, length: off_t) -> c_int {
    // SAFETY: `path` is a string of C, as the call wants it.
    let place = setup().and_then(|s| Some((s, unsafe { of_path(s, libc::AT_FDCWD, path) }?)));
    // SAFETY: the caller's.
    let call = || unsafe { libc::syscall(libc::SYS_truncate, path, length) as c_int };
    let Some((setup, place)) = place else {
        return call();
    };
    let _turn = setup.turn();
    if let Some(failed) = setup.fails("ftruncate", &place) {
        return failed;
    }
    let done = call();
    if done == 0 {
        let length = length as u64;
        setup.note(&Operation::Truncate {
            path: place,
            length,
        });
    }
    done
}

unsafe fn reserve(file: c_int, mode: c_int, at: off_t, count: off_t) -> c_int {
    let before = size(file);
    let note = |setup: &Setup, path: &Path| {
        let length = size(file);
        if length != before {
            setup.note(&Operation::Truncate {
                path: path.to_owned(),
                length,
            });
        }
    };
    let call = || {
        // SAFETY: the caller's.
        unsafe {
            libc::syscall(
                libc::SYS_fallocate,
                c_long::from(file),
                c_long::from(mode),
                at,
                count,
            ) as c_int
        }
    };
    on_file("fallocate", file, note, call)
}

fn size(file: c_int) -> u64 {
    // SAFETY: all zeros are a `stat`.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a place for the answer.
    let failed = unsafe { libc::fstat(file, &mut found) } != 0;
    if failed { 0 } else { found.st_size as u64 }
}

/// # Safety
/// That of fallocate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(file: c_int, mode: c_int, at: off_t, count: off_t) -> c_int {
    // SAFETY: the caller's.
    unsafe { reserve(file, mode, at, count) }
}

/// # Safety
/// That of fallocate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate64(file: c_int, mode: c_int, at: off_t, count: off_t) -> c_int {
    // SAFETY: the caller's.
    unsafe { reserve(file, mode, at, count) }
}

/// The error is the result.
///
/// # Safety
/// That of posix_fallocate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate(file: c_int, at: off_t, count: off_t) -> c_int {
    // SAFETY: the caller's, and the place of errno is this thread's own.
    unsafe {
        match reserve(file, 0, at, count) {
            0 => 0,
            _ => *libc::__errno_location(),
        }
    }
}
