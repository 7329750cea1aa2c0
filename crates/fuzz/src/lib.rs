//! What the fuzz targets share: bytes as files, and reading to the end.
//!
//! A target is one reader of something that driftline did not write itself. It must return, with a result or an error:
//! a panic, an endless loop and memory past the limit of `cargo xtask fuzz` are findings.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use driftline_core::{ImageShape, Resize};
use driftline_data::{Album, DecodeOptions};
use driftline_pickle::Value;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// The description of a model whose graph is `m.onnx`.
pub const ONNX_MANIFEST: &[u8] =
    b"name = \"own\"\narchitecture = \"onnx\"\n[weights]\nfile = \"m.onnx\"\n[input]\n\
    height = 8\nwidth = 8\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n\
    [embedding]\nlayer = \"features\"\ndim = 4\n";

const MONITOR: &str = include_str!("monitor.json");

/// A folder of this process, in memory where there is one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    let folder = parent.join(format!("driftline-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
});

fn written(path: PathBuf, bytes: &[u8]) -> PathBuf {
    let parent = path.parent().unwrap_or(&FOLDER);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&path, bytes))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

/// `bytes` as a file of this name, in place of the one before.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    written(FOLDER.join(name), bytes)
}

/// A folder with `bytes` as the first batch of CIFAR-10.
pub fn cifar_folder(bytes: &[u8]) -> PathBuf {
    let folder = FOLDER.join("cifar");
    written(folder.join("data_batch_1"), bytes);
    folder
}

/// A store whose monitor is what stands before the first byte 255 of `bytes`, or a good one where nothing does, and whose
/// journal is what follows it.
pub fn store(bytes: &[u8]) -> PathBuf {
    let mut parts = bytes.splitn(2, |&byte| byte == 0xff);
    let monitor = parts.next().unwrap_or_default();
    let journal = parts.next().unwrap_or_default();
    let monitor = if monitor.is_empty() {
        MONITOR.as_bytes()
    } else {
        monitor
    };
    let store = FOLDER.join("store");
    let folder = store.join("project").join("model");
    written(folder.join("monitor.json"), monitor);
    written(folder.join("rewrite.json"), journal);
    written(folder.join("events/date=2026-11-01/part-a.parquet"), b"");
    store
}

/// An archive of members that are not compressed.
pub fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, options)
            .and_then(|()| Ok(zip.write_all(bytes)?))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    zip.finish().unwrap_or_else(|e| panic!("{e}")).into_inner()
}

/// `bytes` as gzip, not compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(bytes)
        .and_then(|()| gzip.finish())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Reads a source of images to its end, and one of its images by url.
pub fn read_images(path: &Path) {
    let side = ImageShape {
        height: 8,
        width: 8,
    };
    let options = DecodeOptions {
        shape: side,
        resize: Resize::Crop,
    };
    let location = path.to_string_lossy();
    if let Ok(mut source) = driftline_data::open(&location, &options) {
        while let Ok(Some(_)) = source.next_batch(16) {}
    }
    if let Ok(album) = Album::open(path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        drop(album.picture(&format!("{name}#1")));
    }
}

/// Looks at a value and what it holds, at no more than `left` of them.
pub fn walk(value: Value<'_, '_>, left: &mut usize) {
    let Some(fewer) = left.checked_sub(1) else {
        return;
    };
    *left = fewer;
    let _ = (value.as_str(), value.as_bytes(), value.get("x"));
    let _ = format!("{value:?}");
    if let Some(call) = value.call() {
        call.args.into_iter().for_each(|value| walk(value, left));
    }
    for value in value.items().into_iter().flatten() {
        walk(value, left);
    }
    for (key, value) in value.entries().into_iter().flatten() {
        walk(key, left);
        walk(value, left);
    }
}

/// What the server at [`ADDRESS`] answers.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A server that answers every request with [`ANSWER`].
static ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("{e}"));
    let address = listener.local_addr().unwrap_or_else(|e| panic!("{e}"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok() {
                let body = ANSWER.lock().unwrap_or_else(PoisonError::into_inner);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                // A client may have had enough.
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(&body));
            }
        }
    });
    format!("http://{address}")
});

/// Asks a server that answers with `bytes` who it is.
pub fn answer(bytes: &[u8]) {
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
    for api in ["v3", "v2"] {
        let options = json!({
            "url": *ADDRESS,
            "api": api,
            "organization": "org",
            "token_file": file("token", b"token\n").to_string_lossy(),
            "answer_seconds": 2,
            "retry_seconds": 1,
            "job_seconds": 1,
        });
        let options = options.as_object().cloned().unwrap_or_default();
        drop(driftline_sink_fiddler::reachability(&options));
    }
}
