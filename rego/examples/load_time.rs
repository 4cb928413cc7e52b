//! Measures how long policies of many shapes take to load, in several sizes: twice the size may
//! take twice the time. Where OPA's program is named, also the time of `opa check` for the same
//! file.
//!
//! ```sh
//! cargo run --release -p enforcer-rego --example load_time -- [--opa PATH] [--stages] [SHAPE]...
//! ```
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement for the terminal: failures must be visible"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use enforcer_rego::ast::RegoVersion;
use enforcer_rego::source::Sources;
use enforcer_rego::{File, Policy, Settings, Tests, compile, emit, lower, parse, types};

/// A bundle that grows: its name, its sizes, and its content for a size.
struct Shape {
    name: &'static str,
    sizes: [usize; 4],
    /// The policy's text after its package, and the data.
    bundle: fn(usize) -> (String, String),
}

const RULES: [usize; 4] = [1_000, 2_000, 10_000, 20_000];

const SHAPES: [Shape; 17] = [
    Shape { name: "rules", sizes: RULES, bundle: |n| each(n, "allow_@ if input.user == \"u@\"\n") },
    Shape { name: "chain", sizes: [100, 200, 400, 800], bundle: chain },
    Shape { name: "callers", sizes: RULES, bundle: callers },
    Shape {
        name: "definitions",
        sizes: RULES,
        bundle: |n| each(n, "allow if input.user == \"u@\"\n"),
    },
    Shape {
        name: "equal-shapes",
        sizes: RULES,
        bundle: |n| each(n, "role := {\"id\": @} if input.user == @\n"),
    },
    Shape {
        name: "differing-shapes",
        sizes: RULES,
        bundle: |n| each(n, "role := {\"k@\": @} if input.user == @\n"),
    },
    Shape {
        name: "used-shapes",
        sizes: RULES,
        bundle: |n| each(n, "role := {\"k@\": @} if input.user == @\nuses_@ := role.k@\n"),
    },
    Shape {
        name: "members",
        sizes: RULES,
        bundle: |n| each(n, "names contains \"m@\" if input.user == @\n"),
    },
    Shape {
        name: "properties",
        sizes: RULES,
        bundle: |n| each(n, "names[\"m@\"] := @ if input.user == @\n"),
    },
    Shape {
        name: "functions",
        sizes: RULES,
        bundle: |n| each(n, "f(\"a@\", x) := {\"k@\": x} if input.user == @\n"),
    },
    Shape { name: "else", sizes: [100, 250, 500, 1_000], bundle: elses },
    Shape { name: "statements", sizes: RULES, bundle: |n| body(n, "\tx_@ := input.a[@] + @\n") },
    Shape {
        name: "loops",
        sizes: [25, 50, 100, 200],
        bundle: |n| body(n, "\tsome k_@ in input.a\n\tk_@ > @\n"),
    },
    Shape { name: "line", sizes: RULES, bundle: line },
    Shape {
        name: "comments",
        sizes: RULES,
        bundle: |n| each(n, "# METADATA\n# title: rule @\nr_@ := @\n"),
    },
    Shape { name: "brackets", sizes: [50, 100, 200, 400], bundle: brackets },
    Shape { name: "data", sizes: [10_000, 20_000, 100_000, 200_000], bundle: data },
];

/// A text for each number, which replaces `@`.
fn each(count: usize, text: &str) -> (String, String) {
    let numbered = (0..count).map(|number| text.replace('@', &number.to_string()));
    (numbered.collect(), "{}".into())
}

/// A rule whose body has a line for each number.
fn body(count: usize, text: &str) -> (String, String) {
    let (lines, data) = each(count, text);
    (format!("allow if {{\n{lines}}}\n"), data)
}

/// Rules of which each uses the one before.
fn chain(count: usize) -> (String, String) {
    let mut text = String::from("r_0 := input.a\n");
    for number in 1..count {
        let _ = writeln!(text, "r_{number} := r_{} + 1", number - 1);
    }
    (text, "{}".into())
}

/// A function that everything calls.
fn callers(count: usize) -> (String, String) {
    let (calls, data) = each(count, "r_@ if { some x in input.a; f(x, @) }\n");
    (format!("f(a, b) if a == b\n{calls}"), data)
}

fn elses(count: usize) -> (String, String) {
    let mut text = String::from("r := 0 if input.a == 0\n");
    for number in 1..count {
        let _ = writeln!(text, "else := {number} if input.a == {number}");
    }
    (text, "{}".into())
}

