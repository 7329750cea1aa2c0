//! libtorch: a folder with `lib` and `include`, from Python wheels or of the user.
//!
//! Looked for in this order: the folder that `--runtime` names, else the one that `LIBTORCH` names, else the cache. A
//! PyTorch installation (`site-packages/torch`) is such a folder too, and brings CUDA where it was built with it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use driftline_fetch::Cache;
use driftline_pipeline::Progress;
use driftline_rows::{create_folder, write_atomic};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::wheel::{OPERATION, Wheel};

/// The variable that names a libtorch, as `tch` reads it when it is built.
pub const VARIABLE: &str = "LIBTORCH";

/// Version that the backend is built for; another patch version serves as well.
const VERSION: &str = "2.11.0";

/// Time in which libtorch must have loaded.
const DEADLINE: Duration = Duration::from_secs(60);

/// The file that says the version; written last, so that a half-made folder is none.
const VERSION_FILE: &str = "build-version";

const TORCH: Wheel = Wheel {
    package: "torch",
    version: VERSION,
    platform: "manylinux_2_28_x86_64",
    sha256: Some("7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"),
};

/// libtorch_cpu is linked to these two, also where there is no GPU.
const CUDA: [Wheel; 2] = [
    Wheel {
        package: "nvidia-cuda-runtime",
        version: "13.0.96",
        platform: "manylinux2014_x86_64",
        sha256: Some("7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    },
    Wheel {
        package: "nvidia-cuda-cupti",
        version: "13.0.85",
        platform: "manylinux_2_25_x86_64",
        sha256: Some("4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
    },
];

/// Libraries that are taken out of the wheels: what the CPU part needs.
const LIBRARIES: [&str; 5] = [
    "libc10.so",
    "libcudart.so.13",
    "libcupti.so.13",
    "libgomp.so.1",
    "libtorch_cpu.so",
];

/// Linker scripts: what a linker looks for by another name. libtorch.so itself would need the CUDA part.
const SCRIPTS: [(&str, &str); 2] = [
    ("libtorch.so", "INPUT(libtorch_cpu.so)\n"),
    ("libgomp.so", "INPUT(libgomp.so.1)\n"),
];

/// A libtorch that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder.
    pub folder: PathBuf,
    /// Its version, as in `2.11.0`.
    pub version: String,
}

impl Libtorch {
    /// Whether it has a CUDA part.
    pub fn has_cuda(&self) -> bool {
        self.folder.join("lib/libtorch_cuda.so").is_file()
    }
}

/// Brings libtorch for the CPU into the cache with pip, checks it, and returns its folder. One that is there is not
/// brought again.
pub fn install(progress: &dyn Progress) -> Result<PathBuf> {
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    if machine != ("linux", "x86_64") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            OPERATION,
            format!(
                "there is no libtorch to install for {} {}",
                machine.0, machine.1
            ),
        )
        .remedy(format!(
            "install libtorch or PyTorch {VERSION} yourself and name its folder with {VARIABLE}"
        )));
    }
    let runtimes = Cache::open()?.folder().join("runtimes");
    let folder = runtimes.join("tch");
    if std::fs::read_to_string(folder.join(VERSION_FILE)).is_ok_and(|text| text.trim() == VERSION) {
        return Ok(folder);
    }
    create_folder(&runtimes)?;
    let io = |e| Error::io(OPERATION, &runtimes, e);
    let work = tempfile::tempdir_in(&runtimes).map_err(io)?;
    let made = work.path().join("tch");
    for wheel in std::iter::once(&TORCH).chain(&CUDA) {
        progress.note(&format!(
            "downloading {} {} with pip",
            wheel.package, wheel.version
        ));
        wheel
            .download(work.path())?
            .extract(|member| place(member).map(|path| made.join(path)))?;
    }
    for library in LIBRARIES {
        if !made.join("lib").join(library).is_file() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                OPERATION,
                format!("the wheels have no {library}"),
            ));
        }
    }
    for (name, text) in SCRIPTS {
        write_atomic(&made.join("lib").join(name), text.as_bytes())?;
    }
    write_atomic(&made.join(VERSION_FILE), format!("{VERSION}\n").as_bytes())?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(io)?;
    }
    std::fs::rename(&made, &folder).map_err(io)?;
    Ok(folder)
}

/// Where a member of a wheel goes, as a path in the folder.
fn place(member: &str) -> Option<PathBuf> {
    if let Some(header) = member.strip_prefix("torch/include/") {
        let path = Path::new("include").join(header);
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        return path.components().all(plain).then_some(path);
    }
    let name = member.rsplit('/').next()?;
    LIBRARIES
        .contains(&name)
        .then(|| Path::new("lib").join(name))
}

/// The libtorch of `runtime`, [`VARIABLE`] or the cache. Nothing is loaded.
///
/// # Errors
/// `NotFound` that says what was looked at, what is wrong with it and what to do.
pub fn find(runtime: Option<&Path>) -> Result<Libtorch> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let folder = runtime
        .map(Path::to_owned)
        .or_else(|| variable.map(PathBuf::from))
        .or_else(|| super::folder("tch"));
    let missing = |message: String| {
        Error::new(ErrorKind::NotFound, "load libtorch", message).remedy(format!(
            "run `driftline runtime install tch`, or name the folder of a libtorch or PyTorch {VERSION} with `backend.runtime` \
             or {VARIABLE}"
        ))
    };
    let folder = folder.ok_or_else(|| missing("libtorch was not found".to_owned()))?;
    match check(&folder) {
        Ok(version) => Ok(Libtorch { folder, version }),
        Err(reason) => Err(missing(format!(
            "no usable libtorch; {}: {reason}",
            folder.display()
        ))),
    }
}

