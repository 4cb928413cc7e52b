//! `# METADATA` blocks: comments that are read as YAML, and attached to the following statement.

mod any;
mod fields;
mod raw;
mod url;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::ast::{Annotations, Module, Rule, Scope, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};

use super::ground::is_ground;
use super::parser::Comment;
use super::words;

/// A block that is read but not yet attached to its target.
pub(super) struct Block {
    /// The original text; empty where there is none.
    scope: String,
    entrypoint: bool,
    fields: Map<String, Value>,
    span: Span,
}

impl Block {
    pub(super) const fn span(&self) -> Span {
        self.span
    }
}

/// A comment with its text behind the `#`.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    end: usize,
    text: &'t str,
    /// Whether it begins in the first column.
    is_first_column: bool,
}

impl Line<'_> {
    fn is_metadata(&self) -> bool {
        self.is_first_column && self.text.trim().starts_with("METADATA")
    }
}

/// Reads all blocks.
pub(super) fn read(
    comments: &[Comment],
    text: &str,
    file: FileId,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Block> {
    let lines: Vec<Line<'_>> = comments.iter().map(|comment| line(text, *comment)).collect();
    let mut blocks = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        if !first.is_metadata() {
            rest = behind;
            continue;
        }
        let mut before = first;
        let length = behind
            .iter()
            .take_while(|line| {
                let follows = line.is_first_column
                    && text
                        .get(before.end..line.start)
                        .is_some_and(|gap| gap.matches('\n').count() == 1)
                    && !line.is_metadata();
                before = line;
                follows
            })
            .count();
        let (block, behind) = behind.split_at_checked(length).unwrap_or_default();
        rest = behind;
        match read_block(*first, block, file, text) {
            Ok(block) => blocks.push(block),
            Err(fault) => faults.push(fault),
        }
    }
    blocks
}

fn line(text: &str, comment: Comment) -> Line<'_> {
    let all = text.get(comment.start..comment.end).unwrap_or_default();
    let before = comment.start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    Line {
        start: comment.start,
        end: comment.end,
        text: all.strip_prefix('#').unwrap_or(all).trim_end_matches('\r'),
        is_first_column: comment.start == 0 || before == Some(&b'\n'),
    }
}

fn span(file: FileId, start: usize, end: usize) -> Span {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { file, start: number(start), end: number(end) }
}

fn read_block(
    first: Line<'_>,
    lines: &[Line<'_>],
    file: FileId,
    text: &str,
) -> Result<Block, Diagnostic> {
    let end = lines.last().map_or(first.end, |last| last.end);
    let whole = span(file, first.start, end);
    let fault = |message: String, at: Line<'_>| {
        Diagnostic::new(Code::Parse, message, span(file, at.start, at.end))
    };
    let mut document = String::new();
    for line in lines {
        document.push_str(line.text.strip_prefix(' ').unwrap_or(line.text));
        document.push('\n');
    }
    if document.trim().is_empty() {
        return Err(fault("expected METADATA block, found whitespace".to_owned(), first));
    }
    let raw = raw::raw(&document).map_err(|error| {
        let at = match line_of(&error.message) {
            Some(line) => lines.get(line).or_else(|| lines.last()),
            None => lines.first(),
        };
        fault(with_hints(error.message, lines, text), at.copied().unwrap_or(first))
    })?;
    let (scope, entrypoint) = (raw.scope.clone(), raw.entrypoint);
    let fields = fields::fields(raw).map_err(|message| fault(message, first))?;
    Ok(Block { scope, entrypoint, fields, span: whole })
}

/// The line that a message of Go's package begins with.
fn line_of(message: &str) -> Option<usize> {
    let message = message.strip_prefix("yaml:")?;
    let message = message.strip_prefix(" unmarshal errors:").unwrap_or(message).trim_start();
    message.strip_prefix("line ")?.split(':').next()?.parse().ok()
}

