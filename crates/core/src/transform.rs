//! Changes to images that inject drift.

use std::fmt;

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, ImageBatch, Result};

/// What a transform is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformInfo {
    /// Registered name.
    pub name: String,
    /// The transform with all its parameters, in the form that [`TransformSpec::parse_list`] reads.
    pub expression: String,
}

/// What a transform may depend on besides its own parameters.
#[derive(Debug, Clone, Copy)]
pub struct TransformContext<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Absolute row of each image in its source.
    pub rows: &'a [u64],
}

/// An image -> image change.
///
/// # Behavior
/// - The result is a pure function of (parameters, seed, absolute row, image): splitting a batch or adding threads
///   changes nothing.
/// - Shape and number of images stay as they are.
pub trait DriftTransform: Send + Sync {
    /// What this transform is.
    fn info(&self) -> &TransformInfo;

    /// Changes u8 `[N, H, W, 3]` RGB images in place; `ctx.rows` has one entry for each image.
    fn apply(&self, images: &mut ImageBatch, ctx: &TransformContext<'_>) -> Result<()>;
}

/// A transform as a user writes it: `name(value, key=value)`.
///
/// A value is a number, a range `a..b` (an array `[a, b]` once read), `true`, `false` or a word.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformSpec {
    /// Name before the parenthesis.
    pub name: String,
    /// Values without a key, in order.
    pub positional: Vec<Value>,
    /// Values with a key.
    pub named: Map<String, Value>,
}

impl TransformSpec {
    /// Reads `blur(sigma=0.1..2),brightness(0.4..0.6)`; `none` and the empty text are the empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let text = text.trim();
        if text.is_empty() || text == "none" {
            return Ok(Vec::new());
        }
        split_outside_parentheses(text)?
            .into_iter()
            .map(|part| Self::parse(part.trim(), text))
            .collect()
    }

    fn parse(part: &str, whole: &str) -> Result<Self> {
        let (name, arguments) = match part.split_once('(') {
            None => (part, ""),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(arguments) => (name.trim(), arguments.trim()),
                None => {
                    return Err(malformed(
                        whole,
                        format!("`{part}` has text after its parenthesis"),
                    ));
                }
            },
        };
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            return Err(malformed(whole, format!("`{part}` has no name")));
        }
        let mut spec = Self {
            name: name.to_owned(),
            positional: Vec::new(),
            named: Map::new(),
        };
        if arguments.is_empty() {
            return Ok(spec);
        }
        for argument in arguments.split(',') {
            match argument.split_once('=') {
                Some((key, value)) => {
                    let key = key.trim().to_owned();
                    let value = parse_value(value.trim(), whole)?;
                    if spec.named.insert(key.clone(), value).is_some() {
                        return Err(malformed(whole, format!("`{key}` is given twice")));
                    }
                }
                None if spec.named.is_empty() => {
                    spec.positional.push(parse_value(argument.trim(), whole)?);
                }
                None => {
                    return Err(malformed(
                        whole,
                        format!(
                            "`{}` without a key follows a value with one",
                            argument.trim()
                        ),
                    ));
                }
            }
        }
        Ok(spec)
    }

    /// Like [`resolve`](Self::resolve) for a transform whose own check of names comes later: `parameters` only name the
    /// values without a key.
    pub fn resolve_positional(&self, parameters: &[String]) -> Result<Map<String, Value>> {
        let mut names: Vec<&str> = parameters.iter().map(String::as_str).collect();
        if self.positional.len() <= names.len() {
            let others = self.named.keys().map(String::as_str);
            let others: Vec<_> = others.filter(|key| !names.contains(key)).collect();
            names.extend(others);
        }
        self.resolve(&names)
    }

    /// The parameters by name: positional values take the names of `parameters` in order; an unknown name, a
    /// surplus value or a value given twice is an error that lists `parameters`.
    pub fn resolve(&self, parameters: &[&str]) -> Result<Map<String, Value>> {
        let known = || {
            if parameters.is_empty() {
                "it has no parameters".to_owned()
            } else {
                format!("its parameters are: {}", parameters.join(", "))
            }
        };
        let refuse = |message: String| {
            Err(
                Error::new(ErrorKind::InvalidConfig, "configure transform", message)
                    .with("transform", &self.name)
                    .remedy(known()),
            )
        };
        if self.positional.len() > parameters.len() {
            return refuse("too many values".to_owned());
        }
        let mut resolved = self.named.clone();
        for key in self.named.keys() {
            if !parameters.contains(&key.as_str()) {
                return refuse(format!("unknown parameter `{key}`"));
            }
        }
        for (name, value) in parameters.iter().zip(&self.positional) {
            if resolved.insert((*name).to_owned(), value.clone()).is_some() {
                return refuse(format!("`{name}` is given twice"));
            }
        }
        Ok(resolved)
    }
}

