//! Helpers of the stages' tests.

use crate::ast::{Module, RegoVersion};
use crate::diagnostic::Diagnostic;
use crate::parse::parse_module;
use crate::source::Sources;

use super::{Options, compile, compile_until, text};

/// Files `a.rego`, `b.rego`, … as modules.
pub(crate) fn parsed(files: &[&str]) -> (Sources, Vec<Module>) {
    let mut sources = Sources::default();
    let ids: Vec<_> =
        ('a'..).zip(files).map(|(name, text)| sources.add(&format!("{name}.rego"), text)).collect();
    let modules =
        ids.into_iter().map(|id| parse_module(&sources, id, RegoVersion::V1).unwrap()).collect();
    (sources, modules)
}

/// The compiler's faults for files `a.rego`, `b.rego`, …
pub(crate) fn faults(files: &[&str]) -> (Sources, Vec<Diagnostic>) {
    faults_with(files, &Options::default())
}

/// The same, with options.
pub(crate) fn faults_with(files: &[&str], options: &Options) -> (Sources, Vec<Diagnostic>) {
    let (sources, modules) = parsed(files);
    let found = compile(&sources, modules, options).err().unwrap_or_default();
    (sources, found)
}

/// The same as lines: `a.rego:2:1 rego_type_error: …`.
pub(crate) fn errors(files: &[&str]) -> Vec<String> {
    let (sources, found) = faults(files);
    found.iter().map(|error| line(&sources, error)).collect()
}

/// The warnings for accepted files, as lines.
pub(crate) fn warnings(files: &[&str]) -> Vec<String> {
    let (sources, modules) = parsed(files);
    let compiled = compile(&sources, modules, &Options::default()).unwrap();
    compiled.warnings.iter().map(|warning| line(&sources, warning)).collect()
}

fn line(sources: &Sources, fault: &Diagnostic) -> String {
    let place = fault.span.map(|span| sources.location(span).to_string());
    format!("{} {}: {}", place.unwrap_or_default(), fault.code, fault.message)
}

/// The help of the first error.
pub(crate) fn help(files: &[&str]) -> Option<String> {
    faults(files).1.into_iter().next()?.help
}

/// The body of the last rule after a stage, as text.
pub(crate) fn body_after(stage: &str, file: &str) -> String {
    let (sources, modules) = parsed(&[file]);
    let modules = compile_until(&sources, modules, &Options::default(), stage).unwrap();
    let rule = modules[0].rules.last().unwrap();
    let statements: Vec<_> = rule.body.iter().map(text::of_expr).collect();
    statements.join("; ")
}
