//! Files with a known address, size and checksum.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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
    /// Sha256 of its content, 64 lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// The seed notebook's weights: ResNet-18 trained on CIFAR-10. The `raw` form of this address answers with a pointer.
pub const RESNET18_CIFAR10: Artifact = Artifact {
    name: "ResNet-18 trained on CIFAR-10",
    url: "https://media.githubusercontent.com/media/fiddler-labs/fiddler-examples/main/quickstart/models/resnet18_cifar10_epoch5.pth",
    file_name: "resnet18_cifar10_epoch5.pth",
    size: 45_052_489,
    sha256: "14959d08e07499cefb14c138a2a56f93c1a1291ccc9bd650846cc19cc5b3bb0d",
};

/// CIFAR-10 in its binary form, 60,000 images. Its authors publish an MD5 alone; this is the sha256 of the file that has it,
/// as TensorFlow Datasets and others pin it.
pub const CIFAR10_BINARY: Artifact = Artifact {
    name: "CIFAR-10, binary version",
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    file_name: "cifar-10-binary.tar.gz",
    size: 170_052_171,
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
};

/// The sha256 of the content of a file, in lower-case hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(hex::encode(hash.finalize()))
}