/// The version of the libtorch in `folder`, or why it cannot be used.
fn check(folder: &Path) -> Result<String, String> {
    if !folder.exists() {
        return Err("it does not exist".to_owned());
    }
    if folder.is_file() {
        return Err("it is a file; the folder with `lib` in it is needed".to_owned());
    }
    let library = folder.join("lib/libtorch_cpu.so");
    driftline_dylib::check_header(&library)
        .map_err(|reason| format!("lib/libtorch_cpu.so: {reason}"))?;
    let version = version(folder).ok_or_else(|| {
        format!("its version is not known: it has neither {VERSION_FILE} nor version.py")
    })?;
    let minor =
        |version: &str| -> Vec<String> { version.split('.').take(2).map(str::to_owned).collect() };
    if minor(&version) != minor(VERSION) {
        return Err(format!(
            "its version is {version}, and the backend is built for {VERSION}"
        ));
    }
    Ok(version)
}

/// As libtorch's archives and PyTorch's Python package say it, without what follows a `+`.
fn version(folder: &Path) -> Option<String> {
    let plain = |text: &str| text.trim().split('+').next().map(str::to_owned);
    if let Ok(text) = std::fs::read_to_string(folder.join(VERSION_FILE)) {
        return plain(&text);
    }
    let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    plain(line.split(['\'', '"']).nth(1)?)
}

/// Loads the CPU part of libtorch, so that the plugin that is linked to it finds it by name. Once in a process.
pub fn load(libtorch: &Libtorch) -> Result<()> {
    static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut loaded = LOADED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let refuse = |message: String| Error::new(ErrorKind::Unsupported, "load libtorch", message);
    match &*loaded {
        Some(folder) if *folder == libtorch.folder => return Ok(()),
        Some(folder) => {
            return Err(refuse(format!(
                "this process already runs {}, and cannot load {} beside it",
                folder.display(),
                libtorch.folder.display()
            ))
            .remedy("use one libtorch in a process"));
        }
        None => {}
    }
    let path = libtorch.folder.join("lib/libtorch_cpu.so");
    let library = path.clone();
    driftline_dylib::within(DEADLINE, move || {
        // SAFETY: the user, the environment or the package manager names this library as libtorch; loading it runs its
        // constructors, which is what any use of it does.
        unsafe { Library::open(Some(&library), RTLD_NOW | RTLD_LOCAL) }
            // It is about to be used, and its threads must outlive every use.
            .map(std::mem::forget)
            .map_err(|cause| driftline_dylib::reason(&cause))
    })
    .unwrap_or_else(|| Err(format!("it took longer than {} s", DEADLINE.as_secs())))
    .map_err(|reason| {
        refuse(format!("libtorch does not load: {reason}"))
            .with("file", path.display())
            .remedy("run `driftline runtime install tch`")
    })?;
    *loaded = Some(libtorch.folder.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(folder: &Path) -> String {
        find(Some(folder)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("libtorch");
        assert!(message(&folder).contains("it does not exist"));
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        let text = message(&folder);
        assert!(text.contains("lib/libtorch_cpu.so: "), "{text}");
        assert!(text.contains("`driftline runtime install tch`"), "{text}");
        std::fs::write(folder.join("lib/libtorch_cpu.so"), "garbage").unwrap();
        assert!(message(&folder).contains("it is not a library"));
        assert!(message(&folder.join("lib/libtorch_cpu.so")).contains("it is a file"));
        // Any library of this machine has a header that is accepted.
        let library = std::env::current_exe().unwrap();
        std::fs::copy(library, folder.join("lib/libtorch_cpu.so")).unwrap();
        assert!(message(&folder).contains("its version is not known"));
        std::fs::write(folder.join("version.py"), "__version__ = '2.9.1+cu130'\n").unwrap();
        assert!(
            message(&folder).contains("its version is 2.9.1, and the backend is built for 2.11.0")
        );
        std::fs::write(folder.join("version.py"), "__version__ = '2.11.1+cpu'\n").unwrap();
        assert_eq!(find(Some(&folder)).unwrap().version, "2.11.1");
    }

    #[test]
    fn members_of_the_wheel_go_to_their_places() {
        let lib = |name| Some(Path::new("lib").join(name));
        assert_eq!(place("torch/lib/libc10.so"), lib("libc10.so"));
        assert_eq!(
            place("nvidia/cu13/lib/libcudart.so.13"),
            lib("libcudart.so.13")
        );
        assert_eq!(place("torch/lib/libtorch_cuda.so"), None);
        assert_eq!(
            place("torch/include/ATen/ATen.h"),
            Some(PathBuf::from("include/ATen/ATen.h"))
        );
        assert_eq!(place("torch/include/../../evil"), None);
    }
}
