//! Reads OPA's JSON of a syntax tree.
//!
//! OPA's JSON has rows and columns but no ends, so a span is empty and at the node's beginning. It
//! lacks the language version of a module, which the caller gives, and does not mark generated
//! values and bodies, which are read as not generated.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

pub use super::shape::Fault;
use super::shape::{
    AnswerJson, ComprehensionJson, ExprJson, HeadJson, ImportJson, ModuleJson, PartJson, PlaceJson,
    RuleJson, StatementJson, TemplateJson, TermJson,
};

use crate::ast::{
    Annotations, Body, Every, Expr, ExprKind, Head, Import, Logical, Module, Name, NotBlock,
    Package, RegoVersion, Rule, Scope, TemplatePart, Term, TermValue, With,
};
use crate::compile::graph::set_graph;
use crate::compile::{Compiled, Compiler, Options, RuleTree};
use crate::source::{FileId, Sources, Span};

/// The highest depth of a tree: far above the bound of OPA's parser, and low enough for a test's
/// stack of 2 MiB.
const MAX_DEPTH: u32 = 400;

/// Why OPA's JSON was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Invalid JSON, or an unexpected shape.
    #[error("OPA's tree has an unexpected shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// Nested more than [`MAX_DEPTH`] deep.
    #[error("OPA's tree is nested too deep")]
    Depth,
    /// An unknown kind of node.
    #[error("OPA's tree has a node of an unknown kind: {0}")]
    Kind(String),
}

/// The answer of `opa-oracle` to `parse` and `compile`: modules in the order of their files' paths,
/// or faults.
///
/// # Errors
/// When the text is not such an answer.
pub fn answer(
    sources: &Sources,
    text: &str,
    version: RegoVersion,
) -> Result<Result<Vec<Module>, Vec<Fault>>, ReadError> {
    let answer: AnswerJson<'_> = serde_json::from_str(text)?;
    if let Some(fault) = answer.error {
        return Ok(Err(vec![fault]));
    }
    if !answer.errors.is_empty() {
        return Ok(Err(answer.errors));
    }
    let reader = Reader::new(sources, version);
    answer
        .modules
        .iter()
        .map(|(path, module)| reader.module(path, module))
        .collect::<Result<_, _>>()
        .map(Ok)
}

/// Modules after all of OPA's stages, in order of their files' paths, with our stages' knowledge of
/// the rules.
#[must_use]
pub fn compiled(sources: &Sources, modules: Vec<Module>) -> Compiled {
    let options = Options::default();
    let mut compiler = Compiler::new(sources, modules, &options);
    compiler.tree = RuleTree::new(&compiler.modules);
    set_graph(&mut compiler);
    Compiled {
        path_types: None,
        modules: compiler.modules,
        tree: compiler.tree,
        order: compiler.order,
        rewritten: compiler.rewritten,
        subjects: compiler.subjects,
        graph: compiler.graph,
        warnings: compiler.warnings,
    }
}

/// The beginnings of a file's lines, in bytes.
struct Lines {
    file: FileId,
    text: Arc<str>,
    starts: Vec<usize>,
}

struct Reader {
    files: HashMap<Arc<str>, Lines>,
    version: RegoVersion,
}

/// Reads one file.
struct ModuleReader<'r> {
    lines: Option<&'r Lines>,
}

/// The place of a node without its own location, which is the enclosing node's, and its depth.
#[derive(Clone, Copy)]
struct Around {
    span: Span,
    depth: u32,
}

impl Reader {
    fn new(sources: &Sources, version: RegoVersion) -> Self {
        let mut files = HashMap::new();
        for (number, file) in
            (0..).map_while(|number| Some((number, sources.file(FileId(number))?)))
        {
            let starts = std::iter::once(0)
                .chain(
                    file.text
                        .bytes()
                        .enumerate()
                        .filter(|&(_, byte)| byte == b'\n')
                        .map(|(at, _)| at + 1),
                )
                .collect();
            let lines = Lines { file: FileId(number), text: Arc::clone(&file.text), starts };
            files.insert(Arc::clone(&file.path), lines);
        }
        Self { files, version }
    }

