//! A plugin's library: loaded once, checked, never unloaded.

use std::ffi::c_void;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use driftline_abi::codes::{kind, plugin_flags};
use driftline_abi::{DlComponent, DlEntry, DlPlugin, DlStr, ENTRY};
use driftline_core::{Error, ErrorKind, Result};
use libloading::os::unix;
use sha2::{Digest, Sha256};

use crate::lock::Lock;
use crate::manifest::{ComponentKind, Manifest};
use crate::message::{ErrorBuffer, HOST};
use crate::trust::check_permissions;

const OPERATION: &str = "load plugin";

/// Time in which a library must have loaded and said what it offers.
const DEADLINE: Duration = Duration::from_secs(30);

/// Most components of one plugin.
const MAX_COMPONENTS: u32 = 4096;

/// Largest library.
const MAX_BYTES: u64 = 1 << 30;

/// Libraries of this process, by sha256: one that is there is not loaded again.
static LOADED: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());

/// A loaded plugin.
#[derive(Debug)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// Hex sha256 of the file.
    pub sha256: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it offers.
    pub components: Vec<Component>,
    _handle: unix::Library,
}

/// One thing a plugin offers.
#[derive(Debug)]
pub struct Component {
    /// Its sort; none for one that this host does not know.
    pub kind: Option<ComponentKind>,
    /// The name a user writes.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line about it.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: String,
    /// More about it, a JSON object.
    pub capabilities: serde_json::Value,
    /// Bits of `driftline_abi::codes::capability`.
    pub capability_bits: u64,
    /// Its table; the library stays loaded, so that it is valid for ever.
    pub(crate) table: Table,
}

/// A function table of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table(*const c_void);

// SAFETY: a constant of a library that is never unloaded.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// A plugin's struct that is a prefix of, or longer than, what this host knows: what is not there is zero, which is
/// null for a function.
///
/// # Safety
/// `pointer` is null or points to a struct of the interface that begins with its size; all bits zero are a value of
/// `T`.
unsafe fn read_struct<T>(pointer: *const T) -> Option<T> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: every struct of the interface begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both have at least as many bytes as are copied.
    unsafe {
        std::ptr::copy_nonoverlapping(
            pointer.cast::<u8>(),
            value.as_mut_ptr().cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
    // SAFETY: promised by the caller.
    Some(unsafe { value.assume_init() })
}

impl Table {
    /// The table as `T`, with null for functions it does not have.
    ///
    /// # Safety
    /// `T` is the table of the component's kind.
    pub(crate) unsafe fn read<T>(self) -> Option<T> {
        // SAFETY: promised by the caller; tables consist of a size and functions that may be null.
        unsafe { read_struct(self.0.cast::<T>()) }
    }
}

/// Which libraries may be loaded.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The plugins that the operator trusts.
    pub lock: Lock,
    /// Whether a plugin must be in the lock.
    pub require_lock: bool,
    /// Loads a library in a process of its own first, where that can be done: a crash or a hang is then an error. One that
    /// is in the lock was looked at before it was trusted.
    pub probe: Option<Probe>,
}

/// Loads a library, and before it that of the engine that its manifest names, in a process of its own.
pub type Probe = fn(library: &Path, runtime: Option<&str>) -> Result<()>;

