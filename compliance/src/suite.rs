//! OPA's compliance suite: cases of modules, data, a query and the expected result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files;
use crate::protocol::{Answer, Engine, Fault, Outcome, Question};
use crate::tool::Failure;
use crate::value::Value;

/// The default Rego version of a suite's modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Rego before OPA 1.0.
    V0,
    /// Rego since OPA 1.0.
    V1,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub note: String,
    /// The file that holds it, below the suite's folder.
    pub file: String,
    members: BTreeMap<Value, Value>,
}

/// Why a case fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The bundle is refused because it uses the network.
    Network,
    /// The bundle is refused for another reason.
    Refused,
    /// Bindings differ from the expected ones.
    WrongValue,
    /// An error where there should be none.
    UnexpectedError,
    /// An error with a different code.
    WrongCode,
    /// No error where there should be one.
    MissingError,
    /// The engine's process died.
    Crash,
    /// The engine's process did not answer in time.
    Timeout,
}

impl Cause {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Refused => "refused",
            Self::WrongValue => "wrong value",
            Self::UnexpectedError => "unexpected error",
            Self::WrongCode => "wrong error code",
            Self::MissingError => "missing error",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
        }
    }
}

/// A case that fails.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Why.
    pub cause: Cause,
    /// The actual and the expected result.
    pub detail: String,
}

/// The cases of all files of JSON and YAML below a folder.
///
/// # Errors
/// Files that cannot be read or hold no cases.
pub fn load(root: &Path) -> Result<Vec<Case>, Failure> {
    let named =
        |path: &str| [".json", ".yaml", ".yml"].iter().any(|extension| path.ends_with(extension));
    let mut cases = Vec::new();
    for file in files::below(root, &named)? {
        let document = files::document(&root.join(&file))?;
        let held = match &document {
            Value::Object(members) => members.get(&Value::text("cases")),
            _ => None,
        };
        let Some(Value::Array(held)) = held else {
            return Err(Failure::content(root.join(&file), "it holds no `cases`"));
        };
        for case in held {
            let Value::Object(members) = case else {
                return Err(Failure::content(root.join(&file), "a case is no object"));
            };
            let case = Case { note: String::new(), file: file.clone(), members: members.clone() };
            cases.push(Case { note: case.text("note").unwrap_or_default(), ..case });
        }
    }
    Ok(cases)
}

/// The name of a query's answers in the generated module.
const ANSWERS: &str = "answers";

/// The package of that module; no case has it.
const ASKING: &str = "compliance_query";

/// How a query becomes a document of the policy.
enum Asked {
    /// It is `document = variable`: the document is evaluated itself, as by a request.
    Document(Vec<String>, String),
    /// A rule in a generated module collects the bindings of all its answers.
    Collected(String),
}

impl Case {
    fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(&Value::text(name))
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.member(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.member(name) == Some(&Value::Bool(true))
    }

    /// Runs the case.
    ///
    /// # Errors
    /// Why it fails.
    pub fn run(&self, engine: &mut dyn Engine, dialect: Dialect) -> Result<(), Failed> {
        let mut question = Question {
            strict: self.flag("strict_error"),
            data: self.member("data").filter(|data| **data != Value::Null).cloned(),
            v0: dialect == Dialect::V0,
            ..Question::default()
        };
        if let Some(Value::Array(modules)) = self.member("modules") {
            for (index, module) in modules.iter().enumerate() {
                if let Value::String(text) = module {
                    question.files.insert(format!("test-{index}.rego"), text.clone());
                }
            }
        }
        question.inputs = vec![self.input(engine)];
        let query = self.text("query").unwrap_or_default();
        let variable = match asked(&query) {
            Asked::Document(path, variable) => {
                question.paths = vec![path];
                Some(variable)
            }
            Asked::Collected(module) => {
                question.files.insert("query.rego".into(), module);
                question.paths = vec![vec![ASKING.into(), ANSWERS.into()]];
                None
            }
        };
        self.judge(engine.ask(&question), variable.as_deref())
    }

