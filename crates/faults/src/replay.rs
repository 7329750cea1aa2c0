//! What a power cut may leave of a folder.
//!
//! The model: a file's bytes are durable up to the last `fsync` or `fdatasync` of that file, whatever its name is. A
//! folder's names are durable up to the last `fsync` of that folder. What comes after is there, or not: an unsynced write
//! is kept, lost, or kept in part; of the changes of one folder's names a first part is kept, in their order, each folder
//! for itself, or, as a journalling file system has it, a first part of the changes of all folders. A file may have its
//! name and none of its bytes. A name moved from one folder to another is in one of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::record::Operation;

/// A file or a folder, whatever its names are.
type Node = usize;

const ROOT: Node = 0;

/// A change of names: all of it happens, or none.
#[derive(Debug)]
struct NameChange {
    /// When.
    at: usize,
    /// The folder whose order it keeps.
    folder: Node,
    /// The folders that it changes: a sync of any of them makes it durable.
    folders: Vec<Node>,
    /// Folder, name, and what is there afterwards.
    entries: Vec<(Node, PathBuf, Option<Node>)>,
}

/// A change of bytes.
#[derive(Debug)]
enum DataChange {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

/// A trace, ready to be cut off anywhere.
#[derive(Debug)]
pub struct History {
    operations: Vec<Operation>,
    is_folder: Vec<bool>,
    /// In the order of the trace.
    names: Vec<NameChange>,
    data: HashMap<Node, Vec<(usize, DataChange)>>,
    syncs: HashMap<Node, Vec<usize>>,
}

/// Which of the unsynced changes a power cut left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// All of them.
    All,
    /// None of them.
    Nothing,
    /// Names, but no bytes.
    Names,
    /// Bytes, but no names.
    Bytes,
    /// All but the bytes of this operation.
    WithoutBytes(usize),
    /// All but the names that this operation and later ones changed in the same folder.
    WithoutNames(usize),
    /// Of the names those before this operation, in all folders; bytes if the second value says so.
    Journal(usize, bool),
    /// By lot, from a seed.
    Lot(u64),
}

/// The folder after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// How many operations of the trace were done.
    pub at: usize,
    /// What was left of the unsynced ones.
    pub choice: Choice,
}

impl History {
    /// Reads a trace of a folder that was empty at its beginning.
    pub fn new(operations: Vec<Operation>) -> Self {
        let mut history = Self {
            operations: Vec::new(),
            is_folder: vec![true],
            names: Vec::new(),
            data: HashMap::new(),
            syncs: HashMap::new(),
        };
        let mut now: HashMap<Node, BTreeMap<PathBuf, Node>> = HashMap::new();
        now.insert(ROOT, BTreeMap::new());
        for (at, operation) in operations.iter().enumerate() {
            history.take(at, operation, &mut now);
        }
        history.operations = operations;
        history
    }

    fn take(
        &mut self,
        at: usize,
        operation: &Operation,
        now: &mut HashMap<Node, BTreeMap<PathBuf, Node>>,
    ) {
        let entries = match operation {
            Operation::Create(path) => self.added(path, false, now),
            Operation::MakeFolder(path) => self.added(path, true, now),
            Operation::Unlink(path) | Operation::RemoveFolder(path) => {
                place(now, path).map(|(folder, name)| vec![(folder, name, None)])
            }
            Operation::Rename { from, to } => {
                let node = found(now, from);
                let places = place(now, from).zip(place(now, to)).zip(node);
                places.map(|(((old, old_name), (new, new_name)), node)| {
                    vec![(old, old_name, None), (new, new_name, Some(node))]
                })
            }
            Operation::Link { from, to } => {
                let places = place(now, to).zip(found(now, from));
                places.map(|((folder, name), node)| vec![(folder, name, Some(node))])
            }
            Operation::Write {
                path,
                at: offset,
                bytes,
            } => {
                let change = DataChange::Write {
                    at: *offset,
                    bytes: bytes.clone(),
                };
                if let Some(node) = found(now, path) {
                    self.data.entry(node).or_default().push((at, change));
                }
                None
            }
            Operation::Truncate { path, length } => {
                if let Some(node) = found(now, path) {
                    let change = (at, DataChange::Length(*length));
                    self.data.entry(node).or_default().push(change);
                }
                None
            }
            Operation::Sync(path) => {
                if let Some(node) = found(now, path) {
                    self.syncs.entry(node).or_default().push(at);
                }
                None
            }
            Operation::Mark(_) | Operation::Fault(_) => None,
        };
        let Some(entries) = entries else {
            return;
        };
        let change = NameChange {
            at,
            folder: entries[0].0,
            folders: entries.iter().map(|entry| entry.0).collect(),
            entries,
        };
        apply(&change, now);
        self.names.push(change);
    }