impl fmt::Display for TransformSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positional = self.positional.iter().map(format_value);
        let named = self
            .named
            .iter()
            .map(|(key, value)| format!("{key}={}", format_value(value)));
        let arguments: Vec<String> = positional.chain(named).collect();
        if arguments.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}({})", self.name, arguments.join(", "))
        }
    }
}

fn format_value(value: &Value) -> String {
    match value {
        Value::Array(ends) => ends.iter().map(format_value).collect::<Vec<_>>().join(".."),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    }
}

fn malformed(whole: &str, what: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, "read transform", what)
        .with("transform", whole)
        .remedy("write it as in `blur(sigma=0.1..2),brightness(0.4..0.6)`")
}

fn split_outside_parentheses(text: &str) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if !(0..=1).contains(&depth) {
            return Err(malformed(text, "its parentheses do not match".to_owned()));
        }
    }
    if depth != 0 {
        return Err(malformed(text, "its parentheses do not match".to_owned()));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn parse_value(text: &str, whole: &str) -> Result<Value> {
    let number = |text: &str| -> Result<Value> {
        text.trim()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| malformed(whole, format!("`{text}` is not a finite number")))
    };
    if let Some((low, high)) = text.split_once("..") {
        return Ok(Value::Array(vec![number(low)?, number(high)?]));
    }
    match text {
        "" => Err(malformed(whole, "a value is missing".to_owned())),
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        word if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Ok(Value::String(word.to_owned()))
        }
        _ => number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_composed_expression_is_read_in_order() {
        let specs = TransformSpec::parse_list("blur(sigma=0.1..2), brightness(0.4..0.6)").unwrap();
        assert_eq!(specs[0].name, "blur");
        assert_eq!(specs[0].named["sigma"], json!([0.1, 2.0]));
        assert_eq!(specs[1].positional, [json!([0.4, 0.6])]);
        assert_eq!(specs[1].to_string(), "brightness(0.4..0.6)");
    }

    #[test]
    fn none_is_the_empty_list() {
        assert!(TransformSpec::parse_list("none").unwrap().is_empty());
        assert!(TransformSpec::parse_list("").unwrap().is_empty());
    }

    #[test]
    fn malformed_expressions_say_what_is_wrong() {
        for (text, expected) in [
            ("blur(", "parentheses do not match"),
            ("blur(sigma=)", "a value is missing"),
            ("blur(sigma=1,2)", "without a key follows"),
            ("blur(sigma=1,sigma=2)", "given twice"),
            ("blur(1..x)", "not a finite number"),
            ("(1)", "has no name"),
            ("blur(1)x", "text after its parenthesis"),
        ] {
            let error = TransformSpec::parse_list(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn resolve_names_positional_values_and_refuses_unknown_ones() {
        let spec = &TransformSpec::parse_list("blur(0.1..2)").unwrap()[0];
        assert_eq!(
            spec.resolve(&["sigma"]).unwrap()["sigma"],
            json!([0.1, 2.0])
        );
        let spec = &TransformSpec::parse_list("blur(sgima=1)").unwrap()[0];
        let error = spec.resolve(&["sigma"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown parameter `sgima` (transform: blur); its parameters are: sigma"
        );
    }
}
