//! The stack machine: bytes to nodes.
//!
//! Opcodes and their operands: `Lib/pickletools.py` of CPython.

use std::borrow::Cow;
use std::collections::HashMap;

use driftline_core::{Budget, Error, ErrorKind, Result};

use crate::MAX_DEPTH;
use crate::value::{CallNode, Id, Node, Pickle};

/// What a value costs beside what it holds: its node, its places on the stack and among the heights, and what is free or
/// being moved while the lists of those grow.
const NODE_COST: usize = 3 * (size_of::<Node<'static>>() + size_of::<Id>() + 1);
/// A reference on the stack or in a list, while that grows.
const REFERENCE_COST: usize = 3 * size_of::<Id>();
/// A mark, likewise.
const MARK_COST: usize = 3 * size_of::<usize>();
/// An entry of the memo, likewise.
const MEMO_COST: usize = 64;
/// Characters of the input that a message shows.
const SHOWN: usize = 80;

/// Reads the first pickle in `bytes`; what follows it is ignored, as Python does.
///
/// `allowed(module, name)` says whether a class or function may be named; it is not looked up either way. What the
/// values take is taken from `budget`: an opcode is one byte, and a value that it makes a hundred.
///
/// # Errors
/// `InvalidData`, with the position of the opcode: a name that is not allowed, an opcode that is not known or not
/// needed for arrays and state dicts, an input that ends early, text that is not UTF-8, an integer past 64 bits, a
/// value that contains itself or is nested deeper than [`MAX_DEPTH`], more values than `budget` has room for.
pub fn parse<'a>(
    bytes: &'a [u8],
    allowed: &dyn Fn(&str, &str) -> bool,
    budget: &mut Budget,
) -> Result<Pickle<'a>> {
    let mut machine = Machine {
        input: bytes,
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        allowed,
        budget,
    };
    let mut opcode_at = 0;
    let root = loop {
        match machine.step() {
            Ok(None) => opcode_at = machine.at,
            Ok(Some(root)) => break root,
            Err(message) => return Err(refused(message).with("byte", opcode_at)),
        }
    };
    check_depth(&machine.nodes, root).map_err(refused)?;
    Ok(Pickle {
        nodes: machine.nodes,
        root,
    })
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidData, "read pickle", message)
}

type Step<T> = Result<T, String>;

struct Machine<'a, 'f> {
    input: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack where a mark lies.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    allowed: &'f dyn Fn(&str, &str) -> bool,
    budget: &'f mut Budget,
}

