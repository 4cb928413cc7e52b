//! The example of the README: data residency.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use super::{Case, Policy, object};

const MODULE: &str = include_str!("../../../config/tenants.d/tenant_a/policy.rego");
const FAULTY: &str = include_str!("faulty.rego");
const DATA: &str = include_str!("../../../config/tenants.d/tenant_a/data.json");

/// Users and places of permitted reads. The first of each are from the README's question.
const USERS: [Option<&str>; 3] = [Some("user_123"), Some("privacy_officer"), None];
const RESIDENT: [(&str, &str); 3] =
    [("sensor_data", "EU"), ("billing", "EU"), ("sensor_data", "EEA")];

/// Forbidden actions, and forbidden pairs of a type and a region.
const OTHER_ACTIONS: [Option<&str>; 2] = [Some("update"), None];
const ELSEWHERE: [(Option<&str>, Option<&str>); 5] = [
    (Some("sensor_data"), Some("US")),
    (Some("billing"), Some("EEA")),
    (Some("minutes"), Some("EU")),
    (Some("billing"), None),
    (None, Some("EU")),
];

pub(super) fn policy() -> Policy {
    Policy { name: "readme", cases: cases(), module: MODULE.into(), data: DATA.into() }
}

/// The same with rules by which a tenant harms itself.
pub(super) fn faulty() -> Policy {
    Policy { name: "faulty", module: format!("{MODULE}{FAULTY}").into(), ..policy() }
}

/// The same with about this many bytes of data, most of which no rule reads.
pub(super) fn with_data(bytes: usize) -> Policy {
    Policy { data: padded(bytes).into(), ..policy() }
}

/// The data that the policy needs, with an inventory of devices beside it.
fn padded(bytes: usize) -> String {
    /// Longer than the text of any device.
    const DEVICE: usize = 400;

    let mut data = String::with_capacity(bytes.saturating_add(DEVICE + DATA.len()));
    let object = DATA.trim_end();
    data.push_str(object.strip_suffix('}').unwrap_or(object).trim_end());
    data.push_str(",\n  \"inventory\": {");
    let mut number = 0_usize;
    while number == 0 || data.len() < bytes {
        let separator = if number == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            data,
            "{separator}\n    \"device_{number:07}\": {{\"owner\": {{\"user_id\": \"user_{}\", \"department\": \"department_{}\"}}, \"place\": {{\"region\": \"{}\", \"site\": {}, \"coordinates\": [{}.25, {}.5]}}, \"tags\": [\"tag_{}\", \"tag_{}\"], \"is_active\": {}}}",
            number % 10_007,
            number % 97,
            if number.is_multiple_of(3) { "EU" } else { "US" },
            number % 1009,
            number % 90,
            number % 180,
            number % 31,
            number % 37,
            !number.is_multiple_of(7),
        );
        number += 1;
    }
    data.push_str("\n  }\n}\n");
    data
}

/// The tenant's data.
#[derive(Debug, Default, Deserialize)]
struct Data {
    residency: BTreeMap<String, Vec<String>>,
    redactions: BTreeMap<String, Vec<String>>,
    clearances: BTreeMap<String, Vec<String>>,
}

/// Slightly more than half of them are allowed.
fn cases() -> Vec<Case> {
    // It is compiled in, and a test checks that it can be parsed.
    let data: Data = serde_json::from_str(DATA).unwrap_or_default();
    let [user, ..] = USERS;
    let read = Some("read");
    let allowed = RESIDENT.into_iter().flat_map(|(kind, region)| {
        USERS.map(|user| case(&data, read, user, Some(kind), Some(region)))
    });
    let elsewhere = ELSEWHERE.map(|(kind, region)| case(&data, read, user, kind, region));
    let otherwise =
        OTHER_ACTIONS.map(|action| case(&data, action, user, Some("billing"), Some("EU")));
    allowed.chain(elsewhere).chain(otherwise).collect()
}

fn case(
    data: &Data,
    action: Option<&str>,
    user: Option<&str>,
    kind: Option<&str>,
    region: Option<&str>,
) -> Case {
    let is_reading = action == Some("read");
    let is_resident = kind
        .and_then(|kind| data.residency.get(kind))
        .is_some_and(|regions| regions.iter().any(|resident| Some(resident.as_str()) == region));
    let allow = is_reading && is_resident;
    let reason = match (kind, region) {
        _ if allow => "Allowed by data residency policy".to_owned(),
        _ if !is_reading => "Only reading is allowed".to_owned(),
        (Some(kind), Some(region)) => format!("{kind} must not be read in region {region}"),
        _ => "The resource has no type or no region".to_owned(),
    };
    let cleared = user.and_then(|user| data.clearances.get(user));
    let mut redact = Vec::new();
    if let (true, Some(fields)) = (allow, kind.and_then(|kind| data.redactions.get(kind))) {
        redact.clone_from(fields);
        redact.retain(|field| !cleared.is_some_and(|cleared| cleared.contains(field)));
        redact.sort();
    }
    let text = |text: Option<&str>| text.map(Value::from);
    let input = object([
        ("subject", Some(object([("user_id", text(user))]))),
        ("action", text(action)),
        ("resource", Some(object([("type", text(kind)), ("region", text(region))]))),
        ("environment", Some(object([("time", text(Some("2025-10-16T14:30:00Z")))]))),
    ]);
    Case { input, allow, redact, reason: Some(reason) }
}