    fn module(&self, path: &str, json: &ModuleJson<'_>) -> Result<Module, ReadError> {
        let reader = ModuleReader { lines: self.files.get(path) };
        let file = reader.lines.map_or(FileId(u32::MAX), |lines| lines.file);
        let start = Around { span: Span { file, start: 0, end: 0 }, depth: 0 };
        let span = reader.place(json.package.location, start).span;
        let package = Package { path: reader.terms(&json.package.path, start)?, span };
        let imports = json
            .imports
            .iter()
            .map(|import| reader.import(import, start))
            .collect::<Result<_, _>>()?;
        let rules = json
            .rules
            .iter()
            .map(|rule| reader.rule(rule, start, &json.annotations))
            .collect::<Result<Vec<_>, _>>()?;
        let annotations = json
            .annotations
            .iter()
            .enumerate()
            .map(|(number, fields)| {
                let target =
                    rules.iter().position(|rule: &Rule| rule.annotations.contains(&number));
                reader.annotations(fields, target, start)
            })
            .collect();
        Ok(Module { file, package, imports, rules, annotations, version: self.version })
    }
}

impl ModuleReader<'_> {
    fn place(&self, json: Option<PlaceJson>, around: Around) -> Around {
        let span = json.and_then(|place| self.offset(place)).map_or(around.span, |start| Span {
            file: around.span.file,
            start,
            end: start,
        });
        Around { span, depth: around.depth }
    }

    fn offset(&self, place: PlaceJson) -> Option<u32> {
        let lines = self.lines?;
        let start = *lines.starts.get(usize::try_from(place.row).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(place.col).ok()?.saturating_sub(1);
        let line = lines.text.get(start..)?;
        let within = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        u32::try_from(start + within).ok()
    }

    fn import(&self, json: &ImportJson<'_>, around: Around) -> Result<Import, ReadError> {
        let around = self.place(json.location, around);
        Ok(Import {
            path: self.term(&json.path, around)?,
            alias: json.alias.as_deref().map(Name::from),
            span: around.span,
            alias_span: json.alias_location.map(|place| self.place(Some(place), around).span),
        })
    }

    fn rule(
        &self,
        json: &RuleJson<'_>,
        around: Around,
        annotations: &[serde_json::Map<String, serde_json::Value>],
    ) -> Result<Rule, ReadError> {
        let around = self.deeper(json.location, around)?;
        let else_rule = match json.else_rule {
            Some(raw) => {
                let json: RuleJson<'_> = serde_json::from_str(raw.get())?;
                Some(Box::new(self.rule(&json, around, annotations)?))
            }
            None => None,
        };
        Ok(Rule {
            head: self.head(&json.head, around)?,
            body: self.body(&json.body, around)?,
            else_rule,
            is_default: json.default,
            generated_body: false,
            annotations: json
                .annotations
                .iter()
                .filter_map(|own| annotations.iter().position(|one| one == own))
                .collect(),
            span: around.span,
        })
    }

    fn head(&self, json: &HeadJson<'_>, around: Around) -> Result<Head, ReadError> {
        let around = self.place(json.location, around);
        Ok(Head {
            reference: self.terms(&json.reference, around)?,
            args: json.args.as_ref().map(|args| self.terms(args, around)).transpose()?,
            key: self.optional(json.key.as_ref(), around)?,
            value: self.optional(json.value.as_ref(), around)?,
            generated_value: false,
            assign: json.assign,
            span: around.span,
        })
    }

    fn body(&self, json: &[ExprJson<'_>], around: Around) -> Result<Body, ReadError> {
        json.iter().map(|expr| self.expr(expr, around)).collect()
    }

    fn expr(&self, json: &ExprJson<'_>, around: Around) -> Result<Expr, ReadError> {
        let around = self.deeper(json.location, around)?;
        let kind = if json.terms.get().starts_with('[') {
            let terms: Vec<TermJson<'_>> = serde_json::from_str(json.terms.get())?;
            ExprKind::Call(self.terms(&terms, around)?)
        } else {
            self.statement(&serde_json::from_str(json.terms.get())?, json.terms, around)?
        };
        let with = json
            .with
            .iter()
            .map(|with| {
                let around = self.place(with.location, around);
                let target = self.term(&with.target, around)?;
                Ok(With { target, value: self.term(&with.value, around)?, span: around.span })
            })
            .collect::<Result<_, ReadError>>()?;
        Ok(Expr {
            kind,
            negated: json.negated,
            with,
            generated: json.generated,
            from_assignment: json.index < 0,
            span: around.span,
        })
    }

    fn statement(
        &self,
        json: &StatementJson<'_>,
        raw: &RawValue,
        around: Around,
    ) -> Result<ExprKind, ReadError> {
        let around = self.place(json.location, around);
        let logical = || -> Result<Box<Logical>, ReadError> {
            Ok(Box::new(Logical {
                left: self.body(&json.lhs, around)?,
                right: self.body(&json.rhs, around)?,
                explicit_left: json.explicit_lhs,
                explicit_right: json.explicit_rhs,
            }))
        };
        match json.kind.as_deref() {
            Some("not") => Ok(ExprKind::Not(NotBlock {
                body: self.body(&json.body, around)?,
                explicit: json.explicit_body,
            })),
            Some("and") => logical().map(ExprKind::And),
            Some("or") => logical().map(ExprKind::Or),
            Some(_) => self.term(&serde_json::from_str(raw.get())?, around).map(ExprKind::Term),
            None => {
                if let Some(symbols) = &json.symbols {
                    return self.terms(symbols, around).map(ExprKind::Some);
                }
                let value: Option<TermJson<'_>> =
                    json.value.map(|raw| serde_json::from_str(raw.get())).transpose()?;
                let (Some(value), Some(domain)) = (&value, &json.domain) else {
                    return Err(ReadError::Kind(raw.get().chars().take(80).collect()));
                };
                Ok(ExprKind::Every(Box::new(Every {
                    key: self.optional(json.key.as_ref(), around)?,
                    value: self.term(value, around)?,
                    domain: self.term(domain, around)?,
                    body: self.body(&json.body, around)?,
                    span: around.span,
                })))
            }
        }
    }

    fn optional(
        &self,
        json: Option<&TermJson<'_>>,
        around: Around,
    ) -> Result<Option<Term>, ReadError> {
        json.map(|term| self.term(term, around)).transpose()
    }

    fn terms(&self, json: &[TermJson<'_>], around: Around) -> Result<Vec<Term>, ReadError> {
        json.iter().map(|term| self.term(term, around)).collect()
    }

    fn term(&self, json: &TermJson<'_>, around: Around) -> Result<Term, ReadError> {
        let around = self.deeper(json.location, around)?;
        Ok(Term { value: self.value(json, around)?, span: around.span })
    }

    fn value(&self, json: &TermJson<'_>, around: Around) -> Result<TermValue, ReadError> {
        let text = json.value.map_or("null", RawValue::get);
        let list = || -> Result<Vec<Term>, ReadError> {
            self.terms(&serde_json::from_str::<Vec<TermJson<'_>>>(text)?, around)
        };
        let name = || Ok::<_, ReadError>(Name::from(serde_json::from_str::<String>(text)?));
        let comprehension =
            || -> Result<ComprehensionJson<'_>, ReadError> { Ok(serde_json::from_str(text)?) };
        let boxed = |part: Option<TermJson<'_>>| -> Result<Box<Term>, ReadError> {
            let part = part.ok_or_else(|| ReadError::Kind(json.kind.clone()))?;
            Ok(Box::new(self.term(&part, around)?))
        };
        let unknown = || ReadError::Kind(json.kind.clone());
        Ok(match json.kind.as_str() {
            "null" => TermValue::Null,
            "boolean" => TermValue::Bool(serde_json::from_str(text)?),
            "number" => TermValue::Number(Name::from(text)),
            "string" => TermValue::String(name()?),
            "var" => TermValue::Var(name()?),
            "ref" => TermValue::Ref(list()?),
            "call" => TermValue::Call(list()?),
            "array" => TermValue::Array(list()?),
            "set" => TermValue::Set(list()?),
            "object" => TermValue::Object(
                serde_json::from_str::<Vec<(TermJson<'_>, TermJson<'_>)>>(text)?
                    .iter()
                    .map(|(key, value)| Ok((self.term(key, around)?, self.term(value, around)?)))
                    .collect::<Result<_, ReadError>>()?,
            ),
            "arraycomprehension" => {
                let json = comprehension()?;
                let body = self.body(&json.body, around)?;
                TermValue::ArrayComprehension { term: boxed(json.term)?, body }
            }
            "setcomprehension" => {
                let json = comprehension()?;
                let body = self.body(&json.body, around)?;
                TermValue::SetComprehension { term: boxed(json.term)?, body }
            }
            "objectcomprehension" => {
                let json = comprehension()?;
                let body = self.body(&json.body, around)?;
                TermValue::ObjectComprehension {
                    key: boxed(json.key)?,
                    value: boxed(json.value)?,
                    body,
                }
            }
            "templatestring" => {
                let json: TemplateJson<'_> = serde_json::from_str(text)?;
                let parts = json
                    .parts
                    .iter()
                    .flatten()
                    .map(|part| self.part(part, around))
                    .collect::<Result<_, _>>()?;
                TermValue::TemplateString { parts, multi_line: json.multi_line }
            }
            _ => return Err(unknown()),
        })
    }

    fn part(&self, raw: &RawValue, around: Around) -> Result<TemplatePart, ReadError> {
        let json: PartJson<'_> = serde_json::from_str(raw.get())?;
        Ok(if json.terms.is_some() {
            TemplatePart::Expr(Box::new(self.expr(&serde_json::from_str(raw.get())?, around)?))
        } else {
            TemplatePart::Text(self.term(&serde_json::from_str(raw.get())?, around)?)
        })
    }

    fn annotations(
        &self,
        fields: &serde_json::Map<String, serde_json::Value>,
        target: Option<usize>,
        around: Around,
    ) -> Annotations {
        let scope = match fields.get("scope").and_then(serde_json::Value::as_str) {
            Some("document") => Scope::Document,
            Some("package") => Scope::Package,
            Some("subpackages") => Scope::Subpackages,
            _ => Scope::Rule,
        };
        let mut fields = fields.clone();
        let place = fields.remove("location").and_then(|place| serde_json::from_value(place).ok());
        Annotations { scope, fields, target, span: self.place(place, around).span }
    }

    fn deeper(&self, json: Option<PlaceJson>, around: Around) -> Result<Around, ReadError> {
        if around.depth >= MAX_DEPTH {
            return Err(ReadError::Depth);
        }
        Ok(Around { depth: around.depth + 1, ..self.place(json, around) })
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::RuleRef;

    use super::*;

    /// The output of `opa-oracle` for `package a\n\np := 0.10 if input.x` after all stages.
    const COMPILED: &str = r#"{"modules":{"a.rego":{"package":{"location":{"file":"a.rego","row":1,"col":1},"path":[{"location":{"file":"a.rego","row":1,"col":9},"type":"var","value":"data"},{"location":{"file":"a.rego","row":1,"col":9},"type":"string","value":"a"}]},"rules":[{"body":[{"index":0,"location":{"file":"a.rego","row":3,"col":14},"terms":{"location":{"file":"a.rego","row":3,"col":14},"type":"ref","value":[{"location":{"file":"a.rego","row":3,"col":14},"type":"var","value":"input"},{"location":{"file":"a.rego","row":3,"col":20},"type":"string","value":"x"}]}}],"head":{"name":"p","value":{"location":{"file":"a.rego","row":3,"col":6},"type":"number","value":0.10},"assign":true,"ref":[{"location":{"file":"a.rego","row":3,"col":1},"type":"var","value":"p"}],"location":{"file":"a.rego","row":3,"col":1}},"location":{"file":"a.rego","row":3,"col":1}}]}}}"#;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.add("a.rego", "package a\n\np := 0.10 if input.x\n");
        sources
    }

    fn read(text: &str) -> Vec<Module> {
        answer(&sources(), text, RegoVersion::V1).unwrap().unwrap()
    }

    #[test]
    fn numbers_are_kept_as_written_and_places_are_bytes_of_the_text() {
        let modules = read(COMPILED);
        let rule = &modules[0].rules[0];
        let value = rule.head.value.as_ref().unwrap();
        assert!(matches!(&value.value, TermValue::Number(text) if &**text == "0.10"));
        assert_eq!(value.span.start, 16);
        let ExprKind::Term(Term { value: TermValue::Ref(keys), .. }) = &rule.body[0].kind else {
            panic!("{:?}", rule.body)
        };
        assert_eq!(keys[1].span.start, 30);
    }

    #[test]
    fn a_rule_is_found_by_its_path() {
        let compiled = compiled(&sources(), read(COMPILED));
        let node = compiled.tree.child("a").unwrap().child("p").unwrap();
        assert_eq!(node.rules, [RuleRef { module: 0, rule: 0 }]);
        assert_eq!(compiled.order, node.rules);
    }

    #[test]
    fn an_unknown_kind_of_node_is_an_error() {
        let text = COMPILED.replace(r#""type":"number""#, r#""type":"complex""#);
        let error = answer(&Sources::default(), &text, RegoVersion::V1).unwrap_err();
        assert!(matches!(error, ReadError::Kind(kind) if kind == "complex"));
    }
}
