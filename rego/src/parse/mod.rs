//! Parses text to a syntax tree: the grammar of OPA 1.22, v1 and v0.
//!
//! A recursive-descent parser over a lexer without state. It accepts the same texts as OPA's
//! parser, and its faults are OPA's: the same messages at the same places, the first one first.
//! After a fault, reading continues at the next line that looks like the beginning of a statement,
//! so that a file's later faults are reported as well.

mod annotations;
mod collections;
mod digits;
mod facts;
mod ground;
mod help;
mod lexer;
mod literals;
mod logical;
mod module;
mod number;
mod parser;
mod relocate;
mod rules;
mod statements;
mod string;
mod template;
mod terms;
mod token;
mod words;

#[cfg(test)]
mod tests;

use crate::ast::{Body, Module, RegoVersion};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Sources, Span};

use parser::Parser;
use statements::Statement;

/// Reads a module. `version` is the bundle's; `import rego.v1` is found here.
///
/// # Errors
/// The faults of the first statement that is wrong, as OPA reports them, and those that are found in
/// later statements, up to a bound.
pub fn parse_module(
    sources: &Sources,
    file: FileId,
    version: RegoVersion,
) -> Result<Module, Vec<Diagnostic>> {
    let Some(source) = sources.file(file) else {
        let span = Span { file, start: 0, end: 0 };
        return Err(vec![Diagnostic::new(Code::Bundle, "no such file", span)]);
    };
    let parsed = Parser::new(&source.text, file, version).statements();
    module::module(parsed, &source.text, file, version).map_err(|mut faults| {
        help::add(&mut faults, version);
        faults
    })
}

/// Why a text is not a query.
#[derive(Debug)]
pub(crate) enum QueryRefusal {
    /// There is no statement.
    Empty,
    /// A statement is something else, by OPA's name of it.
    Other(&'static str),
    /// A statement is not valid Rego.
    Faults(Vec<Diagnostic>),
}

/// Reads a query of v1: the statements of one body.
///
/// # Errors
/// Why the text is not a query.
pub(crate) fn parse_query(sources: &Sources, file: FileId) -> Result<Body, QueryRefusal> {
    let version = RegoVersion::V1;
    let Some(source) = sources.file(file) else { return Err(QueryRefusal::Empty) };
    let parsed = Parser::new(&source.text, file, version).first_statements();
    if !parsed.faults.is_empty() {
        return Err(QueryRefusal::Faults(parsed.faults));
    }
    let mut body = Body::new();
    for statement in parsed.statements {
        match statement {
            Statement::Body(more) => body.extend(more),
            Statement::Package(_) => return Err(QueryRefusal::Other("*ast.Package")),
            Statement::Import(_) => return Err(QueryRefusal::Other("*ast.Import")),
            Statement::Rule(_) => return Err(QueryRefusal::Other("*ast.Rule")),
        }
    }
    if body.is_empty() { Err(QueryRefusal::Empty) } else { Ok(body) }
}

/// A module of v1 for policies that parse it: its comments are kept, `#` included, and `# METADATA`
/// is one of them.
#[derive(Debug)]
pub(crate) struct Plain {
    /// The tree, without annotations.
    pub(crate) module: Module,
    /// In the order of the text.
    pub(crate) comments: Vec<Span>,
}

/// Why a text is not a module, by OPA's kinds of faults.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no statement.
    Empty,
    /// A statement is not valid Rego. OPA shows the line with such a fault.
    Syntax(Vec<Diagnostic>),
    /// The statements do not form a module.
    Module(Vec<Diagnostic>),
}

/// Reads a module of v1 without its annotations.
///
/// # Errors
/// The faults of the first statement that is wrong.
pub(crate) fn parse_plain(sources: &Sources, file: FileId) -> Result<Plain, Refusal> {
    let version = RegoVersion::V1;
    let Some(source) = sources.file(file) else { return Err(Refusal::Empty) };
    let parsed = Parser::new(&source.text, file, version).first_statements();
    if !parsed.faults.is_empty() {
        return Err(Refusal::Syntax(parsed.faults));
    }
    if parsed.statements.is_empty() {
        return Err(Refusal::Empty);
    }
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let comments = parsed.comments.iter();
    let comments = comments
        .map(|comment| Span { file, start: number(comment.start), end: number(comment.end) })
        .collect();
    let module = module::assemble(parsed.statements, &source.text, file, version)
        .map_err(Refusal::Module)?;
    Ok(Plain { module, comments })
}
