//! What waits in the outboxes of a store and what was taken out of them, batch by batch, for a person to decide on.
//!
//! An entry has an id within its outbox: `batch-12` was begun, `calls-7` are publish calls from number 7 on that are in no
//! batch yet, `dead-letter/events-00000012` and `damaged/events-00000007` are notes in the folders of these names. Where
//! several outboxes of a store have the same id, `<project>/<model>/<id>` names one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, EventLabel, Result};
use driftline_rows::{RowsReader, create_folder};
use jiff::Timestamp;
use serde::Serialize;

use crate::batch::{Kind, pairs};
use crate::note::{self, DAMAGED, DEAD_LETTER, Note, Noted};
use crate::outbox::{Outbox, busy, try_lock};
use crate::status::outbox_folders;

/// Why a user's skip is written down.
const SKIPPED: &str = "skipped by the user";
/// How long a delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is sent as soon as it is its turn.
    Waiting,
    /// It has failed, and is due again later; a flush tries it last.
    Delayed,
    /// It cannot be read, and was moved aside.
    Damaged,
    /// The server did not take it, or the user gave it up.
    Dead,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Delayed => "delayed",
            State::Damaged => "damaged",
            State::Dead => "dead",
        }
    }
}

/// Rows or labels that share their fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The project that they are for.
    pub project: String,
    /// The model that they are for.
    pub model: String,
    /// What `retry` and `skip` call it.
    pub id: String,
    /// `baseline`, `events` or `labels`.
    pub kind: String,
    /// How it is.
    pub state: State,
    /// Rows or labels in it.
    pub rows: u64,
    /// Attempts that have failed.
    pub tries: u32,
    /// When it is due again; none if that is now, or never.
    pub next_try: Option<Timestamp>,
    /// Why the last attempt failed, or why it was taken out.
    pub error: Option<String>,
}

/// What a retry came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retried {
    /// The entry as it was.
    pub entry: Entry,
    /// Why it cannot be sent again; none if it is due now.
    pub problem: Option<String>,
}

/// What a skip came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The entry as it was.
    pub entry: Entry,
    /// The dead letter that it is now.
    pub note: PathBuf,
    /// What the server lacks by it.
    pub lost: String,
}

/// All entries of a store, in the order of project, model and delivery; those that were taken out come last.
///
/// # Errors
/// `InvalidData` for an outbox that is damaged, and those of the file system.
pub fn entries(store: &Path) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for folder in outbox_folders(store)? {
        let found = Listed::all(&folder, &Outbox::open(&folder)?)?;
        all.extend(found.into_iter().map(|listed| listed.entry));
    }
    Ok(all)
}

/// Makes an entry due now, or all of them: what waits and is delayed, dead letters, and damaged ones whose file can be
/// read again. Rows whose ids were published again meanwhile are not sent twice.
///
/// # Errors
/// `NotFound` for an id that is not there, `InvalidConfig` for one that several outboxes have; `InvalidData` for an outbox
/// that is damaged, and those of the file system.
pub fn retry(store: &Path, id: Option<&str>) -> Result<Vec<Retried>> {
    let mut all = Vec::new();
    let chosen = match id {
        Some(id) => vec![find(store, id)?],
        None => {
            let mut chosen = Vec::new();
            for folder in outbox_folders(store)? {
                let listed = Listed::all(&folder, &Outbox::open(&folder)?)?;
                chosen.extend(listed.into_iter().map(|listed| (folder.clone(), listed)));
            }
            chosen
        }
    };
    for (folder, listed) in chosen {
        let mut outbox = Outbox::open(&folder)?;
        let problem = match &listed.what {
            What::Batch(batch) => outbox.make_due(*batch).err(),
            What::Calls(..) => None,
            What::Aside(noted) => accept_again(&mut outbox, &listed.entry, noted).err(),
        };
        all.push(Retried {
            entry: listed.entry,
            problem: problem.map(|error| error.to_string()),
        });
    }
    Ok(all)
}

