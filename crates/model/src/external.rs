//! The files beside an ONNX graph that hold its tensors ("external data").
//!
//! A graph names them in `TensorProto.external_data`, wherever a tensor stands: initializers, sparse ones, attributes of
//! nodes, graphs inside those, functions and training information. The graph is walked without being held: its own
//! tensors are passed over.
//!
//! Format: <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>, fields:
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};

/// Longest location; file systems have no longer paths.
const MAX_LOCATION: u64 = 4096;
/// Most files; exporters write one, or one for each tensor.
const MAX_FILES: usize = 65_536;
/// Deepest nesting of messages; a graph in an attribute of a node of a graph adds three.
const MAX_DEPTH: u32 = 100;

/// The external files of the graph at `path`, each with the location that the graph gives it; sorted, none twice.
///
/// # Errors
/// `InvalidData` where the file is no ONNX model, or a location leads out of its folder; `NotFound` where a file is not
/// there.
pub(crate) fn files(path: &Path) -> Result<Vec<(String, PathBuf)>> {
    let refuse = |message: String| {
        Error::new(ErrorKind::InvalidData, "open model", message).with("file", path.display())
    };
    let io = |e| Error::io("read weights", path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut walk = Walk {
        input: BufReader::new(file),
        at: 0,
        locations: BTreeSet::new(),
    };
    walk.message(Message::Model, length, MAX_DEPTH)
        .map_err(|cause| {
            refuse("this is not a whole ONNX model".to_owned())
                .because(cause)
                .remedy("export or bring it again")
        })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut files = Vec::new();
    for location in walk.locations {
        let outside = || {
            refuse("the graph names external data outside of its folder".to_owned())
                .with("location", location.escape_debug())
                .remedy("put the data beside the graph and export it with that name")
        };
        let relative = Path::new(&location);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(plain) || location.chars().any(char::is_control) {
            return Err(outside());
        }
        let file = folder.join(relative);
        // A link could lead out of the folder.
        let resolved = |file: &Path| {
            file.canonicalize()
                .map_err(|e| Error::io("read weights", file, e).with("graph", path.display()))
        };
        if !resolved(&file)?.starts_with(resolved(folder)?) {
            return Err(outside());
        }
        files.push((location, file));
    }
    Ok(files)
}

/// The messages that lead to tensors.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Sparse,
    Training,
    Function,
    Tensor,
}

impl Message {
    /// The message in a field of this one.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => {
                Some(Self::Graph)
            }
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => {
                Some(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            _ => None,
        }
    }
}

/// `TensorProto.external_data`: entries of a key and a value.
const EXTERNAL_DATA: u64 = 13;
/// `TensorProto.data_location`, and its value `EXTERNAL`; without it the entries mean nothing.
const DATA_LOCATION: u64 = 14;
const EXTERNAL: u64 = 1;

/// A field of a message.
enum Field {
    /// Its number and where its content ends.
    Content(u64, u64),
    /// Its number and value.
    Number(u64, u64),
    /// One of fixed length, which was passed over.
    Fixed,
}

/// A reader of protocol buffers that keeps locations only.
struct Walk<R> {
    input: BufReader<R>,
    at: u64,
    locations: BTreeSet<String>,
}

impl<R: Read + Seek> Walk<R> {
    /// Walks through a message that ends at `end`.
    fn message(&mut self, message: Message, end: u64, depth: u32) -> io::Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(malformed)?;
        while self.at < end {
            let Field::Content(number, end) = self.field(end)? else {
                continue;
            };
            match message.field(number) {
                Some(Message::Tensor) => self.tensor(end)?,
                Some(inner) => self.message(inner, end, depth)?,
                None => self.skip_to(end)?,
            }
        }
        Ok(())
    }

    fn tensor(&mut self, end: u64) -> io::Result<()> {
        let mut external = false;
        let mut location = None;
        while self.at < end {
            match self.field(end)? {
                Field::Content(EXTERNAL_DATA, end) => {
                    location = self.location(end)?.or(location);
                }
                Field::Content(_, end) => self.skip_to(end)?,
                Field::Number(DATA_LOCATION, value) => external = value == EXTERNAL,
                Field::Number(..) | Field::Fixed => {}
            }
        }
        if let Some(location) = location.filter(|_| external) {
            self.locations.insert(location);
        }
        if self.locations.len() > MAX_FILES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it names more than {MAX_FILES} external files"),
            ));
        }
        Ok(())
    }

    /// The value of an entry of external data, where its key says that it is a location.
    fn location(&mut self, end: u64) -> io::Result<Option<String>> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while self.at < end {
            match self.field(end)? {
                Field::Content(1, end) => key = self.bytes(end)?,
                Field::Content(2, end) => value = self.bytes(end)?,
                Field::Content(_, end) => self.skip_to(end)?,
                Field::Number(..) | Field::Fixed => {}
            }
        }
        if key != b"location" {
            return Ok(None);
        }
        String::from_utf8(value).map(Some).map_err(|_| malformed())
    }

    fn field(&mut self, end: u64) -> io::Result<Field> {
        let tag = self.varint()?;
        let number = tag >> 3;
        let field = match tag & 7 {
            0 => Field::Number(number, self.varint()?),
            2 => {
                let length = self.varint()?;
                let inner = self.at.checked_add(length).filter(|inner| *inner <= end);
                Field::Content(number, inner.ok_or_else(malformed)?)
            }
            wide @ (1 | 5) => {
                self.skip_to(self.at + if wide == 1 { 8 } else { 4 })?;
                Field::Fixed
            }
            _ => return Err(malformed()),
        };
        self.check(end).map(|()| field)
    }

    fn check(&self, end: u64) -> io::Result<()> {
        if self.at > end {
            return Err(malformed());
        }
        Ok(())
    }

    fn bytes(&mut self, end: u64) -> io::Result<Vec<u8>> {
        let length = end - self.at;
        if length > MAX_LOCATION {
            return Err(malformed());
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        self.at = end;
        Ok(bytes)
    }

    fn skip_to(&mut self, end: u64) -> io::Result<()> {
        let distance = i64::try_from(end - self.at).map_err(|_| malformed())?;
        self.input.seek_relative(distance)?;
        self.at = end;
        Ok(())
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.input.read_exact(&mut byte)?;
            self.at += 1;
            let [byte] = byte;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed())
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "its fields are not those of a graph",
    )
}
