//! One line of advice for frequent faults.

use crate::ast::RegoVersion;
use crate::diagnostic::Diagnostic;

/// Adds a line of help to faults that have none.
pub(super) fn add(faults: &mut [Diagnostic], version: RegoVersion) {
    for fault in faults.iter_mut().filter(|fault| fault.help.is_none()) {
        fault.help = of(&fault.message, version).map(str::to_owned);
    }
}

fn of(message: &str, version: RegoVersion) -> Option<&'static str> {
    let is = |words: &str| message.starts_with(words);
    if is("`if` keyword is required") {
        Some(
            "write `if` before the body: `name if { ... }`; a module of Rego v0 needs a manifest with `rego_version` 0",
        )
    } else if is("`contains` keyword is required") {
        Some("write `name contains key if { ... }` for `name[key] { ... }`")
    } else if message.ends_with("must have value assignment and/or body declaration") {
        Some("write `name := value` or `name if { ... }`")
    } else if is("var cannot be used for rule name") && version != RegoVersion::V0 {
        Some(
            "a rule is written `name := value`, `name if { ... }` or `name contains value`; keywords such as `and`, `or` have to be imported from `future.keywords`",
        )
    } else if is("unexpected eof token") {
        Some("the file ends within a rule: a brace, bracket or parenthesis is not closed")
    } else if message.contains("expected \\n or ; or") {
        Some(
            "statements are separated by line ends or `;`; a call has no space before its parenthesis",
        )
    } else if is("template strings are not supported") {
        Some("template strings need Rego v1")
    } else if is("package expected") {
        Some("a module begins with `package name`")
    } else if is("unexpected package") {
        Some("a file has one package; put the other one into a file of its own")
    } else if is("non-terminated string") {
        Some("a string ends in its line; text of several lines stands between back quotes")
    } else {
        None
    }
}