/// Gives an entry up: its rows go to the dead letters, and are sent no more unless they are published or retried.
///
/// # Errors
/// `NotFound` and `InvalidConfig` as for [`retry`]; `Resource` while a process delivers; `InvalidConfig` for a dead letter.
pub fn skip(store: &Path, id: &str) -> Result<Skipped> {
    let (folder, _) = find(store, id)?;
    let mut outbox = Outbox::open(&folder)?;
    let Some(_lock) = lock_soon(&folder)? else {
        return Err(busy(&folder));
    };
    // As it is now that nobody delivers.
    let (_, listed) = find(store, id)?;
    let note = match &listed.what {
        What::Batch(batch) => bury(&mut outbox, *batch)?,
        What::Calls(kind, segments) => {
            let batch = outbox.begin(*kind, segments)?;
            bury(&mut outbox, batch)?
        }
        What::Aside(noted) if listed.entry.state == State::Damaged => bury_damaged(&folder, noted)?,
        What::Aside(noted) => {
            let message = format!("`{id}` is a dead letter already");
            return Err(Error::new(ErrorKind::InvalidConfig, "skip rows", message)
                .with("file", noted.path.display())
                .remedy("remove its files once you have dealt with it"));
        }
    };
    Ok(Skipped {
        lost: lost(&listed.entry),
        entry: listed.entry,
        note,
    })
}

fn lost(entry: &Entry) -> String {
    let rows = entry.rows;
    let what = match Kind::named(&entry.kind) {
        Some(Kind::Baseline) => {
            "rows of the baseline are not sent; drift is measured against the rest"
        }
        Some(Kind::Events) => "events are not sent, and labels that came for them have no effect",
        Some(Kind::Labels) => {
            "labels are not sent; their events keep the labels that the server has"
        }
        None => "rows are not sent",
    };
    format!("{rows} {what}")
}

/// An entry, and what stands for it in its outbox.
struct Listed {
    entry: Entry,
    what: What,
}

enum What {
    Batch(i64),
    Calls(Kind, Vec<i64>),
    Aside(Box<Noted>),
}

