//! The only caller of regorus.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::Utf8Error;
use std::time::{Duration, Instant};

use enforcer_protocol::{
    Decision, Diagnostic, DiagnosticCode, Evaluator, Location, MAX_DIAGNOSTICS, Outcome, TenantId,
};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{PolicyLengthConfig, Value};

use crate::bundle::{Bundle, File};
use crate::bytecode::{Bytecode, Checks, Refused};
use crate::clock::monotonic_micros;
use crate::contradictions::contradictions;
use crate::decision::{RuleValues, decide};
use crate::diagnostics::{from_engine, from_evaluation, in_bundle, location_of, shortened};
use crate::input::{Document, rounded_integer};
use crate::pitfalls::pitfall;
use crate::rewriting::{Places, rewrite};
use crate::value::{element, member};

/// Below `data.tenants`, where `$decision` can be no tenant's: the module that asks for the three
/// rules at once, so that what they share is evaluated once.
pub(crate) const ENTRY_POINT: &str = r#"data.tenants["$decision"].rules"#;
const ENTRY_POINT_FILE: &str = "$decision";

/// The key under which serde_json can hand over a number's digits, and regorus' reader of data takes
/// them from anybody.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// How much work the engine does between two looks at the clock. A look costs some 30 ns, a unit
/// of work some 200.
const TIMER_INTERVAL: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// The same for the bytecode, whose units of work are instructions, which take some 20 ns.
const BYTECODE_TIMER_INTERVAL: NonZeroU32 = NonZeroU32::new(128).unwrap();

/// Longer lines, files and modules than regorus takes by default (1,024 columns, 1 MiB, 20,000
/// lines): generated policies have them, and a bundle is bounded as a whole.
const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::new(1024 * 1024).unwrap(),
    max_file_bytes: NonZeroUsize::new(16 * 1024 * 1024).unwrap(),
    max_lines: NonZeroUsize::new(1_000_000).unwrap(),
};

/// A tenant's policies and data, compiled and ready to be asked.
#[derive(Debug)]
pub(crate) struct Policy {
    engine: regorus::Engine,
    /// The engine as it was before it evaluated anything. An evaluation that ends by an error
    /// leaves regorus with what `with` had put in place, functions and data, and every later
    /// evaluation would see it: a wrong allow. So an engine that failed is never asked again.
    pristine: regorus::Engine,
    /// Where the engine's text of the modules says what the tenant's does.
    places: Places,
    /// What the last evaluation has printed.
    prints: Vec<String>,
    tenant_id: Value,
    version: Option<String>,
    /// What is asked first; or why there is none.
    bytecode: Result<Bytecode, String>,
    checks: Checks,
    /// Whether the bytecode was found to have another answer, and nobody was told yet.
    has_differed: bool,
}

impl Policy {
    /// Loads a bundle and evaluates it once, so that the first request finds everything in place.
    ///
    /// # Errors
    /// What is wrong with the bundle: at least one diagnostic, the first ones of them all.
    pub(crate) fn load(bundle: Bundle) -> Result<Self, Vec<Diagnostic>> {
        caught(|| Self::load_uncaught(bundle))
            .unwrap_or_else(|Panicked| Err(vec![internal("the engine failed on this bundle")]))
    }

    fn load_uncaught(bundle: Bundle) -> Result<Self, Vec<Diagnostic>> {
        let Bundle { tenant_id, evaluation_timeout, bytecode, files } = bundle;
        let mut engine = new_engine();
        let mut faults = Vec::new();
        let mut modules = 0_usize;
        let mut version = None;
        let mut data = Value::new_object();
        for file in files {
            let loaded = match file.path.as_str() {
                "data.json" => read_data(&file).map(|read| data = read),
                "metadata.json" => read_version(&file).map(|found| version = found),
                _ => {
                    modules += 1;
                    add_module(&mut engine, file)
                }
            };
            faults.extend(loaded.err());
        }
        faults.extend(packages_outside(&engine, &tenant_id));
        if modules == 0 {
            faults.push(in_bundle("the bundle holds no *.rego file", None));
        }
        if faults.is_empty() {
            faults.extend(contradictions(engine.get_modules()));
        }
        let mut places = Places::default();
        if faults.is_empty() {
            match rewrite(engine.get_modules()) {
                Ok(rewritten) => {
                    faults.extend(put_in_place(&mut engine, data, rewritten.texts).err());
                    places = rewritten.places;
                }
                Err(found) => faults = found,
            }
        }
        if faults.is_empty() {
            faults.extend(compile(&mut engine, &tenant_id).err());
        }
        if !faults.is_empty() {
            faults.truncate(MAX_DIAGNOSTICS);
            faults.iter_mut().for_each(|fault| restore(&places, fault));
            return Err(faults);
        }

        let bytecode = if bytecode {
            compile_to_bytecode(&engine, &places)
        } else {
            Err(SWITCHED_OFF.to_owned())
        };
        let mut policy = Self {
            pristine: engine.clone(),
            engine,
            places,
            prints: Vec::new(),
            tenant_id: Value::from(tenant_id.as_str()),
            version,
            bytecode,
            checks: Checks::default(),
            has_differed: false,
        };
        match policy.ask(Value::new_object(), evaluation_timeout) {
            // Only now does regorus see some of what is wrong whatever the input.
            Err(Outcome::Failed(fault)) if fault.code == DiagnosticCode::Compile => {
                Err(vec![fault])
            }
            // What else the policy makes of an empty input is no fault of the bundle.
            _ => Ok(policy),
        }
    }

