//! Where output goes: streams that fail, that are closed, and terminals that obey what they are shown.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use crate::common::server::TOKEN;
use crate::common::{NOW, Workspace, stderr};
use driftline::data::Split;

#[cfg(target_os = "linux")]
fn full() -> Stdio {
    fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

fn run_on(mut command: Command, stdout: Stdio, stderr: Stdio) -> Output {
    let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
    child.wait_with_output().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_can_tell_nothing_publishes_everything() {
    let workspace = Workspace::new();
    workspace.small_run();
    let run = |store: &str| workspace.command(["run", "--now", NOW, "--store", store]);
    let output = run_on(run("told"), Stdio::null(), Stdio::piped());
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run_on(run("silent"), Stdio::null(), full());
    assert_eq!(output.status.code(), Some(0));
    let model = "sample-resnet18";
    let rows = workspace.rows("silent", model);
    assert!(rows.len() == 700, "{}", rows.len());
    assert!(rows == workspace.rows("told", model));
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_cannot_be_written_is_a_failure() {
    let workspace = Workspace::new();
    for arguments in [
        &["statistics"] as &[&str],
        &["statistics", "--json"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
        let output = run_on(workspace.command(arguments), full(), Stdio::piped());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(
            message.contains("No space left"),
            "{arguments:?}: {message}"
        );
        assert!(!message.contains("panicked"), "{message}");
        // Nor can it be said why.
        let output = run_on(workspace.command(arguments), full(), full());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let workspace = Workspace::new();
    for arguments in [
        &["completions", "bash"] as &[&str],
        &["statistics"],
        &["statistics", "--json"],
        &["backends"],
        &["man"],
        &["--help"],
    ] {
        let mut command = workspace.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn a_closed_stderr_changes_no_exit_code() {
    let workspace = Workspace::new();
    for (arguments, code) in [
        (&["model", "inspect", "missing.pth"] as &[&str], 1),
        (&["drift"], 2),
        (&["embed", "sample", "-o", "x", "--backend", "nonsense"], 2),
    ] {
        let mut command = workspace.command(arguments);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        drop(child.stderr.take());
        let output = child.wait_with_output().unwrap();
        let told = workspace.run(arguments);
        assert_eq!(told.status.code(), Some(code), "{}", stderr(&told));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
#[cfg(unix)]
fn names_of_files_tell_a_terminal_nothing() {
    let workspace = Workspace::new();
    let images = workspace.images("images", Split::Test, 3);
    let class = images.join("\u{1b}[2Jclass\u{9b}31m");
    fs::create_dir(&class).unwrap();
    fs::write(class.join("\u{1b}]0;title\u{7}.png"), "no image").unwrap();
    let obeyed = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'),
            "{text:?}"
        );
        text
    };
    for more in [&[] as &[&str], &["--json"], &["--on-error", "fail"]] {
        let command = ["embed", "images", "-o", "rows.parquet"];
        let output = workspace.run(command.iter().chain(more));
        let told = obeyed(&output.stdout) + &obeyed(&output.stderr);
        assert_eq!(
            output.status.success(),
            more != ["--on-error", "fail"],
            "{told}"
        );
        if more != ["--json"] {
            assert!(told.contains("\\u{1b}]0;title\\u{7}.png"), "{told}");
        }
    }
    let missing = workspace.run(["embed", "\u{1b}[31mmissing", "-o", "rows.parquet"]);
    assert!(!missing.status.success());
    assert!(obeyed(&missing.stderr).contains("\\u{1b}[31mmissing"));
}

/// Starts `driftline serve`, and gives its first line of stdout and all of stderr after a moment.
fn serve(workspace: &Workspace, more: &[&str]) -> (String, String) {
    let mut child = workspace
        .command(["serve", "--store", "store"].iter().chain(more))
        .env("DRIFTLINE__SERVE__TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    // Whatever it has to say about its address is said by now, or within a moment.
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill().unwrap();
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    child.wait().unwrap();
    (line, log)
}

#[test]
fn a_token_in_clear_is_warned_of() {
    let workspace = Workspace::new();
    let warning = "the token travels in clear";
    let (_, log) = serve(&workspace, &["--listen", "0.0.0.0:0"]);
    assert!(log.contains(warning) && log.contains("--tls-cert"), "{log}");
    let (_, log) = serve(&workspace, &["--listen", "127.0.0.1:0"]);
    assert!(!log.contains(warning), "{log}");

    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .arg("-keyout")
        .arg(workspace.path("key.pem"))
        .arg("-out")
        .arg(workspace.path("cert.pem"))
        .output()
        .expect("the tests of TLS need `openssl`");
    assert!(made.status.success(), "{made:?}");
    let tls = [
        "--listen",
        "0.0.0.0:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ];
    let (line, log) = serve(&workspace, &tls);
    assert!(!log.contains(warning), "{log}");
    assert!(line.contains("https://0.0.0.0:"), "{line}");
    workspace.fails(&["serve", "--tls-cert", "cert.pem"], 2, &["--tls-key"]);
    let swapped = ["serve", "--tls-cert", "key.pem", "--tls-key", "cert.pem"];
    workspace.fails(&swapped, 1, &["key.pem", "openssl"]);
}
