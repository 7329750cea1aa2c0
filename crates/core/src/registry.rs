//! Name -> constructor, for backends, transforms and sinks alike.

use crate::{Error, ErrorKind, Result};

type Constructor<C, T> = Box<dyn Fn(&C) -> Result<T> + Send + Sync>;

/// One thing that can be made by name.
pub struct Registration<C, T> {
    /// The name a user writes.
    pub name: String,
    /// Other names for the same thing.
    pub aliases: Vec<String>,
    /// One line about it.
    pub summary: String,
    /// Where it comes from: `built-in`, or the file of a plugin.
    pub origin: String,
    /// Its constructor, or why it cannot be used.
    pub constructor: Result<Constructor<C, T>, String>,
}

impl<C, T> Registration<C, T> {
    /// A registration of something that is compiled in.
    pub fn built_in(
        name: &str,
        aliases: &[&str],
        summary: &str,
        constructor: impl Fn(&C) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            summary: summary.to_owned(),
            origin: "built-in".to_owned(),
            constructor: Ok(Box::new(constructor)),
        }
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// All things of one sort that can be made by name.
///
/// `sort` is the word for one of them, as in "backend". An unknown name is an error that lists what exists, and why
/// what was found cannot be used; there is no fallback to another entry.
pub struct Registry<C, T> {
    sort: &'static str,
    entries: Vec<Registration<C, T>>,
}

impl<C, T> Registry<C, T> {
    /// An empty registry.
    pub fn new(sort: &'static str) -> Self {
        Self {
            sort,
            entries: Vec::new(),
        }
    }

    /// Adds an entry; a name that is taken is an error.
    pub fn register(&mut self, entry: Registration<C, T>) -> Result<()> {
        let names = std::iter::once(&entry.name).chain(&entry.aliases);
        for name in names {
            if let Some(taken) = self.entries.iter().find(|other| other.answers_to(name)) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "register",
                    format!("the {} name `{name}` is taken", self.sort),
                )
                .with("by", &taken.origin)
                .with("wanted by", &entry.origin));
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All entries, in the order they were registered.
    pub fn entries(&self) -> &[Registration<C, T>] {
        &self.entries
    }

    /// The entry that answers to `name`.
    ///
    /// # Errors
    /// `InvalidConfig` that lists what there is.
    pub fn find(&self, name: &str) -> Result<&Registration<C, T>> {
        let found = self.entries.iter().find(|entry| entry.answers_to(name));
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                "look up",
                format!("there is no {} named `{name}`", self.sort),
            )
            .remedy(format!("available: {}", self.listing()))
        })
    }

    /// Makes `name` from `config`.
    pub fn build(&self, name: &str, config: &C) -> Result<T> {
        let entry = self.find(name)?;
        match &entry.constructor {
            Ok(constructor) => constructor(config),
            Err(reason) => Err(Error::new(
                ErrorKind::Unsupported,
                "look up",
                format!("the {} `{name}` cannot be used: {reason}", self.sort),
            )
            .with("from", &entry.origin)),
        }
    }

    fn listing(&self) -> String {
        let describe = |entry: &Registration<C, T>| {
            let mut names = entry.name.clone();
            if !entry.aliases.is_empty() {
                names = format!("{names} (or {})", entry.aliases.join(", "));
            }
            match &entry.constructor {
                Ok(_) => names,
                Err(reason) => format!("{names} [unusable: {reason}]"),
            }
        };
        self.entries
            .iter()
            .map(describe)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry<u32, u32> {
        let mut registry = Registry::new("transform");
        registry
            .register(Registration::built_in(
                "gaussian_blur",
                &["blur"],
                "blurs",
                |c| Ok(c + 1),
            ))
            .unwrap();
        registry
            .register(Registration {
                name: "fog".to_owned(),
                aliases: vec![],
                summary: "fogs".to_owned(),
                origin: "libfog.so".to_owned(),
                constructor: Err("its ABI is too old".to_owned()),
            })
            .unwrap();
        registry
    }

    #[test]
    fn names_and_aliases_make_the_same_thing() {
        assert_eq!(registry().build("gaussian_blur", &1).unwrap(), 2);
        assert_eq!(registry().build("blur", &1).unwrap(), 2);
    }

    #[test]
    fn an_unknown_name_lists_what_exists_and_what_failed() {
        assert_eq!(
            registry().build("snow", &1).unwrap_err().to_string(),
            "there is no transform named `snow`; available: gaussian_blur (or blur), fog [unusable: its ABI is too old]"
        );
    }

    #[test]
    fn an_unusable_entry_is_never_replaced_by_another() {
        assert_eq!(
            registry().build("fog", &1).unwrap_err().to_string(),
            "the transform `fog` cannot be used: its ABI is too old (from: libfog.so)"
        );
    }

    #[test]
    fn a_taken_name_is_refused() {
        let mut registry = registry();
        let again = Registration::built_in("blur", &[], "", |c: &u32| Ok(*c));
        assert!(registry.register(again).is_err());
    }
}
