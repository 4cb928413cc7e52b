//! `eval`: evaluates a document or a query, and explains the result.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use enforcer_protocol::{
    Diagnostic, DocumentQuery, Explain, ExplainForm, ExplainMode, Findings, InputSource,
    Inspection, JsonReport, MAX_REQUEST_BODY, Outcome, QuerySource, TextFormat,
};
use enforcer_rego::topdown::why::Why;
use enforcer_supervisor::BundleSubject;
use serde_json::value::RawValue;

use super::Verdict;
use super::bundle::{Answer, Session, ended, path, unusable};
use super::diagnostic::{Renderer, Severity};
use super::json;
use super::terminal::{Style, Terminal, printable};
use crate::failure::Failure;

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pretty,
    Json,
    Raw,
}

/// The document or the query to evaluate.
enum Question {
    Document(Vec<String>),
    Query(String),
}

/// How it is explained.
#[derive(Clone, Copy)]
enum Explanation {
    Why,
    Trace(Explain),
}

/// An input, as it was read.
struct Input {
    text: Vec<u8>,
    format: TextFormat,
}

/// Evaluates a policy.
///
/// # Errors
/// When the configuration or the input is wrong, or the host cannot start workers.
pub(crate) fn eval(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let text = |name| arguments.get_one::<String>(name).map(String::as_str);
    let format = match text("format") {
        Some("json") => Format::Json,
        Some("raw") => Format::Raw,
        _ => Format::Pretty,
    };
    let input = arguments.get_one::<PathBuf>("input").map(|path| Input::read(path)).transpose()?;
    let session = Session::start(arguments)?;
    let path = path(arguments);
    let subject = session.subject(&path);
    let question = question(text("query"), text("data-path"), &subject);
    let explanation = text("explain").map(explanation_of);
    let is_strict = arguments.get_flag("strict-builtin-errors");
    let (inspection, body) = inspection(&question, input, explanation, is_strict)?;
    let evaluated = match session.ask(&subject, inspection, &body)? {
        Answer::Found(findings) => Evaluated::of(findings),
        Answer::Unusable(diagnostics) => Err(Trouble::Unusable(diagnostics)),
        Answer::Ended(reason) => Err(Trouble::Ended(reason)),
    };
    match evaluated {
        Ok(evaluated) => {
            let is_undefined = evaluated.value.is_none();
            evaluated.print(format)?;
            let is_failure = is_undefined && arguments.get_flag("fail");
            Ok(if is_failure { Verdict::Negative } else { Verdict::Positive })
        }
        Err(Trouble::Input(message)) => {
            // Behind what the Data API says of it.
            let why = message.rsplit("malformed input document: ").next().unwrap_or(&message);
            Err(Failure::Usage(format!("the input cannot be read: {}", printable(why))))
        }
        Err(trouble) => {
            let renderer = Renderer { terminal: Terminal::of(&stderr()), bundle: &path };
            let time = subject.answer_time();
            let shown = match trouble {
                Trouble::Unusable(diagnostics) => unusable(&renderer, &diagnostics),
                Trouble::Failed(diagnostic) => renderer.diagnostic(Severity::Error, &diagnostic),
                Trouble::Refused(message, diagnostics) => {
                    let query = Renderer { bundle: Path::new("query"), ..renderer };
                    let shown = query.message(Severity::Error, "error", &message);
                    shown + &unusable(&query, &diagnostics)
                }
                Trouble::TimedOut => {
                    let reason = format!("the evaluation did not end within {time:?}");
                    ended(&renderer, &reason)
                }
                Trouble::Ended(reason) => ended(&renderer, &reason),
                Trouble::Input(_) => String::new(),
            };
            stderr().lock().write_all(shown.as_bytes())?;
            Ok(Verdict::Negative)
        }
    }
}

impl Input {
    /// Reads a file, or standard input.
    fn read(path: &Path) -> Result<Self, Failure> {
        let name = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            printable(&path.display().to_string())
        };
        let unreadable = |error| Failure::Usage(format!("{name} cannot be read: {error}"));
        let limit = u64::try_from(MAX_REQUEST_BODY).unwrap_or(u64::MAX) + 1;
        let mut text = Vec::new();
        let read = if path == Path::new("-") {
            stdin().lock().take(limit).read_to_end(&mut text)
        } else {
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text))
        };
        read.map_err(unreadable)?;
        if text.len() > MAX_REQUEST_BODY {
            let message = format!("{name} is longer than {MAX_REQUEST_BODY} bytes");
            return Err(Failure::Usage(message));
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let format = match (extension, first) {
            (Some("json"), _) | (None | Some(_), Some(b'{' | b'[' | b'"')) => TextFormat::Json,
            _ => TextFormat::Yaml,
        };
        let format = match extension {
            Some("yaml" | "yml") => TextFormat::Yaml,
            _ => format,
        };
        Ok(Self { text, format })
    }
}

