//! Parses tokens to trees of nodes, which refer to each other by number: an alias is the node that
//! it names.

use std::collections::HashMap;

use super::scan::{Mark, Placed, Scanner, Style, Token};
use super::{YamlError, resolve};

/// The number of a node.
pub(crate) type Index = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar {
        text: String,
    },
    Sequence(Vec<Index>),
    /// Keys and values in turn.
    Mapping(Vec<(Index, Index)>),
    Alias {
        name: String,
        target: Index,
    },
}

/// A node of a document.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// In short: `!!str`.
    pub(super) tag: String,
    /// Whether it is a scalar without quotation marks and without a tag.
    pub(super) is_bare: bool,
    /// From 1.
    pub(super) line: usize,
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> &str {
        match &self.kind {
            Kind::Scalar { text } => text,
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Alias { .. } => "",
        }
    }
}

/// The nodes of a stream's documents.
#[derive(Debug, Default)]
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    pub(super) fn get(&self, index: Index) -> Option<&Node> {
        self.0.get(index)
    }

    pub(super) fn get_mut(&mut self, index: Index) -> Option<&mut Node> {
        self.0.get_mut(index)
    }

    pub(super) fn add(&mut self, node: Node) -> Index {
        self.0.push(node);
        self.0.len() - 1
    }
}

/// The properties before a node.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: String,
}

/// Reads a stream: its nodes, and the first document's root.
///
/// # Errors
/// Go's message for an invalid document; another failure for one that is too deep.
pub(super) fn all(text: &str, depth: usize) -> Result<(Nodes, Option<Index>), YamlError> {
    let mut parser = Parser::new(text, depth)?;
    let first = parser.document(true)?;
    if first.is_some() {
        while parser.document(false)?.is_some() {}
    }
    Ok((parser.nodes, first))
}

/// Reads the first document of a stream, ignoring later ones.
///
/// # Errors
/// The same.
pub(super) fn first(text: &str, depth: usize) -> Result<(Nodes, Option<Index>), YamlError> {
    let mut parser = Parser::new(text, depth)?;
    let first = parser.document(true)?;
    Ok((parser.nodes, first))
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    nodes: Nodes,
    anchors: HashMap<String, Index>,
    directives: Vec<(String, String)>,
    depth: usize,
}

