//! The compliance suite of OPA, where it is at hand.

use std::path::{Path, PathBuf};

use regorus::Value;

use super::{Bytecode, Counts, json};
use crate::engine::new_engine;

/// Where the suite's files are; without it, there is nothing to do.
const SUITE: &str = "ENFORCER_OPA_COMPLIANCE";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "json" || ending == "yaml") {
            found.push(path);
        }
    }
}

#[test]
#[ignore = "needs the compliance suite of OPA in ENFORCER_OPA_COMPLIANCE"]
fn the_bytecode_answers_the_compliance_suite_as_the_interpreter_does() {
    let folder = std::env::var_os(SUITE).expect("the folder of the suite");
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    paths.sort();
    let (mut inside, mut outside) = (Counts::default(), Counts::default());
    let mut reasons = std::collections::BTreeMap::new();
    let mut cases = 0;
    let mut cases_inside = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: serde_json::Value = match serde_json::from_str(&text) {
            Ok(file) => file,
            Err(_) => continue,
        };
        for case in file["cases"].as_array().into_iter().flatten() {
            cases += 1;
            cases_inside += usize::from(compare(case, &mut inside, &mut outside, &mut reasons));
        }
    }
    println!("cases {cases}, inside the gate {cases_inside}");
    println!("inside:  {}", inside.report());
    println!("outside: {}", outside.report());
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons {
        println!("  {count:5} {reason}");
    }
    assert!(inside.equal > 0);
    assert_eq!(inside.different, [""; 0]);
}

fn compare(
    case: &serde_json::Value,
    inside: &mut Counts,
    outside: &mut Counts,
    reasons: &mut std::collections::BTreeMap<&'static str, usize>,
) -> bool {
    let modules = case["modules"].as_array().cloned().unwrap_or_default();
    let mut prepared = new_engine();
    inside.policies += 1;
    for (index, module) in modules.iter().enumerate() {
        let text = module.as_str().unwrap_or_default().to_owned();
        if prepared.add_policy(format!("{index}.rego"), text).is_err() {
            inside.unloadable += 1;
            return false;
        }
    }
    let data = match &case["data"] {
        serde_json::Value::Null => Value::new_object(),
        data => json(&data.to_string()),
    };
    let input = match (&case["input"], &case["input_term"]) {
        (serde_json::Value::Null, serde_json::Value::String(term)) => {
            let mut engine = new_engine();
            match engine.eval_query(term.clone(), false) {
                Ok(results) => results
                    .result
                    .first()
                    .and_then(|result| result.expressions.first())
                    .map_or(Value::Undefined, |expression| expression.value.clone()),
                Err(_) => Value::Undefined,
            }
        }
        (serde_json::Value::Null, _) => Value::Undefined,
        (input, _) => json(&input.to_string()),
    };
    if prepared.add_data(data.clone()).is_err()
        || prepared.eval_query("true".to_owned(), false).is_err()
    {
        inside.unloadable += 1;
        return false;
    }
    let rules = rules_of(&mut prepared);
    let mut is_inside = false;
    for rule in rules {
        match Bytecode::compile(&prepared, data.clone(), &rule) {
            Ok(mut bytecode) => {
                is_inside = true;
                inside.inside += 1;
                let name = || format!("{}: {rule}", case["note"]);
                inside.compare(&mut bytecode, &prepared, &input, &rule, name);
            }
            Err(refused) => {
                *reasons.entry(refused.what).or_default() += 1;
                inside.refused += 1;
                let compiled =
                    Bytecode::compile_unchecked(&mut prepared.clone(), data.clone(), &rule, None);
                if let Ok(mut bytecode) = compiled {
                    let name = || format!("{}: {rule}", case["note"]);
                    outside.compare(&mut bytecode, &prepared, &input, &rule, name);
                }
            }
        }
    }
    is_inside
}

fn rules_of(engine: &mut regorus::Engine) -> Vec<String> {
    use crate::contradictions::{name_of, parts_of};
    let mut rules = std::collections::BTreeSet::new();
    for module in engine.get_modules() {
        let (package, _) = parts_of(&module.package.refr);
        for rule in &module.policy {
            if let regorus::unstable::Expr::Var { span, .. } = name_of(rule) {
                let mut path = "data".to_owned();
                for part in &package {
                    path.push_str(&format!("[{part}]"));
                }
                rules.insert(format!("{path}.{}", span.text()));
            }
        }
    }
    rules.into_iter().collect()
}
