//! `driftline labels publish` and `driftline sink flush` with the local sink.

use crate::common::Workspace;

const MODEL: &str = "sample-resnet18";

#[test]
fn labels_that_come_later_are_in_the_store_once() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run"]);
    let expected = workspace.label_file(workspace.rows("driftline-store", MODEL));
    let printed = workspace.json(&["labels", "publish", "labels.csv"]);
    assert_eq!(printed["labels"], 2);
    assert_eq!(printed["changed"], 1);
    assert_eq!(workspace.rows("driftline-store", MODEL), expected);

    let again = workspace.json(&["labels", "publish", "labels.csv"]);
    assert_eq!(again["changed"], 0);
    let flushed = workspace.json(&["sink", "flush", "--sink", "local"]);
    assert_eq!(flushed[0]["model"], MODEL);
    // Nothing waits for Fiddler here, so no address and no token is asked for.
    assert_eq!(
        workspace.json(&["sink", "flush"]).as_array().unwrap().len(),
        0
    );
}

#[test]
fn a_label_file_that_is_wrong_at_its_end_changes_nothing() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run"]);
    let before = workspace.rows("driftline-store", MODEL);
    let id = before.keys().next_back().unwrap();
    let labels = format!("event_id,target\n{id},something\n,x\n");
    std::fs::write(workspace.path("labels.csv"), labels).unwrap();
    let publish = ["labels", "publish", "labels.csv"];
    workspace.fails(
        &publish,
        1,
        &["labels.csv", "row: 1", "`event_id` is empty"],
    );
    assert_eq!(workspace.rows("driftline-store", MODEL), before);
    workspace.fails(
        &["labels", "publish", "labels.csv", "--project", "other"],
        1,
        &["no such model", "image_monitoring/sample-resnet18"],
    );
    workspace.fails(
        &["labels", "publish", "labels.csv", "--store", "elsewhere"],
        1,
        &["nothing was run into this store"],
    );
}
