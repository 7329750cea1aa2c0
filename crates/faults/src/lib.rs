//! Instruments for tests: power cuts that are replayed, calls that fail, and flipped bits. Linux on x86-64, glibc.
//!
//! Production code is as it is. A program runs under a library that stands between it and libc (`libinterpose.so`, in
//! `LD_PRELOAD`), which sees every call that changes a file below one folder:
//!
//! | what for | how |
//! | --- | --- |
//! | a trace | [`interpose`](inject::interpose) a command, run it, [`read`](record::read) the log |
//! | acknowledgements in it | [`mark`](record::mark), from the program or from who talks to it |
//! | what a power cut may leave | [`History`](replay::History): [`states`](replay::History::states), each [`materialise`](replay::History::materialise)d into a folder |
//! | the n-th call that fails | [`interpose`](inject::interpose) with a [`Fault`](inject::Fault); the log says whether it happened |
//! | a flipped bit | [`flip`](flip::flip) |
//!
//! ```text
//! cargo test -p driftline-faults --tests --examples      builds the library too; the command `driftline` must be built
//! DRIFTLINE_TEST_FULL=1 cargo test -p driftline-faults …  all states, faults and flips
//! ```
//!
//! # What is seen, and what not
//! open, openat, creat, write, writev, pwrite, pwritev, copy_file_range, sendfile, truncate, ftruncate, fallocate, fsync,
//! fdatasync, sync_file_range, rename, renameat, renameat2, unlink, unlinkat, mkdir, mkdirat, rmdir, link, linkat, with
//! their 64-bit names. Not seen: what is written through a memory map (SQLite's `-shm` is the only such file, and is made
//! anew after a crash), symbolic links, modes and times of files, and calls that libc makes itself (`fopen`).

#![cfg(unix)]

pub mod flip;
pub mod inject;
pub mod record;
pub mod replay;
