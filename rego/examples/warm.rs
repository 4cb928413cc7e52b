//! Measures one warm evaluation: the machine, the interpreter with core's text, and regorus' engine
//! with the original policy, alternating, so that other load on the host affects all of them alike.
//!
//! ```sh
//! cargo run --release -p enforcer-rego --example warm
//! ```
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "a measurement for the terminal: failures must be visible"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use enforcer_rego::Value;
use enforcer_rego::builtins::Context;
use enforcer_rego::core::{
    Body, Collection, Definition, Expr, Operand, Program, Root, Rule, RuleId, RuleKind, Statement,
    StatementKind, Var,
};
use enforcer_rego::emit::emit;
use enforcer_rego::interpreter::Interpreter;
use enforcer_rego::machine::{Machine, Strictness};

/// A policy as text and as core, with its questions.
struct Policy {
    name: &'static str,
    text: String,
    program: Program,
    data: Value,
    inputs: Vec<Value>,
}

fn main() {
    for policy in [readme(), roles()] {
        measure(&policy);
    }
}

fn context() -> Context {
    Context::new(0, Instant::now() + Duration::from_secs(1))
}

fn measure(policy: &Policy) {
    let Policy { name, text, program, data, inputs } = policy;
    let decision = RuleId(u32::try_from(program.rules.len() - 1).expect("few rules"));
    let mut machine = Machine::new(emit(program).expect("bytecode"), data.clone());
    let mut interpreter = Interpreter::new(program, data.clone()).expect("core text");
    let mut engine = regorus::Engine::new();
    engine.add_policy("policy.rego".to_owned(), text.clone()).expect("a policy");
    engine.add_policy("decision.rego".to_owned(), DECISION.to_owned()).expect("a policy");
    engine.add_data(data.clone()).expect("data");

    let mut by_machine = |input: &Value| {
        machine
            .evaluate(decision, Some(input.clone()), context(), Strictness::Lenient)
            .result
            .expect("an answer")
    };
    let mut by_interpreter = |input: &Value| {
        interpreter
            .evaluate(decision, Some(input.clone()), context(), Strictness::Lenient)
            .result
            .expect("an answer")
    };
    let mut by_engine = |input: &Value| {
        engine.set_input(input.clone());
        engine.eval_rule("data.decision.rules".to_owned()).expect("an answer")
    };
    for input in inputs {
        let answer = by_machine(input);
        assert_eq!(answer, by_interpreter(input), "{name}");
        assert_eq!(answer, by_engine(input), "{name}");
    }
    let mut evaluators: [(&str, &mut dyn FnMut(&Value) -> Value); 3] = [
        ("machine", &mut by_machine),
        ("interpreter, core text", &mut by_interpreter),
        ("engine, text as written", &mut by_engine),
    ];
    // Of many short turns the fastest shows the code's own time; the median includes other load.
    let mut turns: Vec<Vec<f64>> = vec![Vec::new(); evaluators.len()];
    for _ in 0..60 {
        for ((_, evaluate), turns) in evaluators.iter_mut().zip(&mut turns) {
            turns.push(turn(inputs, evaluate));
        }
    }
    println!("{name}");
    let least = |turns: &[f64]| turns.iter().copied().fold(f64::MAX, f64::min);
    let first = turns.first().map_or(1.0, |turns| least(turns));
    for ((name, _), turns) in evaluators.iter().zip(&mut turns) {
        turns.sort_by(f64::total_cmp);
        let median = turns.get(turns.len() / 2).copied().unwrap_or_default();
        let least = least(turns);
        println!(
            "  {name:24} {least:8.0} ns at least, {median:8.0} ns median, {:5.1} x",
            least / first
        );
    }
}

