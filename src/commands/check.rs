//! `check`: finds mistakes in bundles.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use enforcer_protocol::{Diagnostic, DiagnosticCode, Evaluator, Findings, Inspection};
use serde::Serialize;

use super::Verdict;
use super::bundle::{Answer, MAX_DIAGNOSTICS, Session, ended};
use super::diagnostic::{Renderer, Severity};
use super::json;
use super::terminal::{Style, Terminal};
use crate::failure::Failure;

/// The report for machines.
#[derive(Debug, Default, Serialize)]
struct Report {
    bundles: Vec<Checked>,
    /// Errors and warnings of all bundles.
    errors: usize,
    warnings: usize,
}

/// The report about a bundle.
#[derive(Debug, Serialize)]
struct Checked {
    path: String,
    /// The tenant as whose bundle it was loaded.
    tenant: Option<String>,
    namespace: &'static str,
    usable: bool,
    /// `version` of its `metadata.json`.
    version: Option<String>,
    /// The evaluator that would answer requests.
    evaluator: Option<&'static str>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Why there are no errors with a place, although it is not usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

/// Checks bundles.
///
/// # Errors
/// When the configuration is wrong or the host cannot start workers.
pub(crate) fn check(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let session = Session::start(arguments)?;
    let is_json = arguments.get_one::<String>("format").is_some_and(|format| format == "json");
    let terminal = Terminal::of(&stdout());
    let mut report = Report::default();
    for path in arguments.get_many::<PathBuf>("bundles").into_iter().flatten() {
        let checked = one(&session, path)?;
        if !is_json {
            let renderer = Renderer { terminal, bundle: path };
            stdout().lock().write_all(checked.shown(&renderer).as_bytes())?;
        }
        report.errors += checked.errors.len() + usize::from(checked.ended.is_some());
        report.warnings += checked.warnings.len();
        report.bundles.push(checked);
    }
    let mut output = stdout().lock();
    if is_json {
        let text = serde_json::to_string(&report).map_err(std::io::Error::other)?;
        writeln!(output, "{}", json::pretty(&text))?;
    } else {
        writeln!(output, "{}", report.summary(terminal))?;
    }
    let is_denied = arguments.get_flag("deny-warnings") && report.warnings > 0;
    Ok(if report.errors == 0 && !is_denied { Verdict::Positive } else { Verdict::Negative })
}

fn one(session: &Session, path: &Path) -> Result<Checked, Failure> {
    let subject = session.subject(path);
    let mut checked = Checked {
        path: path.display().to_string(),
        tenant: subject.tenant_id().map(ToString::to_string),
        namespace: if subject.is_strict() { "strict" } else { "open" },
        usable: false,
        version: None,
        evaluator: None,
        errors: Vec::new(),
        warnings: Vec::new(),
        ended: None,
    };
    match session.ask(&subject, Inspection::Check, b"")? {
        Answer::Found(Findings::Usable { version, evaluator, warnings }) => {
            checked.usable = true;
            checked.version = version;
            checked.evaluator = Some(match evaluator {
                Evaluator::Bytecode => "bytecode",
                Evaluator::Interpreter(_) => "interpreter",
            });
            checked.warnings = warnings;
        }
        Answer::Found(_) => checked.ended = Some("the worker gave another answer".to_owned()),
        Answer::Unusable(errors) => checked.errors = errors,
        Answer::Ended(reason) => checked.ended = Some(reason),
    }
    Ok(checked)
}

impl Checked {
    fn shown(&self, renderer: &Renderer<'_>) -> String {
        let mut shown = String::new();
        let all = [(Severity::Error, &self.errors), (Severity::Warning, &self.warnings)];
        for (severity, diagnostics) in all {
            for diagnostic in diagnostics {
                shown += &renderer.diagnostic(severity, diagnostic);
                shown.push('\n');
            }
            if diagnostics.len() == MAX_DIAGNOSTICS {
                shown += &format!("only the first {MAX_DIAGNOSTICS} are shown\n\n");
            }
        }
        let is_about_packages = |error: &Diagnostic| {
            error.code == DiagnosticCode::Bundle && error.message.starts_with("every package ")
        };
        if self.errors.iter().any(is_about_packages)
            && self.namespace == "strict"
            && let Some(tenant) = &self.tenant
        {
            let note = format!(
                "note: the bundle was loaded as that of the tenant {tenant}; --open allows any package\n\n"
            );
            shown += &note;
        }
        if let Some(reason) = &self.ended {
            shown += &ended(renderer, reason);
            shown.push('\n');
        }
        shown
    }
}

impl Report {
    fn summary(&self, terminal: Terminal) -> String {
        let Self { bundles, errors, warnings } = self;
        let all = count(bundles.len(), "bundle");
        let unusable = bundles.iter().filter(|bundle| !bundle.usable).count();
        let (style, words) = match (unusable, warnings) {
            (0, 0) => (Style::Good, format!("{all} checked, no mistakes found")),
            (0, warnings) => {
                (Style::Warning, format!("{all} checked, {}", count(*warnings, "warning")))
            }
            (unusable, warnings) => {
                let what = if bundles.len() == 1 {
                    "the bundle cannot be used".to_owned()
                } else {
                    format!("{unusable} of {all} cannot be used")
                };
                let warnings = match warnings {
                    0 => String::new(),
                    warnings => format!(", {}", count(*warnings, "warning")),
                };
                (Style::Error, format!("{what}: {}{warnings}", count(*errors, "error")))
            }
        };
        terminal.paint(style, &words)
    }
}

fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}