    /// The input: JSON, or a Rego term that the engine evaluates.
    fn input(&self, engine: &mut dyn Engine) -> Option<Value> {
        let Some(term) = self.text("input_term") else { return self.member("input").cloned() };
        let module = format!("package {ASKING}\n\nterm := {term}\n");
        let question = Question {
            files: BTreeMap::from([("term.rego".into(), module)]),
            paths: vec![vec![ASKING.into(), "term".into()]],
            inputs: vec![None],
            ..Question::default()
        };
        match engine.ask(&question) {
            Answer::Loaded { outcomes, .. } => match outcomes.into_iter().next() {
                Some(Outcome::Value(value)) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    fn wants_error(&self) -> bool {
        self.member("want_error").is_some() || self.member("want_error_code").is_some()
    }

    fn judge(&self, answer: Answer, variable: Option<&str>) -> Result<(), Failed> {
        let failed = |cause, detail: String| Err(Failed { cause, detail });
        let outcome = match answer {
            Answer::Crashed(reason) => return failed(Cause::Crash, reason),
            Answer::Late => return failed(Cause::Timeout, String::new()),
            Answer::Refused(faults) => {
                // An error that OPA reports only in the evaluation may be reported at loading.
                if self.wants_error() {
                    return Ok(());
                }
                return failed(refusal(&faults), words(&faults));
            }
            Answer::Loaded { outcomes, .. } => outcomes.into_iter().next(),
        };
        let outcome = outcome.unwrap_or(Outcome::Undefined);
        if self.wants_error() {
            let Outcome::Error(fault) = &outcome else {
                let wanted = self.text("want_error").or(self.text("want_error_code"));
                let wanted = wanted.unwrap_or_default();
                return failed(Cause::MissingError, format!("{outcome}; wanted {wanted}"));
            };
            return match self.text("want_error_code") {
                Some(code) if code != fault.code => {
                    failed(Cause::WrongCode, format!("{fault}; wanted {code}"))
                }
                _ => Ok(()),
            };
        }
        if let Outcome::Error(fault) = &outcome {
            return failed(Cause::UnexpectedError, fault.to_string());
        }
        let found = self.bindings(&outcome, variable);
        if let Some(Value::Array(wanted)) = self.member("want_result") {
            let wanted: BTreeSet<Value> = wanted.iter().map(|one| self.comparable(one)).collect();
            if wanted != found {
                let show = |set: BTreeSet<Value>| Value::Set(set).to_string();
                return failed(
                    Cause::WrongValue,
                    format!("{}; wanted {}", show(found), show(wanted)),
                );
            }
        }
        if let Some(Value::Bool(wanted)) = self.member("want_defined")
            && *wanted == found.is_empty()
        {
            return failed(Cause::WrongValue, format!("defined: {}", !found.is_empty()));
        }
        Ok(())
    }

    /// The answers as OPA's tests compare them: a set of objects of variables.
    fn bindings(&self, outcome: &Outcome, variable: Option<&str>) -> BTreeSet<Value> {
        let Outcome::Value(value) = outcome else { return BTreeSet::new() };
        let value = value.plain();
        match (variable, value) {
            (Some(variable), value) => {
                let bound = BTreeMap::from([(Value::text(variable), value)]);
                BTreeSet::from([self.comparable(&Value::Object(bound))])
            }
            (None, Value::Array(answers)) => {
                answers.iter().map(|answer| self.comparable(answer)).collect()
            }
            (None, other) => BTreeSet::from([other]),
        }
    }

    /// With arrays sorted, where the case says that they stand for sets.
    fn comparable(&self, bindings: &Value) -> Value {
        let Value::Object(members) = bindings else { return bindings.clone() };
        let member = |value: &Value| match value {
            Value::Array(items) if self.flag("sort_bindings") => {
                let mut items = items.clone();
                items.sort();
                Value::Array(items)
            }
            other => other.clone(),
        };
        let kept = members.iter().filter(|(name, _)| match name {
            Value::String(name) => {
                !(self.flag("ignore_generated_vars") && name.starts_with("__localq"))
            }
            _ => true,
        });
        Value::Object(kept.map(|(name, value)| (name.clone(), member(value))).collect())
    }
}

fn refusal(faults: &[Fault]) -> Cause {
    let says = |text: &str| faults.iter().any(|fault| fault.message.contains(text));
    if says("unsafe built-in function calls") { Cause::Network } else { Cause::Refused }
}

fn words(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

fn asked(query: &str) -> Asked {
    if let Some((path, variable)) = document(query) {
        return Asked::Document(path, variable);
    }
    // Every name outside references, calls and keywords is a variable of the query.
    let bindings: Vec<String> =
        variables(query).iter().map(|name| format!("\"{name}\": {name}")).collect();
    Asked::Collected(format!(
        "package {ASKING}\n\n{ANSWERS} := [{{{}}} |\n{query}\n]\n",
        bindings.join(", ")
    ))
}

/// `data.a["b"].c = x`, or the same the other way round.
fn document(query: &str) -> Option<(Vec<String>, String)> {
    let (left, right) = query.split_once(" = ")?;
    let (path, variable) = if left.starts_with("data") { (left, right) } else { (right, left) };
    let name = |text: &str| {
        !text.is_empty() && text.chars().all(|mark| mark.is_ascii_alphanumeric() || mark == '_')
    };
    if !name(variable.trim()) || variable.trim().starts_with(|mark: char| mark.is_ascii_digit()) {
        return None;
    }
    let mut keys = Vec::new();
    let mut rest = path.trim().strip_prefix("data")?;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, next) = after.split_at(end);
            if !name(key) {
                return None;
            }
            keys.push(key.to_owned());
            rest = next;
        } else {
            let after = rest.strip_prefix("[\"")?;
            let (key, next) = after.split_once("\"]")?;
            keys.push(key.to_owned());
            rest = next;
        }
    }
    Some((keys, variable.trim().to_owned()))
}

fn variables(query: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 16] = [
        "data", "input", "true", "false", "null", "not", "some", "every", "in", "with", "as",
        "else", "if", "contains", "and", "or",
    ];
    let mut names = BTreeSet::new();
    let mut last = ' ';
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let word = |mark: char| mark.is_alphanumeric() || mark == '_';
        if first == '"' {
            let end = rest.get(1..).and_then(|text| text.find('"')).map_or(rest.len(), |at| at + 2);
            rest = rest.get(end..).unwrap_or_default();
            last = '"';
        } else if word(first) {
            let (name, after) = rest.split_at(rest.find(|mark| !word(mark)).unwrap_or(rest.len()));
            let called = after.starts_with(['(', '.']) && last != '.';
            let plain = last != '.' && !called && !first.is_ascii_digit();
            if plain && name != "_" && !KEYWORDS.contains(&name) {
                names.insert(name.to_owned());
            }
            rest = after;
            last = 'a';
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            last = first;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_for_a_document_is_a_request_for_it() {
        let path = |query: &str| document(query).map(|(path, variable)| (path.join("/"), variable));
        assert_eq!(path("data.a[\"b c\"].d = x"), Some(("a/b c/d".into(), "x".into())));
        assert_eq!(path("x = data.a.b"), Some(("a/b".into(), "x".into())));
        assert_eq!(path("data = x"), Some((String::new(), "x".into())));
        assert_eq!(path("database = x"), None);
        assert_eq!(path("data.a[i] = x"), None);
        assert_eq!(path("data.a(1) = x"), None);
        assert_eq!(path("data.a = 1"), None);
    }

    #[test]
    fn the_variables_of_a_query_are_found() {
        let found = |query: &str| variables(query).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(found("data.x.p[x] = z; data.f(y, \"no w\") with input.q as 1"), "x y z");
        assert_eq!(found("some i, _; input[i] == true"), "i");
    }

    #[test]
    fn bindings_are_compared_as_a_set_and_sorted_where_the_case_says_so() {
        let case = crate::json::parse(
            r#"{"query": "data.a = x", "sort_bindings": true, "want_result": [{"x": [2, 1]}]}"#,
        );
        let Value::Object(members) = case.unwrap() else { panic!() };
        let case = Case { note: String::new(), file: String::new(), members };
        let answer = |text: &str| Answer::Loaded {
            outcomes: vec![Outcome::Value(crate::json::parse(text).unwrap())],
            evaluator: None,
        };
        assert!(case.judge(answer("[1, 2]"), Some("x")).is_ok());
        let failed = case.judge(answer("[1, 3]"), Some("x")).unwrap_err();
        assert_eq!(failed.cause, Cause::WrongValue);
    }
}
