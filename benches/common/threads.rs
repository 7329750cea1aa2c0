//! One number of threads for a whole process.

use std::process::{Command, exit};

const THREADS: &str = "DRIFTLINE_BENCH_THREADS";

/// Runs `measure` once for each number of threads, in a separate process: the pools of rayon, OpenMP and the engines
/// belong to a process and are made once.
pub fn with_each(counts: &[usize], measure: impl FnOnce()) {
    if std::env::var_os(THREADS).is_some() {
        return measure();
    }
    for count in counts {
        let variables = [THREADS, "RAYON_NUM_THREADS", "OMP_NUM_THREADS"];
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(std::env::args().skip(1))
            .envs(variables.map(|name| (name, count.to_string())))
            .status()
            .expect("a process");
        if !status.success() {
            exit(1);
        }
    }
}

/// Threads of this process.
pub fn threads() -> usize {
    std::env::var(THREADS).map_or_else(|_| all(), |count| count.parse().expect("a number"))
}

/// As many threads as the machine runs at once.
pub fn all() -> usize {
    driftline::all_threads().get()
}
