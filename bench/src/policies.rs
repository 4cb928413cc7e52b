//! The policies that are measured, with questions and their expected answers.
//!
//! Expected answers are computed here, from the data that the policies are generated from, and
//! never by a Rego engine: a wrong engine must not be measured as fast.

mod attributes;
mod readme;
mod roles;
mod strings;

use std::sync::Arc;

use serde_json::{Map, Value};

/// The default number of rules of the policy `attributes`.
const ATTRIBUTE_RULES: usize = 500;

/// The line of the modules' text that names the package. It is replaced by every tenant's own.
const PACKAGE_LINE: &str = "package tenants.tenant_a\n";

/// A question and the policy's answer.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The whole input. It names no tenant, so it can be sent to every tenant.
    pub(crate) input: Value,
    pub(crate) allow: bool,
    /// In the order in which the product answers: sets come sorted.
    pub(crate) redact: Vec<String>,
    pub(crate) reason: Option<String>,
}

/// A policy, its data, and questions to it.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) cases: Vec<Case>,
    module: Arc<str>,
    /// Shared, because it may have a hundred megabytes.
    data: Arc<str>,
}

impl Policy {
    /// All policies.
    pub(crate) const NAMES: [&str; 4] = ["readme", "roles", "attributes", "strings"];

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        match name {
            "readme" => Some(Self::readme()),
            "roles" => Some(roles::policy()),
            "attributes" => Some(Self::with_rules(ATTRIBUTE_RULES)),
            "strings" => Some(strings::policy()),
            _ => None,
        }
    }

    /// The README's example.
    pub(crate) fn readme() -> Self {
        readme::policy()
    }

    /// The README's example, and rules by which a tenant harms itself: the member `do` of an input
    /// says how: `spin`, `allocate`, `crash` or `nothing`.
    pub(crate) fn faulty() -> Self {
        readme::faulty()
    }

    /// The README's example with about this many bytes of data, most of which no rule reads.
    pub(crate) fn with_data(bytes: usize) -> Self {
        readme::with_data(bytes)
    }

    /// The policy `attributes` with this many rules.
    pub(crate) fn with_rules(count: usize) -> Self {
        attributes::with_rules(count)
    }

    /// The files of the bundle for this tenant, each with its name and its content.
    pub(crate) fn bundle(&self, tenant_id: &str) -> Vec<(String, String)> {
        // Brackets are valid for every tenant id, also for one that is not an identifier.
        let package = format!("package tenants[\"{tenant_id}\"]\n");
        let metadata = format!("{{\"version\": \"1.0.0\", \"description\": \"{}\"}}\n", self.name);
        vec![
            ("policy.rego".to_owned(), self.module.replacen(PACKAGE_LINE, &package, 1)),
            ("data.json".to_owned(), self.data.to_string()),
            ("metadata.json".to_owned(), metadata),
        ]
    }
}

/// An object of these members, without those that are `None`.
fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<Value>)>) -> Value {
    let present = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<String, Value>>();
    Value::Object(present)
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    /// The next one below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 32 bits fit `usize` on every supported platform.
        usize::try_from(mixed >> 32).unwrap_or_default() % bound.max(1)
    }

    /// One of `choices`, or the default value where there are none.
    fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        choices.get(self.below(choices.len())).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use regorus::{Engine, PolicyLengthConfig, Value as RegoValue};

    fn engine(policy: &Policy, tenant_id: &str) -> Engine {
        let mut engine = Engine::new();
        engine.set_policy_length_config(PolicyLengthConfig {
            max_col: 4096.try_into().unwrap(),
            max_file_bytes: (64 << 20).try_into().unwrap(),
            max_lines: 1_000_000.try_into().unwrap(),
        });
        engine.set_strict_builtin_errors(true);
        for (name, content) in policy.bundle(tenant_id) {
            match name.as_str() {
                "policy.rego" => drop(engine.add_policy(name, content).unwrap()),
                "data.json" => {
                    engine.add_data(RegoValue::from_json_str(&content).unwrap()).unwrap()
                }
                _ => drop(serde_json::from_str::<Value>(&content).unwrap()),
            }
        }
        engine
    }

    /// Asks the engine every question.
    fn check(policy: &Policy) {
        let mut engine = engine(policy, "tenant-7");
        assert!((8..=64).contains(&policy.cases.len()), "{}", policy.name);
        for allow in [true, false] {
            let of_this_kind = policy.cases.iter().filter(|case| case.allow == allow).count();
            assert!(of_this_kind >= 4, "{}: {of_this_kind} answers are {allow}", policy.name);
        }
        assert!(policy.cases.iter().any(|case| !case.redact.is_empty()), "{}", policy.name);
        for case in &policy.cases {
            engine.set_input(RegoValue::from_json_str(&case.input.to_string()).unwrap());
            let mut rule = |name: &str| {
                let value = engine.eval_rule(format!("data.tenants[\"tenant-7\"].{name}")).unwrap();
                serde_json::from_str::<Value>(&value.to_json_str().unwrap()).unwrap()
            };
            let answer = (rule("allow"), rule("redact"), rule("reason"));
            let expected =
                (case.allow.into(), case.redact.clone().into(), case.reason.clone().into());
            assert_eq!(answer, expected, "{}: {}", policy.name, case.input);
        }
    }

    #[test]
    fn policies_answer_as_expected() {
        for name in Policy::NAMES {
            let policy = Policy::by_name(name).unwrap();
            assert_eq!(policy.name, name);
            check(&policy);
        }
    }

    #[test]
    fn policies_are_the_same_every_time() {
        for name in Policy::NAMES {
            let twice = [(); 2].map(|()| Policy::by_name(name).unwrap());
            let [one, other] = twice.map(|policy| policy.bundle("tenant_a"));
            assert!(one == other, "{name}");
        }
    }

    #[test]
    fn policies_grow() {
        for rules in [1, 19, 2000] {
            check(&Policy::with_rules(rules));
        }
        for bytes in [0, 100_000, 5_000_000] {
            let policy = Policy::with_data(bytes);
            let length = policy.data.len();
            assert!((bytes..bytes + 2000).contains(&length), "{length} bytes for {bytes}");
            check(&policy);
        }
    }
}
