//! No library tells its user to pass a flag: a program that embeds driftline has none.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The crates whose users have a command line.
const COMMANDS: [&str; 2] = ["crates/cli", "crates/xtask"];

#[test]
fn no_library_names_a_flag() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut files, mut found) = (0, String::new());
    for part in ["crates", "plugins", "conformance"] {
        for file in rust_files(&workspace.join(part)) {
            let shown = file.strip_prefix(&workspace).unwrap();
            let is_source = shown.components().any(|part| part.as_os_str() == "src");
            if !is_source || COMMANDS.iter().any(|command| shown.starts_with(command)) {
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&file).unwrap();
            for line in flags(text.parse().unwrap()) {
                writeln!(found, "{}:{line}", shown.display()).unwrap();
            }
        }
    }
    assert!(files > 150, "{files} files");
    assert!(
        found.is_empty(),
        "name the setting, as in `backend.device=cpu`, and give it its flag in crates/cli/src/flags.rs:\n{found}"
    );
}

#[test]
fn a_flag_is_found_where_a_user_reads_it() {
    let lines = |text: &str| flags(text.parse().unwrap());
    let code = r#"
        //! Read with `--flag`.
        /// Read with `--flag`.
        fn f() {
            say("use `--device cpu`");
            say(format!("give
                another --store"));
            pip(["--quiet"]);
        }
        #[cfg(test)]
        mod tests {
            const TEXT: &str = "run with --nocapture";
        }
        const AFTER: &str = "or --model";
    "#;
    assert_eq!(lines(code), [5, 6, 14]);
}

/// Every Rust file below `folder`.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines at which literals begin that name a flag, apart from attributes and tests.
fn flags(tokens: TokenStream) -> Vec<usize> {
    let mut found = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut in_test = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // An attribute of what it stands in begins with `#!`.
                tokens.next_if(
                    |next| matches!(next, TokenTree::Punct(punct) if punct.as_char() == '!'),
                );
                if let Some(TokenTree::Group(attribute)) = tokens.next_if(is_in_brackets) {
                    in_test |= attribute.to_string().replace(' ', "") == "[cfg(test)]";
                }
            }
            // The end of the item that an attribute belongs to.
            TokenTree::Group(group) if in_test && group.delimiter() == Delimiter::Brace => {
                in_test = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_test = false,
            TokenTree::Group(group) if !in_test => found.extend(flags(group.stream())),
            TokenTree::Literal(literal) if !in_test && names_a_flag(&literal.to_string()) => {
                found.push(literal.span().start().line);
            }
            _ => {}
        }
    }
    found
}

fn is_in_brackets(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

/// Whether a text has a flag in it. One that is a flag is an argument for another program.
fn names_a_flag(literal: &str) -> bool {
    literal.match_indices("--").any(|(at, _)| {
        let is_word = literal[at + 2..].starts_with(|c: char| c.is_ascii_lowercase());
        is_word && literal[..at].ends_with([' ', '`', '(', '\n'])
    })
}