    /// `version` of the bundle's `metadata.json`.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Answers a decision request: a body of `{"input": …}`, until `deadline_micros` of
    /// [`monotonic_micros`].
    pub(crate) fn decide(&mut self, body: &[u8], deadline_micros: u64) -> Outcome {
        let document = match Document::parse(body) {
            Ok(Document(document)) => document,
            Err(message) => return Outcome::InvalidRequest(message),
        };
        // OPA's Data API takes a null input for a missing one.
        let input = member(&document, "input");
        if matches!(input, Value::Undefined | Value::Null) {
            return Outcome::InvalidRequest(
                "the request body must be a JSON object with an \"input\" that is not null".into(),
            );
        }
        let subject_tenant = member(member(input, "subject"), "tenant_id");
        if *subject_tenant != Value::Undefined && *subject_tenant != self.tenant_id {
            return Outcome::TenantMismatch;
        }
        let left = Duration::from_micros(deadline_micros.saturating_sub(monotonic_micros()));
        if left.is_zero() {
            return Outcome::TimedOut;
        }
        match self.ask(input.clone(), left) {
            Ok(decision) => Outcome::Decision(decision),
            Err(outcome) => outcome,
        }
    }

    fn ask(&mut self, input: Value, limit: Duration) -> Result<Decision, Outcome> {
        let Ok(bytecode) = &mut self.bytecode else { return self.interpret(input, limit) };
        let start = Instant::now();
        let timer = ExecutionTimerConfig { limit, check_interval: BYTECODE_TIMER_INTERVAL };
        let evaluated = caught(|| bytecode.ask(input.clone(), timer));
        let left = || limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
        let Ok(Ok(rules)) = evaluated else {
            if bytecode.renew().is_err() {
                self.bytecode = Err("the bytecode failed and cannot be started again".to_owned());
            }
            return left().map_or(Err(Outcome::TimedOut), |left| self.interpret(input, left));
        };
        let answer = decision(&rules).map_err(Outcome::Failed);
        if !self.checks.is_due() {
            return answer;
        }
        let Some(left) = left() else { return answer };
        let interpreted = self.interpret(input, left);
        // Where it had too little time, it has said nothing that could be compared.
        if interpreted == answer || interpreted == Err(Outcome::TimedOut) {
            return answer;
        }
        self.bytecode = Err("the bytecode had another answer than the interpreter".to_owned());
        self.has_differed = true;
        interpreted
    }

    fn interpret(&mut self, input: Value, limit: Duration) -> Result<Decision, Outcome> {
        let timer = ExecutionTimerConfig { limit, check_interval: TIMER_INTERVAL };
        self.engine.set_execution_timer_config(timer);
        self.engine.set_input(input);
        let start = Instant::now();
        let evaluated = caught(|| self.engine.eval_rule(ENTRY_POINT.to_owned()));
        // Prints that nobody took are of an evaluation that was stopped and now began again.
        self.prints = self.engine.take_prints().unwrap_or_default();
        let mut failure = match evaluated {
            Ok(Ok(rules)) => return decision(&rules).map_err(Outcome::Failed),
            // The timer's error is wrapped on its way out of a function, so it is not always
            // known by its type; but a limit that has passed is always known by the clock.
            Ok(Err(_)) if start.elapsed() >= limit => Outcome::TimedOut,
            Ok(Err(error)) => failed(&error),
            Err(Panicked) => Outcome::Failed(internal("the engine failed on this input")),
        };
        self.engine = self.pristine.clone();
        if let Outcome::Failed(fault) = &mut failure {
            restore(&self.places, fault);
        }
        Err(failure)
    }

    /// What answers requests.
    pub(crate) fn evaluator(&self) -> Evaluator {
        match &self.bytecode {
            Ok(_) => Evaluator::Bytecode,
            Err(reason) => Evaluator::Interpreter(reason.clone()),
        }
    }

    /// Whether the bytecode had another answer than the interpreter, since this was asked last.
    pub(crate) fn take_has_differed(&mut self) -> bool {
        std::mem::take(&mut self.has_differed)
    }

    /// What the policy printed in the last evaluation, unless it was taken already.
    pub(crate) fn take_prints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.prints)
    }
}

/// Why the interpreter evaluates where the operator wants that.
const SWITCHED_OFF: &str = "ENFORCER_EVALUATOR is interpreter";

/// The policy as bytecode, or why it stays with the interpreter.
fn compile_to_bytecode(engine: &regorus::Engine, places: &Places) -> Result<Bytecode, String> {
    let compiled = caught(|| Bytecode::compile(engine, engine.get_data(), ENTRY_POINT));
    match compiled {
        Ok(Ok(bytecode)) => Ok(bytecode),
        Ok(Err(Refused { what, location: None })) => Err(what.to_owned()),
        Ok(Err(Refused { what, location: Some(mut location) })) => {
            places.restore(&mut location);
            Err(shortened(&format!("{location}: {what}")))
        }
        Err(Panicked) => Err("the bytecode's compiler failed on it".to_owned()),
    }
}

/// regorus panicked.
struct Panicked;

/// Does what regorus is asked for. It panics on some values, and a client must not be able to end
/// its tenant's worker with one. Where it was is said on standard error, by std.
///
/// Whatever was borrowed by `work` may be half-done then, and has to be thrown away. What regorus
/// keeps beside its engines, two caches of patterns, is whole between any two of its steps.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// The decision that the entry point's value amounts to: three arrays of no or one element each,
/// since an undefined rule has none.
fn decision(rules: &Value) -> Result<Decision, Diagnostic> {
    let rule = |index| element(element(rules, index), 0).clone();
    decide(RuleValues { allow: rule(0), redact: rule(1), reason: rule(2) })
}

fn internal(message: &str) -> Diagnostic {
    Diagnostic { code: DiagnosticCode::Internal, message: message.to_owned(), location: None }
}

fn failed(error: &anyhow::Error) -> Outcome {
    let mut diagnostic = from_evaluation(error);
    // The entry point is ours; its place would tell the tenant nothing.
    diagnostic.location.take_if(|location| location.file == ENTRY_POINT_FILE);
    Outcome::Failed(diagnostic)
}

