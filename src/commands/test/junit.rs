//! The results of tests as JUnit's XML, which CI servers read: a suite for each package.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use enforcer_rego::tester::{Outcome, TestResult};

use super::{CANCELLED, too_long};

/// How many of a suite's tests there are of a kind.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    time: Duration,
}

impl Counts {
    fn add(&mut self, result: &TestResult) {
        self.tests += 1;
        self.time += result.duration;
        match result.outcome {
            Outcome::Passed => {}
            Outcome::Failed(_) => self.failures += 1,
            Outcome::Error { .. } | Outcome::TimedOut => self.errors += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    fn attributes(&self) -> String {
        let Self { tests, failures, errors, skipped, time } = self;
        format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{}\"",
            seconds(*time)
        )
    }
}

/// The results as an XML document.
pub(super) fn report(results: &[TestResult], timeout: Duration) -> String {
    let mut suites: BTreeMap<&str, Vec<&TestResult>> = BTreeMap::new();
    let mut all = Counts::default();
    for result in results {
        suites.entry(&result.package).or_default().push(result);
        all.add(result);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites {}>", all.attributes());
    for (package, results) in suites {
        let mut counts = Counts::default();
        results.iter().for_each(|result| counts.add(result));
        let _ =
            writeln!(xml, "  <testsuite name=\"{}\" {}>", attribute(package), counts.attributes());
        results.iter().for_each(|result| case(result, timeout, &mut xml));
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

fn case(result: &TestResult, timeout: Duration, xml: &mut String) {
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
        attribute(&result.package),
        attribute(&result.name),
        attribute(&result.place.file),
        result.place.row,
        seconds(result.duration)
    );
    let inside = match &result.outcome {
        Outcome::Passed => None,
        Outcome::Skipped => Some("<skipped/>".to_owned()),
        Outcome::Failed(failure) => {
            let lines = failure.why.iter().flat_map(|why| why.lines());
            let lines: Vec<String> = lines.map(|line| line.plain()).collect();
            let failed = result.cases.values().filter(|case| case.failed);
            let cases: Vec<&str> = failed.map(|case| case.name.as_str()).collect();
            let message = if cases.is_empty() {
                "the test did not hold".to_owned()
            } else {
                format!("cases did not hold: {}", cases.join(", "))
            };
            let (message, lines) = (attribute(&message), text(&lines.join("\n")));
            Some(format!("<failure message=\"{message}\">{lines}</failure>"))
        }
        Outcome::Error { code, message, place: _ } => Some(format!(
            "<error type=\"{}\" message=\"{}\"/>",
            attribute(code),
            attribute(message)
        )),
        Outcome::TimedOut => Some(format!(
            "<error type=\"{CANCELLED}\" message=\"{}\"/>",
            attribute(&too_long(timeout))
        )),
    };
    let output = (!result.output.is_empty())
        .then(|| format!("<system-out>{}</system-out>", text(&result.output.join("\n"))));
    let inside: Vec<String> = inside.into_iter().chain(output).collect();
    if inside.is_empty() {
        xml.push_str("/>\n");
    } else {
        let _ = writeln!(xml, ">\n      {}\n    </testcase>", inside.join("\n      "));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

/// A text between tags. Characters that XML cannot hold are replaced by U+FFFD.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text between quotes, in which a line break would be read as a space.
fn attribute(value: &str) -> String {
    text(value).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place_in_the_xml() {
        let hostile = "]]></failure><a b=\"c\" d='e'>&amp;\n\u{0}\u{1b}\u{ffff}é";
        assert_eq!(
            text(hostile),
            "]]&gt;&lt;/failure&gt;&lt;a b=\"c\" d='e'&gt;&amp;amp;\n\u{fffd}\u{fffd}\u{fffd}é"
        );
        assert!(!attribute(hostile).contains(['"', '\n', '<']));
    }
}
