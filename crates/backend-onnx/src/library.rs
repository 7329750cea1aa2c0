//! libonnxruntime: where it is, and whether it is one.
//!
//! `ort` panics or waits for ever on a library that is missing, too old or something else, so that every candidate is
//! looked at first: its header for this machine, then, with a deadline, `OrtGetApiBase` and the version.

use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use libloading::Library;
use object::{Architecture, Object};

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
    let mut reasons = Vec::new();
    for path in candidates {
        match check(&path) {
            Ok(version) => return Ok(Found { path, version }),
            Err(reason) => reasons.push(format!("{}: {reason}", path.display())),
        }
    }
    let (major, minor) = OLDEST;
    let message = if reasons.is_empty() {
        "libonnxruntime was not found".to_owned()
    } else {
        format!("no usable libonnxruntime; {}", reasons.join("; "))
    };
    Err(Error::new(ErrorKind::NotFound, "load ONNX Runtime", message).remedy(format!(
        "run `driftline runtime install onnx`, or name a libonnxruntime of version {major}.{minor} or newer with \
         `--runtime` or {VARIABLE}"
    )))
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

/// The version of the library at `path`, or why it cannot be used.
fn check(path: &Path) -> Result<String, String> {
    check_header(path)?;
    let (send, receive) = mpsc::channel();
    let owned = path.to_owned();
    // A thread of its own: code in the library runs as it loads, and may never return.
    std::thread::Builder::new()
        .name("onnxruntime-check".to_owned())
        .spawn(move || send.send(version(&owned)))
        .map_err(|cause| cause.to_string())?;
    let version = match receive.recv_timeout(DEADLINE) {
        Ok(version) => version?,
        Err(_) => return Err(format!("it did not load within {} s", DEADLINE.as_secs())),
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST && major == OLDEST.0 => Ok(version),
        _ => Err(format!(
            "its version is {version}, and {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        )),
    }
}

/// Refuses what is no library for this machine, without running anything in it.
fn check_header(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|cause| cause.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder; the library itself is needed".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|cause| cause.to_string())?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|cause| format!("it is no library ({cause})"))?;
    let machine = match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        _ => file.architecture(),
    };
    if file.architecture() != machine {
        return Err(format!(
            "it is for {:?}, and this machine is {}",
            file.architecture(),
            std::env::consts::ARCH
        ));
    }
    Ok(())
}

/// The beginning of the structure that `OrtGetApiBase` returns; it has not changed since version 1.0.
#[repr(C)]
struct ApiBase {
    get_api: unsafe extern "C" fn(u32) -> *const std::ffi::c_void,
    get_version_string: unsafe extern "C" fn() -> *const c_char,
}

fn version(path: &Path) -> Result<String, String> {
    // SAFETY: the user, the environment or the package manager names this library as ONNX Runtime; loading it runs its
    // constructors, which is what any use of it does.
    let library =
        unsafe { Library::new(path) }.map_err(|cause| format!("it does not load ({cause})"))?;
    // SAFETY: the signature of `OrtGetApiBase` in every version of ONNX Runtime.
    let base =
        unsafe { library.get::<unsafe extern "C" fn() -> *const ApiBase>(b"OrtGetApiBase\0") }
            .map_err(|_| "it has no `OrtGetApiBase`: it is not ONNX Runtime".to_owned())?;
    // SAFETY: it takes nothing and returns null or a pointer to a static structure.
    let base = unsafe { base().as_ref() }.ok_or("`OrtGetApiBase` returned nothing")?;
    // SAFETY: the second member returns a static string that ends with NUL.
    let version = unsafe { CStr::from_ptr((base.get_version_string)()) };
    let version = version.to_string_lossy().into_owned();
    // It is about to be used; unloading ONNX Runtime while its threads end is not safe.
    std::mem::forget(library);
    Ok(version)
}
