//! Access by attributes: many rules, of which at most one fits a question.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Case, Policy, object};

const CLASSIFICATIONS: [&str; 4] = ["public", "internal", "confidential", "secret"];
const REGIONS: [&str; 5] = ["EU", "UK", "US", "JP", "BR"];
const ACTIONS: [[&str; 2]; 3] = [["read", "list"], ["read", "update"], ["read", "export"]];
const NETWORKS: [[&str; 2]; 2] = [["office", "vpn"], ["office", "site"]];

/// Fields of every resource, sorted, with the lowest clearance that may see each.
const FIELDS: [(&str, usize); 4] =
    [("audit.trail", 5), ("owner.email", 2), ("owner.phone", 3), ("price", 4)];

/// The number of questions.
const CASES: usize = 40;

const HEAD: &str = "# Access by attributes: a rule for every department, classification and region.
package tenants.tenant_a

default allow := false
";

const TAIL: &str = r#"
redact contains field if {
	allow
	some field, least in data.fields
	input.subject.clearance < least
}

reason := sprintf("Department %v may %v %v data of region %v", [
	input.subject.department,
	input.action,
	input.resource.classification,
	input.resource.region,
]) if {
	allow
} else := sprintf("No rule lets department %v %v %v data", [
	input.subject.department,
	input.action,
	input.resource.classification,
]) if {
	input.environment.network != "public"
} else := "Public networks are not trusted"
"#;

/// The conditions of one rule. No other rule has the same department, classification and region.
#[derive(Debug)]
struct Rule {
    department: String,
    classification: &'static str,
    region: &'static str,
    clearance: usize,
    /// Hours of the day: the first one, and the first one after the last.
    hours: [usize; 2],
    actions: [&'static str; 2],
    networks: [&'static str; 2],
}

impl Rule {
    fn new(number: usize) -> Self {
        let of_department = CLASSIFICATIONS.len() * REGIONS.len();
        Self {
            department: format!("department_{}", number / of_department),
            classification: nth(&CLASSIFICATIONS, number / REGIONS.len()),
            region: nth(&REGIONS, number),
            clearance: 1 + number % 4,
            hours: [5 + number % 4, 17 + number % 6],
            actions: nth(&ACTIONS, number),
            networks: nth(&NETWORKS, number),
        }
    }

    fn append_to(&self, module: &mut String) {
        let Self { department, classification, region, clearance, hours, actions, networks } = self;
        let [from, until] = hours;
        // Writing to a string cannot fail.
        let _ = write!(
            module,
            r#"
allow if {{
	input.subject.department == "{department}"
	input.resource.classification == "{classification}"
	input.resource.region == "{region}"
	input.subject.clearance >= {clearance}
	input.environment.hour >= {from}
	input.environment.hour < {until}
	input.environment.network in {{"{}", "{}"}}
	input.action in {{"{}", "{}"}}
}}
"#,
            networks[0], networks[1], actions[0], actions[1]
        );
    }
}

/// One of the choices, by an index that wraps around.
fn nth<T: Copy + Default>(choices: &[T], number: usize) -> T {
    choices.get(number % choices.len().max(1)).copied().unwrap_or_default()
}

/// A policy of this many rules.
pub(super) fn with_rules(count: usize) -> Policy {
    let count = count.max(1);
    let mut module = HEAD.to_owned();
    for number in 0..count {
        Rule::new(number).append_to(&mut module);
    }
    module.push_str(TAIL);
    let fields = FIELDS.map(|(field, least)| (field, Some(least.into())));
    let data = object([("fields", Some(object(fields)))]).to_string();
    // Spread over all rules, so that it does not matter which of them an engine tries first.
    let cases = (0..CASES).map(|number| case(number, &Rule::new(number * count / CASES)));
    Policy { name: "attributes", cases: cases.collect(), module: module.into(), data: data.into() }
}

/// A question that the rule fits; in four of ten questions one attribute differs.
fn case(number: usize, rule: &Rule) -> Case {
    let mut clearance = rule.clearance + number % 2;
    let mut hour = rule.hours[0] + number % 8;
    let mut network = rule.networks[0];
    let mut department = rule.department.clone();
    let action = nth(&rule.actions, number / 5);
    let allow = match number % 10 {
        5 => {
            clearance = 0;
            false
        }
        6 => {
            hour = rule.hours[1];
            false
        }
        7 => {
            network = "public";
            false
        }
        8 => {
            department = "department_of_nobody".to_owned();
            false
        }
        _ => true,
    };

    let redact = FIELDS
        .iter()
        .filter(|(_, least)| allow && clearance < *least)
        .map(|(field, _)| (*field).to_owned())
        .collect();
    let Rule { classification, region, .. } = rule;
    let reason = if allow {
        format!("Department {department} may {action} {classification} data of region {region}")
    } else if network == "public" {
        "Public networks are not trusted".to_owned()
    } else {
        format!("No rule lets department {department} {action} {classification} data")
    };
    let input: Value = json!({
        "subject": {"user_id": "user_123", "department": department, "clearance": clearance},
        "action": action,
        "resource": {"id": "4711", "classification": classification, "region": region},
        "environment": {"hour": hour, "network": network},
    });
    Case { input, allow, redact, reason: Some(reason) }
}
