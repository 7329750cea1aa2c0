//! What a pickle holds, and how to read it.

use std::borrow::Cow;
use std::fmt;

/// Most arguments of a call that is described; arrays and tensors need seven. A value that the memo repeats is looked at
/// once for each place, so that many of them would take long.
pub const MAX_ARGS: usize = 64;

/// Index of a node in [`Pickle::nodes`].
pub(crate) type Id = u32;

/// One value; others are referred to by index.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(Cow<'a, [u8]>),
    Str(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Box<(Cow<'a, str>, Cow<'a, str>)>),
    Call(Box<CallNode>),
    Persistent(Id),
}

/// A call that was described and not made.
#[derive(Debug)]
pub(crate) struct CallNode {
    pub(crate) callable: Id,
    pub(crate) args: Id,
    pub(crate) state: Option<Id>,
    pub(crate) items: Vec<Id>,
    pub(crate) entries: Vec<(Id, Id)>,
}

impl Node<'_> {
    /// The `i`-th value that this one refers to.
    pub(crate) fn child(&self, i: usize) -> Option<Id> {
        let of_pairs = |pairs: &[(Id, Id)], i: usize| {
            let &(key, value) = pairs.get(i / 2)?;
            Some(if i.is_multiple_of(2) { key } else { value })
        };
        match self {
            Self::List(items) | Self::Tuple(items) => items.get(i).copied(),
            Self::Dict(entries) => of_pairs(entries, i),
            Self::Persistent(id) => (i == 0).then_some(*id),
            Self::Call(call) => {
                let fixed = [Some(call.callable), Some(call.args), call.state];
                let fixed = fixed.into_iter().flatten();
                let items = call.items.iter().copied();
                let before = fixed.clone().count() + call.items.len();
                match i.checked_sub(before) {
                    Some(i) => of_pairs(&call.entries, i),
                    None => fixed.chain(items).nth(i),
                }
            }
            _ => None,
        }
    }
}

/// A pickle that has been read: one root value and all that it refers to.
///
/// Text and bytes borrow from the input where they stand in it as they are.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) root: Id,
}

impl<'a> Pickle<'a> {
    /// The value that `pickle.load` would have returned.
    pub fn root(&self) -> Value<'_, 'a> {
        Value {
            pickle: self,
            id: self.root,
        }
    }
}

/// One value of a [`Pickle`]; a copyable reference.
///
/// Values never contain themselves, but one value may be reached in several ways.
#[derive(Clone, Copy)]
pub struct Value<'p, 'a> {
    pickle: &'p Pickle<'a>,
    id: Id,
}

/// A call that the pickle asks for and that was not made.
#[derive(Debug, Clone)]
pub struct Call<'p, 'a> {
    /// Module of the callable, as in `torch._utils`.
    pub module: &'p str,
    /// Name of the callable, as in `_rebuild_tensor_v2`.
    pub name: &'p str,
    /// Arguments by position.
    pub args: Vec<Value<'p, 'a>>,
    /// What the result's `__setstate__` would be given.
    pub state: Option<Value<'p, 'a>>,
}

impl<'p, 'a> Value<'p, 'a> {
    fn node(self) -> &'p Node<'a> {
        static MISSING: Node<'static> = Node::None;
        // The parser only hands out indices of nodes that exist.
        self.pickle.nodes.get(self.id as usize).unwrap_or(&MISSING)
    }

    fn at(self, id: Id) -> Self {
        Self {
            pickle: self.pickle,
            id,
        }
    }

