//! The module that defines what a path names, and so the arrows between modules.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::tree::{How, Import, Tree};

/// A module uses another.
#[derive(Clone)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
    /// The path, as it is written.
    pub(super) name: String,
}

/// The arrows of a crate, in the order of its modules and lines.
pub(super) fn arrows(tree: &Tree) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (from, module) in tree.modules.iter().enumerate() {
        for mention in &module.mentions {
            let Some(found) = tree.resolve(from, &mention.path, mention.how, &mut Seen::new())
            else {
                continue;
            };
            let to = found.module();
            let ignored = match mention.how {
                How::Import => false,
                How::Export => tree.is_below(to, from),
                // A variable may have the name of a module.
                How::Code => mention.path.len() == 1 && matches!(found, Found::Module(_)),
            };
            if to != from && !ignored {
                arrows.push(Arrow {
                    from,
                    to,
                    file: mention.file.clone(),
                    line: mention.line,
                    name: mention.path.join("::"),
                });
            }
        }
    }
    arrows
}

/// What a path names.
#[derive(Clone, Copy)]
enum Found {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

impl Found {
    fn module(self) -> usize {
        match self {
            Self::Module(module) | Self::Item(module) => module,
        }
    }
}

/// Names that are being looked up, each in its module: imports may be circular.
type Seen<'a> = BTreeSet<(usize, &'a str)>;

impl Tree {
    /// What `path` names in the module `from`; nothing if it is of another crate.
    fn resolve<'a>(
        &'a self,
        from: usize,
        path: &'a [String],
        how: How,
        seen: &mut Seen<'a>,
    ) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let mut look_up = |module: usize, name: &'a str, rest: &[String]| {
            // Code ends in an item; a child of the same name is not meant.
            let child_first = how != How::Code || !rest.is_empty();
            let child = self.modules[module].children.get(name);
            let child = child.map(|child| Found::Module(*child));
            if child_first && child.is_some() {
                return child;
            }
            self.item(module, name, seen).or(child)
        };
        let mut module = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent?,
            _ => match look_up(from, first, rest)? {
                Found::Module(module) => module,
                item @ Found::Item(_) => return Some(item),
            },
        };
        while let Some((name, after)) = rest.split_first() {
            module = if name == "super" {
                self.modules[module].parent?
            } else {
                match look_up(module, name, after) {
                    Some(Found::Module(module)) => module,
                    Some(item) => return Some(item),
                    // A macro has made it, or it comes from another crate by a glob.
                    None => return Some(Found::Item(module)),
                }
            };
            rest = after;
        }
        Some(Found::Module(module))
    }

    /// What `name` is in `module`, if it is no child.
    fn item<'a>(&'a self, module: usize, name: &'a str, seen: &mut Seen<'a>) -> Option<Found> {
        let here = &self.modules[module];
        if here.defined.contains(name) {
            return Some(Found::Item(module));
        }
        if !seen.insert((module, name)) {
            return None;
        }
        let named = |import: &&Import| import.name.as_deref() == Some(name);
        let found = match here.imports.iter().find(named) {
            // What another crate defines is a name of this module.
            Some(import) => Some(
                self.resolve(module, &import.path, How::Import, seen)
                    .unwrap_or(Found::Item(module)),
            ),
            None => here
                .imports
                .iter()
                .filter(|import| import.name.is_none())
                .find_map(|import| {
                    let of = self.resolve(module, &import.path, How::Import, seen)?;
                    let Found::Module(other) = of else {
                        return None;
                    };
                    let child = self.modules[other].children.get(name);
                    let child = child.map(|child| Found::Module(*child));
                    child.or_else(|| self.item(other, name, seen))
                }),
        };
        seen.remove(&(module, name));
        found
    }
}
