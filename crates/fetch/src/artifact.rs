//! Files with a known address, size and checksum.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

/// A file that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is, as an error names it.
    pub name: &'static str,
    /// Where it comes from.
    pub url: &'static str,
    /// Its name in the cache and on a mirror; no folders.
    pub file_name: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// What its content hashes to.
    pub checksum: Checksum,
}

/// The seed notebook's weights: ResNet-18 trained on CIFAR-10. The `raw` form of this address answers with a pointer.
pub const RESNET18_CIFAR10: Artifact = Artifact {
    name: "ResNet-18 trained on CIFAR-10",
    url: "https://media.githubusercontent.com/media/fiddler-labs/fiddler-examples/main/quickstart/models/resnet18_cifar10_epoch5.pth",
    file_name: "resnet18_cifar10_epoch5.pth",
    size: 45_052_489,
    checksum: Checksum::Sha256("14959d08e07499cefb14c138a2a56f93c1a1291ccc9bd650846cc19cc5b3bb0d"),
};

/// CIFAR-10 in its binary form, 60,000 images.
pub const CIFAR10_BINARY: Artifact = Artifact {
    name: "CIFAR-10, binary version",
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    file_name: "cifar-10-binary.tar.gz",
    size: 170_052_171,
    checksum: Checksum::Md5("c32a1d4ab5d03f1284b67883e8d87530"),
};

/// A checksum in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// 64 digits.
    Sha256(&'static str),
    /// 32 digits. Guards against damage, not against malice.
    Md5(&'static str),
}

impl Checksum {
    /// The digits it should be.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Sha256(digits) | Self::Md5(digits) => digits,
        }
    }

    /// `sha256` or `md5`.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Md5(_) => "md5",
        }
    }

    /// The digits that the content of a file has, by the same algorithm.
    pub fn of_file(self, path: &Path) -> io::Result<String> {
        let file = File::open(path)?;
        match self {
            Self::Sha256(_) => digest::<Sha256>(file),
            Self::Md5(_) => digest::<Md5>(file),
        }
    }
}

fn digest<D: Digest>(mut file: File) -> io::Result<String> {
    let mut hash = D::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let bytes = hash.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
