//! No circles among the modules of a crate: whoever reads a module reads only what it builds on.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`tree`] | a crate as it is written: modules, what each defines, imports and names |
//! | [`names`] | the paths in a piece of code |
//! | [`resolve`] | the module that defines what a path names, and so the arrows between modules |
//! | [`circle`] | the circles among arrows |
//!
//! An arrow goes from a module to the one that defines what it names. Declaring a child and re-exporting from it is no
//! arrow; using what is in it is one. Code for tests is left out. Circles among crates need no check: cargo refuses them.

mod circle;
mod names;
mod resolve;
mod tree;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cargo;
use circle::Circle;
use tree::Tree;

/// Folders of packages that are workspaces of their own.
const ALONE: [&str; 3] = ["crates/fuzz", "plugins/tch", "plugins/template-rust"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Target {
    /// Whether it is code that others build on or run, and no test.
    fn is_checked(&self) -> bool {
        !self
            .kind
            .iter()
            .any(|kind| kind == "test" || kind == "custom-build")
    }
}

/// Fails with the circles among the modules of any package of the repository.
pub(crate) fn check(workspace: &Path) -> Result<()> {
    let mut report = String::new();
    for folder in std::iter::once("").chain(ALONE) {
        for package in packages(workspace, &workspace.join(folder))? {
            for target in package.targets.iter().filter(|target| target.is_checked()) {
                let read = |path: &Path| std::fs::read_to_string(path);
                let tree = Tree::read(&target.src_path, &read)
                    .with_context(|| format!("cannot read the modules of {}", package.name))?;
                for circle in circle::circles(&resolve::arrows(&tree)) {
                    describe(&mut report, workspace, &package.name, &tree, &circle)?;
                }
            }
        }
    }
    ensure!(
        report.is_empty(),
        "modules that use each other:\n{report}move what both need into a module of its own"
    );
    Ok(())
}

fn packages(workspace: &Path, folder: &Path) -> Result<Vec<Package>> {
    let mut cargo = cargo::command(workspace, folder);
    let json = cargo::output(cargo.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_slice(&json)?;
    Ok(metadata.packages)
}

fn describe(
    report: &mut String,
    workspace: &Path,
    package: &str,
    tree: &Tree,
    circle: &Circle,
) -> Result<()> {
    let modules: Vec<&str> = circle.modules.iter().map(|i| tree.path(*i)).collect();
    writeln!(report, "{package}: {}", modules.join(", "))?;
    for arrow in &circle.arrows {
        let file = arrow.file.strip_prefix(workspace).unwrap_or(&arrow.file);
        writeln!(
            report,
            "  {}:{}: {} uses {} ({})",
            file.display(),
            arrow.line,
            tree.path(arrow.from),
            tree.path(arrow.to),
            arrow.name,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// The circles of a crate whose files are given by name, the root first: the modules, and the lines of the arrows.
    fn circles(files: &[(&str, &str)]) -> Vec<(Vec<String>, Vec<String>)> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            let text = found.map(|(_, text)| (*text).to_owned());
            text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        let tree = Tree::read(Path::new(files[0].0), &read).unwrap();
        let found = circle::circles(&resolve::arrows(&tree));
        let describe = |circle: Circle| {
            let modules = circle.modules.iter().map(|i| tree.path(*i).to_owned());
            let arrows = circle.arrows.iter();
            let arrows = arrows.map(|arrow| format!("{}:{}", arrow.file.display(), arrow.line));
            (modules.collect(), arrows.collect())
        };
        found.into_iter().map(describe).collect()
    }

    fn assert_none(files: &[(&str, &str)]) {
        assert_eq!(circles(files), []);
    }

    fn assert_one(files: &[(&str, &str)], modules: &[&str], arrows: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(circles(files), [(owned(modules), owned(arrows))]);
    }

    #[test]
    fn two_modules_that_import_each_other_are_a_circle() {
        assert_one(
            &[
                ("lib.rs", "mod a;\nmod b;"),
                ("a.rs", "use crate::b::B;\npub struct A(B);"),
                ("b.rs", "pub struct B;\nuse super::a::A;"),
            ],
            &["a", "b"],
            &["a.rs:1", "b.rs:2"],
        );
    }

    #[test]
    fn one_direction_is_no_circle() {
        assert_none(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::A;"),
            ("a.rs", "use crate::b::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;"),
        ]);
    }

    #[test]
    fn a_name_of_the_root_is_that_of_the_module_that_defines_it() {
        // Through a chain of re-exports, one of them of everything.
        assert_one(
            &[
                ("lib.rs", "pub mod a;\npub mod b;\npub use b::*;"),
                ("a.rs", "use crate::Renamed;\npub fn a(_: Renamed) {}"),
                ("b.rs", "mod deep;\npub use deep::D as Renamed;"),
                ("b/deep.rs", "pub struct D;\nfn d() { crate::a::a(D) }"),
            ],
            &["a", "b::deep"],
            &["a.rs:1", "b/deep.rs:2"],
        );
    }

    #[test]
    fn a_parent_may_declare_and_export_its_child_but_not_use_it_and_be_used() {
        let child = "use super::Limit;\npub fn child(_: Limit) {}";
        assert_none(&[
            (
                "lib.rs",
                "mod child;\npub use child::child;\npub struct Limit;",
            ),
            ("child.rs", child),
        ]);
        assert_one(
            &[
                (
                    "lib.rs",
                    "mod child;\npub use child::child;\npub struct Limit;\nfn f() {\n child(Limit)\n}",
                ),
                ("child.rs", child),
            ],
            &["crate", "child"],
            &["lib.rs:5", "child.rs:1"],
        );
    }

    #[test]
    fn a_path_in_code_counts_without_an_import() {
        for code in [
            "fn b() -> crate::a::A { todo!() }",
            "fn b() { let _ = [vec![crate::a::A; 2]]; }",
            "struct B<T: Into<crate::a::A>>(T);",
            "#[derive(Serialize)] #[serde(with = \"crate::a::A\")] struct B;",
            "fn b() { use crate::{a::{self}}; }",
            "macro_rules! b { () => { $crate::a::A } }",
        ] {
            assert_one(
                &[
                    ("lib.rs", "mod a;\nmod b;"),
                    ("a.rs", "use crate::b;\npub struct A;"),
                    ("b.rs", code),
                ],
                &["a", "b"],
                &["a.rs:1", "b.rs:1"],
            );
        }
    }

    #[test]
    fn tests_visibilities_and_other_crates_do_not_count() {
        for code in [
            "#[cfg(test)] mod tests { use crate::a::A; }",
            "#[cfg(all(test, unix))] use crate::a::A;",
            "struct B; impl B { #[cfg(test)] fn b() { crate::a::A; } }",
            "pub(in crate::a) struct B;",
            "use a::A;",
            "fn b() { let a = 1; a.a(); ::a::A; }",
        ] {
            assert_none(&[
                ("lib.rs", "mod a;\nmod b;"),
                ("a.rs", "use crate::b;\npub struct A;"),
                ("b.rs", code),
            ]);
        }
    }

    #[test]
    fn what_is_compiled_for_users_as_well_as_for_tests_counts() {
        assert_one(
            &[
                ("lib.rs", "mod a;\nmod b;"),
                ("a.rs", "use crate::b;\npub struct A;"),
                (
                    "b.rs",
                    "#[cfg(not(test))]\n#[cfg(any(test, unix))]\nuse crate::a::A;",
                ),
            ],
            &["a", "b"],
            &["a.rs:1", "b.rs:3"],
        );
    }

    #[test]
    fn modules_are_found_in_folders_inline_and_by_attribute() {
        assert_one(
            &[
                (
                    "src/main.rs",
                    "mod a;\n#[cfg(unix)]\nmod c;\n#[cfg(not(unix))]\n#[path = \"other.rs\"]\nmod c;",
                ),
                ("src/a/mod.rs", "mod b { mod d; }"),
                ("src/a/b/d.rs", "use crate::c::C;"),
                ("src/c.rs", "pub struct C;"),
                ("src/other.rs", "pub struct C;\nuse crate::a::b::d;"),
            ],
            &["a::b::d", "c"],
            &["src/a/b/d.rs:1", "src/other.rs:2"],
        );
    }

    #[test]
    fn the_shortest_circle_of_many_modules_is_named() {
        assert_one(
            &[
                ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
                ("a.rs", "use crate::b;"),
                ("b.rs", "use crate::c;"),
                ("c.rs", "use crate::a;\nuse crate::d;"),
                ("d.rs", "use crate::c;"),
            ],
            &["a", "b", "c", "d"],
            &["c.rs:2", "d.rs:1"],
        );
    }
}
