//! Writes templates.

use super::functions::{self, Held, Problem, is_true};
use super::parse::{Branches, Command, MAIN, Node, Pipe, Templates, Word, WordKind};
use super::{DEPTH, NO_VALUE};
use crate::builtins::Failure;
use crate::builtins::go::fmt::Arg;
use crate::builtins::go::quote::quote;
use crate::builtins::limits::{self, Clock};

/// The text of the main template.
///
/// # Errors
/// Go's message.
pub(super) fn execute(
    templates: &Templates<'_>,
    variables: &Arg,
    clock: &mut Clock,
) -> Result<String, Failure> {
    let mut state = State {
        templates,
        name: MAIN.to_owned(),
        out: String::new(),
        variables: vec![("$".to_owned(), Some(variables.clone()))],
        clock,
        depth: 0,
    };
    let root = templates.trees.get(MAIN).map(Vec::as_slice).unwrap_or_default();
    state.list(&Some(variables.clone()), root)?;
    Ok(state.out)
}

struct State<'a, 't> {
    templates: &'a Templates<'t>,
    /// Of the template that is being written.
    name: String,
    out: String,
    variables: Vec<(String, Held)>,
    clock: &'a mut Clock,
    /// The number of enclosing templates.
    depth: usize,
}

/// How a list of nodes ends.
#[derive(PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

