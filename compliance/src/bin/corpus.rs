//! Measures real-world policies: the share of their bundles that loads, whether their tests and
//! documents give the same results as in OPA, and which evaluator runs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use enforcer_compliance::compare::{Kind, compare};
use enforcer_compliance::corpus::{self, Bundle};
use enforcer_compliance::documented::Documented;
use enforcer_compliance::process::Process;
use enforcer_compliance::protocol::{Answer, Engine, Fault, Outcome, Question};
use enforcer_compliance::tool::{self, Failure, say, share};
use enforcer_compliance::value::Value;

fn main() -> ExitCode {
    let path =
        |name: &'static str| Arg::new(name).value_name("PATH").value_parser(value_parser!(PathBuf));
    let arguments = tool::command("corpus", "Real-world policies, on OPA and on our engine")
        .arg(path("folder").required(true).help("Holds a folder for every repository"))
        .arg(path("documented").long("documented").help("The intended differences"))
        .arg(
            Arg::new("opa-only")
                .long("opa-only")
                .action(ArgAction::SetTrue)
                .help("Compares OPA with itself, to count what can be compared"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("TEXT")
                .default_value("")
                .help("Takes the bundles whose paths hold this text"),
        );
    match run(&arguments.get_matches()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(format!("corpus: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Tally {
    repositories: u64,
    modules: u64,
    bundles: u64,
    opa_loads: u64,
    both_load: u64,
    both_refuse: u64,
    network: u64,
    bytecode: u64,
    tests: u64,
    tests_alike: u64,
    passing: u64,
    documents: u64,
    documents_alike: u64,
    differences: u64,
    interpreted: BTreeMap<String, u64>,
    /// OPA's errors for bundles that it refuses.
    refusals: BTreeMap<String, u64>,
}

struct Run {
    opa: Process,
    engine: Process,
    documented: Documented,
    opa_only: bool,
    tally: Tally,
}

fn run(matches: &ArgMatches) -> Result<bool, Failure> {
    let root = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    let documented = tool::documented(matches, Documented::parse)?;
    let only = matches.get_one::<String>("only").cloned().unwrap_or_default();
    let mut run = Run {
        opa: tool::opa(matches),
        engine: tool::engine(matches),
        documented,
        opa_only: matches.get_flag("opa-only"),
        tally: Tally::default(),
    };
    let mut repositories: Vec<PathBuf> = std::fs::read_dir(&root)
        .map_err(Failure::file(&root))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    repositories.sort();
    for repository in &repositories {
        run.repository(&root, repository, &only)?;
    }
    Ok(run.report())
}

/// Bundles that take longer are named.
const SLOW: std::time::Duration = std::time::Duration::from_secs(20);

/// The time that policies read: 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000_000_000_000;

impl Run {
    fn repository(&mut self, root: &Path, repository: &Path, only: &str) -> Result<(), Failure> {
        let name = repository.strip_prefix(root).unwrap_or(repository).display().to_string();
        self.tally.repositories += 1;
        for bundle in corpus::bundles(repository)? {
            let title = format!("{name}/{}", bundle.folder);
            if title.contains(only) {
                let begin = std::time::Instant::now();
                self.bundle(&title, &bundle)?;
                let took = begin.elapsed();
                if took > SLOW {
                    say(format!("{title}: took {} s", took.as_secs()));
                }
            }
        }
        Ok(())
    }

    fn bundle(&mut self, title: &str, bundle: &Bundle) -> Result<(), Failure> {
        self.tally.bundles += 1;
        self.tally.modules += u64::try_from(bundle.files.len()).unwrap_or_default();
        let mut question = Question {
            files: bundle.files.clone(),
            bundle: true,
            now: NOW,
            paths: bundle.tests.iter().chain(&bundle.packages).cloned().collect(),
            inputs: vec![None],
            ..Question::default()
        };
        // Older policies do not name their Rego version.
        let mut theirs = self.opa.ask(&question);
        if matches!(theirs, Answer::Refused(_)) {
            let outdated = outdated(&theirs);
            question.v0 = true;
            let old = self.opa.ask(&question);
            if outdated || matches!(old, Answer::Loaded { .. }) {
                theirs = old;
            } else {
                question.v0 = false;
            }
        }
        if let Answer::Refused(faults) = &theirs {
            let first = faults.first().map(|fault| format!("{}: {}", fault.code, fault.message));
            *self.tally.refusals.entry(first.unwrap_or_default()).or_default() += 1;
        }
        if let Answer::Crashed(reason) = &theirs {
            return Err(Failure::Oracle(format!("{title}: {reason}")));
        }
        let ours = if self.opa_only { theirs.clone() } else { self.engine.ask(&question) };
        self.loading(title, &theirs, &ours);
        if let (
            Answer::Loaded { outcomes: theirs, .. },
            Answer::Loaded { outcomes: ours, evaluator },
        ) = (&theirs, &ours)
        {
            match evaluator.as_deref() {
                None | Some("bytecode") => self.tally.bytecode += 1,
                Some(reason) => *self.tally.interpreted.entry(reason.to_owned()).or_default() += 1,
            }
            let varies = bundle.files.values().any(|text| corpus::varies(text));
            for (index, (their, our)) in theirs.iter().zip(ours).enumerate() {
                let path = question.paths.get(index).map(|path| path.join(".")).unwrap_or_default();
                self.outcome(title, &path, index < bundle.tests.len(), varies, their, our);
            }
        }
        Ok(())
    }

    fn loading(&mut self, title: &str, theirs: &Answer, ours: &Answer) {
        let loads = matches!(theirs, Answer::Loaded { .. });
        self.tally.opa_loads += u64::from(loads);
        match (theirs, ours) {
            (Answer::Loaded { .. }, Answer::Loaded { .. }) => self.tally.both_load += 1,
            (Answer::Refused(_), Answer::Refused(_)) => self.tally.both_refuse += 1,
            (Answer::Loaded { .. }, Answer::Refused(faults)) if network(faults) => {
                self.tally.network += 1;
                return;
            }
            (_, _) => {}
        }
        for difference in compare(theirs, ours).differences {
            if difference.evaluation.is_none() && !self.documented.holds(&difference) {
                self.tally.differences += 1;
                say(format!("{title}: {difference}"));
            }
        }
    }

    fn outcome(
        &mut self,
        title: &str,
        path: &str,
        test: bool,
        varies: bool,
        theirs: &Outcome,
        ours: &Outcome,
    ) {
        let single =
            |outcome: &Outcome| Answer::Loaded { outcomes: vec![outcome.clone()], evaluator: None };
        let found = compare(&single(theirs), &single(ours)).differences;
        let alike = found.is_empty();
        if test {
            self.tally.tests += 1;
            self.tally.tests_alike += u64::from(alike);
            let passed = |outcome: &Outcome| matches!(outcome, Outcome::Value(value) if *value != Value::Bool(false));
            self.tally.passing += u64::from(passed(theirs));
        } else {
            self.tally.documents += 1;
            self.tally.documents_alike += u64::from(alike);
        }
        for difference in found.iter().filter(|difference| !self.documented.holds(difference)) {
            self.tally.differences += 1;
            let grave = if difference.kind == Kind::WrongAllow { "WRONG ALLOW " } else { "" };
            let doubt = if varies {
                " (the bundle depends on the clock, randomness or the host)"
            } else {
                ""
            };
            let shown: String = difference.to_string().chars().take(2000).collect();
            say(format!("{grave}{title} data.{path}{doubt}: {shown}"));
        }
    }

    fn report(&self) -> bool {
        let tally = &self.tally;
        if self.opa_only {
            for (reason, count) in &tally.refusals {
                say(format!("OPA refuses {count}: {reason}"));
            }
        }
        for (reason, count) in &tally.interpreted {
            say(format!("interpreter, {count} bundles: {reason}"));
        }
        say(format!(
            "{} repositories, {} bundles with {} modules, each counted in every bundle that holds it",
            tally.repositories, tally.bundles, tally.modules
        ));
        say(format!(
            "OPA loads {}; of these we load {} ({}), and {} need the network; both refuse {}",
            tally.opa_loads,
            tally.both_load,
            share(tally.both_load + tally.network, tally.opa_loads),
            tally.network,
            tally.both_refuse,
        ));
        say(format!(
            "{} tests of their own, {} of them pass in OPA; {} agree ({})",
            tally.tests,
            tally.passing,
            tally.tests_alike,
            share(tally.tests_alike, tally.tests),
        ));
        say(format!(
            "{} packages evaluated as documents; {} agree ({})",
            tally.documents,
            tally.documents_alike,
            share(tally.documents_alike, tally.documents),
        ));
        say(format!(
            "{} bundles run as bytecode ({})",
            tally.bytecode,
            share(tally.bytecode, tally.both_load)
        ));
        say(format!("{} differences that are not documented", tally.differences));
        tally.differences == 0
    }
}

/// Whether OPA refuses a bundle because it is written in Rego v0.
fn outdated(answer: &Answer) -> bool {
    let Answer::Refused(faults) = answer else { return false };
    faults.iter().any(|fault| fault.message.contains("keyword is required"))
}

/// Whether a bundle is refused, as intended, because it uses the network.
fn network(faults: &[Fault]) -> bool {
    !faults.is_empty()
        && faults.iter().all(|fault| {
            fault.message.contains("http.send") || fault.message.contains("net.lookup_ip_addr")
        })
}