/// OPA's hints where no space follows a colon.
fn with_hints(mut message: String, lines: &[Line<'_>], text: &str) -> String {
    for line in lines {
        let mut wrong = Vec::new();
        let mut parts = line.text.split(':').skip(1).peekable();
        while let Some(part) = parts.next() {
            let next = part.chars().next();
            if next.is_none() && parts.peek().is_none() || matches!(next, Some(' ' | '\t')) {
                break;
            }
            wrong.push(go_character(next.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        if !wrong.is_empty() {
            let row = text.get(..line.start).unwrap_or_default().matches('\n').count() + 1;
            message.push_str(&format!(
                "\n  Hint: on line {row}, symbol(s) [{}] immediately following a key/value separator ':' is not a legal yaml space character",
                wrong.join(" ")
            ));
        }
    }
    message
}

/// A character as Go quotes it in ASCII.
fn go_character(character: char) -> String {
    match character {
        '\'' => "'\\''".to_owned(),
        '\\' => "'\\\\'".to_owned(),
        '\r' => "'\\r'".to_owned(),
        ' '..='~' => format!("'{character}'"),
        '\0'..='\x7f' => format!("'\\x{:02x}'", u32::from(character)),
        '\u{80}'..='\u{ffff}' => format!("'\\u{:04x}'", u32::from(character)),
        _ => format!("'\\U{:08x}'", u32::from(character)),
    }
}

/// The statement after a block.
#[derive(Clone, Copy)]
enum Target {
    Package,
    Import,
    Rule(usize),
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Import => "import",
            Self::Rule(_) => "rule",
        }
    }
}

/// Attaches blocks to the following statements, and finds each rule's.
///
/// # Errors
/// Blocks whose scope does not fit the following statement.
pub(super) fn attach(
    module: &mut Module,
    blocks: Vec<Block>,
    text: &str,
) -> Result<(), Vec<Diagnostic>> {
    if blocks.is_empty() {
        return Ok(());
    }
    let mut targets: Vec<(u32, Target)> = vec![(module.package.span.start, Target::Package)];
    targets.extend(module.imports.iter().map(|import| (import.span.start, Target::Import)));
    let rules = module.rules.iter().enumerate();
    targets.extend(rules.map(|(index, rule)| (rule.span.start, Target::Rule(index))));
    targets.sort_by_key(|(start, _)| *start);
    let mut faults = Vec::new();
    for block in blocks {
        let line_end = next_line(text, block.span.start);
        let next = targets.partition_point(|(start, _)| *start < line_end);
        let target = targets.get(next).map(|(_, target)| *target);
        if let Some(scope) = scope(&block, target, &mut faults) {
            module.annotations.push(Annotations {
                scope,
                fields: block.fields,
                target: match target {
                    Some(Target::Rule(index)) => Some(index),
                    Some(Target::Package | Target::Import) | None => None,
                },
                span: block.span,
            });
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    attach_to_rules(module);
    Ok(())
}

/// The beginning of the next line.
fn next_line(text: &str, at: u32) -> u32 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.find('\n').map_or(text.len(), |newline| at + newline + 1);
    u32::try_from(end).unwrap_or(u32::MAX)
}

fn scope(block: &Block, target: Option<Target>, faults: &mut Vec<Diagnostic>) -> Option<Scope> {
    let name = match target {
        _ if !block.scope.is_empty() => &block.scope,
        Some(Target::Rule(_)) if block.entrypoint => "document",
        Some(target) => target.name(),
        None => "",
    };
    let before = faults.len();
    let mut fault =
        |message: String| faults.push(Diagnostic::new(Code::Parse, message, block.span));
    let scope = match name {
        "rule" => Some(Scope::Rule),
        "document" => Some(Scope::Document),
        "package" => Some(Scope::Package),
        "subpackages" => Some(Scope::Subpackages),
        _ => None,
    };
    let wanted = match (scope, target) {
        (None, _) => {
            fault(format!(
                "invalid annotation scope '{name}'. Use one of 'rule', 'document', 'package', or 'subpackages'"
            ));
            None
        }
        (Some(Scope::Rule | Scope::Document), Some(Target::Rule(_)))
        | (Some(Scope::Package | Scope::Subpackages), Some(Target::Package)) => None,
        (Some(Scope::Rule | Scope::Document), _) => Some("rule"),
        (Some(Scope::Package | Scope::Subpackages), _) => Some("package"),
    };
    if let Some(wanted) = wanted {
        let have = target.map_or_else(String::new, |target| format!(" (have {})", target.name()));
        fault(format!("annotation scope '{name}' must be applied to {wanted}{have}"));
    }
    if block.entrypoint && !matches!(scope, Some(Scope::Document | Scope::Package)) {
        fault(format!("annotation entrypoint applied to non-document or package scope '{name}'"));
    }
    scope.filter(|_| faults.len() == before)
}

/// The annotations of one path.
#[derive(Default)]
struct Group {
    documents: Vec<usize>,
    /// Those of rules, in the order of the text.
    rules: std::collections::VecDeque<usize>,
    /// Annotations above the rule that no rule has taken yet.
    pending: Vec<usize>,
}

/// Gives each rule the annotations of its path's document, and those of rules above it that no
/// earlier one has taken; each takes the last of these.
fn attach_to_rules(module: &mut Module) {
    let mut groups: HashMap<String, Group> = HashMap::new();
    for (index, annotations) in module.annotations.iter().enumerate() {
        let Some(rule) = annotations.target.and_then(|target| module.rules.get(target)) else {
            continue;
        };
        let group = groups.entry(path(rule)).or_default();
        match annotations.scope {
            Scope::Document => group.documents.push(index),
            Scope::Rule => group.rules.push_back(index),
            Scope::Package | Scope::Subpackages => {}
        }
    }
    if groups.is_empty() {
        return;
    }
    let starts: Vec<u32> =
        module.annotations.iter().map(|annotations| annotations.span.start).collect();
    for rule in &mut module.rules {
        let Some(group) = groups.get_mut(&path(rule)) else { continue };
        let is_above =
            |index: &usize| starts.get(*index).is_some_and(|start| *start < rule.span.start);
        while let Some(index) = group.rules.pop_front_if(|index| is_above(index)) {
            group.pending.push(index);
        }
        rule.annotations = group.documents.iter().chain(&group.pending).copied().collect();
        rule.annotations.sort_unstable();
        group.pending.pop();
    }
}

/// The ground part of a rule's reference, as text. All rules are of one package.
fn path(rule: &Rule) -> String {
    let keys = rule.head.reference.iter().enumerate();
    let ground: Vec<Term> = keys
        .take_while(|(index, key)| *index == 0 || is_ground(key))
        .map(|(_, key)| match &key.value {
            TermValue::Var(name) => Term { value: TermValue::String(name.clone()), span: key.span },
            _ => key.clone(),
        })
        .collect();
    words::reference(&ground)
}
