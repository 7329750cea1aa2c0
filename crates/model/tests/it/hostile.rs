//! Weights of a few megabytes that claim, repeat or unpack to gigabytes, and seventy that a seed made.
//!
//! They are read in a process of its own, `reads_what_it_is_told`, which the kernel stops before it takes the machine with
//! it.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use driftline_model::ModelPackage;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::common::{network, save};

/// Most memory that any file of 16 MiB or less may take.
const LIMIT: u64 = 1 << 30;
/// KiB of addresses that the process may have: an explosion fails to allocate instead of filling the machine.
const ADDRESSES: u64 = 3 << 20;
const FILES: &str = "DRIFTLINE_TEST_FILES";
const MIB: usize = 1 << 20;

/// The other process.
#[test]
fn reads_what_it_is_told() {
    let Ok(files) = std::env::var(FILES) else {
        return;
    };
    println!();
    for file in files.lines() {
        // The peak begins anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let network = ModelPackage::open(Path::new(file)).and_then(|package| package.network());
        let outcome = network.map_or_else(|error| error.to_string(), |_| "a network".to_owned());
        println!("READ\t{}\t{}", peak(), outcome.escape_debug());
    }
}

/// Bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// The outcome of each file; all stay within the limit.
fn read_apart(files: &[PathBuf]) -> Vec<String> {
    let list: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {ADDRESSES} && exec \"$0\" \"$@\""),
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::reads_what_it_is_told", "--nocapture"])
        .env(FILES, list.join("\n"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let readings: Vec<(u64, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("READ\t")?.split_once('\t'))
        .map(|(peak, outcome)| (peak.parse().unwrap(), outcome.to_owned()))
        .collect();
    assert!(
        output.status.success() && readings.len() == files.len(),
        "{}: {:?}\n{}",
        output.status,
        files.get(readings.len()),
        String::from_utf8_lossy(&output.stderr)
    );
    let outcomes = files.iter().zip(readings).map(|(file, (peak, outcome))| {
        let length = fs::metadata(file).unwrap().len();
        assert!(length <= 16 << 20, "{}: {length}", file.display());
        assert!(peak < LIMIT, "{}: {peak} {outcome}", file.display());
        outcome
    });
    outcomes.collect()
}

/// Writes `bytes` under `name`, and reads that.
fn read(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_apart(&[path]).remove(0)
}

fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let outcome = read(name, bytes);
    for part in parts.iter().chain(&[name]) {
        assert!(outcome.contains(part), "no `{part}` in: {outcome}");
    }
}

