//! Converts statements to a module: checks which ones are allowed, and OPA 1.0's requirements on
//! rules.

use crate::ast::{Module, Package, RegoVersion, Rule, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};

use super::annotations;
use super::facts;
use super::rules::{HeadKeywords, ParsedRule};
use super::statements::{Statement, Statements};
use super::token::is_keyword_of;

/// The message for a text without statements.
pub(super) const EMPTY: &str = "empty module";

/// Makes a module of a file's statements.
pub(super) fn module(
    parsed: Statements,
    text: &str,
    file: FileId,
    version: RegoVersion,
) -> Result<Module, Vec<Diagnostic>> {
    let Statements { statements, comments, mut faults, mut later_faults } = parsed;
    let blocks = annotations::read(&comments, text, file, &mut faults);
    if !faults.is_empty() {
        faults.append(&mut later_faults);
        return Err(faults);
    }
    if let (true, Some(block)) = (statements.is_empty(), blocks.first()) {
        return Err(vec![Diagnostic::new(Code::Parse, "package expected", block.span())]);
    }
    let mut module = assemble(statements, text, file, version)?;
    annotations::attach(&mut module, blocks, text)?;
    Ok(module)
}

/// Makes a module of individually valid statements, without annotations.
pub(super) fn assemble(
    statements: Vec<Statement>,
    text: &str,
    file: FileId,
    version: RegoVersion,
) -> Result<Module, Vec<Diagnostic>> {
    if statements.is_empty() {
        let span = Span { file, start: 0, end: 0 };
        return Err(vec![Diagnostic::new(Code::Parse, EMPTY, span)]);
    }
    let mut builder = Builder::new(version);
    let heads: Vec<Keyword> = statements.iter().map(Keyword::of).collect();
    for (index, statement) in statements.into_iter().enumerate() {
        let hint = || Keyword::missing(heads.get(index..).unwrap_or_default(), text);
        builder.add(index, statement, hint);
    }
    let Builder { package, imports, rules, mut faults, version, .. } = builder;
    if version != RegoVersion::V0 {
        rules.iter().for_each(|parsed| check_v1(parsed, &mut faults));
    }
    match package {
        Some(package) if faults.is_empty() => Ok(Module {
            file,
            package,
            imports,
            rules: rules.into_iter().map(|parsed| parsed.rule).collect(),
            annotations: Vec::new(),
            version,
        }),
        _ => Err(faults),
    }
}

struct Builder {
    package: Option<Package>,
    imports: Vec<crate::ast::Import>,
    rules: Vec<ParsedRule>,
    faults: Vec<Diagnostic>,
    version: RegoVersion,
}

impl Builder {
    const fn new(version: RegoVersion) -> Self {
        Self { package: None, imports: Vec::new(), rules: Vec::new(), faults: Vec::new(), version }
    }

    fn add(
        &mut self,
        index: usize,
        statement: Statement,
        missing_keyword: impl FnOnce() -> Option<&'static str>,
    ) {
        match statement {
            Statement::Package(package) if index == 0 => self.package = Some(package),
            // OPA reports nothing else about the first statement.
            other if index == 0 => self.fault("package expected", other.span()),
            Statement::Package(package) => self.fault("unexpected package", package.span),
            Statement::Import(import) => {
                if self.version == RegoVersion::V0 && is_rego_import(&import.path) {
                    self.version = RegoVersion::V0CompatV1;
                }
                self.imports.push(import);
            }
            Statement::Rule(rule) => self.rules.push(rule),
            Statement::Body(body) => {
                let span = body.first().map(|first| first.span);
                match facts::rule(body) {
                    Ok(rule) => self
                        .rules
                        .push(ParsedRule { rule, keywords: vec![HeadKeywords::default()] }),
                    Err(mut message) => {
                        if self.version == RegoVersion::V0
                            && let Some(keyword) = missing_keyword()
                        {
                            let example =
                                if keyword == "if" { "p if { ... }" } else { "p contains x" };
                            message.push_str(&format!(
                                " (hint: `import future.keywords.{keyword}` for `{example}` rules)"
                            ));
                        }
                        if let Some(span) = span {
                            self.fault(&message, span);
                        }
                    }
                }
            }
        }
    }

