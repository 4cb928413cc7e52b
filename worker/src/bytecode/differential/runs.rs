//! Comparisons of many policies, one after another.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use regorus::Value;

use super::chance::Chance;
use super::{Bytecode, Counts, ENTRY_POINT, generator, names, prepared};

/// After so many differences there is enough to look at.
const ENOUGH: usize = 4;

/// How many reasons a report names why policies could not be compared.
const REASONS: usize = 40;

/// How the names of the threads begin that compare a policy, before its seed.
const THREAD: &str = "of seed ";

/// Says nothing of panics while policies are compared: those of the engine are looked for.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !std::thread::current().name().is_some_and(|name| name.starts_with(THREAD)) {
                others(panic);
            }
        }));
    });
}

/// A tenant's policy, and what it is asked.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) tenant: String,
    pub(super) modules: Vec<(String, String)>,
    pub(super) data: Value,
    pub(super) inputs: Vec<Value>,
}

/// What makes a policy, the same one of the same chance.
type Generator = fn(&mut Chance) -> Case;

/// How it went with the policies of a generator.
#[derive(Debug, Default)]
pub(super) struct Run {
    counts: Counts,
    /// Why policies could not be compared, and how many.
    reasons: BTreeMap<String, usize>,
}

impl Run {
    /// Compares the policies that a generator makes of these seeds, until there is enough to look at.
    pub(super) fn over(seeds: impl IntoIterator<Item = u64>, generate: Generator) -> Self {
        silence();
        let mut run = Self::default();
        for seed in seeds {
            // What overflows the stack ends all, and all that is told then is the thread's name.
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().name(format!("{THREAD}{seed}"));
                let compare = || run.compare(seed, &generate(&mut Chance::new(seed)));
                let thread = thread.spawn_scoped(scope, compare).unwrap();
                thread.join().unwrap_or_else(|_| panic!("{THREAD}{seed}"));
            });
            if run.counts.different.len() >= ENOUGH {
                break;
            }
        }
        run
    }

    /// Compares what both say of one policy.
    fn compare(&mut self, seed: u64, case: &Case) {
        self.counts.policies += 1;
        let Case { tenant, modules, data, inputs } = case;
        let prepared = std::panic::catch_unwind(|| prepared(tenant, modules, data))
            .unwrap_or_else(|_| Err("panic".to_owned()));
        let engine = match prepared {
            Ok(engine) => engine,
            Err(fault) => {
                self.counts.unloadable += 1;
                let fault = fault.lines().last().unwrap_or_default().to_owned();
                let words: String =
                    fault.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
                *self.reasons.entry(format!("unloadable: {words}")).or_default() += 1;
                return;
            }
        };
        let mut bytecode = match Bytecode::compile(&engine, data.clone(), ENTRY_POINT) {
            Ok(bytecode) => bytecode,
            Err(refused) => {
                self.counts.refused += 1;
                *self.reasons.entry(format!("refused: {}", refused.what)).or_default() += 1;
                return;
            }
        };
        self.counts.inside += 1;
        let before = self.counts.different.len();
        for input in inputs {
            self.counts.compare(&mut bytecode, &engine, input, ENTRY_POINT, || {
                let texts: Vec<&str> = modules.iter().map(|(_, text)| text.as_str()).collect();
                format!("seed {seed}\n{}\ndata: {data}", texts.join("\n---\n"))
            });
            // The policy's other differences are mostly the same one.
            if self.counts.different.len() > before {
                return;
            }
        }
    }

    /// That there was no difference among many.
    pub(super) fn check(&self) {
        let counts = &self.counts;
        println!("{}", counts.report());
        assert!(counts.different.is_empty(), "{}", counts.different.join("\n"));
        // It has to have looked at something.
        assert!(counts.inside > 100 && counts.allowed > 50 && counts.undefined > 50);
        assert!(counts.denied > 50 && counts.equal > counts.left_to_interpreter);
    }

    fn report(&self) {
        println!("{}", self.counts.report());
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons.iter().take(REASONS) {
            println!("  {count:6} {reason}");
        }
    }
}

/// For as long as `ENFORCER_SECONDS` says, from the seed `ENFORCER_SEED` on, half of the time each.
#[test]
#[ignore = "takes as long as it is told to"]
fn the_bytecode_never_answers_otherwise_than_the_interpreter_for_long() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let limit = Duration::from_secs(number("ENFORCER_SECONDS", 60)) / 2;
    let first = number("ENFORCER_SEED", 1_000_000);
    let generators: [(&str, Generator); 2] =
        [("constructs", generator::case), ("names", names::case)];
    let runs = generators.map(|(name, generate)| {
        let start = Instant::now();
        let run = Run::over((first..).take_while(|_| start.elapsed() < limit), generate);
        print!("{name}: ");
        run.report();
        run
    });
    let different: Vec<String> = runs.into_iter().flat_map(|run| run.counts.different).collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}