fn question(query: Option<&str>, data_path: Option<&str>, subject: &BundleSubject) -> Question {
    match (query, data_path) {
        (Some(query), _) => match document_of(query) {
            Some(path) => Question::Document(path),
            None => Question::Query(query.to_owned()),
        },
        (None, Some(path)) => {
            let keys = path.split('/').filter(|key| !key.is_empty());
            Question::Document(keys.map(str::to_owned).collect())
        }
        (None, None) => Question::Document(subject.entrypoint()),
    }
}

/// The keys below `data` of a query that is only a reference with names, such as `data.app.allow`.
fn document_of(query: &str) -> Option<Vec<String>> {
    let mut names = query.trim().split('.');
    (names.next() == Some("data")).then_some(())?;
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name != "_"
    };
    names.map(|name| is_name(name).then(|| name.to_owned())).collect()
}

fn explanation_of(mode: &str) -> Explanation {
    let mode = match mode {
        "notes" => ExplainMode::Notes,
        "fails" => ExplainMode::Fails,
        "full" => ExplainMode::Full,
        "debug" => ExplainMode::Debug,
        _ => return Explanation::Why,
    };
    Explanation::Trace(Explain { mode, form: ExplainForm::Lines })
}

/// The question for the worker, and the body that goes with it.
fn inspection(
    question: &Question,
    input: Option<Input>,
    explanation: Option<Explanation>,
    strict_builtin_errors: bool,
) -> Result<(Inspection, Vec<u8>), Failure> {
    match question {
        Question::Document(path) => {
            let query = DocumentQuery { path: path.clone(), strict_builtin_errors };
            let (source, body) = match input {
                Some(Input { text, format }) => (InputSource::Body(format), text),
                None => (InputSource::Absent, Vec::new()),
            };
            let inspection = match explanation {
                None => Inspection::Evaluate(query, source),
                Some(Explanation::Why) => Inspection::Why(query, source),
                Some(Explanation::Trace(explain)) => Inspection::Document(query, source, explain),
            };
            Ok((inspection, body))
        }
        Question::Query(query) => {
            let explain = match explanation {
                None => None,
                Some(Explanation::Trace(explain)) => Some(explain),
                Some(Explanation::Why) => {
                    let message = "--explain shows why a document has its value: use it with --data-path, or --explain=notes, fails, full or debug with a query";
                    return Err(Failure::Usage(message.to_owned()));
                }
            };
            let mut body = format!("{{\"query\":{}", serde_json::Value::from(query.as_str()));
            if let Some(Input { text, format }) = input {
                let message = "with a query the input has to be JSON";
                let invalid = |why: String| Failure::Usage(format!("{message}{why}"));
                if format == TextFormat::Yaml {
                    return Err(invalid(", and this is YAML; convert it first".to_owned()));
                }
                // Only its syntax is checked; numbers stay as they are written.
                let value: &RawValue = serde_json::from_slice(&text)
                    .map_err(|error| invalid(format!(", and this is not: {error}")))?;
                body += ",\"input\":";
                body += value.get();
            }
            body.push('}');
            Ok((Inspection::Query(QuerySource::Body, explain), body.into_bytes()))
        }
    }
}

/// A result, and what is told about it.
struct Evaluated {
    /// JSON; `None` if it is undefined.
    value: Option<String>,
    printed: Vec<String>,
    told: Told,
}

enum Told {
    Nothing,
    Why(Box<Why>, JsonReport),
    Lines(JsonReport),
}

/// Why there is no result.
enum Trouble {
    Unusable(Vec<Diagnostic>),
    /// The policy failed.
    Failed(Diagnostic),
    /// The query is no Rego, or does not compile.
    Refused(String, Vec<Diagnostic>),
    /// The input is not valid.
    Input(String),
    TimedOut,
    Ended(String),
}

