//! Libraries: those that are none, those that are another, and the devices that one computes on.

use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Command;

use crate::common::{has_runtime, open_on, promptly, sample};
use driftline_backend_onnx::{Found, find};
use driftline_core::{Device, Error, ErrorKind};

fn look_at(path: &Path) -> Result<Found, Error> {
    let path = path.to_owned();
    promptly(move || find(Some(&path), None))
}

#[test]
fn the_library_says_what_it_computes_on() {
    if !has_runtime() {
        return;
    }
    let found = find(None, None).unwrap();
    assert!(found.providers.contains(&"CPUExecutionProvider".to_owned()));
    let devices = found.devices();
    assert_eq!(devices[0], Device::Cpu);
    if !has_cuda(&found) {
        assert_eq!(devices, [Device::Cpu]);
    }
}

fn has_cuda(found: &Found) -> bool {
    let name = "CUDAExecutionProvider".to_owned();
    found.providers.contains(&name)
}

fn assert_cuda_refused(device: Device, runtime: Option<PathBuf>, reason: &str) {
    let Err(error) = open_on(sample(), device, runtime) else {
        panic!("it computes on {device}");
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(
        message.contains(&format!("cannot compute on {device}")),
        "{message}"
    );
    assert!(message.contains(reason), "{message}");
    for remedy in [
        "GPU build",
        "backend.runtime",
        "ORT_DYLIB_PATH",
        "backend.device=cpu",
    ] {
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn cuda_without_the_provider_is_refused() {
    if !has_runtime() {
        return;
    }
    if has_cuda(&find(None, None).unwrap()) {
        println!("skipped: ORT_DYLIB_PATH names a GPU build");
        return;
    }
    for device in [Device::Cuda(0), Device::Cuda(7)] {
        assert_cuda_refused(device, None, "has no CUDA provider; it has: ");
    }
}

#[test]
fn what_is_no_library_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    // An ELF header of a 64-bit little-endian SPARC object: a library of another machine.
    let foreign = folder.path().join("foreign.so");
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 3;
    header[18] = if cfg!(target_arch = "x86_64") {
        183
    } else {
        62
    };
    header[20] = 1;
    header[52] = 64;
    std::fs::write(&foreign, header).unwrap();
    let cases = [
        (folder.path().to_owned(), "it is a folder"),
        (text, "it is not a library"),
        (foreign, "and this machine is"),
        (folder.path().join("missing.so"), "No such file"),
    ];
    for (path, expected) in cases {
        let error = look_at(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("runtime install onnx"), "{error}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn another_library_is_refused() {
    // The C library is on every machine that these tests run on, under a name that the loader knows.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.contains("libc.so") || path.contains("libc-"))
        .unwrap();
    let error = look_at(Path::new(path)).unwrap_err().to_string();
    assert!(error.contains("it is not ONNX Runtime"), "{error}");
}

/// A library of these C sources.
#[cfg(target_os = "linux")]
fn compiled(folder: &Path, source: &str, defines: &[String]) -> PathBuf {
    let (file, library) = (folder.join("fake.c"), folder.join("libonnxruntime.so"));
    std::fs::write(&file, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args(defines)
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    library
}

/// Something that says it is ONNX Runtime of `VERSION`, and that has a CUDA provider.
#[cfg(target_os = "linux")]
const FAKE: &str = r#"
typedef struct { const void *(*get_api)(unsigned); const char *(*get_version)(void); } Base;
static char *names[] = {"CUDAExecutionProvider", "CPUExecutionProvider"};
static void *providers(char ***out, int *count) { *out = names; *count = 2; return 0; }
static void *release(char **names, int count) { return 0; }
static void *slots[512];
static const void *get_api(unsigned version) {
    if (version > LATEST) return 0;
    slots[PROVIDERS] = (void *)providers;
    slots[RELEASE] = (void *)release;
    return slots;
}
static const char *get_version(void) { return VERSION; }
static const Base base = {get_api, get_version};
const Base *OrtGetApiBase(void) { return NULL_BASE ? 0 : &base; }
"#;

#[cfg(target_os = "linux")]
fn fake(folder: &Path, version: &str, latest: u32, null_base: bool) -> PathBuf {
    use ort::sys::OrtApi;
    use std::mem::{offset_of, size_of};

    let slot = |offset| offset / size_of::<*const ()>();
    let defines = [
        format!("-DVERSION=\"{version}\""),
        format!("-DLATEST={latest}"),
        format!("-DNULL_BASE={}", u8::from(null_base)),
        format!(
            "-DPROVIDERS={}",
            slot(offset_of!(OrtApi, GetAvailableProviders))
        ),
        format!(
            "-DRELEASE={}",
            slot(offset_of!(OrtApi, ReleaseAvailableProviders))
        ),
    ];
    compiled(folder, FAKE, &defines)
}

#[test]
#[cfg(target_os = "linux")]
fn a_version_that_is_too_old_or_unreadable_is_refused() {
    let cases = [
        (
            "1.10.0",
            10,
            "its version is 1.10.0, and 1.20 or newer is needed",
        ),
        (
            "1.19.2",
            19,
            "its version is 1.19.2, and 1.20 or newer is needed",
        ),
        (
            "2.0.0",
            99,
            "its version is 2.0.0, and 1.20 or newer is needed",
        ),
        ("", 99, "its version is , and 1.20 or newer is needed"),
        ("1.32.0", 19, "it does not have version 20 of the interface"),
    ];
    for (version, latest, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let error = look_at(&fake(folder.path(), version, latest, false)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(
            error.to_string().contains("runtime install onnx"),
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let error = look_at(&fake(folder.path(), "1.32.0", 99, true)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`OrtGetApiBase` returned nothing"),
        "{error}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn cuda_without_a_driver_or_the_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = fake(folder.path(), "1.32.0", 99, false);
    let devices = look_at(&library).unwrap().devices().len() - 1;
    let reason = match Path::new("/proc/driver/nvidia/version").exists() {
        true => format!("this machine has {devices} CUDA devices"),
        false => "there is no NVIDIA driver".to_owned(),
    };
    assert_cuda_refused(Device::Cuda(devices), Some(library), &reason);
}

#[test]
fn a_library_that_was_cut_off_is_refused() {
    let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
        println!("skipped: set ORT_DYLIB_PATH to a libonnxruntime");
        return;
    };
    let bytes = std::fs::read(library).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for part in [0, 10, 64, 4096, bytes.len() / 2, bytes.len() - 1] {
        let cut = folder.path().join(format!("{part}.so"));
        std::fs::write(&cut, &bytes[..part]).unwrap();
        let error = look_at(&cut).unwrap_err().to_string();
        assert!(error.contains("it is not a library"), "{part}: {error}");
    }
}
