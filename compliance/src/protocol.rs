//! Questions to engines and their answers, as the lines of JSON that `tests/opa/main.go` documents.
//! OPA and our engine use the same protocol, each in its own process.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::value::Value;

/// Several evaluations of one bundle.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Texts by path.
    pub files: BTreeMap<String, String>,
    /// Whether the files are read as a bundle, with data and a manifest among them.
    pub bundle: bool,
    /// Whether Rego v0 is the modules' default version.
    pub v0: bool,
    /// Whether an error of a built-in ends the evaluation.
    pub strict: bool,
    /// Base documents, where the files are not a bundle.
    pub data: Option<Value>,
    /// The time that policies read, in nanoseconds since 1970; the real one where it is 0.
    pub now: i64,
    /// Documents to evaluate, as paths below `data`.
    pub paths: Vec<Vec<String>>,
    /// The inputs to evaluate each of them with.
    pub inputs: Vec<Option<Value>>,
}

/// A fault of a bundle or an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// OPA's code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// `file:row:col`, where the engine knows it.
    pub place: String,
}

/// The result of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A defined value.
    Value(Value),
    /// No value, and no error.
    Undefined,
    /// The evaluation ended in an error.
    Error(Fault),
}

/// An engine's answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The bundle does not load.
    Refused(Vec<Fault>),
    /// The bundle loads.
    Loaded {
        /// For every path, for every input.
        outcomes: Vec<Outcome>,
        /// The evaluator of the bundle, where the engine names it.
        evaluator: Option<String>,
    },
    /// The engine's process died or sent an invalid answer.
    Crashed(String),
    /// No answer came in time.
    Late,
}

/// An engine that answers questions.
pub trait Engine {
    /// Answers a question. An engine that fails says so in the answer, and can be asked again.
    fn ask(&mut self, question: &Question) -> Answer;
}

impl Question {
    /// The request, without a line break.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let input = |input: &Option<Value>| match input {
            Some(value) => value.to_typed(),
            None => json!({ "u": true }),
        };
        let mut request = json!({
            "op": "eval",
            "typed": true,
            "files": self.files,
            "bundle": self.bundle,
            "v0": self.v0,
            "strict": self.strict,
            "time": self.now,
            "paths": self.paths,
            "inputs": self.inputs.iter().map(input).collect::<Vec<_>>(),
        });
        if let (Some(data), Some(members)) = (&self.data, request.as_object_mut()) {
            members.insert("data".into(), data.to_typed());
        }
        request
    }

    /// Reads a request.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn from_json(request: &Json) -> Result<Self, String> {
        let flag = |name: &str| request.get(name).and_then(Json::as_bool).unwrap_or(false);
        let value =
            |json: &Json| Value::from_typed(json).ok_or_else(|| format!("no value: {json}"));
        let list = |name: &str| request.get(name).and_then(Json::as_array).into_iter().flatten();
        let mut files = BTreeMap::new();
        for (path, text) in request.get("files").and_then(Json::as_object).into_iter().flatten() {
            let text = text.as_str().ok_or_else(|| format!("{path} is no text"))?;
            files.insert(path.clone(), text.to_owned());
        }
        let mut inputs = Vec::new();
        for input in list("inputs") {
            let absent = input.get("u").is_some();
            inputs.push(if absent { None } else { Some(value(input)?) });
        }
        let mut paths = Vec::new();
        for path in list("paths") {
            let keys: Option<Vec<String>> = path
                .as_array()
                .and_then(|keys| keys.iter().map(|key| key.as_str().map(str::to_owned)).collect());
            paths.push(keys.ok_or_else(|| format!("no path: {path}"))?);
        }
        Ok(Self {
            files,
            bundle: flag("bundle"),
            v0: flag("v0"),
            strict: flag("strict"),
            data: request.get("data").map(value).transpose()?,
            now: request.get("time").and_then(Json::as_i64).unwrap_or_default(),
            paths,
            inputs,
        })
    }
}