/// A `.pth` of this pickle and these storages, each with its length and what its values are.
fn pth(pickle: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9));
    zip.start_file("x/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, content) in storages {
        zip.start_file(format!("x/data/{key}"), options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn ints(values: &[usize]) -> Vec<u8> {
    let values = values
        .iter()
        .flat_map(|value| [b"J", &(*value as u32).to_le_bytes()[..]].concat());
    [b"(".to_vec(), values.collect(), b"t".to_vec()].concat()
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// A tensor as a whole storage.
fn tensor(key: &str, storage: &str, shape: &[usize]) -> Vec<u8> {
    let values = shape.iter().product();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{storage}\n").into_bytes(),
        text(key),
        text("cpu"),
        ints(&[values])[1..6].to_vec(),
        b"tQK\0".to_vec(),
        ints(shape),
        ints(&strides(shape)),
        b"\x89NtR".to_vec(),
    ]
    .concat()
}

fn state_dict(tensors: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let entries = tensors
        .into_iter()
        .flat_map(|(name, tensor)| [text(&name), tensor].concat());
    [b"\x80\x02}(".to_vec(), entries.collect(), b"u.".to_vec()].concat()
}

#[test]
fn many_views_of_one_storage_are_refused() {
    let values = 8 << 20;
    for (views, storage) in [(400, "FloatStorage"), (400, "HalfStorage")] {
        let view = |i| (format!("w{i}"), tensor("0", storage, &[values]));
        let bytes = pth(
            &state_dict((0..views).map(view)),
            &[("0", vec![0; 4 * values])],
        );
        assert!(bytes.len() < MIB, "{}", bytes.len());
        refused("views.pth", &bytes, &["limit of"]);
    }
}

#[test]
fn a_storage_that_unpacks_to_too_much_is_refused() {
    for megabytes in [400, 1_500] {
        let content = vec![0; megabytes * MIB];
        let dict = state_dict([("w".to_owned(), tensor("0", "FloatStorage", &[1]))]);
        refused("large.pth", &pth(&dict, &[("0", content)]), &["limit of"]);
    }
}

/// Each storage is small enough; all of them are not, though only one value of each is looked at.
#[test]
fn what_is_unpacked_is_bounded_in_all() {
    let keys: Vec<String> = (0..30).map(|key| key.to_string()).collect();
    let one = |key: &String| (format!("w{key}"), tensor(key, "FloatStorage", &[1]));
    let storages: Vec<_> = keys
        .iter()
        .map(|key| (key.as_str(), vec![0; 30 * MIB]))
        .collect();
    let bytes = pth(&state_dict(keys.iter().map(one)), &storages);
    refused("storages.pth", &bytes, &["limit of"]);
}

#[test]
fn a_pickle_of_opcodes_is_refused() {
    for opcode in [&b"]"[..], b"(", b"N2"] {
        let bytes = pth(&opcode.repeat(100 * MIB / opcode.len()), &[]);
        refused("opcodes.pth", &bytes, &["limit of"]);
    }
    // A shape of four hundred thousand lengths, of which one is 0, for each of many tensors.
    let mut shape = vec![1; 400_000];
    shape[0] = 0;
    let long = tensor("0", "FloatStorage", &shape);
    let put = [long, b"q\0".to_vec()].concat();
    let again = |i| (format!("w{i}"), b"h\0".to_vec());
    let rest = (0..1_000).map(again);
    let dict = state_dict(std::iter::once(("w".to_owned(), put)).chain(rest));
    refused(
        "shapes.pth",
        &pth(&dict, &[("0", vec![0; 4])]),
        &["not a tensor"],
    );
}

/// As `torch.save` writes the network of the other tests, then changed: bytes, claims, repeats, cuts.
#[test]
fn seventy_files_of_a_seed_end_within_the_limit() {
    let count = match std::env::var_os("DRIFTLINE_TEST_FULL") {
        Some(_) => 1_400,
        None => 70,
    };
    let weights = network();
    let names: Vec<&String> = weights.tensors.keys().collect();
    let keys: Vec<String> = (0..names.len()).map(|key| key.to_string()).collect();
    let tensors = names.iter().zip(&keys).map(|(name, key)| {
        let shape = &weights.tensors[*name].shape;
        ((*name).clone(), tensor(key, "FloatStorage", shape))
    });
    let dict = state_dict(tensors);
    let storages: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(&keys)
        .map(|(name, key)| {
            let values = weights.tensors[*name].data.iter();
            (
                key.as_str(),
                values.flat_map(|value| value.to_le_bytes()).collect(),
            )
        })
        .collect();
    let whole = pth(&dict, &storages);
    assert_eq!(read("whole.pth", &whole), "a network");

    let folder = tempfile::tempdir().unwrap();
    let safetensors = folder.path().join("whole.safetensors");
    save(&weights, &safetensors);
    let safetensors = fs::read(safetensors).unwrap();
    let mut random = Random(17);
    let mut files = Vec::new();
    for i in 0..count {
        let (name, bytes) = match i % 3 {
            0 => ("pth", pth(&random.mutated(dict.clone()), &storages)),
            1 => ("pth", random.mutated(whole.clone())),
            _ => ("safetensors", random.mutated(safetensors.clone())),
        };
        let path = folder.path().join(format!("{i}.{name}"));
        fs::write(&path, bytes).unwrap();
        files.push(path);
    }
    let whole = files
        .chunks(35)
        .flat_map(read_apart)
        .filter(|outcome| outcome == "a network");
    let whole = whole.count();
    println!("{whole} of {count} are networks still");
    assert!(whole < count / 2, "{whole}");
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn mutated(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << self.below(8)),
                2 => {
                    let value = [0xff, 0x7f, 0][self.below(3)];
                    let width = [1, 2, 4, 8][self.below(4)];
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(width)
                        .for_each(|byte| *byte = value);
                }
                3 => {
                    let end = (at + 1 + self.below(200)).min(bytes.len());
                    let part = bytes.get(at..end).unwrap_or_default().to_vec();
                    let times = [1, 50, 5_000][self.below(3)];
                    bytes.splice(at..at, part.repeat(times));
                }
                _ => drop(bytes.drain(at..(at + self.below(100)).min(bytes.len()))),
            }
        }
        bytes
    }
}
