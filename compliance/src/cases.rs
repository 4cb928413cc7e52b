//! Cases as folders: a policy, its data, an input, and the expected result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files;
use crate::protocol::{Answer, Engine, Outcome, Question};
use crate::tool::Failure;
use crate::value::Value;

/// A folder that holds a case.
pub struct Case {
    /// Its path.
    pub folder: PathBuf,
    /// The expected result.
    pub expected: Expected,
    question: Question,
}

/// The expected result of a case.
pub enum Expected {
    /// The values of these documents; `None` for an undefined one.
    Values(BTreeMap<Vec<String>, Option<Value>>),
    /// Whether the answer allows.
    Allow(bool),
    /// The bundle does not load.
    Refused,
    /// The case is a script that needs the product.
    Script,
}

/// The result of a case.
pub enum Verdict {
    /// It passed.
    Right,
    /// The actual result.
    Wrong(String),
    /// It is a script, and was not run.
    Skipped,
}

/// Finds the cases below a folder.
///
/// # Errors
/// Folders and files that cannot be read.
pub fn find(root: &Path) -> Result<Vec<Case>, Failure> {
    let marks = files::below(root, &|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name == "expected.json" || name == "run.sh"
    })?;
    marks.iter().map(|mark| read(&root.join(mark))).collect()
}

fn read(mark: &Path) -> Result<Case, Failure> {
    let folder = mark.parent().unwrap_or(mark).to_owned();
    let mut question = Question { bundle: true, now: NOW, ..Question::default() };
    if mark.ends_with("run.sh") {
        return Ok(Case { folder, expected: Expected::Script, question });
    }
    let own =
        |path: &str| !["expected.json", "input.json", "NOTE", "question.json"].contains(&path);
    for path in files::below(&folder, &own)? {
        question.files.insert(path.clone(), files::text(&folder.join(&path))?);
    }
    let input = folder.join("input.json");
    question.inputs = vec![if input.exists() { Some(files::document(&input)?) } else { None }];
    let expected = expected(&files::document(mark)?)
        .ok_or_else(|| Failure::content(mark, "of an unknown form"))?;
    question.paths = match &expected {
        Expected::Values(values) => values.keys().cloned().collect(),
        Expected::Allow(_) => {
            let policy = question.files.get("policy.rego").map(String::as_str).unwrap_or_default();
            vec![decision(policy)]
        }
        Expected::Refused | Expected::Script => Vec::new(),
    };
    Ok(Case { folder, expected, question })
}

/// `allow` of a module's package.
fn decision(module: &str) -> Vec<String> {
    let package = module.lines().find_map(|line| line.strip_prefix("package "));
    let keys = package.unwrap_or_default().trim().split('.').chain(["allow"]);
    keys.map(str::to_owned).collect()
}

/// 2024-01-01T00:00:00Z, for cases that read the time.
const NOW: i64 = 1_704_067_200_000_000_000;

fn expected(document: &Value) -> Option<Expected> {
    let Value::Object(members) = document else { return None };
    let member = |name: &str| members.get(&Value::text(name));
    if member("refused_by_opa").is_some() {
        return Some(Expected::Refused);
    }
    if let Some(Value::Bool(allow)) = member("allow") {
        return Some(Expected::Allow(*allow));
    }
    let mut values = BTreeMap::new();
    for (path, value) in members {
        let Value::String(path) = path else { return None };
        let keys = path.strip_prefix("data.")?.split('.').map(str::to_owned).collect();
        let undefined = *value == Value::text("undefined");
        values.insert(keys, if undefined { None } else { Some(value.clone()) });
    }
    Some(Expected::Values(values))
}

impl Case {
    /// Asks an engine and judges its answer.
    pub fn judge(&self, engine: &mut dyn Engine) -> Verdict {
        if matches!(self.expected, Expected::Script) {
            return Verdict::Skipped;
        }
        let answer = engine.ask(&self.question);
        let wrong = |what: String| Verdict::Wrong(what);
        let outcomes = match (&self.expected, answer) {
            (Expected::Refused, Answer::Refused(_)) => return Verdict::Right,
            (Expected::Refused, Answer::Loaded { .. }) => return wrong("it loads".into()),
            (_, Answer::Loaded { outcomes, .. }) => outcomes,
            (_, other) => return wrong(format!("{other:?}")),
        };
        match &self.expected {
            Expected::Values(values) => {
                for ((path, value), outcome) in values.iter().zip(&outcomes) {
                    let same = match (value, outcome) {
                        (None, Outcome::Undefined) => true,
                        (Some(value), Outcome::Value(found)) => *value == found.plain(),
                        (_, _) => false,
                    };
                    if !same {
                        return wrong(format!("data.{} is {outcome}", path.join(".")));
                    }
                }
                Verdict::Right
            }
            Expected::Allow(allow) => {
                let found = outcomes.first() == Some(&Outcome::Value(Value::Bool(true)));
                if found == *allow { Verdict::Right } else { wrong(format!("{outcomes:?}")) }
            }
            Expected::Refused | Expected::Script => Verdict::Skipped,
        }
    }
}

/// Writes a case of a difference: its files, data and input, the difference, and the question as
/// one line that can be sent again.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, question: &Question, note: &str) -> Result<(), Failure> {
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder).to_owned();
        std::fs::create_dir_all(&parent).map_err(Failure::file(parent))?;
        std::fs::write(&path, text).map_err(Failure::file(path))
    };
    for (path, text) in &question.files {
        put(path, text.clone())?;
    }
    if let Some(data) = &question.data {
        put("data.json", data.plain().to_string())?;
    }
    if let Some(Some(input)) = question.inputs.first() {
        put("input.json", input.plain().to_string())?;
    }
    put("question.json", format!("{}\n", question.to_json()))?;
    let path = question.paths.first().map(|path| path.join(".")).unwrap_or_default();
    put("NOTE", format!("data.{path}: {note}\n"))
}