impl Fault {
    /// A fault without a place.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), place: String::new() }
    }

    fn to_json(&self) -> Json {
        json!({ "code": self.code, "message": self.message, "place": self.place })
    }

    fn from_json(json: &Json) -> Self {
        let text =
            |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| json.get(name).and_then(Json::as_u64).unwrap_or_default();
        let mut place = text("place");
        if place.is_empty() && number("row") > 0 {
            let file = text("file");
            let file = file.strip_prefix('/').unwrap_or(&file);
            place = format!("{file}:{}:{}", number("row"), number("col"));
        }
        Self { code: text("code"), message: text("message"), place }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {} {}", self.code, self.message, self.place)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(value) => write!(formatter, "{value}"),
            Self::Undefined => formatter.write_str("undefined"),
            Self::Error(fault) => write!(formatter, "error {fault}"),
        }
    }
}

impl Answer {
    /// The line of an answer, for [`Answer::Refused`] and [`Answer::Loaded`]; an engine does not
    /// send the others.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Refused(faults) => {
                json!({ "errors": faults.iter().map(Fault::to_json).collect::<Vec<_>>() })
            }
            Self::Loaded { outcomes, evaluator } => {
                let outcome = |outcome: &Outcome| match outcome {
                    Outcome::Value(value) => json!({ "result": value.to_typed() }),
                    Outcome::Undefined => Json::Object(Map::new()),
                    Outcome::Error(fault) => json!({ "error": fault.to_json() }),
                };
                json!({
                    "results": outcomes.iter().map(outcome).collect::<Vec<_>>(),
                    "evaluator": evaluator,
                })
            }
            Self::Crashed(reason) => json!({ "error": Fault::new("crash", reason).to_json() }),
            Self::Late => json!({ "error": Fault::new("late", "").to_json() }),
        }
    }

    /// Reads an answer.
    #[must_use]
    pub fn from_json(answer: &Json) -> Self {
        if let Some(faults) = answer.get("errors").and_then(Json::as_array) {
            return Self::Refused(faults.iter().map(Fault::from_json).collect());
        }
        let outcome = |outcome: &Json| {
            if let Some(fault) = outcome.get("error") {
                return Some(Outcome::Error(Fault::from_json(fault)));
            }
            match outcome.get("result") {
                Some(value) => Value::from_typed(value).map(Outcome::Value),
                None => Some(Outcome::Undefined),
            }
        };
        let outcomes = match answer.get("results").and_then(Json::as_array) {
            Some(results) => results.iter().map(outcome).collect::<Option<Vec<_>>>(),
            // Without a path there is nothing to evaluate: the bundle was loaded.
            None if answer.get("error").is_none() => Some(Vec::new()),
            None => None,
        };
        match outcomes {
            Some(outcomes) => Self::Loaded {
                outcomes,
                evaluator: answer.get("evaluator").and_then(Json::as_str).map(str::to_owned),
            },
            None => Self::Crashed(answer.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_it_was_written() {
        let question = Question {
            files: BTreeMap::from([("a.rego".into(), "package a\n".into())]),
            strict: true,
            data: Some(Value::Object(BTreeMap::new())),
            now: 5,
            paths: vec![vec!["a".into(), "b c".into()]],
            inputs: vec![None, Some(Value::Null)],
            ..Question::default()
        };
        let read = Question::from_json(&question.to_json()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{question:?}"));
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let answers = [
            Answer::Refused(vec![Fault::new("rego_type_error", "no")]),
            Answer::Loaded {
                outcomes: vec![
                    Outcome::Undefined,
                    Outcome::Value(Value::Null),
                    Outcome::Error(Fault::new("eval_conflict_error", "two values")),
                ],
                evaluator: Some("bytecode".into()),
            },
        ];
        for answer in answers {
            assert_eq!(Answer::from_json(&answer.to_json()), answer);
        }
    }
}