impl Library {
    /// Loads the plugin that `manifest` describes: nobody else can change its files, its hash is the one of the manifest
    /// and of the lock, and it says of itself what the manifest says.
    pub fn open(manifest: &Manifest, policy: &Policy) -> Result<&'static Self> {
        let path = &manifest.library;
        let refuse = |message: String| refuse(path, message);
        check_permissions(&manifest.path)?;
        driftline_dylib::check_header(path).map_err(refuse)?;
        check_permissions(path)?;
        let opened = Opened::new(path)?;
        if let Some(wanted) = &manifest.sha256
            && !wanted.eq_ignore_ascii_case(&opened.sha256)
        {
            return Err(refuse(format!(
                "it is not the library that its manifest names: expected sha256 {wanted}, found {}",
                opened.sha256
            )));
        }
        let required = policy.require_lock;
        policy
            .lock
            .check(&manifest.name, &opened.sha256, required)?;
        let trusted = policy
            .lock
            .check(&manifest.name, &opened.sha256, true)
            .is_ok();
        if let Some(probe) = policy.probe
            && !trusted
            && !opened.is_loaded()
        {
            probe(path, manifest.runtime.as_deref())?;
        }
        let library = opened.load()?;
        library.agrees_with(manifest)?;
        Ok(library)
    }

    /// Refuses a library that says something else of itself than its manifest.
    pub fn agrees_with(&self, manifest: &Manifest) -> Result<()> {
        let offered: Vec<_> = self
            .components
            .iter()
            .filter_map(|component| Some((component.kind?, component.name.as_str())))
            .collect();
        let promised: Vec<_> = manifest
            .components
            .iter()
            .map(|component| (component.kind, component.name.as_str()))
            .collect();
        let same = self.name == manifest.name
            && offered.len() == promised.len()
            && promised.iter().all(|component| offered.contains(component));
        if same {
            return Ok(());
        }
        Err(refuse(
            &self.path,
            format!(
                "it is `{}` with {offered:?}, but its manifest says `{}` with {promised:?}",
                self.name, manifest.name
            ),
        ))
    }

    /// Loads the library at `path` without a manifest and without asking whether it is trusted, to look at it.
    pub fn inspect(path: &Path) -> Result<&'static Self> {
        driftline_dylib::check_header(path).map_err(|reason| refuse(path, reason))?;
        Opened::new(path)?.load()
    }

    /// The component of `kind` that is called `name`.
    pub fn component(&self, kind: ComponentKind, name: &str) -> Result<&Component> {
        self.components
            .iter()
            .find(|component| component.kind == Some(kind) && component.name == name)
            .ok_or_else(|| refuse(&self.path, format!("it offers no {kind:?} named `{name}`")))
    }
}

fn refuse(path: &Path, message: String) -> Error {
    Error::new(ErrorKind::InvalidData, OPERATION, message).with("plugin", path.display())
}

/// Hex sha256 of the library at `path`; nothing is loaded.
pub fn sha256(path: &Path) -> Result<String> {
    Ok(Opened::new(path)?.sha256)
}

/// A library that was opened and hashed, but not loaded: what is loaded is what was hashed, whatever becomes of the path
/// in between.
struct Opened {
    path: PathBuf,
    file: File,
    sha256: String,
}

impl Opened {
    fn new(path: &Path) -> Result<Self> {
        let io = |e| Error::io(OPERATION, path, e);
        let mut options = File::options();
        options.read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        let mut file = options.open(path).map_err(|cause| {
            if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
                refuse(path, "it is a symbolic link".to_owned()).remedy("name the file itself")
            } else {
                io(cause)
            }
        })?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(refuse(
                path,
                format!("it is no regular file of at most {} MiB", MAX_BYTES >> 20),
            ));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let sha256 = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            file,
            sha256,
        })
    }

    fn is_loaded(&self) -> bool {
        let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.iter().any(|library| library.sha256 == self.sha256)
    }

    fn load(self) -> Result<&'static Library> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.iter().find(|library| library.sha256 == self.sha256) {
            return Ok(library);
        }
        let path = self.path.clone();
        let library = driftline_dylib::within(DEADLINE, move || enter(self))
            .unwrap_or_else(|| Err(format!("it did not load within {} s", DEADLINE.as_secs())))
            .map_err(|message| refuse(&path, message))?;
        let library: &'static Library = Box::leak(Box::new(library));
        loaded.push(library);
        Ok(library)
    }
}

