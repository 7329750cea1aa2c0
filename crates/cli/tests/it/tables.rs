//! What a terminal shows: tables that fit it, colours, help and man pages.

use std::fs;
use std::process::{Command, Output};

use crate::common::{NOW, Workspace, stderr};
use serde_json::Value;

/// Columns of a terminal whose size is not known.
const WIDTH: usize = 80;

/// `command` without the variables that decide about width, colours and log.
fn plain(mut command: Command) -> Command {
    for name in [
        "COLUMNS",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "DRIFTLINE_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

fn succeed(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn show(workspace: &Workspace, arguments: &[&str]) -> String {
    succeed(plain(workspace.command(arguments)))
}

/// The widths of the tables in `text`: each has one rule, which is as wide as the table.
fn widths(text: &str) -> Vec<usize> {
    let rules = text.lines().filter(|line| line.contains('─'));
    rules.map(|rule| rule.chars().count()).collect()
}

/// A store with a run in it, and row files of clean and of dark images.
fn filled() -> Workspace {
    let workspace = Workspace::new();
    workspace.small_run();
    for (source, rows, transform) in [
        ("train", "baseline.parquet", "none"),
        ("test", "dark.parquet", "brightness(0.4)"),
    ] {
        workspace.json(&["embed", source, "-o", rows, "--transform", transform]);
    }
    workspace
}

const DRIFT: [&str; 5] = [
    "drift",
    "--baseline",
    "baseline.parquet",
    "--window",
    "dark.parquet",
];

#[test]
fn every_table_fits_80_columns() {
    let workspace = filled();
    let every = "hotelling,properties,predictions,mmd,total-variation,reconstruction,psi";
    for (tables, arguments) in [
        (3, &["run", "--now", NOW] as &[&str]),
        (1, &DRIFT),
        (1, &[&DRIFT[..], &["--statistic", every]].concat()),
        (1, &["statistics"]),
        (1, &["backends"]),
        (1, &["transforms"]),
        (1, &["sinks"]),
        (1, &["doctor"]),
        (1, &["model", "inspect", "sample"]),
        (1, &["runtime", "list"]),
        (1, &["plugin", "list"]),
        (1, &["plugin", "path"]),
        (1, &["store", "compact"]),
        (
            1,
            &[
                "power",
                "test",
                "--transform",
                "blur",
                "--sweep",
                "sigma=0.1..2",
                "--steps",
                "2",
                "--windows",
                "10",
                "--window-rows",
                "10,20,30,40,50,60,100",
            ],
        ),
        (
            1,
            &[
                "calibrate",
                "baseline.parquet",
                "--baseline-rows",
                "200",
                "--window-rows",
                "10,20,30,40",
                "--windows",
                "10",
            ],
        ),
    ] {
        let text = show(&workspace, arguments);
        let widths = widths(&text);
        assert_eq!(widths.len(), tables, "{arguments:?}:\n{text}");
        assert!(
            widths.iter().all(|width| *width <= WIDTH),
            "{arguments:?}:\n{text}"
        );
        assert!(!text.contains('\u{1b}'), "{arguments:?}:\n{text}");
    }
    let mut limited = plain(workspace.command(DRIFT));
    limited.args([
        "--statistic",
        every,
        "--fail-above",
        "total-variation=0.125",
    ]);
    let text = String::from_utf8(limited.output().unwrap().stdout).unwrap();
    assert!(text.contains("0.125"), "{text}");
    assert!(widths(&text).iter().all(|width| *width <= WIDTH), "{text}");
}

#[test]
fn no_word_of_a_list_is_split() {
    let workspace = Workspace::new();
    for list in ["statistics", "backends", "transforms", "sinks"] {
        for columns in ["80", "60", "200"] {
            let mut command = plain(workspace.command([list]));
            command.env("COLUMNS", columns);
            let text = succeed(command);
            for entry in workspace.json(&[list]).as_array().unwrap() {
                for key in ["name", "summary"] {
                    for word in entry[key].as_str().unwrap().split(' ') {
                        assert!(text.contains(word), "`{word}` is split:\n{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn verdicts_have_colours_on_a_terminal_and_never_with_no_color() {
    let workspace = filled();
    let red = "\u{1b}[31mdrift";
    let forced = |no_color: bool| {
        let mut command = plain(workspace.command(DRIFT));
        command.env("CLICOLOR_FORCE", "1");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        succeed(command)
    };
    assert!(forced(false).contains(red), "{:?}", forced(false));
    assert!(!forced(true).contains('\u{1b}'), "{:?}", forced(true));
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_colours_and_its_own_width() {
    let workspace = filled();
    let on_terminal = |no_color: &str| {
        let driftline = env!("CARGO_BIN_EXE_driftline");
        let line = format!("stty cols 60; {no_color} {driftline} {}", DRIFT.join(" "));
        let mut command = plain(workspace.program("script"));
        command
            .env("TERM", "xterm")
            .args(["-qec", &line, "/dev/null"]);
        succeed(command)
    };
    let text = on_terminal("");
    assert!(text.contains("\u{1b}[31mdrift"), "{text:?}");
    let text = on_terminal("NO_COLOR=1");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    // The rule of a line ends with the carriage return of a terminal.
    let rules = text.lines().filter(|line| line.contains('─'));
    assert!(rules.clone().count() > 0);
    assert!(
        rules
            .into_iter()
            .all(|rule| rule.trim_end().chars().count() <= 60),
        "{text}"
    );
}

#[test]
fn the_three_largest_changes_are_shown_and_all_on_request() {
    let workspace = filled();
    let all: Value = workspace.json(&DRIFT);
    let words = all["explanation"]["changes"].as_array().unwrap();
    assert!(words.len() > 3, "{words:?}");
    let line = |more: &[&str]| {
        let text = show(&workspace, &[&DRIFT[..], more].concat());
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("what changed: "));
        lines.next().unwrap().to_owned()
    };
    let joined = |words: &[Value]| {
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        words.join(", ")
    };
    let more = words.len() - 3;
    assert_eq!(
        line(&[]),
        format!(
            "{} (and {more} more, see --all-changes)",
            joined(&words[..3])
        )
    );
    assert_eq!(line(&["--all-changes"]), joined(words));
}

#[test]
fn more_is_logged_with_v_or_by_the_environment() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("plugins")).unwrap();
    fs::write(workspace.path("plugins/bad.plugin.toml"), "nonsense").unwrap();
    let log = |filter: &str, more: &[&str]| {
        let mut command = plain(workspace.command(["statistics", "--plugin-path", "plugins"]));
        let mut list = plain(workspace.command(["backends", "--plugin-path", "plugins"]));
        for command in [&mut command, &mut list] {
            command.env("DRIFTLINE_LOG", filter).args(more);
        }
        assert!(command.output().unwrap().status.success());
        stderr(&list.output().unwrap())
    };
    let left_out = "a plugin is left out";
    assert!(log("warn", &[]).contains(left_out));
    assert!(!log("error", &[]).contains(left_out));
    assert!(log("error", &["-v"]).contains(left_out));
    let help = show(&workspace, &["--help"]);
    for part in ["--verbose", "DRIFTLINE_LOG", "NO_COLOR", "Exit codes"] {
        assert!(help.contains(part), "no `{part}` in {help}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    let workspace = Workspace::new();
    show(&workspace, &["man", "man"]);
    let mut pages = 0;
    for page in fs::read_dir(workspace.path("man")).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        for part in [
            ".TH driftline",
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH DESCRIPTION",
            "verbose",
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        pages += 1;
    }
    for command in [
        "",
        "-quickstart",
        "-serve",
        "-plugin-test",
        "-store-compact",
        "-sink-retry",
    ] {
        assert!(
            workspace
                .path("man")
                .join(format!("driftline{command}.1"))
                .is_file(),
            "{command}"
        );
    }
    // 23 commands, their 22 subcommands, and driftline itself.
    assert!(pages >= 40, "{pages}");
    let page = show(&workspace, &["man"]);
    for part in ["driftline\\-quickstart", "DRIFTLINE_LOG", "Exit codes"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
}
