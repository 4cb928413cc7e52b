//! The results of tests for machines, in the form of `opa test --format json`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use data_encoding::BASE64;
use enforcer_rego::tester::{Outcome, SubResult, TestResult};
use enforcer_rego::topdown::why::Place;
use serde::Serialize;

use super::super::diagnostic::path_of;
use super::super::json::pretty;
use super::{CANCELLED, too_long};

#[derive(Serialize)]
struct Result<'a> {
    location: Location,
    package: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    fail: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    skip: bool,
    /// Nanoseconds.
    duration: u64,
    /// Base64 of the printed lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sub_results: BTreeMap<&'a str, Case<'a>>,
}

#[derive(Serialize)]
struct Location {
    file: String,
    row: u32,
    col: u32,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
}

#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    fail: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sub_results: BTreeMap<&'a str, Case<'a>>,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// The results as a JSON array.
///
/// # Errors
/// Never: there is no key that is not a string.
pub(super) fn report(
    results: &[TestResult],
    bundle: &Path,
    timeout: Duration,
) -> io::Result<String> {
    let place = |place: &Place| Location {
        file: path_of(bundle, &place.file).display().to_string(),
        row: place.row,
        col: place.col,
    };
    let results = results.iter().map(|result| Result {
        location: place(&result.place),
        package: &result.package,
        name: &result.name,
        fail: matches!(result.outcome, Outcome::Failed(_)),
        error: match &result.outcome {
            Outcome::Error { code, message, place: at } => {
                Some(Error { code, message: message.clone(), location: at.as_ref().map(place) })
            }
            Outcome::TimedOut => {
                Some(Error { code: CANCELLED, message: too_long(timeout), location: None })
            }
            Outcome::Passed | Outcome::Failed(_) | Outcome::Skipped => None,
        },
        skip: result.outcome == Outcome::Skipped,
        duration: u64::try_from(result.duration.as_nanos()).unwrap_or(u64::MAX),
        output: (!result.output.is_empty())
            .then(|| BASE64.encode((result.output.join("\n") + "\n").as_bytes())),
        sub_results: cases(&result.cases),
    });
    let text = serde_json::to_string(&results.collect::<Vec<_>>())?;
    Ok(pretty(&text) + "\n")
}

/// As deep as the reference of a rule.
fn cases(cases_of: &BTreeMap<String, SubResult>) -> BTreeMap<&str, Case<'_>> {
    cases_of
        .iter()
        .map(|(name, case)| {
            let inside = cases(&case.cases);
            (name.as_str(), Case { name: &case.name, fail: case.failed, sub_results: inside })
        })
        .collect()
}