/// CPU time of one evaluation, in nanoseconds.
fn turn(inputs: &[Value], evaluate: &mut dyn FnMut(&Value) -> Value) -> f64 {
    const TIME: Duration = Duration::from_millis(5);
    for input in inputs {
        black_box(evaluate(input));
    }
    let (start, before) = (Instant::now(), processor_time());
    let mut count = 0_u32;
    while start.elapsed() < TIME {
        for input in inputs {
            black_box(evaluate(black_box(input)));
            count += 1;
        }
    }
    (processor_time() - before) / f64::from(count)
}

/// CPU time of this thread, in nanoseconds, because other processes run too.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|time| time.parse().ok()).expect("a number")
}

const DECISION: &str = "package decision

rules := [
	[x | x := data.tenants.tenant_a.allow],
	[x | x := data.tenants.tenant_a.redact],
	[x | x := data.tenants.tenant_a.reason],
]
";

fn v(number: u32) -> Operand {
    Operand::Var(Var(number))
}

fn c(value: impl Into<Value>) -> Operand {
    Operand::Const(value.into())
}

fn statement(kind: StatementKind) -> Statement {
    Statement { kind, span: None }
}

fn bind(number: u32, expr: Expr) -> Statement {
    statement(StatementKind::Let(Var(number), expr))
}

fn test(expr: Expr) -> Statement {
    statement(StatementKind::Test(expr))
}

fn not(block: Vec<Statement>) -> Statement {
    statement(StatementKind::Not(block))
}

fn each(value: u32, collection: Operand, block: Vec<Statement>) -> Statement {
    statement(StatementKind::Each { key: None, value: Var(value), collection, block })
}

fn input(keys: &[&str]) -> Expr {
    Expr::Path(Root::Input, keys.iter().map(|key| c(*key)).collect())
}

fn data(keys: Vec<Operand>) -> Expr {
    Expr::Path(Root::Data, keys)
}

fn body(block: Vec<Statement>, value: Operand) -> Body {
    Body { block, key: None, value, span: None }
}

fn rule(kind: RuleKind, default: Option<Value>, bodies: Vec<Body>) -> Rule {
    Rule {
        name: String::new(),
        kind,
        default,
        definitions: vec![Definition { bodies }],
        variables: 10,
        slot: None,
        span: None,
    }
}

/// An array of the rules' values.
fn decision(rules: [u32; 3]) -> Rule {
    let mut block = Vec::new();
    for (number, rule) in (0..).zip(rules) {
        let value = Var(10 + number);
        block.push(statement(StatementKind::Collect {
            var: Var(number),
            kind: Collection::Array,
            block: vec![statement(StatementKind::Let(value, Expr::Rule(RuleId(rule))))],
            key: None,
            value: Operand::Var(value),
        }));
    }
    block.push(bind(5, Expr::Array(vec![v(0), v(1), v(2)])));
    rule(RuleKind::Complete, None, vec![body(block, v(5))])
}