impl Listed {
    fn all(folder: &Path, outbox: &Outbox) -> Result<Vec<Self>> {
        let name = |path: Option<&Path>| {
            let name = path.and_then(Path::file_name).unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let (project, model) = (name(folder.parent()), name(Some(folder)));
        let entry = |id: String, kind: Kind, rows| Entry {
            project: project.clone(),
            model: model.clone(),
            id,
            kind: kind.name().to_owned(),
            state: State::Waiting,
            rows,
            tries: 0,
            next_try: None,
            error: None,
        };
        let mut all: Vec<Self> = Vec::new();
        let now = Timestamp::now();
        for queued in outbox.list()? {
            if let Some(batch) = queued.batch {
                let mut entry = entry(format!("batch-{}", batch.id), queued.kind, queued.rows);
                entry.tries = batch.tries;
                entry.next_try = batch.next_try.filter(|next| *next > now);
                entry.error = batch.error;
                if entry.next_try.is_some() {
                    entry.state = State::Delayed;
                }
                let what = What::Batch(batch.id);
                all.push(Self { entry, what });
                continue;
            }
            match all.last_mut() {
                Some(Self {
                    entry,
                    what: What::Calls(kind, segments),
                }) if *kind == queued.kind => {
                    entry.rows += queued.rows;
                    segments.push(queued.seq);
                }
                _ => all.push(Self {
                    entry: entry(format!("calls-{}", queued.seq), queued.kind, queued.rows),
                    what: What::Calls(queued.kind, vec![queued.seq]),
                }),
            }
        }
        for (state, name) in [(State::Damaged, DAMAGED), (State::Dead, DEAD_LETTER)] {
            for noted in note::all(&folder.join(name))? {
                let note = noted.note.as_ref();
                let reason = note.map_or("its note cannot be read", |note| note.reason.as_str());
                let entry = Entry {
                    project: project.clone(),
                    model: model.clone(),
                    id: format!("{name}/{}", noted.name),
                    kind: note.map_or_else(String::new, |note| note.kind.clone()),
                    state,
                    rows: noted.rows(),
                    tries: 0,
                    next_try: None,
                    error: Some(reason.to_owned()),
                };
                let what = What::Aside(Box::new(noted));
                all.push(Self { entry, what });
            }
        }
        Ok(all)
    }
}

/// The one entry that `id` names, with its outbox.
fn find(store: &Path, id: &str) -> Result<(PathBuf, Listed)> {
    let mut found = Vec::new();
    for folder in outbox_folders(store)? {
        for listed in Listed::all(&folder, &Outbox::open(&folder)?)? {
            let entry = &listed.entry;
            let whole = format!("{}/{}/{}", entry.project, entry.model, entry.id);
            if id == entry.id || id == whole {
                found.push((whole, folder.clone(), listed));
            }
        }
    }
    let several: Vec<String> = found.iter().map(|(whole, ..)| whole.clone()).collect();
    match (found.pop(), found.is_empty()) {
        (Some((_, folder, listed)), true) => Ok((folder, listed)),
        (None, _) => {
            let message = format!("nothing in the outboxes is called `{id}`");
            Err(Error::new(ErrorKind::NotFound, "find rows", message)
                .with("store", store.display())
                .remedy("`driftline sink list` shows the ids; one that has arrived is not there any more"))
        }
        (Some(_), false) => {
            let message = format!("`{id}` is in several outboxes");
            Err(Error::new(ErrorKind::InvalidConfig, "find rows", message)
                .remedy(format!("give one of {}", several.join(", "))))
        }
    }
}

/// Accepts rows or labels that were taken out, and removes them where they were.
fn accept_again(outbox: &mut Outbox, entry: &Entry, noted: &Noted) -> Result<()> {
    let unreadable = |message: &str| {
        Error::new(ErrorKind::InvalidData, "send rows again", message)
            .with("file", noted.path.display())
            .remedy("publish these rows again, or give them up with `driftline sink skip`")
    };
    let (Some(note), Some(kind)) = (&noted.note, Kind::named(&entry.kind)) else {
        return Err(unreadable("the note cannot be read"));
    };
    let file = noted.file();
    if kind == Kind::Labels {
        let labels = match &note.unreadable {
            Some(text) => pairs(text)?,
            None => note.labels.clone(),
        };
        let label = |(event_id, target)| EventLabel { event_id, target };
        let labels: Vec<EventLabel> = labels.into_iter().map(label).collect();
        outbox.accept_labels(&labels, u64::MAX)?;
    } else {
        let file = file.as_deref();
        let file = file.ok_or_else(|| unreadable("the note names no file with rows"))?;
        let rows: Vec<_> = RowsReader::open(file)?.collect::<Result<_>>()?;
        for rows in &rows {
            outbox.accept(kind, rows, u64::MAX)?;
        }
    }
    remove(file.as_deref(), &noted.path)
}

/// The rows first: a note without rows says so, rows without a note would say nothing.
fn remove(file: Option<&Path>, note: &Path) -> Result<()> {
    for path in file.into_iter().chain([note]) {
        match fs::remove_file(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.map_err(|e| Error::io("remove what was sent again", path, e))?,
        }
    }
    Ok(())
}

fn bury(outbox: &mut Outbox, id: i64) -> Result<PathBuf> {
    let batch = outbox.batch(id)?;
    match outbox.bury(&batch, SKIPPED) {
        Err(error) if !outbox.examine(&batch)?.damaged.is_empty() => Err(error.remedy(
            "its damaged rows were moved aside: `driftline sink list` shows them and the rest",
        )),
        buried => buried,
    }
}

/// Moves a damaged segment to the dead letters: its note at last, so that a kill leaves it where it was.
fn bury_damaged(folder: &Path, noted: &Noted) -> Result<PathBuf> {
    let dead = folder.join(DEAD_LETTER);
    create_folder(&dead)?;
    let name = format!("damaged-{}", noted.name);
    let kind = noted.note.as_ref().and_then(|note| Kind::named(&note.kind));
    let mut note = Note::new(SKIPPED, kind.unwrap_or(Kind::Events), noted.rows(), None);
    if let Some(old) = &noted.note {
        note.reason = format!("{SKIPPED}; {}", old.reason);
        note.project.clone_from(&old.project);
        note.model.clone_from(&old.model);
        note.unreadable.clone_from(&old.unreadable);
    }
    if let Some(file) = noted.file() {
        let moved = format!("{name}.parquet");
        match fs::rename(&file, dead.join(&moved)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(|e| Error::io("skip rows", &file, e))?,
        }
        note.file = Some(moved);
    }
    let path = note.write(&dead, &name)?;
    remove(None, &noted.path)?;
    Ok(path)
}

/// The outbox's lock, which whoever delivers has; a delivery that is about to end is waited for.
fn lock_soon(folder: &Path) -> Result<Option<File>> {
    let start = Instant::now();
    loop {
        match try_lock(folder)? {
            None if start.elapsed() < PATIENCE => sleep(PATIENCE / 100),
            found => return Ok(found),
        }
    }
}
