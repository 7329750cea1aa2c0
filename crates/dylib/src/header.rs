//! What the header of a library says.

use std::fs::File;
use std::path::Path;

use object::{Architecture, Object, ObjectKind, ObjectSymbol, ReadCache};

/// Refuses what is no dynamic library for this machine, without running anything in it. The error says what it is
/// instead.
pub fn check_header(path: &Path) -> Result<(), String> {
    inspect(path, |_| ())
}

/// The names that the library at `path` exports, sorted, without running anything in it.
pub fn exports(path: &Path) -> Result<Vec<String>, String> {
    inspect(path, |file| {
        let mut names: Vec<_> = file
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition() && symbol.is_global())
            .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
            .collect();
        names.sort();
        names
    })
}

fn inspect<R>(
    path: &Path,
    look: impl FnOnce(&object::File<'_, &ReadCache<File>>) -> R,
) -> Result<R, String> {
    let metadata = std::fs::metadata(path).map_err(|cause| cause.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder; the library itself is needed".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    // Read piece by piece: libraries of engines have hundreds of megabytes.
    let cache = ReadCache::new(File::open(path).map_err(|cause| cause.to_string())?);
    let file =
        object::File::parse(&cache).map_err(|cause| format!("it is not a library ({cause})"))?;
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
    if file.kind() != ObjectKind::Dynamic {
        return Err(format!(
            "it is not a dynamic library but an object of kind {:?}",
            file.kind()
        ));
    }
    Ok(look(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text.so");
        std::fs::write(&text, "not a library").unwrap();
        assert!(
            check_header(&text)
                .unwrap_err()
                .contains("it is not a library")
        );
        assert!(
            check_header(folder.path())
                .unwrap_err()
                .contains("it is a folder")
        );
        assert!(check_header(&folder.path().join("none.so")).is_err());
    }

    #[test]
    fn another_machine_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mips.so");
        // An ELF header of a MIPS library without sections.
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        header.resize(16, 0);
        header.extend([3, 0, 8, 0, 1, 0, 0, 0]);
        header.resize(64, 0);
        header[52] = 64;
        std::fs::write(&path, header).unwrap();
        assert!(check_header(&path).unwrap_err().contains("it is for Mips"));
    }

    #[test]
    fn a_truncated_library_is_refused_or_read_without_a_panic() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.so");
        for length in [0, 3, 20, 63, 64, 100, 1000, whole.len() / 2] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let _ = exports(&path);
            if length < 64 {
                assert!(check_header(&path).is_err(), "{length} bytes");
            }
        }
    }
}