    /// What sort of value this is, for messages: `none`, `bool`, `int`, `float`, `bytes`, `str`, `list`, `tuple`,
    /// `dict`, `global`, `call` or `persistent id`.
    pub fn kind(self) -> &'static str {
        match self.node() {
            Node::None => "none",
            Node::Bool(_) => "bool",
            Node::Int(_) => "int",
            Node::Float(_) => "float",
            Node::Bytes(_) => "bytes",
            Node::Str(_) => "str",
            Node::List(_) => "list",
            Node::Tuple(_) => "tuple",
            Node::Dict(_) => "dict",
            Node::Global(_) => "global",
            Node::Call(_) => "call",
            Node::Persistent(_) => "persistent id",
        }
    }

    /// Whether this is `None`.
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// A `bool`.
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// An `int`.
    pub fn as_i64(self) -> Option<i64> {
        match self.node() {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// An `int` that is a length or an offset.
    pub fn as_usize(self) -> Option<usize> {
        self.as_i64().and_then(|value| usize::try_from(value).ok())
    }

    /// A `float`.
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A `str`, or bytes that are text, because that is how Python 2 wrote it: UTF-8, or ASCII where the bytes are
    /// written as a call (see [`Value::as_bytes`]).
    pub fn as_str(self) -> Option<&'p str> {
        match self.node() {
            Node::Str(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Node::Call(_) => self.latin1().filter(|text| text.is_ascii()),
            _ => None,
        }
    }

    /// The text of a call of `_codecs.encode(text, "latin1")`.
    fn latin1(self) -> Option<&'p str> {
        let call = self.call()?;
        match (call.module, call.name, call.args.as_slice()) {
            ("_codecs", "encode", [text, codec])
                if matches!(codec.as_str(), Some("latin1" | "latin-1")) =>
            {
                match text.node() {
                    Node::Str(text) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Bytes in any of the forms that Python writes: as such, or below protocol 3 as a call of `_codecs.encode` on
    /// Latin-1 text or of `bytes` on nothing.
    pub fn as_bytes(self) -> Option<Cow<'p, [u8]>> {
        if let Node::Bytes(bytes) = self.node() {
            return Some(Cow::Borrowed(bytes));
        }
        if let Some(text) = self.latin1() {
            let bytes: Result<Vec<u8>, _> =
                text.chars().map(|c| u8::try_from(u32::from(c))).collect();
            return bytes.ok().map(Cow::Owned);
        }
        let call = self.call()?;
        let empty = matches!(call.module, "__builtin__" | "builtins") && call.name == "bytes";
        (empty && call.args.is_empty()).then(|| Cow::Owned(Vec::new()))
    }

    /// The values of a list or a tuple, or those appended to the result of a call.
    pub fn items(
        self,
    ) -> Option<impl ExactSizeIterator<Item = Value<'p, 'a>> + DoubleEndedIterator> {
        let items = match self.node() {
            Node::List(items) | Node::Tuple(items) => items,
            Node::Call(call) => &call.items,
            _ => return None,
        };
        Some(items.iter().map(move |&id| self.at(id)))
    }

    /// The keys and values of a dict, or those set on the result of a call (such as `collections.OrderedDict`), in
    /// the order written. A key that is written twice comes twice; the last one counts.
    pub fn entries(
        self,
    ) -> Option<impl ExactSizeIterator<Item = (Value<'p, 'a>, Value<'p, 'a>)> + DoubleEndedIterator>
    {
        let entries = match self.node() {
            Node::Dict(entries) => entries,
            Node::Call(call) => &call.entries,
            _ => return None,
        };
        Some(
            entries
                .iter()
                .map(move |&(key, value)| (self.at(key), self.at(value))),
        )
    }

    /// The value under a text key of a dict; see [`Value::entries`].
    pub fn get(self, key: &str) -> Option<Value<'p, 'a>> {
        self.entries()?
            .rev()
            .find_map(|(k, v)| (k.as_str() == Some(key)).then_some(v))
    }

    /// Module and name of a class or function that is only named.
    pub fn global(self) -> Option<(&'p str, &'p str)> {
        match self.node() {
            Node::Global(names) => Some((&names.0, &names.1)),
            _ => None,
        }
    }

    /// A call: `REDUCE` or `NEWOBJ`, of at most [`MAX_ARGS`] arguments.
    pub fn call(self) -> Option<Call<'p, 'a>> {
        let Node::Call(call) = self.node() else {
            return None;
        };
        let (module, name) = self.at(call.callable).global()?;
        let args = self.at(call.args).items()?;
        Some(Call {
            module,
            name,
            args: (args.len() <= MAX_ARGS).then(|| args.collect())?,
            state: call.state.map(|id| self.at(id)),
        })
    }

    /// The id of an object that is kept outside the pickle, such as a PyTorch storage.
    pub fn persistent(self) -> Option<Value<'p, 'a>> {
        match self.node() {
            Node::Persistent(id) => Some(self.at(*id)),
            _ => None,
        }
    }
}

impl fmt::Debug for Value<'_, '_> {
    // One level only: a shared value printed in full at each use could fill the memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Node::Bytes(bytes) => write!(f, "bytes({})", bytes.len()),
            node => write!(f, "{node:?}"),
        }
    }
}
