//! Text to syntax tree: the grammar of OPA 1.22, v1 and v0.
//!
//! A recursive-descent parser over a lexer without state. It takes what OPA's parser takes, and its
//! faults are OPA's: the same words at the same place, the first one first. After a fault, reading
//! goes on at the next line that looks like the beginning of a statement, so that a file's later
//! faults are reported as well.

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

use crate::ast::{Module, RegoVersion};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Sources, Span};

use parser::Parser;

/// Reads a module. `version` is what the bundle says; `import rego.v1` is found here.
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