/// A failure with Go's message, which counts lines from 0 here.
fn wrong(context: Mark, problem: Mark, what: &str) -> YamlError {
    let line = if context.line != 0 { context.line } else { problem.line };
    let place = if line == 0 { String::new() } else { format!("line {line}: ") };
    YamlError::at(problem.offset, format!("{place}{what}"))
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, depth: usize) -> Result<Self, YamlError> {
        Ok(Self {
            scanner: Scanner::new(text)?,
            nodes: Nodes::default(),
            anchors: HashMap::new(),
            directives: Vec::new(),
            depth,
        })
    }

    fn is(&mut self, token: &Token) -> Result<bool, YamlError> {
        Ok(self.scanner.peek()?.token == *token)
    }

    fn is_one_of(&mut self, tokens: &[Token]) -> Result<bool, YamlError> {
        Ok(tokens.contains(&self.scanner.peek()?.token))
    }

    /// Takes a token if it is the next one.
    fn skip(&mut self, token: &Token) -> Result<bool, YamlError> {
        let found = self.is(token)?;
        if found {
            self.scanner.take()?;
        }
        Ok(found)
    }

    fn mark(&mut self) -> Result<Mark, YamlError> {
        Ok(self.scanner.peek()?.mark)
    }

    fn document(&mut self, is_first: bool) -> Result<Option<Index>, YamlError> {
        if !is_first {
            while self.skip(&Token::DocumentEnd)? {}
        }
        if self.is(&Token::StreamEnd)? {
            return Ok(None);
        }
        let is_directive =
            |token: &Token| matches!(token, Token::Version { .. } | Token::TagDirective { .. });
        let next = &self.scanner.peek()?.token;
        let is_explicit = !is_first || is_directive(next) || *next == Token::DocumentStart;
        self.directives()?;
        let root = if is_explicit {
            let Placed { token, mark } = self.scanner.peek()?.clone();
            if token != Token::DocumentStart {
                return Err(wrong(Mark::default(), mark, "did not find expected <document start>"));
            }
            self.scanner.take()?;
            let next = &self.scanner.peek()?.token;
            let is_empty = is_directive(next)
                || matches!(next, Token::DocumentStart | Token::DocumentEnd | Token::StreamEnd);
            if is_empty { self.empty()? } else { self.node(true, false)? }
        } else {
            self.node(true, false)?
        };
        self.skip(&Token::DocumentEnd)?;
        self.directives.clear();
        Ok(Some(root))
    }

    fn directives(&mut self) -> Result<(), YamlError> {
        let mut has_version = false;
        loop {
            let Placed { token, mark } = self.scanner.peek()?.clone();
            let failed = |what| Err(wrong(Mark::default(), mark, what));
            match token {
                Token::Version { .. } if has_version => {
                    return failed("found duplicate %YAML directive");
                }
                Token::Version { is_known: false } => {
                    return failed("found incompatible YAML document");
                }
                Token::Version { is_known: true } => has_version = true,
                Token::TagDirective { handle, prefix } => {
                    if self.directives.iter().any(|(known, _)| *known == handle) {
                        return failed("found duplicate %TAG directive");
                    }
                    self.directives.push((handle, prefix));
                }
                _ => break,
            }
            self.scanner.take()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", resolve::LONG_PREFIX)] {
            if !self.directives.iter().any(|(known, _)| known == handle) {
                self.directives.push((handle.to_owned(), prefix.to_owned()));
            }
        }
        Ok(())
    }

    /// A missing scalar.
    fn empty(&mut self) -> Result<Index, YamlError> {
        let mark = self.mark()?;
        Ok(self.scalar(Properties::default(), String::new(), Style::Plain, mark))
    }

    fn add(&mut self, kind: Kind, tag: String, is_bare: bool, mark: Mark) -> Index {
        self.nodes.add(Node { kind, tag, is_bare, line: mark.line + 1 })
    }

    fn scalar(&mut self, about: Properties, text: String, style: Style, mark: Mark) -> Index {
        let has_tag = !matches!(about.tag.as_str(), "" | "!");
        let tag = if has_tag {
            resolve::short(&about.tag)
        } else if style == Style::Marked {
            resolve::STRING.to_owned()
        } else if text == "<<" {
            resolve::MERGE.to_owned()
        } else {
            resolve::plain(&text).tag().to_owned()
        };
        let is_bare = !has_tag && style == Style::Plain;
        let index = self.add(Kind::Scalar { text }, tag, is_bare, mark);
        if let Some(anchor) = about.anchor {
            self.anchors.insert(anchor, index);
        }
        index
    }

    /// A node for a collection, whose children follow.
    fn collection(&mut self, about: Properties, kind: Kind, mark: Mark) -> Index {
        let default =
            if matches!(kind, Kind::Mapping(_)) { resolve::MAPPING } else { resolve::SEQUENCE };
        let has_tag = !matches!(about.tag.as_str(), "" | "!");
        let tag = if has_tag { resolve::short(&about.tag) } else { default.to_owned() };
        let index = self.add(kind, tag, false, mark);
        if let Some(anchor) = about.anchor {
            self.anchors.insert(anchor, index);
        }
        index
    }

    fn properties(&mut self, start: Mark) -> Result<Properties, YamlError> {
        let mut about = Properties::default();
        let mut has_tag = false;
        loop {
            let Placed { token, mark } = self.scanner.peek()?.clone();
            match token {
                Token::Anchor(name) if about.anchor.is_none() => about.anchor = Some(name),
                Token::Tag { handle, suffix } if !has_tag => {
                    has_tag = true;
                    let known = self.directives.iter().find(|(known, _)| *known == handle);
                    about.tag = match known {
                        _ if handle.is_empty() => suffix,
                        Some((_, prefix)) => format!("{prefix}{suffix}"),
                        None => return Err(wrong(start, mark, "found undefined tag handle")),
                    };
                }
                _ => return Ok(about),
            }
            self.scanner.take()?;
        }
    }

    fn node(&mut self, block: bool, indentless: bool) -> Result<Index, YamlError> {
        self.depth = self.depth.checked_sub(1).ok_or(YamlError::too_deep())?;
        let Placed { token, mark: start } = self.scanner.peek()?.clone();
        let index = if let Token::Alias(name) = token {
            let Some(target) = self.anchors.get(&name).copied() else {
                let what = format!("unknown anchor '{name}' referenced");
                return Err(YamlError::at(start.offset, what));
            };
            self.scanner.take()?;
            self.add(Kind::Alias { name, target }, String::new(), false, start)
        } else {
            let about = self.properties(start)?;
            self.content(about, start, block, indentless)?
        };
        self.depth += 1;
        Ok(index)
    }

    fn content(
        &mut self,
        about: Properties,
        start: Mark,
        block: bool,
        indentless: bool,
    ) -> Result<Index, YamlError> {
        let Placed { token, mark } = self.scanner.peek()?.clone();
        match token {
            Token::BlockEntry if indentless => self.block_sequence(about, start, true),
            Token::Scalar { text, style } => {
                self.scanner.take()?;
                Ok(self.scalar(about, text, style, start))
            }
            Token::FlowSequenceStart => self.flow_sequence(about, start),
            Token::FlowMappingStart => self.flow_mapping(about, start),
            Token::BlockSequenceStart if block => self.block_sequence(about, start, false),
            Token::BlockMappingStart if block => self.block_mapping(about, start),
            _ if about.anchor.is_some() || !about.tag.is_empty() => {
                Ok(self.scalar(about, String::new(), Style::Plain, start))
            }
            _ => Err(wrong(start, mark, "did not find expected node content")),
        }
    }

    fn push(&mut self, parent: Index, child: Index) {
        if let Some(Node { kind: Kind::Sequence(children), .. }) = self.nodes.get_mut(parent) {
            children.push(child);
        }
    }

    fn push_pair(&mut self, parent: Index, key: Index, value: Index) {
        if let Some(Node { kind: Kind::Mapping(children), .. }) = self.nodes.get_mut(parent) {
            children.push((key, value));
        }
    }

    fn block_sequence(
        &mut self,
        about: Properties,
        start: Mark,
        indentless: bool,
    ) -> Result<Index, YamlError> {
        let index = self.collection(about, Kind::Sequence(Vec::new()), start);
        let begin = self.mark()?;
        if !indentless {
            self.scanner.take()?;
        }
        while self.skip(&Token::BlockEntry)? {
            let ends = [Token::BlockEntry, Token::BlockEnd, Token::Key, Token::Value];
            let ends = if indentless { ends.as_slice() } else { ends.get(..2).unwrap_or(&ends) };
            let child = if self.is_one_of(ends)? { self.empty()? } else { self.node(true, false)? };
            self.push(index, child);
        }
        if !indentless && !self.skip(&Token::BlockEnd)? {
            return Err(wrong(begin, self.mark()?, "did not find expected '-' indicator"));
        }
        Ok(index)
    }

    fn block_mapping(&mut self, about: Properties, start: Mark) -> Result<Index, YamlError> {
        const ENDS: [Token; 3] = [Token::Key, Token::Value, Token::BlockEnd];
        let index = self.collection(about, Kind::Mapping(Vec::new()), start);
        let begin = self.scanner.take()?.mark;
        while self.skip(&Token::Key)? {
            let key = if self.is_one_of(&ENDS)? { self.empty()? } else { self.node(true, true)? };
            let has_value = self.skip(&Token::Value)?;
            let value = if has_value && !self.is_one_of(&ENDS)? {
                self.node(true, true)?
            } else {
                self.empty()?
            };
            self.push_pair(index, key, value);
        }
        if !self.skip(&Token::BlockEnd)? {
            return Err(wrong(begin, self.mark()?, "did not find expected key"));
        }
        Ok(index)
    }

    fn flow_sequence(&mut self, about: Properties, start: Mark) -> Result<Index, YamlError> {
        const END: Token = Token::FlowSequenceEnd;
        let index = self.collection(about, Kind::Sequence(Vec::new()), start);
        let begin = self.scanner.take()?.mark;
        let mut is_first = true;
        while !self.is(&END)? {
            if !is_first && !self.skip(&Token::FlowEntry)? {
                return Err(wrong(begin, self.mark()?, "did not find expected ',' or ']'"));
            }
            is_first = false;
            if self.is(&Token::Key)? {
                let pair = self.pair()?;
                self.push(index, pair);
            } else if !self.is(&END)? {
                let child = self.node(false, false)?;
                self.push(index, child);
            }
        }
        self.scanner.take()?;
        Ok(index)
    }

    /// A mapping of one pair, without braces.
    fn pair(&mut self) -> Result<Index, YamlError> {
        const ENDS: [Token; 2] = [Token::FlowEntry, Token::FlowSequenceEnd];
        let start = self.scanner.take()?.mark;
        let index = self.collection(Properties::default(), Kind::Mapping(Vec::new()), start);
        let has_key = !self.is(&Token::Value)? && !self.is_one_of(&ENDS)?;
        let key = if has_key {
            self.node(false, false)?
        } else {
            // Go names the token that should follow.
            let key = self.empty()?;
            self.scanner.take()?;
            key
        };
        let has_value = self.skip(&Token::Value)? && !self.is_one_of(&ENDS)?;
        let value = if has_value { self.node(false, false)? } else { self.empty()? };
        self.push_pair(index, key, value);
        Ok(index)
    }

    fn flow_mapping(&mut self, about: Properties, start: Mark) -> Result<Index, YamlError> {
        const ENDS: [Token; 2] = [Token::FlowEntry, Token::FlowMappingEnd];
        let index = self.collection(about, Kind::Mapping(Vec::new()), start);
        let begin = self.scanner.take()?.mark;
        let mut is_first = true;
        while !self.is(&Token::FlowMappingEnd)? {
            if !is_first && !self.skip(&Token::FlowEntry)? {
                return Err(wrong(begin, self.mark()?, "did not find expected ',' or '}'"));
            }
            is_first = false;
            if self.skip(&Token::Key)? {
                let has_key = !self.is(&Token::Value)? && !self.is_one_of(&ENDS)?;
                let key = if has_key { self.node(false, false)? } else { self.empty()? };
                let has_value = self.skip(&Token::Value)? && !self.is_one_of(&ENDS)?;
                let value = if has_value { self.node(false, false)? } else { self.empty()? };
                self.push_pair(index, key, value);
            } else if !self.is(&Token::FlowMappingEnd)? {
                let key = self.node(false, false)?;
                let value = self.empty()?;
                self.push_pair(index, key, value);
            }
        }
        self.scanner.take()?;
        Ok(index)
    }
}
