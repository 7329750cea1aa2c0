//! libonnxruntime: where it is, whether it is one, and what it computes on.
//!
//! `ort` panics or waits for ever on a library that is missing, too old or something else, so that every candidate is
//! looked at first: its header for this machine, then, with a deadline, `OrtGetApiBase`, the version and the providers.

use std::ffi::{CStr, c_int};
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Duration;

use driftline_core::{Device, Error, ErrorKind, Result};
use driftline_dylib::{check_header, cuda_devices, reason, within};
use libloading::Library;
use ort::sys::{ORT_API_VERSION, OrtApiBase};

use crate::cuda;

/// Oldest version that has what is used here.
pub const OLDEST: (u32, u32) = (1, 20);

/// The variable that names the library, as other programs on ONNX Runtime read it.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Time in which a library must have loaded.
const DEADLINE: Duration = Duration::from_secs(20);

const FILE_NAME: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else if cfg!(windows) {
    "onnxruntime.dll"
} else {
    "libonnxruntime.so"
};

/// Folders of the system that libraries are in.
const SYSTEM: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/homebrew/lib",
];

/// A library that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its version, as in `1.32.0`.
    pub version: String,
    /// The execution providers it was built with, by ONNX Runtime's names, as in `CPUExecutionProvider`.
    pub providers: Vec<String>,
}

impl Found {
    /// What this library computes on, on this machine: the CPU, and every CUDA device if the library has the provider
    /// for them.
    pub fn devices(&self) -> Vec<Device> {
        let count = match self.has_cuda() {
            true => cuda_devices().unwrap_or(0),
            false => 0,
        };
        std::iter::once(Device::Cpu)
            .chain((0..count).map(Device::Cuda))
            .collect()
    }

    /// Refuses a device that this library or this machine does not have.
    pub(crate) fn check(&self, device: Device) -> Result<()> {
        let Device::Cuda(index) = device else {
            return Ok(());
        };
        if !self.has_cuda() {
            return Err(cuda::refuse(
                device,
                format!(
                    "ONNX Runtime {} has no CUDA provider; it has: {}",
                    self.version,
                    self.providers.join(", ")
                ),
            )
            .with("library", self.path.display()));
        }
        match cuda_devices() {
            Err(reason) => Err(cuda::refuse(device, reason)),
            Ok(count) if index < count => Ok(()),
            Ok(count) => Err(cuda::refuse(
                device,
                format!("this machine has {count} CUDA devices, counted from cuda:0"),
            )),
        }
    }

    fn has_cuda(&self) -> bool {
        self.providers.iter().any(|name| name == cuda::PROVIDER)
    }
}

/// The first usable library: `runtime` alone where it is given, else what [`VARIABLE`] names alone where it is set,
/// else those in `installed`, else those of the system.
///
/// # Errors
/// `NotFound` that lists what was looked at and why it cannot be used.
pub fn find(runtime: Option<&Path>, installed: Option<&Path>) -> Result<Found> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let candidates = if let Some(path) = runtime {
        vec![path.to_owned()]
    } else if let Some(path) = variable {
        vec![PathBuf::from(path)]
    } else {
        let system = SYSTEM.iter().map(Path::new);
        installed
            .into_iter()
            .chain(system)
            .flat_map(libraries)
            .collect()
    };
    first_usable(candidates, DEADLINE)
}

fn first_usable(candidates: Vec<PathBuf>, deadline: Duration) -> Result<Found> {
    let mut reasons = Vec::new();
    for path in candidates {
        let refused = match check(&path, deadline) {
            Ok(found) => return Ok(found),
            Err(refused) => refused,
        };
        reasons.push(format!("{}: {}", path.display(), refused.reason));
        if refused.hangs {
            break;
        }
    }
    let (major, minor) = OLDEST;
    let message = if reasons.is_empty() {
        "libonnxruntime was not found".to_owned()
    } else {
        format!("no usable libonnxruntime; {}", reasons.join("; "))
    };
    Err(
        Error::new(ErrorKind::NotFound, "load ONNX Runtime", message).remedy(format!(
            "run `driftline runtime install onnx`, or name a libonnxruntime of version {major}.{minor} or newer with \
             `backend.runtime` or {VARIABLE}"
        )),
    )
}

/// Files in `folder` that are named like the library, newest version name first.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(FILE_NAME))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Why a library cannot be used.
struct Refused {
    reason: String,
    /// It hangs while it loads. The loader's lock is then held, and no other library can be loaded in this process.
    hangs: bool,
}

