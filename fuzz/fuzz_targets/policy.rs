//! Any policy through all stages of loading: parser, checks, lowering and bytecode must terminate
//! without a panic. The target `bundle` tests the loader around them, which catches panics.

#![no_main]

use enforcer_rego::{File, Namespace, Policy, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let decision = ["allow", "redact", "reason"];
    let decision = decision.map(|rule| ["tenants", "a", rule].map(str::to_owned).to_vec());
    let settings =
        Settings { namespace: Namespace::Open, decision: decision.to_vec(), ..Settings::default() };
    let file = File { path: "policy.rego".to_owned(), content: text.as_bytes().to_vec() };
    if let Err(reports) = Policy::load(vec![file], &settings) {
        assert!(!reports.is_empty());
    }
});