impl<'a> State<'a, '_> {
    /// A failure at a node; a node without its text is a word.
    fn wrong(&self, at: usize, text: Option<&str>, what: &str) -> Failure {
        let source = self.templates.source;
        let before = source.get(..at).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = source.get(at..).unwrap_or_default();
        let end = rest.find(|c: char| " \t\r\n|)}".contains(c)).unwrap_or(rest.len());
        let context = text.unwrap_or_else(|| rest.get(..end).unwrap_or_default());
        let name = quote(&self.name);
        Failure::Builtin(format!(
            "template: {MAIN}:{line}:{column}: executing {name} at <{context}>: {what}"
        ))
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out.push_str(text);
        if self.out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a text is too long"));
        }
        Ok(())
    }

    fn list(&mut self, dot: &Held, nodes: &'a [Node]) -> Result<Flow, Failure> {
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    fn node(&mut self, dot: &Held, node: &'a Node) -> Result<Flow, Failure> {
        self.clock.step()?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    match value {
                        None => self.write(NO_VALUE)?,
                        Some(value) => self.write(&functions::show(&value)?)?,
                    }
                }
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::If(branches) => return self.branch(dot, branches, false),
            Node::With(branches) => return self.branch(dot, branches, true),
            Node::Range(branches) => return self.range(dot, branches),
            Node::Template { at, name, pipe } => {
                self.template(dot, *at, name, pipe.as_ref())?;
            }
        }
        Ok(Flow::Through)
    }

    fn branch(&mut self, dot: &Held, branches: &'a Branches, with: bool) -> Result<Flow, Failure> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branches.pipe)?;
        let flow = if is_true(value.as_ref()) {
            self.list(if with { &value } else { dot }, &branches.then)?
        } else {
            match &branches.otherwise {
                Some(nodes) => self.list(dot, nodes)?,
                None => Flow::Through,
            }
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Held, branches: &'a Branches) -> Result<Flow, Failure> {
        let begin = self.variables.len();
        let value = self.pipeline(dot, &branches.pipe)?;
        let wrong = |state: &Self, what: &str| state.wrong(branches.pipe.at, None, what);
        let mut runs = false;
        match value {
            None | Some(Arg::Nil) => {}
            Some(Arg::MachineInt(count) | Arg::Int(count)) => {
                if branches.pipe.variables.len() > 1 {
                    let what = format!("can't use {count} to iterate over more than one variable");
                    return Err(wrong(self, &what));
                }
                for i in 0..count {
                    runs = true;
                    if !self.iterate(branches, None, Some(Arg::MachineInt(i)))? {
                        break;
                    }
                }
            }
            Some(Arg::List(elements)) => {
                for (i, element) in (0..).zip(elements) {
                    runs = true;
                    if !self.iterate(branches, Some(Arg::MachineInt(i)), Some(element))? {
                        break;
                    }
                }
            }
            Some(Arg::Map(entries)) => {
                for (key, element) in entries {
                    runs = true;
                    if !self.iterate(branches, Some(Arg::Text(key)), Some(element))? {
                        break;
                    }
                }
            }
            Some(other) => {
                let shown = functions::show(&other)?;
                return Err(wrong(self, &format!("range can't iterate over {shown}")));
            }
        }
        if !runs && let Some(nodes) = &branches.otherwise {
            let flow = self.list(dot, nodes)?;
            self.variables.truncate(begin);
            return Ok(flow);
        }
        self.variables.truncate(begin);
        Ok(Flow::Through)
    }

    /// Writes a loop's body once. Returns whether the loop continues.
    fn iterate(
        &mut self,
        branches: &'a Branches,
        index: Held,
        element: Held,
    ) -> Result<bool, Failure> {
        self.clock.step()?;
        let mark = self.variables.len();
        let pipe = &branches.pipe;
        let mut values = match pipe.variables.len() {
            0 => Vec::new(),
            1 => vec![element.clone()],
            _ => vec![index, element.clone()],
        };
        if pipe.assigns {
            for (name, value) in pipe.variables.iter().zip(values) {
                self.assign(pipe.at, name, value)?;
            }
        } else {
            for place in self.variables.iter_mut().rev() {
                let Some(value) = values.pop() else { break };
                place.1 = value;
            }
        }
        let flow = self.list(&element, &branches.then)?;
        self.variables.truncate(mark);
        Ok(flow != Flow::Break)
    }

    fn template(
        &mut self,
        dot: &Held,
        at: usize,
        name: &str,
        pipe: Option<&'a Pipe>,
    ) -> Result<(), Failure> {
        let Some(nodes) = self.templates.trees.get(name) else {
            let what = format!("template {} not defined", quote(name));
            let context = format!("{{{{template {}}}}}", quote(name));
            return Err(self.wrong(at, Some(&context), &what));
        };
        if self.depth >= DEPTH {
            return Err(limits::exceeded("there are too many templates within each other"));
        }
        let value = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => None,
        };
        let variables = vec![("$".to_owned(), value.clone())];
        let outer = std::mem::replace(&mut self.variables, variables);
        let outer_name = std::mem::replace(&mut self.name, name.to_owned());
        self.depth += 1;
        self.list(&value, nodes)?;
        self.depth -= 1;
        (self.variables, self.name) = (outer, outer_name);
        Ok(())
    }

    fn assign(&mut self, at: usize, name: &str, value: Held) -> Result<(), Failure> {
        let place = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match place {
            Some(place) => {
                place.1 = value;
                Ok(())
            }
            None => Err(self.wrong(at, None, &format!("undefined variable: {name}"))),
        }
    }

    fn pipeline(&mut self, dot: &Held, pipe: &'a Pipe) -> Result<Held, Failure> {
        let mut value: Option<Held> = None;
        for command in &pipe.commands {
            // A nil counts as no value from here on.
            let next = self.command(dot, command, value.as_ref())?;
            value = Some(next.filter(|value| *value != Arg::Nil));
        }
        let value = value.flatten();
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(pipe.at, name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        dot: &Held,
        command: &'a Command,
        last: Option<&Held>,
    ) -> Result<Held, Failure> {
        let Some((first, rest)) = command.words.split_first() else { return Ok(None) };
        if let WordKind::Function(name) = &first.kind {
            let place = (command.at, Some(command.text.as_str()));
            return self.function(dot, place, name, rest, last);
        }
        let has_arguments = !rest.is_empty() || last.is_some();
        if has_arguments {
            let is_field = match &first.kind {
                WordKind::Field(_) | WordKind::Chain(..) => true,
                WordKind::Variable(_, names) | WordKind::Pipe(_, names) => !names.is_empty(),
                _ => false,
            };
            if is_field {
                self.word(dot, first)?;
                let text = self.source_of(first);
                let name = text.rsplit('.').next().unwrap_or_default();
                let what = format!("{name} is not a method but has arguments");
                return Err(self.wrong(first.at, Some(&text), &what));
            }
            let text = self.source_of(first);
            let what = format!("can't give argument to non-function {text}");
            return Err(self.wrong(first.at, None, &what));
        }
        if matches!(first.kind, WordKind::Nil) {
            return Err(self.wrong(first.at, None, "nil is not a command"));
        }
        self.word(dot, first)
    }

    /// A word as Go shows it.
    fn source_of(&self, word: &Word) -> String {
        match &word.kind {
            WordKind::Field(names) => format!(".{}", names.join(".")),
            WordKind::Variable(name, names) if !names.is_empty() => {
                format!("{name}.{}", names.join("."))
            }
            _ => {
                let rest = self.templates.source.get(word.at..).unwrap_or_default();
                let end = rest.find(|c: char| " \t\r\n|)}".contains(c)).unwrap_or(rest.len());
                rest.get(..end).unwrap_or_default().to_owned()
            }
        }
    }

    /// The value of a single word.
    fn word(&mut self, dot: &Held, word: &'a Word) -> Result<Held, Failure> {
        match &word.kind {
            WordKind::Dot => Ok(dot.clone()),
            WordKind::Nil => Ok(None),
            WordKind::Bool(value) => Ok(Some(Arg::Bool(*value))),
            WordKind::Integer(value) => Ok(Some(Arg::MachineInt(*value))),
            WordKind::Float(value) => Ok(Some(Arg::Float(*value))),
            WordKind::Text(text) => Ok(Some(Arg::Text(text.clone()))),
            WordKind::Overflow => {
                let what = format!("{} overflows int", self.source_of(word));
                Err(self.wrong(word.at, None, &what))
            }
            WordKind::Complex => {
                Err(self.wrong(word.at, None, "complex numbers are not known here"))
            }
            WordKind::Function(name) => self.function(dot, (word.at, None), name, &[], None),
            WordKind::Field(names) => self.fields(word, dot.as_ref(), names),
            WordKind::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                match found {
                    Some((_, value)) => self.fields(word, value.as_ref(), names),
                    None => {
                        let what = format!("undefined variable: {name}");
                        Err(self.wrong(word.at, None, &what))
                    }
                }
            }
            WordKind::Pipe(pipe, names) => {
                let value = self.pipeline(dot, pipe)?;
                self.fields(word, value.as_ref(), names)
            }
            WordKind::Chain(name, names) => {
                let value = self.function(dot, (word.at, None), name, &[], None)?;
                self.fields(word, value.as_ref(), names)
            }
        }
    }

    fn fields(&self, word: &Word, value: Option<&Arg>, names: &[String]) -> Result<Held, Failure> {
        let wrong = |what: &str| self.wrong(word.at, Some(&self.source_of(word)), what);
        let mut value = value;
        for (i, name) in names.iter().enumerate() {
            value = match value {
                None => None,
                Some(Arg::Nil) => {
                    let what = format!("nil pointer evaluating interface {{}}.{name}");
                    return Err(wrong(&what));
                }
                Some(Arg::Map(entries)) => {
                    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
                }
                Some(other) => {
                    // A value within another one has no concrete type.
                    let of = if i == 0 { other.type_name() } else { "interface {}" };
                    let what = format!("can't evaluate field {name} in type {of}");
                    return Err(wrong(&what));
                }
            };
        }
        Ok(value.cloned())
    }

    fn function(
        &mut self,
        dot: &Held,
        (at, text): (usize, Option<&str>),
        name: &str,
        words: &'a [Word],
        last: Option<&Held>,
    ) -> Result<Held, Failure> {
        let (least, more) = functions::arity(name);
        let given = words.len() + usize::from(last.is_some());
        if given < least || !more && given > least {
            let what = if more {
                format!(
                    "wrong number of args for {name}: want at least {least} got {}",
                    words.len()
                )
            } else {
                format!("wrong number of args for {name}: want {least} got {given}")
            };
            return Err(self.wrong(at, None, &what));
        }
        if matches!(name, "and" | "or") {
            let mut value = None;
            for word in words {
                value = self.word(dot, word)?;
                if is_true(value.as_ref()) == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(last.cloned().unwrap_or(value));
        }
        let mut args = Vec::with_capacity(given);
        for word in words {
            let value = self.word(dot, word)?;
            if name == "printf" && args.is_empty() {
                self.check_format(word, value.as_ref())?;
            }
            args.push(value);
        }
        if let Some(last) = last {
            if name == "printf" && args.is_empty() && !matches!(last, Some(Arg::Text(_))) {
                let what = match last {
                    None => "invalid value; expected string".to_owned(),
                    Some(other) => wrong_type(other),
                };
                return Err(self.wrong(at, None, &what));
            }
            args.push(last.clone());
        }
        if name == "call"
            && let Some(Some(value)) = args.first().filter(|v| **v != Some(Arg::Nil))
        {
            // Values are never functions.
            let shown = words.first().map(|word| self.source_of(word)).unwrap_or_default();
            let type_name = value.type_name();
            let what = format!("error calling call: non-function {shown} of type {type_name}");
            return Err(self.wrong(at, text, &what));
        }
        functions::call(name, &args).map_err(|problem| match problem {
            Problem::Words(what) => self.wrong(at, text, &format!("error calling {name}: {what}")),
            Problem::Limit(failure) => failure,
        })
    }

    /// A format is a text.
    fn check_format(&self, word: &Word, value: Option<&Arg>) -> Result<(), Failure> {
        let what = match (&word.kind, value) {
            (_, Some(Arg::Text(_))) => return Ok(()),
            (WordKind::Nil, _) => "cannot assign nil to string".to_owned(),
            (WordKind::Bool(_) | WordKind::Integer(_) | WordKind::Float(_), _) => {
                format!("expected string; found {}", self.source_of(word))
            }
            (_, None | Some(Arg::Nil)) => "invalid value; expected string".to_owned(),
            (_, Some(other)) => wrong_type(other),
        };
        Err(self.wrong(word.at, None, &what))
    }
}

fn wrong_type(value: &Arg) -> String {
    format!("wrong type for value; expected string; got {}", value.type_name())
}