/// The library at `path`, or why it cannot be used.
fn check(path: &Path, deadline: Duration) -> Result<Found, Refused> {
    let unusable = |reason| Refused {
        reason,
        hangs: false,
    };
    check_header(path).map_err(unusable)?;
    let owned = path.to_owned();
    match within(deadline, move || inspect(owned)) {
        Some(found) => found.map_err(unusable),
        None => Err(Refused {
            reason: format!("it did not load within {} s", deadline.as_secs()),
            hangs: true,
        }),
    }
}

/// Loads the library and asks it what it is.
fn inspect(path: PathBuf) -> Result<Found, String> {
    // SAFETY: the user, the environment or the package manager names this library as ONNX Runtime; loading it runs its
    // constructors, which is what any use of it does.
    let library = unsafe { Library::new(&path) }
        .map_err(|cause| format!("it does not load ({})", reason(&cause)))?;
    // SAFETY: the signature of `OrtGetApiBase` in every version of ONNX Runtime.
    let base =
        unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
            .map_err(|_| "it has no `OrtGetApiBase`: it is not ONNX Runtime".to_owned())?;
    // SAFETY: it takes nothing and returns null or a pointer to a static structure, the same since version 1.0.
    let base = unsafe { base().as_ref() }.ok_or("`OrtGetApiBase` returned nothing")?;
    // SAFETY: the second member returns a static string that ends with NUL.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    let version = version.to_string_lossy().into_owned();
    check_version(&version)?;
    let providers = providers(base)?;
    // It is about to be used; unloading ONNX Runtime while its threads end is not safe.
    std::mem::forget(library);
    Ok(Found {
        path,
        version,
        providers,
    })
}

fn check_version(version: &str) -> Result<(), String> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST && major == OLDEST.0 => Ok(()),
        _ => Err(format!(
            "its version is {version}, and {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        )),
    }
}

/// Names of the execution providers that the library was built with.
fn providers(base: &OrtApiBase) -> Result<Vec<String>, String> {
    // SAFETY: the first member returns null or a static structure that begins with the functions of this version.
    let api = unsafe { (base.GetApi)(ORT_API_VERSION).as_ref() }
        .ok_or_else(|| format!("it does not have version {ORT_API_VERSION} of the interface"))?;
    let mut names = ptr::null_mut();
    let mut count: c_int = 0;
    // SAFETY: both pointers are valid; it writes an array of `count` strings that end with NUL.
    let status = unsafe { (api.GetAvailableProviders)(&mut names, &mut count) };
    if !status.0.is_null() || names.is_null() {
        return Err("it does not say which execution providers it has".to_owned());
    }
    let found = (0..usize::try_from(count).unwrap_or(0))
        // SAFETY: `i` is below `count`.
        .map(|i| unsafe { CStr::from_ptr(*names.add(i)) })
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    // SAFETY: the array and its length as they were given; it is not used again. It cannot fail.
    let _ = unsafe { (api.ReleaseAvailableProviders)(names, count) };
    Ok(found)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    /// What the test below runs in a process of its own, because nothing can be loaded after such a library.
    const HANGS: &str = "DRIFTLINE_TEST_LIBRARY_THAT_HANGS";

    #[test]
    fn a_library_that_hangs_is_given_up_and_the_process_ends() {
        if let Some(path) = std::env::var_os(HANGS) {
            let path = PathBuf::from(path);
            let next = path.with_file_name("next.so");
            let error = first_usable(vec![path, next], Duration::from_secs(1)).unwrap_err();
            println!("refused: {error}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("hangs.c");
        let library = folder.path().join("hangs.so");
        let code = "#include <unistd.h>\n\
                    __attribute__((constructor)) static void hang(void) { for (;;) sleep(60); }\n";
        std::fs::write(&source, code).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]);
        assert!(
            compiler
                .arg(&library)
                .arg(&source)
                .status()
                .unwrap()
                .success()
        );
        std::fs::copy(&library, folder.path().join("next.so")).unwrap();
        let name = "library::tests::a_library_that_hangs_is_given_up_and_the_process_ends";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(HANGS, &library)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("the process did not end");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("hangs.so: it did not load within 1 s"),
            "{text}"
        );
        assert!(text.contains("runtime install onnx"), "{text}");
        assert!(!text.contains("next.so"), "{text}");
    }
}
