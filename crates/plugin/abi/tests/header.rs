//! The header: its layout lines are those of the list, and it compiles as C11 and C++17 without a warning.

use std::path::Path;
use std::process::Command;

use driftline_abi::layout::header_lines;

const BEGIN: &str = "/* layout: begin */\n";
const END: &str = "/* layout: end */\n";

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn layout_lines_are_those_of_the_list() {
    let header = std::fs::read_to_string(folder().join("include/driftline_plugin.h")).unwrap();
    let (_, rest) = header.split_once(BEGIN).unwrap();
    let (lines, _) = rest.split_once(END).unwrap();
    assert_eq!(
        lines,
        header_lines(),
        "replace the layout lines of the header"
    );
}

fn compiles(arguments: &[&str], source: &str, file: &str) {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&work, source).expect("the target folder can be written");
    let output = Command::new("cc")
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"])
        .arg("-I")
        .arg(folder().join("include"))
        .arg(&work)
        .output()
        .expect("a C compiler is needed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const SOURCE: &str = "#include <driftline_plugin.h>\nDlPlugin plugin;\n";

#[test]
fn the_header_is_c11() {
    compiles(&["-std=c11", "-xc"], SOURCE, "header.c");
}

#[test]
fn the_header_is_cpp17() {
    compiles(&["-std=c++17", "-xc++"], SOURCE, "header.cpp");
}

#[test]
#[should_panic(expected = "assert")]
fn another_layout_does_not_compile() {
    let source = "#include <driftline_plugin.h>\nDL_OFFSET(DlError, cap, 8);\n";
    compiles(&["-std=c11", "-xc"], source, "moved.c");
}
