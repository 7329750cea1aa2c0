//! `plugin new`: a new plugin from the templates of this repository.

use std::path::{Path, PathBuf};

use driftline::core::{Error, ErrorKind, Result};
use driftline::plugin_host::manifest::machine;
use include_dir::{Dir, include_dir};

use crate::args::{Language, NewArgs, Output};
use crate::outcome::Outcome;
use crate::output;

/// Where the parts of the SDK are in this repository, and what they are called in a plugin's folder.
const SDK: [(&str, &str, Dir<'_>); 3] = [
    ("crates/plugin/abi", "sdk/plugin/abi", ABI),
    ("crates/core", "sdk/core", CORE),
    ("crates/plugin/sdk", "sdk/plugin/sdk", PLUGIN_SDK),
];
const ABI: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugin/abi");
const CORE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../core");
const PLUGIN_SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugin/sdk");
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../../plugins/", $file))
    };
}

/// A file of the new plugin, by its place in the folder.
type File = (PathBuf, String);

/// Makes the folder.
pub(super) fn new(args: &NewArgs, output: Output) -> anyhow::Result<Outcome> {
    let name = Name::new(&args.name)?;
    let folder = match &args.into {
        Some(folder) => folder.clone(),
        None => PathBuf::from(&args.name),
    };
    let taken = folder
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some());
    if taken || folder.is_file() {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "make plugin",
            "the folder is not empty",
        )
        .with("folder", folder.display())
        .remedy("name another folder with --into")
        .into());
    }
    let files = match args.lang {
        Language::Rust => rust(&name)?,
        Language::C => c(&name),
    };
    for (path, text) in files {
        write(&folder.join(path), &text)?;
    }
    let build = match args.lang {
        Language::Rust => "cargo build --release",
        Language::C => "make",
    };
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let manifest = folder.join(format!("{}.plugin.toml", name.plugin));
    if output.json {
        output::json(&serde_json::json!({
            "name": name.plugin, "component": name.component, "folder": folder, "manifest": manifest, "build": build,
        }))?;
    } else {
        output::text(&format!(
            "{} is there. Next:\n  cd {}\n  {build}\n  driftline plugin test {}\n  driftline transforms --plugin-path {}",
            name.plugin,
            folder.display(),
            manifest.display(),
            folder.display(),
        ))?;
    }
    Ok(Outcome::Done)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let io = |cause| Error::io("make plugin", path, cause);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    std::fs::write(path, text).map_err(io)
}

/// A plugin's name in all the forms it takes.
struct Name {
    /// As in `film-grain`.
    plugin: String,
    /// As in `film_grain`: the transform, and the library.
    component: String,
    /// As in `FilmGrain`.
    type_name: String,
}