impl Evaluated {
    fn of(findings: Findings) -> Result<Self, Trouble> {
        let told = |explanation: Option<JsonReport>| explanation.map_or(Told::Nothing, Told::Lines);
        match findings {
            Findings::Evaluated(outcome, printed) => {
                Ok(Self { value: value_of(outcome)?, printed, told: Told::Nothing })
            }
            Findings::Document(outcome, explanation) => {
                let printed = Vec::new();
                Ok(Self { value: value_of(outcome)?, printed, told: told(explanation) })
            }
            Findings::Solutions { result, explanation, nanos: _ } => {
                let value = Some(result.as_str()).filter(|text| *text != "[]").map(str::to_owned);
                Ok(Self { value, printed: Vec::new(), told: told(explanation) })
            }
            Findings::Report(report) => {
                let why: Why = serde_json::from_str(report.as_str())
                    .map_err(|error| Trouble::Ended(error.to_string()))?;
                let value = why.value.clone();
                Ok(Self { value, printed: Vec::new(), told: Told::Why(Box::new(why), report) })
            }
            Findings::Refused(message, diagnostics) => Err(Trouble::Refused(message, diagnostics)),
            Findings::Unanswerable(message) => Err(Trouble::Refused(message, Vec::new())),
            Findings::Failed(outcome) => match value_of(outcome) {
                Err(trouble) => Err(trouble),
                Ok(_) => Err(Trouble::Ended("the worker gave another answer".to_owned())),
            },
            Findings::Unusable(diagnostics) => Err(Trouble::Unusable(diagnostics)),
            Findings::Usable { .. } | Findings::NotFound => {
                Err(Trouble::Ended("the worker gave another answer".to_owned()))
            }
        }
    }

    fn print(&self, format: Format) -> Result<(), Failure> {
        let mut notes = stderr().lock();
        for line in self.printed.iter().flat_map(|line| line.split('\n')) {
            writeln!(notes, "{}", printable(line))?;
        }
        let terminal = Terminal::of(&stdout());
        let mut output = stdout().lock();
        let value = self.value.as_deref();
        match (&self.told, format) {
            (Told::Why(why, _), Format::Pretty | Format::Raw) => {
                for line in why.lines().iter().flat_map(|line| terminal.lines(line)) {
                    writeln!(output, "{line}")?;
                }
            }
            (Told::Why(_, report), Format::Json) => {
                let text = format!("{{\"explanation\":{}}}", report.as_str());
                writeln!(output, "{}", json::pretty(&text))?;
            }
            (Told::Lines(lines), Format::Json) => {
                let result = value.map_or(String::new(), |value| format!(",\"result\":{value}"));
                let text = format!("{{\"explanation\":{}{result}}}", lines.as_str());
                writeln!(output, "{}", json::pretty(&text))?;
            }
            (Told::Nothing, Format::Json) => {
                let text = value.map_or("{}".to_owned(), |value| format!("{{\"result\":{value}}}"));
                writeln!(output, "{}", json::pretty(&text))?;
            }
            (told, format) => {
                if let Told::Lines(lines) = told {
                    let lines: Vec<String> = serde_json::from_str(lines.as_str())
                        .map_err(|error| Failure::System(error.into()))?;
                    for line in lines {
                        writeln!(output, "{}", terminal.paint(Style::Dim, &line))?;
                    }
                }
                let shown = match (value, format) {
                    (None, _) => "undefined".to_owned(),
                    (Some(value), Format::Raw) => raw(value),
                    (Some(value), _) => json::pretty(value),
                };
                writeln!(output, "{shown}")?;
            }
        }
        Ok(())
    }
}

fn value_of(outcome: Outcome) -> Result<Option<String>, Trouble> {
    match outcome {
        Outcome::Document(answer) => Ok(answer.value.map(|value| value.as_str().to_owned())),
        Outcome::InvalidRequest(message) => Err(Trouble::Input(message)),
        Outcome::Failed(diagnostic) => Err(Trouble::Failed(diagnostic)),
        Outcome::PathRefused(message) => Err(Trouble::Ended(message)),
        Outcome::TimedOut => Err(Trouble::TimedOut),
        Outcome::Decision(_) | Outcome::TenantMismatch | Outcome::TooManyInputs(_) => {
            Err(Trouble::Ended("the worker gave another answer".to_owned()))
        }
    }
}

/// A value for scripts: a string without quotes, anything else as JSON on one line. A string that
/// goes to a terminal is escaped.
fn raw(value: &str) -> String {
    let Ok(text) = serde_json::from_str::<String>(value) else { return json::compact(value) };
    if stdout().is_terminal() {
        text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_with_names_is_a_document_and_any_other_query_is_not() {
        let keys = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(document_of(" data.a.b_1 "), keys(&["a", "b_1"]));
        assert_eq!(document_of("data"), keys(&[]));
        for query in ["data.a[_]", "data.a; true", "x := data.a", "input.a", "data.", "data._", ""]
        {
            assert_eq!(document_of(query), None, "{query}");
        }
    }
}