fn readme() -> Policy {
    let reading = rule(
        RuleKind::Complete,
        None,
        vec![body(
            vec![bind(0, input(&["action"])), test(Expr::Builtin("equal", vec![v(0), c("read")]))],
            c(true),
        )],
    );
    let resident = rule(
        RuleKind::Complete,
        None,
        vec![body(
            vec![
                bind(0, input(&["resource", "region"])),
                bind(1, input(&["resource", "type"])),
                bind(2, data(vec![c("residency"), v(1)])),
                test(Expr::Builtin("internal.member_2", vec![v(0), v(2)])),
            ],
            c(true),
        )],
    );
    let allow = rule(
        RuleKind::Complete,
        Some(Value::from(false)),
        vec![body(vec![test(Expr::Rule(RuleId(0))), test(Expr::Rule(RuleId(1)))], c(true))],
    );
    let may_see = rule(
        RuleKind::Function(1),
        None,
        vec![body(
            vec![
                bind(1, input(&["subject", "user_id"])),
                bind(2, data(vec![c("clearances"), v(1)])),
                test(Expr::Builtin("internal.member_2", vec![v(0), v(2)])),
            ],
            c(true),
        )],
    );
    let redact = rule(
        RuleKind::Set,
        None,
        vec![body(
            vec![
                test(Expr::Rule(RuleId(2))),
                bind(0, input(&["resource", "type"])),
                bind(1, data(vec![c("redactions"), v(0)])),
                each(2, v(1), vec![not(vec![test(Expr::Call(RuleId(3), vec![v(2)]))])]),
            ],
            v(2),
        )],
    );
    let reason = rule(
        RuleKind::Complete,
        None,
        vec![
            body(vec![test(Expr::Rule(RuleId(2)))], c("Allowed by data residency policy")),
            body(vec![not(vec![test(Expr::Rule(RuleId(0)))])], c("Only reading is allowed")),
            body(
                vec![
                    bind(0, input(&["resource", "type"])),
                    test(Expr::Operand(v(0))),
                    bind(1, input(&["resource", "region"])),
                    test(Expr::Operand(v(1))),
                ],
                c("must not be read in this region"),
            ),
            body(vec![], c("The resource has no type or no region")),
        ],
    );
    let rules = vec![reading, resident, allow, may_see, redact, reason, decision([2, 4, 5])];
    let text = include_str!("../../config/tenants.d/tenant_a/policy.rego").replace(
        "sprintf(\"%v must not be read in region %v\", [input.resource.type, input.resource.region])",
        "\"must not be read in this region\"",
    );
    let question = r#"{"subject":{"tenant_id":"tenant_a","user_id":"user_123"},"action":"read","resource":{"type":"sensor_data","region":"EU"},"environment":{"time":"2025-10-16T14:30:00Z"}}"#;
    Policy {
        name: "readme",
        text,
        program: Program { rules, ..Program::default() },
        data: json(include_str!("../../config/tenants.d/tenant_a/data.json")),
        inputs: vec![json(question)],
    }
}

const ROLES: &str = r#"package tenants.tenant_a

default allow := false

allow if count(granting) > 0

granting contains role if {
	some role in data.users[input.subject.user_id].roles
	permission in data.roles[role].grants
}

permission := [input.action, input.resource.type]

redact contains field if {
	allow
	some field in data.sensitive[input.resource.type]
	not shown(field)
}

shown(field) if {
	some role in granting
	field in data.roles[role].shows
}

reason := min(granting) if {
	allow
} else := permission if {
	data.users[input.subject.user_id]
} else := "There is no such user"
"#;