impl<'a> Machine<'a, '_> {
    /// One opcode; the root when it was `STOP`.
    fn step(&mut self) -> Step<Option<Id>> {
        let [opcode] = self.array()?;
        match opcode {
            0x80 => {
                let [protocol] = self.array()?;
                if protocol > 5 {
                    return Err(format!("pickle protocol {protocol} is newer than 5"));
                }
            }
            // FRAME: only a hint for buffered readers.
            0x95 => drop(self.array::<8>()?),
            b'.' => return self.pop().map(Some),

            b'(' => {
                self.charge(MARK_COST)?;
                self.marks.push(self.stack.len());
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.refer(top)?;
            }

            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'K' => {
                let [value] = self.array()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let length = self.length::<1>()?;
                self.long(length)?;
            }
            0x8b => {
                let length = self.length::<4>()?;
                self.long(length)?;
            }
            b'I' => {
                let node = match self.line()? {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    text => Node::Int(decimal(text)?),
                };
                self.push(node)?;
            }
            b'L' => {
                let text = self.line()?;
                let value = decimal(text.strip_suffix('L').unwrap_or(text))?;
                self.push(Node::Int(value))?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            b'F' => {
                let text = self.line()?;
                let value = text
                    .parse()
                    .map_err(|_| format!("`{}` is not a number", shown(text)))?;
                self.push(Node::Float(value))?;
            }

            // BINSTRING, BINBYTES, SHORT_BINSTRING, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8.
            b'T' | b'B' => self.counted_bytes::<4>()?,
            b'U' | b'C' => self.counted_bytes::<1>()?,
            0x8e | 0x96 => self.counted_bytes::<8>()?,
            b'S' => {
                let line = self.line()?;
                self.charge(line.len())?;
                self.push(Node::Bytes(unquoted(line)?.into()))?;
            }
            b'X' => self.counted_text::<4>()?,
            0x8c => self.counted_text::<1>()?,
            0x8d => self.counted_text::<8>()?,
            b'V' => {
                let line = self.line_bytes()?;
                // A byte of Latin-1 is up to two of UTF-8, and the text grows by doubling.
                self.charge(4 * line.len())?;
                self.push(Node::Str(raw_unicode(line)?.into()))?;
            }

            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                self.charge(4 * REFERENCE_COST)?;
                let mut items = Vec::new();
                for _ in 0..opcode - 0x84 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Node::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let entries = pairs(&self.pop_mark()?)?;
                self.push(Node::Dict(entries))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(&items)?;
            }

            b'c' => {
                let module = Cow::Borrowed(self.line()?);
                let name = Cow::Borrowed(self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let name = self.pop_text()?;
                let module = self.pop_text()?;
                self.global(module, name)?;
            }
            // REDUCE and NEWOBJ differ in how the object is made, which nobody does here.
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                match self.node_mut(top)? {
                    Node::Call(call) if call.state.is_none() => call.state = Some(state),
                    Node::Call(_) => return Err("an object is given its state twice".to_owned()),
                    _ => return Err("a state is given to what is not an object".to_owned()),
                }
            }
            b'P' => {
                let id = Node::Str(Cow::Borrowed(self.line()?));
                self.push(id)?;
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }

            b'p' => {
                let slot = self.decimal_slot()?;
                self.remember(slot)?;
            }
            b'q' => {
                let [slot] = self.array()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.remember(slot)?;
            }
            0x94 => {
                let slot = u32::try_from(self.memo.len()).map_err(|e| e.to_string())?;
                self.remember(slot)?;
            }
            b'g' => {
                let slot = self.decimal_slot()?;
                self.recall(slot)?;
            }
            b'h' => {
                let [slot] = self.array()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            other => {
                return Err(format!(
                    "opcode {other:#04x} is unknown, or not one that arrays and state dicts need"
                ));
            }
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.input.get(self.at..end));
        let taken = taken.ok_or("the pickle ends early")?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N)?
            .try_into()
            .map_err(|_| "the pickle ends early".to_owned())
    }

    /// A little-endian length of `N` bytes, at most 8.
    fn length<const N: usize>(&mut self) -> Step<usize> {
        let value = self
            .array::<N>()?
            .iter()
            .rev()
            .fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        usize::try_from(value).map_err(|_| "the pickle ends early".to_owned())
    }

    /// Bytes up to the next line feed, which is passed over.
    fn line_bytes(&mut self) -> Step<&'a [u8]> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("the pickle ends early")?)?;
        self.take(1)?;
        Ok(line)
    }

    fn line(&mut self) -> Step<&'a str> {
        text(self.line_bytes()?)
    }

    fn decimal_slot(&mut self) -> Step<u32> {
        let line = self.line()?;
        line.parse()
            .map_err(|_| format!("`{}` is not a place in the memo", shown(line)))
    }

    fn push(&mut self, node: Node<'a>) -> Step<()> {
        let id = Id::try_from(self.nodes.len()).map_err(|_| "the pickle holds too many values")?;
        self.charge(NODE_COST)?;
        self.nodes.push(node);
        self.stack.push(id);
        Ok(())
    }

    /// A value once more on the stack.
    fn refer(&mut self, id: Id) -> Step<()> {
        self.charge(REFERENCE_COST)?;
        self.stack.push(id);
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Step<()> {
        self.budget.take(bytes as u64).map_err(|e| e.to_string())
    }

    fn top(&self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err("the stack is empty".to_owned()),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("there is no mark on the stack")?;
        let mark = mark.min(self.stack.len());
        self.charge((self.stack.len() - mark) * REFERENCE_COST)?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Step<Cow<'a, str>> {
        let id = self.pop()?;
        match self.node_mut(id)? {
            Node::Str(text) => Ok(text.clone()),
            _ => Err("the name of a class or function is not text".to_owned()),
        }
    }

    fn node_mut(&mut self, id: Id) -> Step<&mut Node<'a>> {
        let node = self.nodes.get_mut(id as usize);
        node.ok_or_else(|| "a value is missing".to_owned())
    }

    fn remember(&mut self, slot: u32) -> Step<()> {
        let id = self.top()?;
        if self.memo.insert(slot, id).is_none() {
            self.charge(MEMO_COST)?;
        }
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Step<()> {
        let id = self.memo.get(&slot);
        let id = *id.ok_or_else(|| format!("place {slot} of the memo is empty"))?;
        self.refer(id)
    }

    fn long(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(format!("an integer of {length} bytes does not fit 64 bits"));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut full = [if negative { 0xff } else { 0 }; 8];
        for (to, from) in full.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.push(Node::Int(i64::from_le_bytes(full)))
    }

    fn counted_bytes<const N: usize>(&mut self) -> Step<()> {
        let length = self.length::<N>()?;
        let bytes = self.take(length)?;
        self.push(Node::Bytes(bytes.into()))
    }

    fn counted_text<const N: usize>(&mut self) -> Step<()> {
        let length = self.length::<N>()?;
        let text = text(self.take(length)?)?;
        self.push(Node::Str(text.into()))
    }

    fn append(&mut self, new: &[Id]) -> Step<()> {
        self.charge(new.len() * REFERENCE_COST)?;
        let top = self.top()?;
        match self.node_mut(top)? {
            Node::List(items) => items.extend_from_slice(new),
            Node::Call(call) => call.items.extend_from_slice(new),
            _ => return Err("values are appended to what is not a list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, new: &[Id]) -> Step<()> {
        self.charge(new.len() * REFERENCE_COST)?;
        let new = pairs(new)?;
        let top = self.top()?;
        match self.node_mut(top)? {
            Node::Dict(entries) => entries.extend(new),
            Node::Call(call) => call.entries.extend(new),
            _ => return Err("keys are set on what is not a dict".to_owned()),
        }
        Ok(())
    }

    fn global(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) -> Step<()> {
        if !(self.allowed)(&module, &name) {
            return Err(format!(
                "the pickle names `{}.{}`, which is not allowed in this file",
                shown(&module),
                shown(&name)
            ));
        }
        self.charge(size_of::<(Cow<'_, str>, Cow<'_, str>)>())?;
        self.push(Node::Global(Box::new((module, name))))
    }

    fn call(&mut self, callable: Id, args: Id) -> Step<()> {
        if !matches!(self.node_mut(callable)?, Node::Global(_)) {
            return Err("what is called is not the name of a class or function".to_owned());
        }
        if !matches!(self.node_mut(args)?, Node::Tuple(_)) {
            return Err("the arguments of a call are not a tuple".to_owned());
        }
        self.charge(size_of::<CallNode>())?;
        self.push(Node::Call(Box::new(CallNode {
            callable,
            args,
            state: None,
            items: Vec::new(),
            entries: Vec::new(),
        })))
    }
}

/// The beginning of a text from the pickle, for a message.
fn shown(text: &str) -> String {
    let beginning: String = text.chars().take(SHOWN).collect();
    let cut = if beginning.len() < text.len() {
        "…"
    } else {
        ""
    };
    format!("{}{cut}", beginning.escape_debug())
}

fn text(bytes: &[u8]) -> Step<&str> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
}

fn decimal(text: &str) -> Step<i64> {
    text.parse()
        .map_err(|_| format!("`{}` is not an integer of 64 bits", shown(text)))
}

fn pairs(items: &[Id]) -> Step<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a key of a dict has no value".to_owned());
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

/// A protocol 0 byte string: a Python literal in quotes.
fn unquoted(line: &str) -> Step<Vec<u8>> {
    let malformed = || "a quoted string is malformed".to_owned();
    let inner = [b'\'', b'"'].into_iter().find_map(|quote| {
        let inner = line.as_bytes().strip_prefix(&[quote])?;
        inner.strip_suffix(&[quote])
    });
    let mut rest = inner.ok_or_else(malformed)?.iter().copied();
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().ok_or_else(malformed)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            quoted @ (b'\\' | b'\'' | b'"') => quoted,
            b'x' => {
                let mut value = 0;
                for _ in 0..2 {
                    value = value << 4 | hex_digit(rest.next()).ok_or_else(malformed)?;
                }
                u8::try_from(value).map_err(|_| malformed())?
            }
            _ => return Err(malformed()),
        });
    }
    Ok(bytes)
}

