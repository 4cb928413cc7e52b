//! Every built-in, in a sealed worker, with arguments invented by a client.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::capabilities::capabilities;
use crate::enforcer::Bundles;

/// How often each built-in is called. For a long run:
///
/// ```sh
/// BUILTIN_ROUNDS=1000 cargo test --test it -- no_arguments_of_a_built_in --nocapture
/// ```
const ROUNDS: u64 = 12;

/// Built-ins that no rule can call with a client's arguments: they bind, or belong to the compiler.
const LEFT_OUT: [&str; 4] = ["assign", "eq", "print", "walk"];

/// Every built-in that policies may call, and how many arguments it takes.
fn builtins() -> Vec<(String, usize)> {
    let all = capabilities();
    let all = all["builtins"].as_array().unwrap().iter();
    let named = all.map(|builtin| {
        let arguments = builtin["decl"]["args"].as_array().map_or(0, Vec::len);
        (builtin["name"].as_str().unwrap().to_owned(), arguments)
    });
    let is_called = |name: &str| {
        !LEFT_OUT.contains(&name)
            && !name.starts_with("internal.")
            && !name.starts_with("rego.metadata.")
    };
    named.filter(|(name, _)| is_called(name)).collect()
}

fn policy(builtins: &[(String, usize)]) -> String {
    let mut policy = "package tenants.calls\n\
        import future.keywords.if\n\
        allow if count(value[input.name]) >= 0\n\
        value[\"walk\"] := [found | input.name == \"walk\"; walk(input.args[0], found)]\n"
        .to_owned();
    for (name, arguments) in builtins {
        let arguments: Vec<_> = (0..*arguments).map(|at| format!("input.args[{at}]")).collect();
        let call = format!("{name}({})", arguments.join(", "));
        let body = format!("{{ input.name == {name:?}; found := [value | value := {call}] }}");
        writeln!(policy, "value[{name:?}] := found if {body}").unwrap();
    }
    policy
}

/// Random numbers that depend only on the seed.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 12 } else { 16 }) {
            0 => Value::Null,
            1 => Value::Bool(self.roll(2) == 0),
            2..=4 => serde_json::from_str(self.one_of(&NUMBERS)).unwrap(),
            5..=11 => Value::from(self.one_of(&TEXTS)),
            12 | 13 => (0..self.roll(5)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let fields = (0..self.roll(4))
                    .map(|_| (self.one_of(&TEXTS).to_owned(), self.value(depth - 1)));
                Value::Object(fields.collect())
            }
        }
    }
}

const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "2",
    "7.5",
    "64",
    "1000",
    "1e9",
    "-1e18",
    "9007199254740993",
    "18446744073709551616",
    "1700000000000000000",
];

/// Texts that built-ins interpret: times, zones, files, patterns, networks, tokens, keys.
const TEXTS: [&str; 46] = [
    "",
    "a",
    "A b\u{00df}",
    "%d %v %[9]*.*f",
    "\u{0}",
    "\u{1F600}",
    "2024-02-29T23:59:60Z",
    "Local",
    "Europe/Berlin",
    "/etc/localtime",
    "../../etc/passwd",
    "RFC3339",
    "1h30m",
    "1e9999999K",
    "10Gi",
    "(a+)+$",
    "[",
    "\\",
    "(?i)x{1,1000}",
    "*",
    "{a,b}*",
    "10.0.0.0/8",
    "::ffff:1.2.3.4",
    "2001:db8::/129",
    "v1.2.3-rc.1+b",
    "e30.e30.",
    "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.",
    "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    "HS256",
    "sha256",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    "MIIB",
    "{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"Aw\"}",
    "{\"$ref\": \"file:///etc/passwd\"}",
    "http://127.0.0.1:1/a?b=c%zz",
    "{\"a\": [1, 2.5, null]}",
    "a: &x [*x]\nb: !!int '1'",
    "{{ range .a }}{{ . }}{{ end }}",
    "type Query { a: [Query!]! }",
    "{ a { a { a } } }",
    "/a/~1/0",
    "a.b[0]",
    "ff",
    "YWJj",
    "0x1p-2",
    "{\"alg\": \"HS256\"}",
];

#[test]
#[allow(clippy::print_stdout, reason = "figures for the terminal")]
fn no_arguments_of_a_built_in_end_a_worker() {
    let builtins = builtins();
    assert!(builtins.len() > 180, "{}", builtins.len());
    let rounds = std::env::var("BUILTIN_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    // Rego v0 also has the deprecated ones.
    let bundles = Bundles::new().tenant("calls", &policy(&builtins));
    let enforcer = bundles.file("calls", ".manifest", r#"{"rego_version": 0}"#).start();
    enforcer.wait_for_state("calls", "ready");
    let mut connection = enforcer.connect();
    let mut dice = Dice(0x5EED);
    let (mut answered, mut failed) = (0, 0);
    let walk = ("walk".to_owned(), 1);
    for round in 0..rounds {
        for (name, arguments) in builtins.iter().chain([&walk]) {
            let args: Vec<Value> = (0..*arguments).map(|_| dice.value(3)).collect();
            let body = json!({"input": {"name": name, "args": args}}).to_string();
            let response = connection.decide("calls", body.as_bytes());
            match response.status {
                200 => answered += 1,
                500 => failed += 1,
                _ => panic!("round {round}, {body}: {response:?}"),
            }
        }
    }
    println!("{} built-ins, {answered} calls answered, {failed} ended in an error", builtins.len());
    let tenant = enforcer.tenant("calls");
    assert_eq!(tenant["state"], "ready", "{tenant}");
    assert_eq!(tenant["restarts"], 0, "{tenant}");
    assert!(tenant["sandbox"].as_array().unwrap().contains(&"seccomp".into()));
}