/// Loads the library, calls its entry and copies what it says.
fn enter(opened: Opened) -> Result<Library, String> {
    let Opened { path, file, sha256 } = opened;
    // Names that are missing are errors now and not later, its own names stay its own, and it is never unloaded: threads
    // and destructors of the library may still run.
    let flags = unix::RTLD_NOW | unix::RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: the operator trusts this library; loading it runs its constructors.
    let handle = unsafe { unix::Library::open(Some(loadable(&path, &file)), flags) }
        .map_err(|cause| format!("it does not load ({})", driftline_dylib::reason(&cause)))?;
    // The loader knows a library by the path it was opened at: were the descriptor closed and its number given to another
    // plugin, that one would be taken for this one.
    std::mem::forget(file);
    // SAFETY: the name carries the major version, which fixes the signature.
    let entry = unsafe { handle.get::<DlEntry>(ENTRY.as_bytes()) }.map_err(|_| {
        let exports = driftline_dylib::exports(&path).unwrap_or_default();
        let shown: Vec<_> = exports.iter().take(8).map(String::as_str).collect();
        format!(
            "it is no plugin for ABI {}: it does not export `{ENTRY}`; it exports {}: {}",
            driftline_abi::ABI_MAJOR,
            exports.len(),
            shown.join(", ")
        )
    })?;
    let mut error = ErrorBuffer::new();
    // SAFETY: the signature is right, and both arguments live for the call; the host lives for ever.
    let plugin = unsafe { entry(&raw const HOST.0, error.as_mut()) };
    if plugin.is_null() {
        return Err(format!("it will not work here: {}", error.text()));
    }
    // SAFETY: the entry returns a plugin as the interface has it.
    let plugin = unsafe { read_struct::<DlPlugin>(plugin) }.ok_or("its plugin is not aligned")?;
    if (plugin.struct_size as usize) < size_of::<DlPlugin>() {
        return Err(format!(
            "its plugin has {} bytes, and ABI 1.0 has {}",
            plugin.struct_size,
            size_of::<DlPlugin>()
        ));
    }
    if plugin.flags & plugin_flags::PANIC_ABORT != 0 {
        return Err(
            "a panic in it would end this process; build it with panic = \"unwind\"".to_owned(),
        );
    }
    if plugin.component_count > MAX_COMPONENTS {
        return Err(format!(
            "it says that it has {} components",
            plugin.component_count
        ));
    }
    if plugin.component_count > 0
        && (plugin.components.is_null()
            || (plugin.component_stride as usize) < size_of::<u32>()
            || !(plugin.component_stride as usize).is_multiple_of(align_of::<DlComponent>()))
    {
        return Err("its list of components is broken".to_owned());
    }
    let components = (0..plugin.component_count as usize)
        .map(|i| {
            let offset = i * plugin.component_stride as usize;
            // SAFETY: the plugin has `component_count` components, `component_stride` bytes apart.
            let component =
                unsafe { read_struct(plugin.components.byte_add(offset)) }.ok_or("not aligned")?;
            read_component(&component).map_err(|reason| format!("component {i}: {reason}"))
        })
        .collect::<Result<_, String>>()?;
    Ok(Library {
        sha256,
        name: text("name", plugin.name)?,
        version: text("version", plugin.version)?,
        components,
        _handle: handle,
        path,
    })
}

/// A path to the opened file itself where the system has one.
#[cfg(target_os = "linux")]
fn loadable(_: &Path, file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn loadable(path: &Path, _: &File) -> PathBuf {
    path.to_owned()
}

fn text(what: &str, text: DlStr) -> Result<String, String> {
    // SAFETY: metadata are texts of the library, which stays loaded.
    unsafe { text.read() }
        .map(str::to_owned)
        .map_err(|reason| format!("its {what} is no text: {reason}"))
}

fn read_component(component: &DlComponent) -> Result<Component, String> {
    if (component.struct_size as usize) < size_of::<DlComponent>() {
        return Err(format!(
            "it has {} bytes, and ABI 1.0 has {}",
            component.struct_size,
            size_of::<DlComponent>()
        ));
    }
    let name = text("name", component.name)?;
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    let capabilities = text("capabilities", component.capabilities_json)?;
    let capabilities = serde_json::from_str(&capabilities)
        .map_err(|cause| format!("the capabilities of `{name}` are no JSON: {cause}"))?;
    Ok(Component {
        kind: match component.kind {
            kind::EMBEDDING => Some(ComponentKind::Embedding),
            kind::TRANSFORM => Some(ComponentKind::Transform),
            kind::SINK => Some(ComponentKind::Sink),
            _ => None,
        },
        version: text("version", component.version)?,
        summary: text("summary", component.summary)?,
        config_schema: text("configuration schema", component.config_schema_json)?,
        capabilities,
        capability_bits: component.capability_bits,
        table: Table(component.vtable),
        name,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_what_was_hashed_when_the_path_is_exchanged_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frozen.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/plugin.c");
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&path);
        assert!(compiler.arg(source).status().unwrap().success());
        let opened = Opened::new(&path).unwrap();
        let hashed = opened.sha256.clone();
        let other = folder.path().join("other.so");
        std::fs::write(&other, "another library").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let library = opened.load().unwrap();
        assert_eq!(
            (library.name.as_str(), &library.sha256),
            ("frozen", &hashed)
        );
        let error = Opened::new(&path).err().unwrap().to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }
}
