//! libc's calls that change files, for a program that is started with this library in `LD_PRELOAD`.
//!
//! Every call below the folder `DRIFTLINE_FAULTS_ROOT` is written to the log `DRIFTLINE_FAULTS_LOG`; with
//! `DRIFTLINE_FAULTS_FAIL` one of them fails. The crate `driftline_faults` sets these variables and reads the log. The
//! calls go to the kernel directly, which is what libc's own do; where a descriptor points is asked of `/proc/self/fd`, so
//! `dup` and `close` need no place here.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`setup`] | the environment variables, the log, the count to the call that fails |
//! | [`place`] | which file a path or a descriptor means |
//! | [`names`] | calls that make, move and remove names |
//! | [`data`] | calls that write and sync |

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod data;
mod names;
mod place;
mod setup;
