//! A crate as it is written: modules, what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItem, Item, ItemMod, ItemUse, Lit, Meta, Visibility};

use super::names::{self, Path as Name};

/// The modules of a crate; the first is its root.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
}

/// A module. Several files are one if the configuration chooses among them.
#[derive(Default)]
pub(super) struct Module {
    /// Path without `crate::`; `crate` for the root.
    path: String,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) defined: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    pub(super) mentions: Vec<Mention>,
}

/// A `use` of the module itself.
pub(super) struct Import {
    /// The name that it brings; every name of a module without one.
    pub(super) name: Option<String>,
    pub(super) path: Vec<String>,
}

/// A path that the code of a module has somewhere.
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    pub(super) how: How,
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// `use`.
    Import,
    /// `pub use`.
    Export,
    /// Anything else.
    Code,
}

/// Reads the text of a file.
type Read<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

impl Tree {
    /// The crate whose root is the file `root`.
    pub(super) fn read(root: &Path, read: &Read<'_>) -> Result<Self> {
        let mut tree = Self::default();
        tree.modules.push(Module {
            path: "crate".to_owned(),
            ..Module::default()
        });
        let folder = root.parent().context("a file without a folder")?;
        tree.file(0, root, folder, read)?;
        Ok(tree)
    }

    /// Path of a module without `crate::`; `crate` for the root.
    pub(super) fn path(&self, module: usize) -> &str {
        &self.modules[module].path
    }

    /// Whether `module` is below `ancestor`.
    pub(super) fn is_below(&self, module: usize, ancestor: usize) -> bool {
        let parents = std::iter::successors(Some(module), |i| self.modules[*i].parent);
        parents.skip(1).any(|parent| parent == ancestor)
    }

    /// Adds the content of `file` to `module`, whose children have their files in `folder`.
    fn file(&mut self, module: usize, file: &Path, folder: &Path, read: &Read<'_>) -> Result<()> {
        let text = read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        self.items(module, &parsed.items, &Rc::from(file), folder, read)
    }

    fn items(
        &mut self,
        module: usize,
        items: &[Item],
        file: &Rc<Path>,
        folder: &Path,
        read: &Read<'_>,
    ) -> Result<()> {
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(item) => self.child(module, item, file, folder, read)?,
                Item::Use(item) => {
                    let imported = names::imported(&item.tree);
                    self.modules[module].imports.extend(
                        imported
                            .into_iter()
                            .map(|(name, Name { segments: path, .. })| Import { name, path }),
                    );
                }
                item => self.define(module, item),
            }
            if !matches!(item, Item::Mod(_)) {
                let mentions = &mut self.modules[module].mentions;
                Mentions { mentions, file }.visit_item(item);
            }
        }
        Ok(())
    }

    fn define(&mut self, module: usize, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            _ => return,
        };
        let name = name.to_string();
        let exported = |attribute: &Attribute| attribute.path().is_ident("macro_export");
        if attributes(item).iter().any(exported) {
            // Everybody names it as one of the root.
            let mut path = vec!["crate".to_owned()];
            if module != 0 {
                path.extend(self.path(module).split("::").map(str::to_owned));
            }
            path.push(name.clone());
            self.modules[0].imports.push(Import {
                name: Some(name.clone()),
                path,
            });
        }
        self.modules[module].defined.insert(name);
    }

    fn child(
        &mut self,
        parent: usize,
        item: &ItemMod,
        file: &Rc<Path>,
        folder: &Path,
        read: &Read<'_>,
    ) -> Result<()> {
        let name = item.ident.to_string();
        let child = match self.modules[parent].children.get(&name) {
            Some(child) => *child,
            None => {
                self.modules.push(Module {
                    path: match parent {
                        0 => name.clone(),
                        _ => format!("{}::{name}", self.path(parent)),
                    },
                    parent: Some(parent),
                    ..Module::default()
                });
                let child = self.modules.len() - 1;
                self.modules[parent].children.insert(name.clone(), child);
                child
            }
        };
        let below = folder.join(&name);
        if let Some((_, items)) = &item.content {
            return self.items(child, items, file, &below, read);
        }
        if let Some(path) = path_attribute(&item.attrs) {
            let beside = file.parent().unwrap_or(Path::new(""));
            let file = beside.join(path);
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            return self.file(child, &file, &folder, read);
        }
        let files = [below.with_extension("rs"), below.join("mod.rs")];
        match files.iter().find(|file| read(file).is_ok()) {
            Some(file) => self.file(child, file, &below, read),
            None => bail!("no file of module `{name}` in {}", folder.display()),
        }
    }
}

/// Collects the paths of an item.
struct Mentions<'a> {
    mentions: &'a mut Vec<Mention>,
    file: &'a Rc<Path>,
}

impl Mentions<'_> {
    fn add(&mut self, Name { segments, line }: Name, how: How) {
        self.mentions.push(Mention {
            path: segments,
            how,
            file: self.file.clone(),
            line,
        });
    }
}

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_some() {
            return;
        }
        let how = match item.vis {
            Visibility::Inherited => How::Import,
            _ => How::Export,
        };
        for (_, path) in names::imported(&item.tree) {
            self.add(path, how);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(name) = names::of_path(path) {
            self.add(name, How::Code);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        for name in names::in_tokens(call.tokens.clone()) {
            self.add(name, How::Code);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // A name alone is mostly an option of the attribute.
        if let Meta::List(list) = &attribute.meta {
            for name in names::in_tokens(list.tokens.clone()) {
                if name.segments.len() > 1 {
                    self.add(name, How::Code);
                }
            }
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // It says who may use the item, and uses nothing.
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether what has these attributes is compiled for tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<Meta>()
                .is_ok_and(|condition| needs_test(&condition))
    })
}

fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test");
    };
    let parts =
        list.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated);
    let Ok(parts) = parts else { return false };
    if list.path.is_ident("all") {
        parts.iter().any(needs_test)
    } else if list.path.is_ident("any") {
        parts.iter().all(needs_test)
    } else {
        false
    }
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attributes: &[Attribute]) -> Option<PathBuf> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(value) if pair.path.is_ident("path") => match &value.lit {
                Lit::Str(path) => Some(path.value().into()),
                _ => None,
            },
            _ => None,
        }
    })
}