    fn fault(&mut self, message: &str, span: Span) {
        self.faults.push(Diagnostic::new(Code::Parse, message, span));
    }
}

impl Statement {
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Package(package) => package.span,
            Self::Import(import) => import.span,
            Self::Rule(parsed) => parsed.rule.span,
            Self::Body(body) => {
                body.first().map_or(Span { file: FileId(0), start: 0, end: 0 }, |first| first.span)
            }
        }
    }
}

/// Whether a path is `rego.v1` or `rego.v2`.
fn is_rego_import(path: &Term) -> bool {
    match &path.value {
        TermValue::Ref(keys) => matches!(
            keys.as_slice(),
            [
                Term { value: TermValue::Var(root), .. },
                Term { value: TermValue::String(version), .. },
            ] if &**root == "rego" && matches!(&**version, "v1" | "v2")
        ),
        _ => false,
    }
}

/// A statement that may be a part of a rule whose `if` or `contains` was not imported: `p if { … }`
/// reads as the body `p` and a rule named `if`.
#[derive(Clone, Copy)]
struct Keyword {
    keyword: Option<&'static str>,
    start: u32,
}

impl Keyword {
    fn of(statement: &Statement) -> Self {
        let keyword = match statement {
            Statement::Rule(parsed) => name(parsed).and_then(head_keyword),
            Statement::Body(body) => facts::only_variable(body).and_then(head_keyword),
            Statement::Package(_) | Statement::Import(_) => None,
        };
        Self { keyword, start: statement.span().start }
    }

    /// The keyword that a statement, the first one, seems to lack.
    fn missing(statements: &[Self], text: &str) -> Option<&'static str> {
        let (first, rest) = statements.split_first()?;
        first.keyword.or_else(|| {
            let next = rest.first()?;
            let between = usize::try_from(first.start).ok()?..usize::try_from(next.start).ok()?;
            let is_same_line = !text.get(between)?.contains('\n');
            next.keyword.filter(|_| is_same_line)
        })
    }
}

fn head_keyword(name: &str) -> Option<&'static str> {
    match name {
        "if" => Some("if"),
        "contains" => Some("contains"),
        _ => None,
    }
}

/// The name that OPA keeps of a rule beside its reference; `None` for a longer reference.
fn name(parsed: &ParsedRule) -> Option<&str> {
    let head = &parsed.rule.head;
    let keywords = parsed.keywords.first()?;
    let is_named = match head.reference.len() {
        1 => true,
        2 if keywords.contains => false,
        2 if keywords.if_ => !head.generated_value,
        2 => head.key.is_some(),
        _ => false,
    };
    match &head.reference.first()?.value {
        TermValue::Var(name) if is_named => Some(name),
        _ => None,
    }
}

/// OPA 1.0's own requirements.
fn check_v1(parsed: &ParsedRule, faults: &mut Vec<Diagnostic>) {
    let mut next: Option<&Rule> = Some(&parsed.rule);
    let mut keywords = parsed.keywords.iter().copied();
    while let Some(rule) = next {
        check_rule_v1(rule, keywords.next().unwrap_or_default(), faults);
        next = rule.else_rule.as_deref();
    }
}

fn check_rule_v1(rule: &Rule, keywords: HeadKeywords, faults: &mut Vec<Diagnostic>) {
    let head = &rule.head;
    let is_function = head.args.as_ref().is_some_and(|args| !args.is_empty());
    let what = if is_function { "function" } else { "rule" };
    let mut fault = |message: String| faults.push(Diagnostic::new(Code::Parse, message, rule.span));
    if let [Term { value: TermValue::Var(name), .. }] = head.reference.as_slice()
        && is_keyword_of(name, RegoVersion::V1)
    {
        fault(format!("{name} keyword cannot be used for rule name"));
    }
    // OPA does not count the body of a `default` as generated by the parser.
    let has_generated_body = rule.generated_body && !rule.is_default;
    if has_generated_body && head.generated_value {
        fault(format!("{what} must have value assignment and/or body declaration"));
    }
    if !rule.generated_body && !keywords.if_ && !rule.is_default {
        fault(format!("`if` keyword is required before {what} body"));
    }
    if head.value.is_none() && !keywords.contains {
        fault("`contains` keyword is required for partial set rules".to_owned());
    }
}
