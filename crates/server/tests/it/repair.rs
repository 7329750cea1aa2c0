//! `server.db` and uploads that were damaged: found, repaired, and the server goes on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::{Data, Running, parquet};
use driftline_server::{ServeConfig, Server, check, repair};
use rusqlite::Connection;
use serde_json::{Value, json};

const WEEK: Duration = Duration::from_secs(8 * 24 * 3600);

/// A store with a model that has 10 rows, and an upload that was not published. Ids of the model and the upload.
fn served(store: &Path) -> (Value, String) {
    let server = Running::start(store);
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    api.succeeds(&api.publish(&model, None, parquet(&Data::new(10, 1).typed(true))));
    let file = api.upload("rows.parquet", parquet(&Data::new(10, 2).typed(true)));
    (model, file["id"].as_str().unwrap().to_owned())
}

fn database(store: &Path) -> Connection {
    Connection::open(store.join(".driftline/server.db")).unwrap()
}

fn goes_on(store: &Path, model: &Value) {
    let server = Running::start(store);
    let api = &server.api;
    let rows = parquet(&Data::new(10, 3).typed(true));
    api.succeeds(&api.publish(model, None, rows));
}

#[test]
fn a_sound_store_has_no_findings_also_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(folder.path()).unwrap(), []);
    assert_eq!(repair(folder.path()).unwrap(), []);
    served(folder.path());
    assert_eq!(check(folder.path()).unwrap(), []);
    assert_eq!(repair(folder.path()).unwrap(), []);
    let server = Running::start(folder.path());
    assert_eq!(check(folder.path()).unwrap(), []);
    let error = repair(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another server has this store"), "{error}");
    drop(server);
}

#[test]
fn entries_that_cannot_be_read_are_set_aside_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path();
    let (model, upload) = served(store);
    let uploads = store.join(".driftline/uploads");
    {
        let database = database(store);
        let change = |sql: &str| assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
        change("UPDATE document SET body = 'damage' WHERE kind = 'environment'");
        change("UPDATE document SET body = x'ff00' WHERE kind = 'job'");
        let missing = "00000000-0000-4000-8000-00000000000a";
        for (job, work) in [
            ("00000000-0000-4000-8000-000000000001", "{".to_owned()),
            (
                "00000000-0000-4000-8000-000000000002",
                json!({"work": "inspect", "files": [missing]}).to_string(),
            ),
        ] {
            let insert = "INSERT INTO queue (job, work) VALUES (?1, ?2)";
            database.execute(insert, [job, &work]).unwrap();
        }
    }
    let stray = uploads.join("00000000-0000-4000-8000-00000000000b.3");
    let file = File::create(&stray).unwrap();
    file.set_modified(SystemTime::now() - WEEK).unwrap();

    let found = check(store).unwrap();
    assert_eq!(found, check(store).unwrap(), "a check changes nothing");
    let problems: Vec<String> = found.iter().map(ToString::to_string).collect();
    let all = problems.join("\n");
    for part in [
        "of kind environment cannot be read",
        "of kind job cannot be read",
        "job 00000000-0000-4000-8000-000000000001: the work of the job cannot be read",
        "its upload 00000000-0000-4000-8000-00000000000a is not there",
        "00000000-0000-4000-8000-00000000000b.3: no document, data set or job names this upload",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert_eq!(found.len(), 5, "{all}");

    let done = repair(store).unwrap();
    assert_eq!(done.len(), 4, "{done:?}");
    assert!(done.iter().all(|finding| finding.repaired), "{done:?}");
    // Work that cannot be read may have named it.
    assert!(stray.exists());
    repair(store).unwrap();
    assert!(!stray.exists());
    assert!(uploads.join(upload).exists());
    let left = check(store).unwrap();
    assert_eq!(left.len(), 3, "what is set aside is told: {left:?}");
    assert!(left.iter().all(|finding| finding.repaired), "{left:?}");
    goes_on(store, &model);
}

/// Overwrites pages from the second on, as far as `share` of the file.
fn overwrite(path: &Path, from: u64, pages: u64) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut head = [0; 18];
    file.read_exact(&mut head).unwrap();
    let size = u64::from(u16::from_be_bytes([head[16], head[17]]));
    file.seek(SeekFrom::Start(from * size)).unwrap();
    file.write_all(&vec![0xa5; (pages * size) as usize])
        .unwrap();
}

#[test]
fn what_can_be_read_of_a_damaged_database_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path();
    let (model, _) = served(store);
    let path = store.join(".driftline/server.db");
    let jobs = 2_000;
    {
        let database = database(store);
        let insert = "INSERT INTO document (kind, id, body) VALUES ('job', ?1, ?2)";
        database.execute_batch("BEGIN").unwrap();
        for number in 0..jobs {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            let job = json!({
                "id": id, "name": "Publish events", "status": "SUCCESS", "progress": 100.0,
                "error_reason": null, "error_message": null, "created_at": "2026-11-01T00:00:00Z",
            });
            database.execute(insert, [id, job.to_string()]).unwrap();
        }
        database.execute_batch("COMMIT").unwrap();
    }
    let pages = std::fs::metadata(&path).unwrap().len() / 4_096;
    assert!(pages > 100, "{pages}");
    overwrite(&path, pages / 2, 4);
    let found = check(store).unwrap();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|finding| !finding.repaired && finding.rows_lost.is_none())
    );

    let done = repair(store).unwrap();
    assert!(done.iter().all(|finding| finding.repaired), "{done:?}");
    assert_eq!(check(store).unwrap(), []);
    assert!(store.join(".driftline/server.db.damaged-1").exists());
    let left: i64 = database(store)
        .query_row(
            "SELECT count(*) FROM document WHERE kind = 'job'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(left > jobs / 2 && left <= jobs + 1, "{left}");
    goes_on(store, &model);
}

#[test]
fn a_file_that_is_no_database_at_all_makes_room_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path();
    served(store);
    let path = store.join(".driftline/server.db");
    overwrite(&path, 0, 2);
    assert_eq!(check(store).unwrap().len(), 1);
    assert_eq!(repair(store).unwrap().len(), 1);
    assert_eq!(check(store).unwrap(), []);
    // The rows are in the store, which the server discovers.
    let server = Running::start(store);
    let models = server.api.ok_get("/v3/models?limit=50&offset=0");
    assert_eq!(models["items"][0]["name"], "m");
}

#[test]
fn a_repair_that_was_interrupted_is_ended_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path();
    let (model, _) = served(store);
    let at = |name: &str| store.join(".driftline").join(name);
    // The new database was whole, and the old one may have been moved or not.
    for is_moved in [false, true] {
        std::fs::copy(at("server.db"), at("server.db.salvaged")).unwrap();
        if is_moved {
            std::fs::rename(at("server.db"), at("server.db.damaged-9")).unwrap();
        }
        let config = ServeConfig::new(store.to_owned());
        let error = Server::bind(config).unwrap_err().to_string();
        assert!(error.contains("was interrupted"), "{error}");
        assert_eq!(check(store).unwrap().len(), 1);
        let done = repair(store).unwrap();
        assert!(done.len() == 1 && done[0].repaired, "{done:?}");
        assert!(!at("server.db.salvaged").exists());
        goes_on(store, &model);
    }
    // It was not whole.
    std::fs::write(at("server.db.partial"), "half").unwrap();
    overwrite(&at("server.db"), 1, 1);
    assert!(!check(store).unwrap().is_empty());
    repair(store).unwrap();
    assert!(!at("server.db.partial").exists());
    assert_eq!(check(store).unwrap(), []);
}