pub(crate) fn new_engine() -> regorus::Engine {
    let mut engine = regorus::Engine::new();
    engine.set_policy_length_config(LENGTHS);
    // OPA makes a failed built-in undefined unless told otherwise, and `not` makes undefined true.
    // A decision must not turn to allow because a function failed.
    engine.set_strict_builtin_errors(true);
    // Else print() writes to standard error by itself, however much.
    engine.set_gather_prints(true);
    engine
}

/// Gives the engine the data, and the texts in place of those that it has of these modules.
pub(crate) fn put_in_place(
    engine: &mut regorus::Engine,
    data: Value,
    mut texts: BTreeMap<String, String>,
) -> Result<(), Diagnostic> {
    if !texts.is_empty() {
        // No module can be taken from an engine, so another gets them all.
        let mut other = new_engine();
        for module in engine.get_modules() {
            let source = &module.package.span.source;
            let path = source.get_path();
            let text = texts.remove(path).unwrap_or_else(|| source.get_contents().clone());
            other
                .add_policy(path.clone(), text)
                .map_err(|error| from_engine(&error, DiagnosticCode::Compile))?;
        }
        *engine = other;
    }
    engine.add_data(data).map_err(|error| from_engine(&error, DiagnosticCode::Bundle))
}

/// Puts a fault where the tenant wrote what is at fault.
fn restore(places: &Places, fault: &mut Diagnostic) {
    if let Some(location) = &mut fault.location {
        places.restore(location);
    }
}

fn add_module(engine: &mut regorus::Engine, file: File) -> Result<(), Diagnostic> {
    let File { path, content } = file;
    let text = String::from_utf8(content)
        .map_err(|error| not_utf8(&path, error.as_bytes(), error.utf8_error()))?;
    if let Some((offset, what)) = pitfall(&text) {
        let location = location_of(&path, text.as_bytes(), offset);
        return Err(in_bundle(what, Some(location)));
    }
    engine
        .add_policy(path, text)
        .map(drop)
        .map_err(|error| from_engine(&error, DiagnosticCode::Parse))
}

/// The modules whose package is not the tenant's own.
fn packages_outside(engine: &regorus::Engine, tenant_id: &TenantId) -> Vec<Diagnostic> {
    let (packages, sources) = match (engine.get_policy_package_components(), engine.get_policies())
    {
        (Ok(packages), Ok(sources)) => (packages, sources),
        (Err(error), _) | (_, Err(error)) => {
            return vec![from_engine(&error, DiagnosticCode::Compile)];
        }
    };
    let is_inside = |components: &[String]| matches!(components, [root, id, ..] if root == "tenants" && id == tenant_id.as_str());
    packages
        .iter()
        .zip(&sources)
        .filter(|(package, _)| !is_inside(&package.components))
        .map(|(package, source)| {
            in_bundle(
                format!(
                    "every package of this bundle must be {} or below it",
                    package_of(tenant_id)
                ),
                package_location(&package.source_file, source.get_contents()),
            )
        })
        .collect()
}

/// How the tenant's package is written in Rego: an id that is no identifier needs brackets.
fn package_of(tenant_id: &TenantId) -> String {
    let id = tenant_id.as_str();
    let is_identifier = !id.contains('-') && !id.starts_with(|first: char| first.is_ascii_digit());
    if is_identifier { format!("tenants.{id}") } else { format!("tenants[\"{id}\"]") }
}

/// Where the module's first token stands, which in a module that parses is `package`.
fn package_location(path: &str, text: &str) -> Option<Location> {
    text.lines().enumerate().find_map(|(index, line)| {
        let code = line.trim_start();
        if code.is_empty() || code.starts_with('#') {
            return None;
        }
        let indent = line.get(..line.len() - code.len())?.chars().count();
        Some(Location {
            file: shortened(path),
            row: u32::try_from(index + 1).ok()?,
            col: u32::try_from(indent + 1).ok()?,
        })
    })
}

fn read_data(file: &File) -> Result<Value, Diagnostic> {
    let at = |offset: usize| Some(location_of(&file.path, &file.content, offset));
    let text = std::str::from_utf8(&file.content)
        .map_err(|error| not_utf8(&file.path, &file.content, error))?;
    if let Some(offset) = number_key(text) {
        let message = format!("data.json must not have the key {NUMBER_KEY:?}");
        return Err(in_bundle(message, at(offset)));
    }
    let data = Value::from_json_str(text).map_err(|error| json_fault(&file.path, &error))?;
    if data.as_object().is_err() {
        return Err(in_bundle("data.json must hold a JSON object", at(0)));
    }
    if *member(&data, "tenants") != Value::Undefined {
        let message = "data.json must not define \"tenants\": rules live there, and it is the root of this tenant's data already";
        return Err(in_bundle(message, at(0)));
    }
    if let Some(offset) = rounded_integer(&file.content) {
        let message =
            "this integer has more digits than can be represented exactly; make it a string";
        return Err(in_bundle(message, at(offset)));
    }
    Ok(data)
}

/// Where the key stands that regorus takes for a sign that its object is a number, whose exponent
/// it then expands: a few bytes would keep the worker busy for half a minute.
fn number_key(json: &str) -> Option<usize> {
    let mut offset = 0;
    loop {
        let start = offset + json.get(offset..)?.find('"')?;
        let length = string_length(json.get(start..)?);
        offset = start + length;
        let string = json.get(start..offset)?;
        let is_key = || json.get(offset..).unwrap_or_default().trim_start().starts_with(':');
        let is_it =
            |text: &str| serde_json::from_str(text).is_ok_and(|key: String| key == NUMBER_KEY);
        if (string.contains('\\') || string.contains(NUMBER_KEY)) && is_it(string) && is_key() {
            return Some(start);
        }
    }
}

