//! A field that may be missing.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of an object that may be absent, null or a value. Fiddler's clients tell the first two apart: one of them
/// refuses a null where another insists on it.
///
/// A field of this type needs `#[serde(default, skip_serializing_if = "Field::is_absent")]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The object has no such key.
    #[default]
    Absent,
    /// The key is there, its value is null.
    Null,
    /// The key is there with a value.
    Value(T),
}

impl<T> Field<T> {
    /// Whether the object has no such key.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value itself, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same with null in place of an absent field.
    pub fn or_null(self) -> Self {
        match self {
            Self::Absent => Self::Null,
            there => there,
        }
    }
}

impl<T> Field<Vec<T>> {
    /// The elements; none where there is no list.
    pub fn elements(&self) -> &[T] {
        self.get().map_or(&[], Vec::as_slice)
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

/// `None` is null.
impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::from)
    }
}
