//! Batch size, threads and repetition change nothing that is published.

use crate::common::{NOW, Workspace, files, largest_difference};

/// Largest difference that the batch size may make to a value of an embedding or a score.
const BATCH_ROUNDING: f32 = 1e-5;

#[test]
fn batch_size_and_threads_change_neither_ids_nor_embeddings() {
    let workspace = Workspace::new();
    workspace.small_run();
    let rows = |batch: &str, threads: &str| {
        let store = format!("store-{batch}-{threads}");
        let summary = workspace.json(&[
            "run",
            "--now",
            NOW,
            "--store",
            &store,
            "--batch-size",
            batch,
            "--threads",
            threads,
        ]);
        assert_eq!(summary["sink"]["rows_published"], 400);
        workspace.rows(&store, "sample-resnet18")
    };
    let expected = rows("256", "1");
    assert_eq!(expected.len(), 300 + 400);
    assert_eq!(rows("256", "2"), expected, "threads changed a bit");
    let (ones, sevens) = (rows("1", "2"), rows("7", "2"));
    assert_eq!(rows("1", "1"), ones, "threads changed a bit");
    assert_eq!(rows("7", "1"), sevens, "threads changed a bit");
    for found in [ones, sevens] {
        assert!(found.keys().eq(expected.keys()), "other event ids");
        for (id, row) in &found {
            let expected = &expected[id];
            let largest = largest_difference(&row.embedding, &expected.embedding)
                .max(largest_difference(&row.scores, &expected.scores));
            assert!(largest <= BATCH_ROUNDING, "{id} differs by {largest}");
            let mut same = row.clone();
            same.embedding.clone_from(&expected.embedding);
            same.scores.clone_from(&expected.scores);
            assert_eq!(same, *expected);
        }
    }
}

#[test]
fn a_second_run_of_the_same_command_doubles_nothing() {
    let workspace = Workspace::new();
    workspace.small_run();
    // Without --now: the first run fixes the calendar.
    let first = workspace.json(&["run"]);
    let events = workspace.path("driftline-store/image_monitoring/sample-resnet18");
    let before = files(&events);
    let second = workspace.json(&["run"]);
    assert_eq!(second["run_id"], first["run_id"]);
    assert_eq!(second["windows"], first["windows"]);
    assert_eq!(first["sink"]["rows_published"], 400);
    assert_eq!(first["sink"]["rows_duplicate"], 0);
    assert_eq!(second["sink"]["rows_published"], 0);
    assert_eq!(second["sink"]["rows_duplicate"], 400);
    assert_eq!(files(&events), before, "a file changed");

    let other_seed = workspace.json(&["run", "--seed", "7"]);
    assert_ne!(other_seed["run_id"], first["run_id"]);
    let named = workspace.json(&["run", "--run-id", "mine", "--store", "other"]);
    assert_eq!(named["run_id"], "mine");
    let rows = workspace.rows("other", "sample-resnet18");
    assert!(rows.keys().all(|id| id.starts_with("mine-")), "{rows:?}");
}
