//! What a check says of a damaged store, and what a repair leaves.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::fs;
use std::path::Path;

use crate::common::{assert_events, copy, files, only_part, parts, rows, sink};
use driftline_core::{Finding, MonitorSink};
use driftline_sink_local::{Store, check, repair};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn filled(folder: &Path) {
    let mut sink = sink(folder);
    sink.publish_baseline(&rows(0..50)).unwrap();
    sink.publish_events(&rows(0..300)).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, &bytes).unwrap();
}

fn open(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|found| !found.repaired).collect()
}

#[test]
fn a_whole_store_has_no_findings_and_repairing_it_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(folder.path()).unwrap(), []);
    filled(folder.path());
    let before = files(folder.path());
    assert_eq!(check(folder.path()).unwrap(), []);
    assert_eq!(repair(folder.path()).unwrap(), []);
    assert!(files(folder.path()) == before);
}

#[test]
fn damage_is_named_with_the_rows_that_are_lost_and_set_aside_by_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let undamaged = files(folder.path());
    let path = only_part(folder.path(), "2026-11-02");
    flip(&path, 1_500);
    fs::write(folder.path().join("p/m/clusters.json"), "{").unwrap();
    let foreign = folder
        .path()
        .join("p/m/events/date=2026-11-01/garbage.parquet");
    fs::write(&foreign, b"garbage").unwrap();
    fs::write(folder.path().join("p/m/events/date=2026-12-01"), b"mine").unwrap();
    let leftover = folder.path().join("p/m/baseline/.driftline-1-0.tmp");
    fs::write(&leftover, b"PAR1").unwrap();

    let before = files(folder.path());
    let findings = check(folder.path()).unwrap();
    assert!(files(folder.path()) == before, "a check changes nothing");
    assert_eq!(open(&findings).len(), 4, "{findings:#?}");
    let of = |findings: &[Finding], path: &Path| {
        let found = findings.iter().find(|found| found.path == path);
        found
            .cloned()
            .unwrap_or_else(|| panic!("{} in {findings:#?}", path.display()))
    };
    assert_eq!(of(&findings, &path).rows_lost, Some(100));
    assert!(of(&findings, &foreign).repair.contains("somebody else"));

    let findings = repair(folder.path()).unwrap();
    assert!(of(&findings, &path).repaired && !path.exists());
    assert!(!of(&findings, &foreign).repaired && foreign.exists());
    assert_eq!(open(&findings).len(), 2, "{findings:#?}");
    assert!(!leftover.exists());
    assert_eq!(
        Store::open(folder.path(), "p", "m")
            .unwrap()
            .clusters()
            .unwrap(),
        None
    );

    fs::remove_file(&foreign).unwrap();
    fs::remove_file(folder.path().join("p/m/events/date=2026-12-01")).unwrap();
    let findings = check(folder.path()).unwrap();
    assert_eq!(open(&findings), [] as [&Finding; 0]);
    assert_eq!(
        findings
            .iter()
            .filter_map(|found| found.rows_lost)
            .sum::<u64>(),
        100
    );
    assert_eq!(
        sink(folder.path())
            .publish_events(&rows(0..300))
            .unwrap()
            .accepted,
        100
    );
    assert_events(folder.path(), 0..300);
    fs::remove_dir_all(folder.path().join("p/m/damaged")).unwrap();
    assert!(files(folder.path()) == undamaged);
}

#[test]
fn a_damaged_description_is_set_aside_and_comes_back_with_the_next_rows() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let path = folder.path().join("p/m/monitor.json");
    fs::write(&path, "{").unwrap();
    assert_eq!(open(&check(folder.path()).unwrap()).len(), 1);
    assert_eq!(open(&repair(folder.path()).unwrap()), [] as [&Finding; 0]);
    assert!(!path.exists());
    assert_eq!(
        sink(folder.path())
            .publish_events(&rows(0..310))
            .unwrap()
            .accepted,
        10
    );
    assert_events(folder.path(), 0..310);
}

/// The rows that a call had acknowledged are only in hidden files, and the list of these is damaged.
#[test]
fn rows_of_a_damaged_journal_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    filled(&old);
    copy(&old, &new);
    sink(&new).publish_events(&rows(300..500)).unwrap();
    let known = parts(&old);
    for path in parts(&new) {
        let below = path.strip_prefix(&new).unwrap();
        if !known.contains(&old.join(below)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = old.join(below).with_file_name(format!(".{name}.new"));
            fs::create_dir_all(hidden.parent().unwrap()).unwrap();
            fs::copy(&path, hidden).unwrap();
        }
    }
    // A hidden file with rows that are there already, as when labels were being changed.
    let there = only_part(&old, "2026-11-02");
    fs::copy(
        &there,
        there.with_file_name(".part-x-100-0123456789abcdef.parquet.new"),
    )
    .unwrap();
    fs::write(old.join("p/m/rewrite.json"), b"{\"replaced\":[{").unwrap();

    let findings = check(&old).unwrap();
    assert_eq!(open(&findings).len(), 1, "{findings:#?}");
    assert!(findings[0].path.ends_with("rewrite.json"));
    assert_eq!(open(&repair(&old).unwrap()), [] as [&Finding; 0]);
    assert_events(&old, 0..500);
    assert_eq!(open(&check(&old).unwrap()), [] as [&Finding; 0]);
    assert_eq!(
        sink(&old).publish_events(&rows(0..500)).unwrap().accepted,
        0
    );
}

/// Bits flipped anywhere in any file of a store: the others are unharmed, the loss is named, and repairing and publishing
/// again brings all rows back. `DRIFTLINE_TEST_FULL` makes 1,000 of them.
#[test]
fn a_flipped_bit_in_any_file_costs_at_most_its_own_rows() {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let count = match std::env::var_os("DRIFTLINE_TEST_FULL") {
        Some(_) => 1_000,
        None => 40,
    };
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    filled(&source);
    let names: Vec<_> = files(&source).into_keys().collect();
    for round in 0..count {
        let store = folder.path().join(format!("{round}"));
        copy(&source, &store);
        let name = &names[round % names.len()];
        let mut bytes = fs::read(store.join(name)).unwrap();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        fs::write(store.join(name), &bytes).unwrap();
        let case = format!("round {round}, byte {at} of {}", name.display());

        let is_part = name.to_string_lossy().contains("part-");
        let findings = check(&store).unwrap();
        if is_part {
            assert_eq!(open(&findings).len(), 1, "{case}: {findings:#?}");
            assert_eq!(findings[0].path, store.join(name), "{case}");
        }
        let repaired = repair(&store).unwrap();
        // A description may be damaged so that it is another description: then its rows are refused, not mixed up.
        if is_part {
            assert_eq!(open(&repaired), [] as [&Finding; 0], "{case}");
            let mut sink = sink(&store);
            sink.publish_baseline(&rows(0..50)).unwrap();
            sink.publish_events(&rows(0..300)).unwrap();
            assert_events(&store, 0..300);
        }
        fs::remove_dir_all(&store).unwrap();
    }
}
