//! The paths in a piece of code.

use proc_macro2::{TokenStream, TokenTree};
use syn::UseTree;

/// A path without its generic arguments, and the line that it begins in.
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// The path itself, unless it starts at the other crates.
pub(super) fn of_path(path: &syn::Path) -> Option<Path> {
    let first = path.segments.first()?;
    let segments = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string());
    path.leading_colon.is_none().then(|| Path {
        segments: segments.collect(),
        line: first.ident.span().start().line,
    })
}

/// The paths that a `use` names, each with the name that it has from then on; a glob has none, and is the path of its module.
pub(super) fn imported(tree: &UseTree) -> Vec<(Option<String>, Path)> {
    let mut found = Vec::new();
    flatten(tree, &[], &mut found);
    found
}

fn flatten(tree: &UseTree, prefix: &[String], found: &mut Vec<(Option<String>, Path)>) {
    let joined = |name: &proc_macro2::Ident| {
        let mut segments = prefix.to_vec();
        if name != "self" || prefix.is_empty() {
            segments.push(name.to_string());
        }
        let line = name.span().start().line;
        Path { segments, line }
    };
    match tree {
        UseTree::Path(tree) => flatten(&tree.tree, &joined(&tree.ident).segments, found),
        UseTree::Name(tree) => {
            let path = joined(&tree.ident);
            found.push((path.segments.last().cloned(), path));
        }
        UseTree::Rename(tree) => {
            found.push((Some(tree.rename.to_string()), joined(&tree.ident)));
        }
        UseTree::Glob(tree) => {
            let line = tree.star_token.spans[0].start().line;
            let segments = prefix.to_vec();
            found.push((None, Path { segments, line }));
        }
        UseTree::Group(tree) => {
            for tree in &tree.items {
                flatten(tree, prefix, found);
            }
        }
    }
}

/// Everything that looks like a path among the tokens of a macro or of an attribute.
pub(super) fn in_tokens(tokens: TokenStream) -> Vec<Path> {
    let mut found: Vec<Path> = Vec::new();
    // Whether the last path goes on, which takes two colons; whether a field or a method follows.
    let (mut colons, mut field) = (0, false);
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let text = name.to_string();
                match found.last_mut() {
                    Some(path) if colons == 2 => path.segments.push(text),
                    _ if field => {}
                    _ => found.push(Path {
                        segments: vec![text],
                        line: name.span().start().line,
                    }),
                }
                (colons, field) = (0, false);
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            TokenTree::Punct(mark) => (colons, field) = (0, mark.as_char() == '.'),
            TokenTree::Group(group) => {
                let prefix = match found.last() {
                    Some(path) if colons == 2 => path.segments.clone(),
                    _ => Vec::new(),
                };
                found.extend(in_tokens(group.stream()).into_iter().map(|mut path| {
                    path.segments.splice(0..0, prefix.iter().cloned());
                    path
                }));
                (colons, field) = (0, false);
            }
            TokenTree::Literal(text) => {
                // Some attributes take a path as a text.
                let path = syn::parse_str::<syn::LitStr>(&text.to_string())
                    .and_then(|text| text.parse::<syn::Path>());
                if let Some(mut path) = path.ok().as_ref().and_then(of_path)
                    && path.segments.len() > 1
                {
                    path.line = text.span().start().line;
                    found.push(path);
                }
                (colons, field) = (0, false);
            }
        }
    }
    found
}
