//! The shapes of OPA's JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// OPA's faults, as `opa-oracle` prints them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// `rego_parse_error`, …
    pub code: String,
    /// The message.
    pub message: String,
    /// The file's path.
    #[serde(default)]
    pub file: String,
    /// From 1; 0 where the place is unknown.
    #[serde(default)]
    pub row: u32,
    /// From 1; 0 where the place is unknown.
    #[serde(default)]
    pub col: u32,
}

#[derive(Deserialize)]
pub(super) struct AnswerJson<'a> {
    #[serde(default, borrow)]
    pub(super) modules: BTreeMap<String, ModuleJson<'a>>,
    #[serde(default)]
    pub(super) errors: Vec<Fault>,
    pub(super) error: Option<Fault>,
}

#[derive(Deserialize)]
pub(super) struct ModuleJson<'a> {
    #[serde(borrow)]
    pub(super) package: PackageJson<'a>,
    #[serde(default, borrow)]
    pub(super) imports: Vec<ImportJson<'a>>,
    #[serde(default)]
    pub(super) annotations: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(default, borrow)]
    pub(super) rules: Vec<RuleJson<'a>>,
}

#[derive(Deserialize, Clone, Copy)]
pub(super) struct PlaceJson {
    #[serde(default)]
    pub(super) row: u32,
    #[serde(default)]
    pub(super) col: u32,
}

#[derive(Deserialize)]
pub(super) struct PackageJson<'a> {
    #[serde(borrow)]
    pub(super) path: Vec<TermJson<'a>>,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct ImportJson<'a> {
    #[serde(borrow)]
    pub(super) path: TermJson<'a>,
    pub(super) alias: Option<String>,
    pub(super) location: Option<PlaceJson>,
    pub(super) alias_location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct RuleJson<'a> {
    #[serde(borrow)]
    pub(super) head: HeadJson<'a>,
    #[serde(borrow)]
    pub(super) body: Vec<ExprJson<'a>>,
    #[serde(rename = "else", borrow)]
    pub(super) else_rule: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) default: bool,
    #[serde(default)]
    pub(super) annotations: Vec<serde_json::Map<String, serde_json::Value>>,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct HeadJson<'a> {
    #[serde(rename = "ref", borrow)]
    pub(super) reference: Vec<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) args: Option<Vec<TermJson<'a>>>,
    #[serde(borrow)]
    pub(super) key: Option<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<TermJson<'a>>,
    #[serde(default)]
    pub(super) assign: bool,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct ExprJson<'a> {
    #[serde(borrow)]
    pub(super) terms: &'a RawValue,
    #[serde(default, borrow)]
    pub(super) with: Vec<WithJson<'a>>,
    #[serde(default)]
    pub(super) generated: bool,
    #[serde(default)]
    pub(super) negated: bool,
    /// Negative where the statement was rewritten from `:=`.
    pub(super) index: i64,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct WithJson<'a> {
    #[serde(borrow)]
    pub(super) target: TermJson<'a>,
    #[serde(borrow)]
    pub(super) value: TermJson<'a>,
    pub(super) location: Option<PlaceJson>,
}

/// A single object instead of a list of terms: a term, or a different kind of statement.
#[derive(Deserialize)]
pub(super) struct StatementJson<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) symbols: Option<Vec<TermJson<'a>>>,
    #[serde(borrow)]
    pub(super) key: Option<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) domain: Option<TermJson<'a>>,
    #[serde(default, borrow)]
    pub(super) body: Vec<ExprJson<'a>>,
    #[serde(default)]
    pub(super) explicit_body: bool,
    #[serde(default, borrow)]
    pub(super) lhs: Vec<ExprJson<'a>>,
    #[serde(default, borrow)]
    pub(super) rhs: Vec<ExprJson<'a>>,
    #[serde(default)]
    pub(super) explicit_lhs: bool,
    #[serde(default)]
    pub(super) explicit_rhs: bool,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct TermJson<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    pub(super) location: Option<PlaceJson>,
}

#[derive(Deserialize)]
pub(super) struct ComprehensionJson<'a> {
    #[serde(borrow)]
    pub(super) term: Option<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) key: Option<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<TermJson<'a>>,
    #[serde(borrow)]
    pub(super) body: Vec<ExprJson<'a>>,
}

#[derive(Deserialize)]
pub(super) struct TemplateJson<'a> {
    /// `null` in `$""`.
    #[serde(borrow)]
    pub(super) parts: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    pub(super) multi_line: bool,
}

/// Whether a part of a template string is an expression: only that has `terms`.
#[derive(Deserialize)]
pub(super) struct PartJson<'a> {
    #[serde(borrow)]
    pub(super) terms: Option<&'a RawValue>,
}
