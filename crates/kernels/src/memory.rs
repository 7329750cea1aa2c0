//! Buffers that start on a cache line.

use std::cell::UnsafeCell;

use driftline_core::{Error, ErrorKind, Result};

const LINE: usize = 16;

#[repr(C, align(64))]
struct Line(UnsafeCell<[f32; LINE]>);

/// f32 values from a cache line on, all zero at first, that workers write to without a lock.
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

// SAFETY: a buffer is only reached through `start`, whose users keep workers out of each other's way.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Room for `len` values, or an error that says how much was asked for.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let mut lines = Vec::new();
        lines
            .try_reserve_exact(len.div_ceil(LINE))
            .map_err(|cause| too_large(len).because(cause))?;
        lines.resize_with(len.div_ceil(LINE), || Line(UnsafeCell::new([0.0; LINE])));
        Ok(Self { lines, len })
    }

    /// The first value; those behind it may be read and written while no other thread does.
    pub(crate) fn start(&self) -> *mut f32 {
        UnsafeCell::raw_get(self.lines.as_ptr().cast::<UnsafeCell<f32>>())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: the lines hold at least `len` values, all of them initialised, and nobody else has the buffer.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }
}

/// Refuses `values` that the machine has no memory for now, where that can be known: the system would promise them, and
/// end the process when they are written.
pub(crate) fn check_room(values: usize) -> Result<()> {
    match available() {
        Some(bytes) if (values as u64).saturating_mul(4) > bytes => Err(too_large(values)),
        _ => Ok(()),
    }
}

fn too_large(values: usize) -> Error {
    Error::new(
        ErrorKind::Resource,
        "open backend",
        format!(
            "the network needs {} MiB for images of this size, more than there are",
            (values >> 18) + 1
        ),
    )
    .remedy("use a smaller input size in model.toml, fewer threads, or a machine with more memory")
}

/// Bytes of memory that are free or can be freed.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_machine_has_is_refused() {
        assert!(check_room(1000).is_ok());
        if available().is_some() {
            let error = check_room(usize::MAX / 8).expect_err("too much");
            assert_eq!(error.kind(), ErrorKind::Resource);
        }
    }
}