impl Name {
    fn new(name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(plain)
            && name.split('-').all(|part| !part.is_empty())
            && name.len() <= 64;
        if !good {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "make plugin",
                format!("`{name}` cannot be a plugin's name"),
            )
            .remedy("start with a lower-case letter and continue with lower-case letters, digits and single `-`"));
        }
        let capital = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
        Ok(Self {
            plugin: name.to_owned(),
            component: name.replace('-', "_"),
            type_name: name.split('-').map(capital).collect(),
        })
    }

    /// A file of a template with the template's names replaced.
    fn put_into(&self, text: &str) -> String {
        [
            ("driftline-template-c", self.plugin.as_str()),
            ("driftline_template_c", &self.component),
            ("driftline-template", &self.plugin),
            ("driftline_template", &self.component),
            ("The driftline developers", "you"),
            (
                "A driftline plugin in Rust, to begin from",
                "A driftline plugin",
            ),
            ("linux_amd64", &machine()),
            ("invert_c(", &format!("{}(", self.component)),
            ("\"invert_c\"", &format!("\"{}\"", self.component)),
            ("invert(", &format!("{}(", self.component)),
            ("\"invert\"", &format!("\"{}\"", self.component)),
            ("Invert", &self.type_name),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    fn manifest(&self, template: &str, library: &str) -> File {
        (
            PathBuf::from(format!("{}.plugin.toml", self.plugin)),
            self.put_into(template)
                .replace("path = \"", &format!("path = \"{library}")),
        )
    }

    fn readme(&self, build: &str) -> File {
        let Self {
            plugin, component, ..
        } = self;
        let text = format!(
            "# {plugin}\n\nA driftline plugin with the drift transform `{component}`.\n\n```sh\n{build}\n\
             driftline plugin test {plugin}.plugin.toml\n\
             driftline embed images/ -o rows.parquet --plugin-path \"$PWD\" --transform \"{component}(0.5)\"\n```\n\n\
             To install it, put the manifest and the library into one folder where driftline looks (`driftline plugin \
             path`), and give the library's place in the manifest as `path`.\n"
        );
        (PathBuf::from("README.md"), text)
    }
}

fn rust(name: &Name) -> Result<Vec<File>> {
    let of = |path: &str, text: &str| (PathBuf::from(path), name.put_into(text));
    let cargo = template!("template-rust/Cargo.toml")
        .replace("../../crates", "sdk")
        // The SDK is a workspace of its own.
        .replace("[workspace]", "[workspace]\nexclude = [\"sdk\"]");
    let mut files = vec![
        of("Cargo.toml", &cargo),
        of("Cargo.lock", template!("template-rust/Cargo.lock")),
        of("src/lib.rs", template!("template-rust/src/lib.rs")),
        of(".gitignore", "/target\n"),
        name.manifest(
            template!("template-rust/template-rust.plugin.toml"),
            "target/release/",
        ),
        name.readme("cargo test --release\ncargo build --release"),
        (PathBuf::from("sdk/Cargo.toml"), sdk_workspace()?),
    ];
    for (_, to, folder) in &SDK {
        collect(folder, Path::new(to), &mut files);
    }
    Ok(files)
}

/// The text files of `folder`, which tests are not needed of.
fn collect(folder: &Dir<'_>, to: &Path, files: &mut Vec<File>) {
    for file in folder.files() {
        if let Some(text) = file.contents_utf8() {
            files.push((to.join(file.path()), text.to_owned()));
        }
    }
    for inner in folder.dirs() {
        if inner.path() != Path::new("tests") {
            collect(inner, to, files);
        }
    }
}

/// driftline's own workspace with nothing but the SDK in it.
fn sdk_workspace() -> Result<String> {
    let broken = |what: &str| Error::new(ErrorKind::Internal, "make plugin", what.to_owned());
    let mut manifest: toml::Table =
        toml::from_str(WORKSPACE).map_err(|cause| broken("Cargo.toml").because(cause))?;
    let workspace = manifest
        .get_mut("workspace")
        .and_then(toml::Value::as_table_mut)
        .ok_or_else(|| broken("there is no workspace"))?;
    for key in ["exclude", "default-members"] {
        workspace.remove(key);
    }
    let members = SDK.map(|(_, to, _)| to.trim_start_matches("sdk/").into());
    workspace.insert("members".to_owned(), toml::Value::Array(members.to_vec()));
    if let Some(dependencies) = workspace
        .get_mut("dependencies")
        .and_then(toml::Value::as_table_mut)
    {
        dependencies.retain(|_, dependency| {
            let Some(path) = dependency.get_mut("path") else {
                return true;
            };
            let place = SDK.iter().find(|(from, ..)| path.as_str() == Some(from));
            if let Some((_, to, _)) = place {
                *path = to.trim_start_matches("sdk/").into();
            }
            place.is_some()
        });
    }
    let keep: toml::Table = manifest
        .into_iter()
        .filter(|(key, _)| key == "workspace")
        .collect();
    toml::to_string(&keep).map_err(|cause| broken("Cargo.toml").because(cause))
}

fn c(name: &Name) -> Vec<File> {
    let of = |path: &str, text: &str| (PathBuf::from(path), name.put_into(text));
    let makefile = template!("template-c/Makefile").replace("../../crates/plugin/abi/include", ".");
    let header = include_str!("../../../plugin/abi/include/driftline_plugin.h");
    vec![
        of("Makefile", &makefile),
        of("plugin.c", template!("template-c/plugin.c")),
        (PathBuf::from("driftline_plugin.h"), header.to_owned()),
        of(".gitignore", "*.so\n"),
        name.manifest(template!("template-c/template-c.plugin.toml"), ""),
        name.readme("make"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_three_forms_and_bad_ones_are_refused() {
        let name = Name::new("film-grain2").unwrap();
        assert_eq!(name.component, "film_grain2");
        assert_eq!(name.type_name, "FilmGrain2");
        for bad in [
            "",
            "Film",
            "2film",
            "film--grain",
            "film-",
            "../film",
            "fílm",
        ] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_templates_names_are_all_replaced() {
        let name = Name::new("film-grain").unwrap();
        let files = [rust(&name).unwrap(), c(&name)].concat();
        for (path, text) in files.iter().filter(|(path, _)| !path.starts_with("sdk")) {
            let own = path != Path::new("driftline_plugin.h");
            assert!(
                !own || !text.to_lowercase().contains("invert(") && !text.contains("template"),
                "{}: {text}",
                path.display()
            );
        }
    }
}