/// How long the string is that `json` begins with, quotes included.
fn string_length(json: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

fn read_version(file: &File) -> Result<Option<String>, Diagnostic> {
    let metadata: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&file.content).map_err(|error| serde_fault(&file.path, &error))?;
    match metadata.get("version") {
        None => Ok(None),
        Some(serde_json::Value::String(version)) => Ok(Some(shortened(version))),
        Some(_) => {
            Err(in_bundle("version must be a string", Some(location_of(&file.path, &[], 0))))
        }
    }
}

/// Compiles everything that was added; evaluates nothing of the tenant's.
pub(crate) fn compile(
    engine: &mut regorus::Engine,
    tenant_id: &TenantId,
) -> Result<(), Diagnostic> {
    // A tenant id needs no escaping: see its grammar.
    let rule = |name: &str| format!("[value | value := data.tenants[\"{tenant_id}\"].{name}]");
    let module = format!(
        "package tenants[\"$decision\"]\nrules := [{}, {}, {}]\n",
        rule("allow"),
        rule("redact"),
        rule("reason")
    );
    let compile_fault = |error: anyhow::Error| from_engine(&error, DiagnosticCode::Compile);
    engine.add_policy(ENTRY_POINT_FILE.to_owned(), module).map_err(compile_fault)?;
    engine.eval_query("true".to_owned(), false).map_err(compile_fault)?;
    Ok(())
}

fn not_utf8(path: &str, content: &[u8], error: Utf8Error) -> Diagnostic {
    let location = location_of(path, content, error.valid_up_to());
    in_bundle("the file is not UTF-8", Some(location))
}

fn json_fault(path: &str, error: &anyhow::Error) -> Diagnostic {
    match error.downcast_ref::<serde_json::Error>() {
        Some(error) => serde_fault(path, error),
        None => from_engine(error, DiagnosticCode::Bundle),
    }
}