/// A protocol 0 text: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(line: &[u8]) -> Step<String> {
    let mut text = String::new();
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let digits = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        rest.next();
        let mut value = 0_u32;
        for _ in 0..digits {
            let digit = hex_digit(rest.next()).ok_or("a text has a malformed escape")?;
            value = value << 4 | digit;
        }
        text.push(char::from_u32(value).ok_or("a text has a malformed escape")?);
    }
    Ok(text)
}

fn hex_digit(byte: Option<u8>) -> Option<u32> {
    char::from(byte?).to_digit(16)
}

/// Refuses values below `root` that contain themselves or are nested too deeply, in time linear in the nodes.
fn check_depth(nodes: &[Node<'_>], root: Id) -> Step<()> {
    const UNSEEN: u8 = 0;
    const OPEN: u8 = u8::MAX;
    // Height of each node once it is known, 1 for a leaf.
    let mut heights = vec![UNSEEN; nodes.len()];
    // The path from the root: node, its next child, its height so far.
    let mut path = vec![(root, 0, 1)];
    while let Some(&mut (id, ref mut next, ref mut height)) = path.last_mut() {
        let (Some(node), Some(state)) = (nodes.get(id as usize), heights.get_mut(id as usize))
        else {
            return Err("a value is missing".to_owned());
        };
        *state = OPEN;
        let Some(child) = node.child(*next) else {
            *state = *height;
            let above = *height + 1;
            path.pop();
            if let Some((_, _, height)) = path.last_mut() {
                *height = above.max(*height);
            }
            continue;
        };
        *next += 1;
        let known = match heights.get(child as usize) {
            Some(&OPEN) => return Err("a value contains itself".to_owned()),
            Some(&UNSEEN) | None => 1,
            Some(&known) => {
                *height = (*height).max(known + 1);
                known
            }
        };
        if path.len() + usize::from(known) > MAX_DEPTH {
            return Err(format!("values are nested deeper than {MAX_DEPTH} levels"));
        }
        if heights.get(child as usize) == Some(&UNSEEN) {
            path.push((child, 0, 1));
        }
    }
    Ok(())
}