fn roles() -> Policy {
    let permission = rule(
        RuleKind::Complete,
        None,
        vec![body(
            vec![
                bind(0, input(&["action"])),
                bind(1, input(&["resource", "type"])),
                bind(2, Expr::Array(vec![v(0), v(1)])),
            ],
            v(2),
        )],
    );
    let granting = rule(
        RuleKind::Set,
        None,
        vec![body(
            vec![
                bind(0, input(&["subject", "user_id"])),
                bind(1, data(vec![c("users"), v(0), c("roles")])),
                each(
                    2,
                    v(1),
                    vec![
                        bind(3, Expr::Rule(RuleId(0))),
                        bind(4, data(vec![c("roles"), v(2), c("grants")])),
                        test(Expr::Builtin("internal.member_2", vec![v(3), v(4)])),
                    ],
                ),
            ],
            v(2),
        )],
    );
    let allow = rule(
        RuleKind::Complete,
        Some(Value::from(false)),
        vec![body(
            vec![
                bind(0, Expr::Rule(RuleId(1))),
                bind(1, Expr::Builtin("count", vec![v(0)])),
                test(Expr::Builtin("gt", vec![v(1), c(0)])),
            ],
            c(true),
        )],
    );
    let shown = rule(
        RuleKind::Function(1),
        None,
        vec![body(
            vec![
                bind(1, Expr::Rule(RuleId(1))),
                each(
                    2,
                    v(1),
                    vec![
                        bind(3, data(vec![c("roles"), v(2), c("shows")])),
                        test(Expr::Builtin("internal.member_2", vec![v(0), v(3)])),
                    ],
                ),
            ],
            c(true),
        )],
    );
    let redact = rule(
        RuleKind::Set,
        None,
        vec![body(
            vec![
                test(Expr::Rule(RuleId(2))),
                bind(0, input(&["resource", "type"])),
                bind(1, data(vec![c("sensitive"), v(0)])),
                each(2, v(1), vec![not(vec![test(Expr::Call(RuleId(3), vec![v(2)]))])]),
            ],
            v(2),
        )],
    );
    let reason = rule(
        RuleKind::Complete,
        None,
        vec![
            body(
                vec![
                    test(Expr::Rule(RuleId(2))),
                    bind(0, Expr::Rule(RuleId(1))),
                    bind(1, Expr::Builtin("min", vec![v(0)])),
                ],
                v(1),
            ),
            body(
                vec![
                    bind(0, input(&["subject", "user_id"])),
                    bind(1, data(vec![c("users"), v(0)])),
                    test(Expr::Operand(v(1))),
                    bind(2, Expr::Rule(RuleId(0))),
                ],
                v(2),
            ),
            body(vec![], c("There is no such user")),
        ],
    );
    let rules = vec![permission, granting, allow, shown, redact, reason, decision([2, 4, 5])];
    let (data, inputs) = roles_data();
    Policy {
        name: "roles",
        text: ROLES.to_owned(),
        program: Program { rules, ..Program::default() },
        data: json(&data.to_string()),
        inputs: inputs.iter().map(|input| json(&input.to_string())).collect(),
    }
}

/// A thousand roles, ten thousand users, and 48 questions of which a quarter is denied.
fn roles_data() -> (serde_json::Value, Vec<serde_json::Value>) {
    const FIELDS: [&str; 4] = ["person.email", "person.phone", "person.address", "account.iban"];
    const ACTIONS: [&str; 5] = ["read", "create", "update", "delete", "export"];
    let mut seed = 1_u64;
    let mut random = move |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % bound
    };
    let kind = |number: usize| format!("type_{number:02}");
    let mut roles = serde_json::Map::new();
    for number in 0..1000 {
        let grants: Vec<_> = (0..3 + random(4))
            .map(|_| serde_json::json!([ACTIONS[random(5)], kind(random(40))]))
            .collect();
        let shows: Vec<&str> = (0..random(4)).map(|_| FIELDS[random(4)]).collect();
        roles.insert(
            format!("role_{number:04}"),
            serde_json::json!({"grants": grants, "shows": shows}),
        );
    }
    let mut users = serde_json::Map::new();
    for number in 0..10_000 {
        let held: Vec<String> =
            (0..1 + random(3)).map(|_| format!("role_{:04}", random(1000))).collect();
        users.insert(format!("user_{number:05}"), serde_json::json!({"roles": held}));
    }
    let mut sensitive = serde_json::Map::new();
    for number in 0..40 {
        let fields: Vec<&str> = (0..2 + random(3)).map(|_| FIELDS[random(4)]).collect();
        sensitive.insert(kind(number), serde_json::json!(fields));
    }
    let mut inputs = Vec::new();
    for number in 0..48 {
        let user = format!("user_{:05}", number * 200 + 7);
        let role = users[&user]["roles"][0].as_str().expect("a role");
        let grant = &roles[role]["grants"][0];
        let action = if number % 4 == 2 { serde_json::json!("none") } else { grant[0].clone() };
        inputs.push(serde_json::json!({
            "subject": {"user_id": user},
            "action": action,
            "resource": {"type": grant[1]},
        }));
    }
    let data = serde_json::json!({"roles": roles, "users": users, "sensitive": sensitive});
    (data, inputs)
}

fn json(text: &str) -> Value {
    Value::from_json_str(text).expect("JSON")
}