fn serde_fault(path: &str, error: &serde_json::Error) -> Diagnostic {
    // serde_json counts columns from 0 where a whole value is at fault.
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let location =
        Location { file: shortened(path), row: number(error.line()), col: number(error.column()) };
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or_default();
    in_bundle(format!("the file is not valid JSON here: {words}"), Some(location))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn load(files: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
        load_as("a", files)
    }

    fn load_as(tenant_id: &str, files: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
        load_for(tenant_id, files, true)
    }

    fn load_for(
        tenant_id: &str,
        files: &[(&str, &str)],
        bytecode: bool,
    ) -> Result<Policy, Vec<String>> {
        let files = files
            .iter()
            .map(|(path, content)| File { path: (*path).into(), content: (*content).into() })
            .collect();
        let tenant_id = tenant_id.parse().unwrap();
        let bundle = Bundle { tenant_id, evaluation_timeout: TIMEOUT, bytecode, files };
        Policy::load(bundle).map_err(|faults| faults.iter().map(Diagnostic::to_string).collect())
    }

    fn ask(policy: &mut Policy, body: &str) -> Outcome {
        let deadline = monotonic_micros() + u64::try_from(TIMEOUT.as_micros()).unwrap();
        policy.decide(body.as_bytes(), deadline)
    }

    /// What a tenant `a` with these rules answers to an empty input.
    fn answer(rules: &str) -> Outcome {
        let module = format!("package tenants.a\n{rules}\n");
        answer_of_both(&[("policy.rego", &module)], r#"{"input":{}}"#)
    }

    /// What both evaluators answer, in which they must not differ.
    fn answer_of_both(files: &[(&str, &str)], body: &str) -> Outcome {
        let [with, without] =
            [true, false].map(|bytecode| ask(&mut load_for("a", files, bytecode).unwrap(), body));
        assert_eq!(with, without, "{files:?}");
        with
    }

    fn decision(allow: bool, redact: &[&str], reason: Option<&str>) -> Outcome {
        let redact = redact.iter().map(|&name| name.to_owned()).collect();
        Outcome::Decision(Decision { allow, redact, reason: reason.map(str::to_owned) })
    }

    fn fault(outcome: Outcome) -> (DiagnosticCode, Option<(u32, u32)>) {
        let Outcome::Failed(diagnostic) = outcome else { panic!("{outcome:?}") };
        (diagnostic.code, diagnostic.location.map(|location| (location.row, location.col)))
    }

    #[test]
    fn a_policy_may_answer_in_every_form_that_rego_has_for_it() {
        for rules in [
            "allow := true\nredact := {\"b\", \"a\"}\nreason := \"r\"",
            "default allow := false\nallow if 1 == 1\nredact contains \"b\"\nredact contains \"a\"\nreason := \"r\"",
            "allow := {\"allow\": true, \"redact\": [\"a\", \"b\"], \"reason\": \"r\"}",
            "allow.allow := true\nallow.redact := [\"a\", \"b\"]\nallow.reason := \"r\"",
        ] {
            assert_eq!(answer(rules), decision(true, &["a", "b"], Some("r")), "{rules}");
        }
        let module = "package tenants.a.allow\nallow := true";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], None));
    }

    #[test]
    fn what_is_not_defined_is_not_allowed() {
        for rules in ["", "allow if input.never", "other := true", "allow(x) := true"] {
            assert_eq!(answer(rules), decision(false, &[], None), "{rules}");
        }
    }

    #[test]
    fn a_policy_that_fails_is_an_error_with_its_place() {
        use DiagnosticCode::{Builtin, Conflict, Internal, Type};
        for (rules, expected) in [
            ("allow := true\nallow := false", (Conflict, Some((3, 1)))),
            ("allow[x] := y if { some x in [1]; some y in [1, 2] }", (Conflict, Some((2, 1)))),
            ("allow if f(1)\nf(_) := 1\nf(_) := 2", (Conflict, Some((2, 11)))),
            ("allow if f(1)\nf(_) := x if some x in [1, 2]", (Conflict, Some((2, 11)))),
            ("allow := {k: v | some k in [1, 1]; some v in [1, 2]}", (Conflict, Some((2, 11)))),
            ("allow := {[k]: v | some k in [1]; some v in [1, 2]}", (Conflict, Some((2, 11)))),
            ("allow if to_number(\"x\") == 1", (Builtin, Some((2, 21)))),
            ("allow if not to_number(\"x\")", (Builtin, Some((2, 25)))),
            ("allow if 1 / 0 == 1", (Builtin, Some((2, 12)))),
            ("allow if startswith(1, \"x\")", (Type, Some((2, 21)))),
            ("allow if http.send({})", (Type, Some((2, 19)))),
            ("allow if other\nother if allow", (Internal, Some((2, 1)))),
            ("allow := \"true\"", (Type, None)),
        ] {
            assert_eq!(fault(answer(rules)), expected, "{rules}");
        }
    }

    #[test]
    fn an_unsafe_variable_that_shows_late_has_the_code_of_one_that_shows_early() {
        let module = "package tenants.a\nallow := x if input.go";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        let outcome = ask(&mut policy, r#"{"input":{"go":true}}"#);
        assert_eq!(fault(outcome), (DiagnosticCode::Compile, Some((2, 10))));
    }

    #[test]
    fn an_evaluation_without_end_ends_at_its_deadline() {
        let module = "package tenants.a\nallow if { input.go; some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); some z in numbers.range(1, 1000); x + y + z < 0 }";
        let mut policy = load(&[("policy.rego", module)]);
        let policy = policy.as_mut().unwrap();
        let deadline = monotonic_micros() + 20_000;
        assert_eq!(policy.decide(br#"{"input":{"go":true}}"#, deadline), Outcome::TimedOut);
        assert_eq!(policy.decide(br#"{"input":{}}"#, 0), Outcome::TimedOut);
    }

    #[test]
    fn what_the_bytecode_answers_otherwise_is_the_interpreter_s_to_say() {
        let load =
            |rules| load(&[("policy.rego", &format!("package tenants.a\n{rules}"))]).unwrap();
        let mut policy = load("allow := false");
        policy.bytecode = load("allow := true").bytecode;
        policy.checks = Checks::default();
        // It had 1 as its first, and this is the second: both are checked.
        for has_differed in [true, false] {
            assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(false, &[], None));
            assert_eq!(policy.take_has_differed(), has_differed);
        }
        assert!(policy.bytecode.is_err());
        assert!(matches!(policy.evaluator(), Evaluator::Interpreter(_)));
    }

    #[test]
    fn what_fails_in_the_bytecode_costs_the_next_request_nothing() {
        let module = "package tenants.a\nallow if 1 / input.n == 1\nreason := input.reason";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        for _ in 0..3 {
            let failed = ask(&mut policy, r#"{"input":{"n":0,"reason":"of the first"}}"#);
            assert_eq!(fault(failed), (DiagnosticCode::Builtin, Some((2, 12))));
            assert_eq!(ask(&mut policy, r#"{"input":{"n":1}}"#), decision(true, &[], None));
        }
        assert_eq!(policy.evaluator(), Evaluator::Bytecode);
        assert!(!policy.take_has_differed());
    }

    #[test]
    fn the_bytecode_has_as_many_instructions_as_fit_into_its_time() {
        let module = "package tenants.a\nallow if count([x | some x in numbers.range(1, 50000); x > 7]) == 49993";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        let bytecode = policy.bytecode.as_mut().unwrap();
        let timer = ExecutionTimerConfig { limit: TIMEOUT, check_interval: TIMER_INTERVAL };
        let rules = bytecode.ask(Value::new_object(), timer).unwrap();
        assert_eq!(*element(element(&rules, 0), 0), Value::from(true));
    }

    #[test]
    fn nothing_of_one_request_is_left_for_the_next() {
        let module = "package tenants.a\nallow if input.x\nreason := input.reason";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        let first = ask(&mut policy, r#"{"input":{"x":true,"reason":"r"}}"#);
        assert_eq!(first, decision(true, &[], Some("r")));
        assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(false, &[], None));
    }

    #[test]
    fn an_evaluation_that_failed_leaves_nothing_for_the_next() {
        let function = "package tenants.a
default allow := false
is_admin(user) if user == \"root\"
allow if is_admin(input.user)
fails(y) := [to_number(y)]
redact contains \"x\" if { x := fails(input.y)[_] with is_admin as true; x >= 0 }";
        let data = "package tenants.a
default allow := false
admin if input.user in data.admins
allow if admin
admin_of_one if admin with data.nothing as 1
redact contains \"x\" if { some x in [to_number(input.y)] with data.admins as {\"mallory\"}; x >= 0; admin }
redact contains \"y\" if { admin_of_one }
fails(y) := [to_number(y)]
redact contains \"z\" if { x := fails(input.y)[_] with data.admins as {\"mallory\"}; x >= 0 }";
        for module in [function, data] {
            let bundle = [("policy.rego", module), ("data.json", r#"{"admins":["root"]}"#)];
            let mut policy = load(&bundle).unwrap();
            let mallory = r#"{"input":{"user":"mallory","y":"1"}}"#;
            let before = ask(&mut policy, mallory);
            assert!(
                matches!(&before, Outcome::Decision(Decision { allow: false, .. })),
                "{before:?}"
            );
            let failing = ask(&mut policy, r#"{"input":{"user":"mallory","y":"x"}}"#);
            assert_eq!(fault(failing).0, DiagnosticCode::Builtin);
            assert_eq!(ask(&mut policy, mallory), before, "{module}");
        }
    }

    #[test]
    fn an_evaluation_that_was_stopped_leaves_nothing_for_the_next() {
        let module = "package tenants.a
default allow := false
is_admin(user) if user == \"root\"
allow if is_admin(input.user)
slow(go) := [z | go; some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); some z in numbers.range(1, 1000); x + y + z < 0]
redact contains \"x\" if { x := slow(input.go)[_] with is_admin as true; x >= 0 }";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        let deadline = monotonic_micros() + 20_000;
        let stopped = policy.decide(br#"{"input":{"user":"mallory","go":true}}"#, deadline);
        assert_eq!(stopped, Outcome::TimedOut);
        let after = ask(&mut policy, r#"{"input":{"user":"mallory","go":false}}"#);
        assert_eq!(after, decision(false, &[], None));
    }

    #[test]
    fn a_panic_of_the_engine_is_an_error_and_leaves_nothing_for_the_next() {
        let module = "package tenants.a
default allow := false
is_admin(user) if user == \"root\"
allow if is_admin(input.user)
panics(x, y) := [object.subset(x, y)]
redact contains \"x\" if { x := panics(input.x, input.y)[_] with is_admin as true; x }
redact contains \"y\" if time.parse_duration_ns(input.duration)
redact contains \"z\" if sprintf(input.format, [1.5])";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        for panicking in [
            r#""x":["x"],"y":[]"#,
            r#""duration":"1é""#,
            r#""format":"%.70000f""#,
            r#""x":["x"],"y":[]"#,
        ] {
            let outcome =
                ask(&mut policy, &format!(r#"{{"input":{{"user":"mallory",{panicking}}}}}"#));
            assert_eq!(
                outcome,
                Outcome::Failed(internal("the engine failed on this input")),
                "{panicking}"
            );
            let after = ask(&mut policy, r#"{"input":{"user":"mallory"}}"#);
            assert_eq!(after, decision(false, &[], None), "{panicking}");
        }
    }

    #[test]
    fn what_an_evaluation_prints_is_kept_once_however_it_ends() {
        let module = "package tenants.a
allow if {
    print(\"begins\", input.n)
    input.fails
    to_number(\"x\") == 1
}
reason := \"r\" if { input.panics; object.subset([\"x\"], []) }
redact contains \"x\" if {
    input.slow
    some x in numbers.range(1, 1000)
    some y in numbers.range(1, 1000)
    some z in numbers.range(1, 1000)
    x + y + z < 0
}";
        let mut policy = load(&[("policy.rego", module)]).unwrap();
        policy.take_prints();
        for ending in ["never", "fails", "panics"] {
            ask(&mut policy, &format!(r#"{{"input":{{"n":"{ending}","{ending}":true}}}}"#));
            let prints = policy.take_prints();
            assert!(
                matches!(prints.as_slice(), [line] if line.ends_with(&format!("begins {ending}"))),
                "{prints:?}"
            );
        }
        let slow = br#"{"input":{"n":"slow","slow":true}}"#;
        for _ in 0..2 {
            assert_eq!(policy.decide(slow, monotonic_micros() + 20_000), Outcome::TimedOut);
        }
        assert_eq!(policy.take_prints().len(), 1);
        assert_eq!(policy.take_prints(), [""; 0]);
    }

    #[test]
    fn a_request_without_input_is_not_put_to_the_policy() {
        let mut policy = load(&[("policy.rego", "package tenants.a\nallow := true")]).unwrap();
        for body in ["", "[]", "{}", "null", r#"{"input":null}"#, r#""input""#, "{\"input\":{}"] {
            let outcome = ask(&mut policy, body);
            assert!(matches!(outcome, Outcome::InvalidRequest(_)), "{body}: {outcome:?}");
        }
        for body in [r#"{"input":false}"#, r#"{"input":[]}"#, r#"{"input":{},"other":1}"#] {
            assert_eq!(ask(&mut policy, body), decision(true, &[], None), "{body}");
        }
    }

    #[test]
    fn a_subject_of_another_tenant_is_not_put_to_the_policy() {
        let mut policy = load(&[("policy.rego", "package tenants.a\nallow := true")]).unwrap();
        for tenant in [r#""b""#, r#""A""#, r#""""#, "null", "1", r#"["a"]"#] {
            let body = format!("{{\"input\":{{\"subject\":{{\"tenant_id\":{tenant}}}}}}}");
            assert_eq!(ask(&mut policy, &body), Outcome::TenantMismatch, "{tenant}");
        }
        // The policy sees the last of equal keys, so that is the one to check.
        let twice = r#"{"input":{"subject":{"tenant_id":"a"},"subject":{"tenant_id":"b"}}}"#;
        assert_eq!(ask(&mut policy, twice), Outcome::TenantMismatch);
        let own = r#"{"input":{"subject":{"tenant_id":"a"}}}"#;
        assert_eq!(ask(&mut policy, own), decision(true, &[], None));
    }

    #[test]
    fn data_json_is_the_root_of_data() {
        let module = "package tenants.a\nallow if data.enforcer.on\nreason := data.name";
        let data = r#"{"enforcer": {"on": true}, "name": "n"}"#;
        let mut policy = load(&[("policy.rego", module), ("data.json", data)]).unwrap();
        assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], Some("n")));
    }

    #[test]
    fn data_may_speak_of_what_must_not_be_a_key() {
        let data =
            r#"{"a": "$serde_json::private::Number", "b\\\"$serde_json::private::Number": 1}"#;
        let module = "package tenants.a\nallow if data.a == \"$serde_json::private::Number\"";
        let mut policy = load(&[("policy.rego", module), ("data.json", data)]).unwrap();
        assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], None));
    }

    #[test]
    fn a_tenant_whose_id_is_no_identifier_has_a_bracketed_package() {
        let module = "package tenants[\"tenant-c\"]\nallow := true";
        let mut policy = load_as("tenant-c", &[("policy.rego", module)]).unwrap();
        assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], None));
    }

    #[test]
    fn metadata_names_the_version() {
        let module = ("policy.rego", "package tenants.a");
        let versioned = load(&[module, ("metadata.json", r#"{"version":"1.2","x":[]}"#)]).unwrap();
        assert_eq!(versioned.version(), Some("1.2"));
        let unversioned = load(&[module, ("metadata.json", "{}")]).unwrap();
        assert_eq!(unversioned.version(), None);
    }

    #[test]
    fn a_broken_bundle_says_what_is_wrong_and_where() {
        let good = ("policy.rego", "package tenants.a\nallow := true");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "bundle_error: the bundle holds no *.rego file"),
            (
                &[("policy.rego", "package tenants.a\n\nallow if {\n")],
                "policy.rego:4:1: rego_parse_error: ",
            ),
            (
                &[("p.rego", "# c\n\n  package tenants.b\n")],
                "p.rego:3:3: bundle_error: every package of this bundle must be tenants.a or below it",
            ),
            (&[("p.rego", "package tenants")], "p.rego:1:1: bundle_error: every package"),
            (&[("p.rego", "package a.tenants.a")], "p.rego:1:1: bundle_error: every package"),
            (&[("p.rego", "package tenants.ab")], "p.rego:1:1: bundle_error: every package"),
            (
                &[("p.rego", "package tenants.a\nallow if x == 1")],
                "p.rego:2:10: rego_compile_error: use of undefined variable",
            ),
            (
                &[("p.rego", "package tenants.a\nallow := x if true")],
                "p.rego:2:10: rego_compile_error: var x is unsafe",
            ),
            (
                &[("a.rego", "package tenants.a\nallow := true\n\0\nallow := false")],
                "a.rego:3:1: bundle_error: the file holds a NUL character",
            ),
            (
                &[good, ("b.rego", "package tenants.a.allow.x\ny := 1")],
                "policy.rego:2:1: rego_compile_error: the rule allow stands where a package",
            ),
            (
                &[good, ("data.json", "[]")],
                "data.json:1:1: bundle_error: data.json must hold a JSON object",
            ),
            (
                &[good, ("data.json", "{\n\"a\": }")],
                "data.json:2:6: bundle_error: the file is not valid JSON here: expected value",
            ),
            (
                &[good, ("data.json", "{\"tenants\":{}}")],
                "data.json:1:1: bundle_error: data.json must not define",
            ),
            (
                &[good, ("data.json", "{\n\"é\": 123456789012345678901}")],
                "data.json:2:6: bundle_error: this integer",
            ),
            (
                &[good, ("data.json", "{\"é\": {\"$serde_json::private::Number\": \"1e9\"}}")],
                "data.json:1:8: bundle_error: data.json must not have the key \"$serde_json::",
            ),
            (
                &[
                    good,
                    (
                        "data.json",
                        "{\"\\\"\": [\n {\"\\u0024serde_json::private::Numb\\u0065r\"\n :1}]}",
                    ),
                ],
                "data.json:2:3: bundle_error: data.json must not have the key",
            ),
            (
                &[good, ("metadata.json", "[]")],
                "metadata.json:1:1: bundle_error: the file is not valid JSON here",
            ),
            (
                &[good, ("metadata.json", "{\"version\":1}")],
                "metadata.json:1:1: bundle_error: version must be a string",
            ),
        ];
        for (files, expected) in cases {
            let faults = load(files).unwrap_err();
            assert!(faults[0].starts_with(expected), "{faults:?} and not {expected:?}");
        }
    }

    #[test]
    fn every_broken_file_is_reported_up_to_a_bound() {
        let names: Vec<String> = (0..40).map(|index| format!("{index}.rego")).collect();
        let files: Vec<(&str, &str)> =
            names.iter().map(|name| (name.as_str(), "nonsense")).collect();
        assert_eq!(load(&files).unwrap_err().len(), MAX_DIAGNOSTICS);
    }

    const NEGATED_RULES: &str = "f(x) := x == \"bob\"
g(x) := x
names contains \"bob\"
name := input.user
deny if input.user == \"bob\"
k([x, y]) if { not g(x) == y.z }
q(x) if { not f(x.user) }
mock(_, _) := false";

    /// What a tenant with [`NEGATED_RULES`] and this body of `allow` answers.
    fn answer_negated(allow: &str, input: &str) -> Outcome {
        let module = format!("package tenants.a\nallow if {allow}\n{NEGATED_RULES}");
        let data = r#"{"blocked": ["bob"], "m": {"bob": true}, "pol": [{"deny": false}]}"#;
        let files = [("policy.rego", module.as_str()), ("data.json", data)];
        answer_of_both(&files, &format!("{{\"input\":{input}}}"))
    }

    /// These and the next are what OPA 1.22.2 answers.
    #[test]
    fn an_undefined_operand_of_a_not_allows_nothing() {
        for body in [
            "not input.subject.id in data.blocked",
            "not data.m[input.user]",
            "not data.m[lower(input.user)]",
            "not data.m[data.blocked[input.n]]",
            "not data.pol[input.n].deny",
            "not names[input.user]",
            "not f(input.user)",
            "not f(name)",
            "not f(input.user) == true",
            "not f(g(input.user))",
            "not g(input.user)[0]",
            "not {\"bob\": true}[input.user]",
            "not input.age >= 18",
            "not input.age != 18",
            "not input.age + 1 == 18",
            "not startswith(input.user, \"b\")",
            "not \"b\" == substring(input.user, 0, 1)",
            "not count(input.roles) == 0",
            "not \"a\" in input.roles",
            "not 0, \"a\" in input.roles",
            "not (input.user in data.blocked)",
            "not {\"a\": input.user} == {\"a\": 1}",
            "not {input.user}",
            "not [input.user]",
            "not true == (input.a == 1)",
            "not ({\"a\"} & {input.user}) == set()",
            "not startswith(\n    input.user, # a comment\n    `b`\n)",
            "not f(input.user) with data.blocked as []",
            "not f(input.user) with input as {\"other\": 1}",
            "not f(\"carl\") with input as input.other",
            "not input.a with data.blocked as input.other with data.m as {}",
            "every x in [1, 2] { not g(input.user) == x }",
            "count([1 | not f(input.user)]) == 1",
            "count({x | some x in [1]; not g(input.user) == x}) == 1",
            "q(input)",
            "false } else if { not f(input.user)",
        ] {
            let mut forms = vec![format!("{{ {body} }}")];
            if body.starts_with("not") {
                forms.push(body.to_owned());
                forms.push(format!("false else := true if {body} # a comment"));
            }
            for form in forms {
                assert_eq!(answer_negated(&form, "{}"), decision(false, &[], None), "{form}");
            }
        }
    }

    #[test]
    fn a_not_of_what_is_undefined_or_false_itself_is_true() {
        for (body, input) in [
            ("not input.a.b", "{}"),
            ("not input.a == input.b", "{}"),
            ("not input.a == 1", "{}"),
            ("not 1 = input.a[0].b", "{}"),
            ("not name == \"bob\"", "{}"),
            ("not (input.a == 1)", "{}"),
            ("not deny", "{}"),
            ("not data.tenants.a.deny", "{}"),
            ("not object.get(input, \"a\", false)", "{}"),
            ("not [1 | input.user] == [1]", "{}"),
            ("not count({x | x := input.xs[_]}) == 1", "{}"),
            ("not input.a == 1 with data.blocked as []", "{}"),
            ("not deny with input as {\"user\": \"carl\"}", r#"{"user":"bob"}"#),
            ("not f(input.user) with input.user as \"carl\"", r#"{"user":"bob"}"#),
            ("not f(input.user) with f as false", r#"{"user":"bob"}"#),
            ("not startswith(input.user, \"b\") with startswith as mock", r#"{"user":"bob"}"#),
            ("not input.user in data.blocked", r#"{"user":"carl"}"#),
            ("not data.m[input.user]", r#"{"user":"carl"}"#),
            ("not names[input.user]", r#"{"user":"carl"}"#),
            ("not data.pol[input.n].deny", r#"{"n":0}"#),
            ("not input.age >= 18", r#"{"age":17}"#),
            ("not f(g(input.user))", r#"{"user":"carl"}"#),
            ("not count(input.roles) == 0", r#"{"roles":["a"]}"#),
            ("every x in input.roles { not f(x) }", r#"{"roles":["a"]}"#),
            ("{ some [x, y] in input.pairs; not g(x) == y }", r#"{"pairs":[[1,1],[1,2]]}"#),
            ("{ input.xs[i]; not startswith(input.ys[i], \"b\") }", r#"{"xs":[1],"ys":["a"]}"#),
            ("{ not startswith(x, \"c\"); x = input.user }", r#"{"user":"bob"}"#),
            ("not count(input.lists[_]) == 0", r#"{"lists":[[],[1]]}"#),
            ("k([1, {}])", "{}"),
            ("q(input)", r#"{"user":"carl"}"#),
        ] {
            assert_eq!(answer_negated(body, input), decision(true, &[], None), "{body}");
        }
    }

    #[test]
    fn an_undefined_operand_of_in_makes_it_undefined() {
        for rules in [
            "allow if { v := input.user in data.blocked; v == false }",
            "v := input.user in data.blocked\nallow if v == false",
            "allow if (input.user in [\"bob\"]) == false",
            "allow if { v := [\"bob\" in input.roles]; v == [false] }",
            "allow if input.k, input.v in {\"a\": 1}",
            "v(x) := x.user in [1]\nallow if v(input) == false",
            "v contains (input.user in [1])\nallow if v[false]",
            "v := true if { false } else := input.user in [1]\nallow if v == false",
            "allow if { v := input.user in [1] with input.user as input.other; v == false }",
        ] {
            assert_eq!(answer(rules), decision(false, &[], None), "{rules}");
        }
    }

    #[test]
    fn an_undefined_value_of_any_modifier_fails_its_statement() {
        for rules in [
            "allow if true with input.user as input.other with data.x as 1",
            "allow if { some x in [1] with input as input.other with data.x as 1; x == 1 }",
            "allow if f(1) with f as input.other with data.x as 1\nf(_) := true",
            "allow if true with data.x as {\"y\": input.other} with data.y as 1",
        ] {
            assert_eq!(answer(rules), decision(false, &[], None), "{rules}");
        }
        let rules = "allow if f(2) with f as g with data.x as 1\nf(x) := x == 1\ng(x) := x == 2";
        assert_eq!(answer(rules), decision(true, &[], None));
    }

    #[test]
    fn a_fault_in_what_was_written_anew_is_where_the_tenant_wrote_it() {
        for (rules, expected) in [
            ("allow if { not startswith(input.u, to_number(\"x\")); true }", (2, 36)),
            ("allow if { not g(1, input.u); to_number(\"x\") }", (2, 42)),
            ("\tallow if not f([input.u]) else := to_number(\"x\")", (2, 50)),
            ("allow if { not f(\n input.u\n)\n to_number(\"x\") }", (5, 13)),
        ] {
            let module = format!("package tenants.a\n{rules}\nf(x) := x\ng(_, x) := x == 1");
            let mut policy = load(&[("policy.rego", &module)]).unwrap();
            let outcome = ask(&mut policy, r#"{"input":{"u":false}}"#);
            assert_eq!(fault(outcome).1, Some(expected), "{rules}");
        }
    }
}