    fn added(
        &mut self,
        path: &Path,
        is_folder: bool,
        now: &mut HashMap<Node, BTreeMap<PathBuf, Node>>,
    ) -> Option<Vec<(Node, PathBuf, Option<Node>)>> {
        let (folder, name) = place(now, path)?;
        let node = self.is_folder.len();
        self.is_folder.push(is_folder);
        if is_folder {
            now.insert(node, BTreeMap::new());
        }
        Some(vec![(folder, name, Some(node))])
    }

    /// The operations of the trace.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What was noted before a power cut, in order.
    pub fn marks(&self, state: State) -> impl Iterator<Item = &str> {
        self.operations[..state.at].iter().filter_map(|o| match o {
            Operation::Mark(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn synced(&self, node: Node, change: usize, at: usize) -> bool {
        let syncs = self.syncs.get(&node);
        syncs.is_some_and(|syncs| syncs.iter().any(|sync| (change..at).contains(sync)))
    }

    /// The operations before `at` whose names, and those whose bytes, may be lost.
    fn unsynced(&self, at: usize) -> (Vec<usize>, Vec<usize>) {
        let names = self.names.iter().filter(|change| {
            change.at < at
                && !change
                    .folders
                    .iter()
                    .any(|f| self.synced(*f, change.at, at))
        });
        let bytes = self.data.iter().flat_map(|(node, changes)| {
            let changes = changes.iter().map(|change| change.0);
            changes.filter(move |change| *change < at && !self.synced(*node, *change, at))
        });
        let mut bytes: Vec<usize> = bytes.collect();
        bytes.sort_unstable();
        (names.map(|change| change.at).collect(), bytes)
    }

    /// Every state that is not left to the lot: at each operation the corners, each single change lost, and each prefix of
    /// a journal.
    pub fn corners(&self) -> Vec<State> {
        let mut states = Vec::new();
        for at in 0..=self.operations.len() {
            let (names, bytes) = self.unsynced(at);
            let mut choices = vec![Choice::All];
            if !names.is_empty() || !bytes.is_empty() {
                choices.push(Choice::Nothing);
            }
            if !names.is_empty() && !bytes.is_empty() {
                choices.extend([Choice::Names, Choice::Bytes]);
            }
            choices.extend(bytes.iter().copied().map(Choice::WithoutBytes));
            choices.extend(names.iter().copied().map(Choice::WithoutNames));
            for name in names {
                choices.push(Choice::Journal(name, true));
                if !bytes.is_empty() {
                    choices.push(Choice::Journal(name, false));
                }
            }
            states.extend(choices.into_iter().map(|choice| State { at, choice }));
        }
        states
    }

    /// `count` states: the corners, or as many of them by lot as fit, and then states by lot.
    pub fn states(&self, count: usize, seed: u64) -> Vec<State> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut states = self.corners();
        // The last fifth at least goes to the lot.
        let most = count - count / 5;
        while states.len() > most {
            states.swap_remove(random.random_range(0..states.len()));
        }
        while states.len() < count {
            states.push(State {
                at: random.random_range(0..=self.operations.len()),
                choice: Choice::Lot(random.random_range(0..u64::MAX)),
            });
        }
        states
    }

    /// Every file with its bytes, and every folder with nothing.
    pub fn tree(&self, state: State) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut lot = Lot::new(state.choice);
        let mut now: HashMap<Node, BTreeMap<PathBuf, Node>> = HashMap::new();
        let mut stopped: HashSet<Node> = HashSet::new();
        for change in self.names.iter().take_while(|change| change.at < state.at) {
            let durable = change
                .folders
                .iter()
                .any(|folder| self.synced(*folder, change.at, state.at));
            // A later sync of a folder makes all its earlier changes durable, so none of them was left out.
            let kept = durable || (!stopped.contains(&change.folder) && lot.keeps_name(change.at));
            if kept {
                apply(change, &mut now);
            } else {
                stopped.insert(change.folder);
            }
        }
        let mut tree = BTreeMap::new();
        let mut folders = vec![(ROOT, PathBuf::new())];
        while let Some((folder, path)) = folders.pop() {
            for (name, node) in now.get(&folder).into_iter().flatten() {
                let path = path.join(name);
                if self.is_folder[*node] {
                    tree.insert(path.clone(), None);
                    folders.push((*node, path));
                } else {
                    tree.insert(path, Some(self.bytes(*node, state.at, &mut lot)));
                }
            }
        }
        tree
    }

    fn bytes(&self, node: Node, at: usize, lot: &mut Lot) -> Vec<u8> {
        let mut file = Vec::new();
        let changes = self.data.get(&node).map_or(&[][..], Vec::as_slice);
        for (when, change) in changes.iter().take_while(|change| change.0 < at) {
            let durable = self.synced(node, *when, at);
            match change {
                DataChange::Length(length) => {
                    if durable || lot.kept_bytes(*when, 1) > 0 {
                        file.resize(*length as usize, 0);
                    }
                }
                DataChange::Write { at, bytes } => {
                    let kept = match durable {
                        true => bytes.len(),
                        false => lot.kept_bytes(*when, bytes.len()),
                    };
                    let (start, end) = (*at as usize, *at as usize + kept);
                    if kept > 0 {
                        if file.len() < end {
                            file.resize(end, 0);
                        }
                        file[start..end].copy_from_slice(&bytes[..kept]);
                    }
                }
            }
        }
        file
    }

    /// Makes the folder as it is in a state; `folder` is there, and empty.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn materialise(&self, state: State, folder: &Path) -> io::Result<()> {
        write_tree(&self.tree(state), folder)
    }

    /// Equal for states with the same files and the same marks.
    pub fn fingerprint(&self, state: State, tree: &BTreeMap<PathBuf, Option<Vec<u8>>>) -> u64 {
        let mut hasher = DefaultHasher::new();
        tree.hash(&mut hasher);
        self.marks(state).count().hash(&mut hasher);
        hasher.finish()
    }
}

/// Writes what [`History::tree`] gives.
///
/// # Errors
/// Those of the file system.
pub fn write_tree(tree: &BTreeMap<PathBuf, Option<Vec<u8>>>, folder: &Path) -> io::Result<()> {
    for (path, bytes) in tree {
        let path = folder.join(path);
        match bytes {
            None => fs::create_dir(path)?,
            Some(bytes) => fs::write(path, bytes)?,
        }
    }
    Ok(())
}

fn apply(change: &NameChange, now: &mut HashMap<Node, BTreeMap<PathBuf, Node>>) {
    for (folder, name, node) in &change.entries {
        let names = now.entry(*folder).or_default();
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

fn found(now: &HashMap<Node, BTreeMap<PathBuf, Node>>, path: &Path) -> Option<Node> {
    path.iter().try_fold(ROOT, |node, name| {
        now.get(&node)?.get(Path::new(name)).copied()
    })
}

/// The folder that holds `path`, and the name in it.
fn place(now: &HashMap<Node, BTreeMap<PathBuf, Node>>, path: &Path) -> Option<(Node, PathBuf)> {
    let folder = found(now, path.parent()?)?;
    Some((folder, PathBuf::from(path.file_name()?)))
}

/// Which unsynced changes are kept.
struct Lot {
    choice: Choice,
    random: ChaCha8Rng,
    /// How likely a change of names, and one of bytes, is kept.
    chances: (f64, f64),
}

impl Lot {
    fn new(choice: Choice) -> Self {
        let seed = match choice {
            Choice::Lot(seed) => seed,
            _ => 0,
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let chances = [0.3, 0.7, 0.95, 1.0];
        let chances = (
            chances[random.random_range(0..chances.len())],
            chances[random.random_range(0..chances.len())],
        );
        Self {
            choice,
            random,
            chances,
        }
    }

    fn keeps_name(&mut self, at: usize) -> bool {
        match self.choice {
            Choice::All | Choice::Names | Choice::WithoutBytes(_) => true,
            Choice::Nothing | Choice::Bytes => false,
            Choice::WithoutNames(lost) => at != lost,
            Choice::Journal(end, _) => at < end,
            Choice::Lot(_) => self.random.random_bool(self.chances.0),
        }
    }

    fn kept_bytes(&mut self, at: usize, count: usize) -> usize {
        let all = match self.choice {
            Choice::All | Choice::Bytes | Choice::WithoutNames(_) => true,
            Choice::Nothing | Choice::Names => false,
            Choice::WithoutBytes(lost) => at != lost,
            Choice::Journal(_, bytes) => bytes,
            Choice::Lot(_) if self.random.random_bool(self.chances.1) => true,
            Choice::Lot(_) if self.random.random_bool(0.5) => false,
            Choice::Lot(_) => return self.random.random_range(0..count.max(1)),
        };
        if all { count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &str, at: u64, bytes: &[u8]) -> Operation {
        Operation::Write {
            path: path.into(),
            at,
            bytes: bytes.to_vec(),
        }
    }

    fn renamed(from: &str, to: &str) -> Operation {
        Operation::Rename {
            from: from.into(),
            to: to.into(),
        }
    }

    /// A file that is written, synced, renamed, and whose folder is synced.
    fn replaced() -> History {
        History::new(vec![
            Operation::MakeFolder("d".into()),
            Operation::Sync(PathBuf::new()),
            Operation::Create("d/.tmp".into()),
            written("d/.tmp", 0, b"abc"),
            written("d/.tmp", 3, b"def"),
            Operation::Sync("d/.tmp".into()),
            renamed("d/.tmp", "d/a"),
            Operation::Sync("d".into()),
            Operation::Mark("ack".to_owned()),
            Operation::Unlink("d/a".into()),
        ])
    }

    fn file(history: &History, at: usize, choice: Choice, path: &str) -> Option<Vec<u8>> {
        let tree = history.tree(State { at, choice });
        tree.get(Path::new(path)).cloned().flatten()
    }

    #[test]
    fn what_is_synced_stays_and_what_is_not_may_go() {
        let history = replaced();
        for choice in [Choice::All, Choice::Nothing, Choice::Lot(3)] {
            assert_eq!(file(&history, 9, choice, "d/a").unwrap(), b"abcdef");
        }
        assert_eq!(file(&history, 5, Choice::Nothing, "d/.tmp"), None);
        assert_eq!(file(&history, 5, Choice::Names, "d/.tmp").unwrap(), b"");
        let torn = file(&history, 5, Choice::WithoutBytes(3), "d/.tmp");
        assert_eq!(torn.unwrap(), b"\0\0\0def");
        // Renamed, but not yet for good: the old name may be there, with all its bytes, or none.
        let old = file(&history, 7, Choice::WithoutNames(6), "d/.tmp");
        assert_eq!(old.unwrap(), b"abcdef");
        assert_eq!(file(&history, 7, Choice::All, "d/a").unwrap(), b"abcdef");
        assert!(
            history
                .tree(State {
                    at: 7,
                    choice: Choice::Nothing
                })
                .contains_key(Path::new("d"))
        );
        // An unlink without a sync may come back.
        assert!(file(&history, 10, Choice::Nothing, "d/a").is_some());
        assert!(file(&history, 10, Choice::All, "d/a").is_none());
        let marks = |at| {
            history
                .marks(State {
                    at,
                    choice: Choice::All,
                })
                .count()
        };
        assert_eq!((marks(8), marks(9)), (0, 1));
    }

    #[test]
    fn a_rename_without_a_sync_of_the_file_may_leave_an_empty_file() {
        let history = History::new(vec![
            Operation::Create("t".into()),
            written("t", 0, b"abc"),
            renamed("t", "a"),
            Operation::Sync(PathBuf::new()),
        ]);
        assert_eq!(file(&history, 4, Choice::Nothing, "a").unwrap(), b"");
    }

    #[test]
    fn names_of_one_folder_keep_their_order_and_a_move_loses_nothing() {
        let history = History::new(vec![
            Operation::MakeFolder("x".into()),
            Operation::MakeFolder("y".into()),
            Operation::Sync(PathBuf::new()),
            Operation::Create("x/a".into()),
            Operation::Sync("x".into()),
            renamed("x/a", "y/b"),
            Operation::Create("x/c".into()),
        ]);
        for state in history.states(400, 1) {
            let tree = history.tree(state);
            let has = |path: &str| tree.contains_key(Path::new(path));
            if state.at >= 5 {
                assert!(has("x/a") ^ has("y/b"), "{state:?}: {tree:?}");
            }
            if has("x/c") {
                assert!(!has("x/a"), "{state:?}");
            }
        }
    }

    #[test]
    fn states_are_the_same_for_a_seed_and_as_many_as_asked_for() {
        let history = replaced();
        for count in [5, 50, 500] {
            let states = history.states(count, 7);
            assert_eq!(states.len(), count);
            assert_eq!(states, history.states(count, 7));
        }
    }
}