fn line(count: usize) -> (String, String) {
    let elements: Vec<String> = (0..count).map(|number| format!("{{\"a\": {number}}}")).collect();
    (format!("all := [{}]\n", elements.join(", ")), "{}".into())
}

fn brackets(depth: usize) -> (String, String) {
    (format!("deep := {}1{}\n", "[".repeat(depth), "]".repeat(depth)), "{}".into())
}

fn data(count: usize) -> (String, String) {
    let users: Vec<String> = (0..count)
        .map(|n| format!("\"u{n}\": {{\"roles\": [\"a\", \"b\"], \"age\": {n}}}"))
        .collect();
    (
        "allow if data.users[input.user].age > 18\n".into(),
        format!("{{\"users\": {{{}}}}}", users.join(",")),
    )
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut opa, mut stages, mut shapes) = (None, false, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--opa" => opa = arguments.next().map(PathBuf::from),
            "--stages" => stages = true,
            _ => shapes.push(argument),
        }
    }
    println!(
        "{:<18}{:>8}{:>12}{:>12}{:>10}{:>12}",
        "shape", "size", "bytes", "load ms", "growth", "opa ms"
    );
    for shape in &SHAPES {
        if shapes.is_empty() || shapes.iter().any(|name| name == shape.name) {
            measure(shape, opa.as_deref(), stages);
        }
    }
}

fn measure(shape: &Shape, opa: Option<&Path>, stages: bool) {
    let mut before: Option<(usize, Duration)> = None;
    for size in shape.sizes {
        let (text, data) = (shape.bundle)(size);
        let text = format!("package bench\n\n{text}");
        let bytes = text.len() + data.len();
        let files = vec![
            File { path: "policy.rego".into(), content: text.clone().into_bytes() },
            File { path: "data.json".into(), content: data.into_bytes() },
        ];
        let start = Instant::now();
        let loaded = Policy::load(files, &settings());
        let took = start.elapsed();
        // Linear is 1.
        let growth = before.map_or_else(String::new, |(bytes_before, took_before)| {
            let larger = bytes as f64 / bytes_before as f64;
            format!("{:.2}", took.as_secs_f64() / took_before.as_secs_f64() / larger)
        });
        before = Some((bytes, took));
        let asked = opa.map_or_else(String::new, |opa| check_by_opa(opa, &text));
        let outcome = match loaded {
            Ok(_) => String::new(),
            Err(reports) => reports.first().map(ToString::to_string).unwrap_or_default(),
        };
        println!(
            "{:<18}{size:>8}{bytes:>12}{:>12.1}{growth:>10}{asked:>12}  {}",
            shape.name,
            took.as_secs_f64() * 1e3,
            outcome.chars().take(100).collect::<String>(),
        );
        if stages {
            println!("{:<18}{}", "", by_stage(&text));
        }
    }
}

fn settings() -> Settings {
    Settings { tests: Tests::Excluded, ..Settings::default() }
}

/// The time of each stage.
fn by_stage(text: &str) -> String {
    let mut spent = String::new();
    let mut last = Instant::now();
    let mut lap = |name: &str| {
        let _ = write!(spent, "{name} {:.1}  ", last.elapsed().as_secs_f64() * 1e3);
        last = Instant::now();
    };
    let mut sources = Sources::default();
    let file = sources.add("policy.rego", text);
    let Ok(module) = parse::parse_module(&sources, file, RegoVersion::V1) else { return spent };
    lap("parse");
    let Ok(compiled) = compile::compile(&sources, vec![module], &compile::Options::default())
    else {
        return spent;
    };
    lap("compile");
    let _ = types::check(&sources, &compiled);
    lap("types");
    let Ok(program) = lower::lower(&sources, &compiled) else { return spent };
    lap("lower");
    let _ = emit::emit(&program);
    lap("emit");
    spent
}

/// OPA's time for the same policy, with the start of its process.
fn check_by_opa(opa: &Path, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("load_time_{}.rego", std::process::id()));
    fs::write(&path, text).expect("a temporary file");
    let start = Instant::now();
    let output = Command::new(opa).arg("check").arg(&path).output().expect("opa");
    let took = start.elapsed();
    fs::remove_file(&path).expect("the temporary file");
    let failed = if output.status.success() { "" } else { "!" };
    format!("{:.1}{failed}", took.as_secs_f64() * 1e3)
}
