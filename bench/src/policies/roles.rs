//! Access by roles: a thousand roles, ten thousand users.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Case, Numbers, Policy, object};

const ROLES: usize = 1000;
const USERS: usize = 10_000;
const TYPES: usize = 40;
const CASES: usize = 48;

const ACTIONS: [&str; 5] = ["read", "create", "update", "delete", "export"];
const FIELDS: [&str; 8] = [
    "person.email",
    "person.phone",
    "person.address",
    "account.iban",
    "account.balance",
    "health.record",
    "contract.salary",
    "device.location",
];

const MODULE: &str = r#"# Access by roles: a user may do what one of the user's roles grants, and sees the fields of the
# resource that name nobody, or that one of these roles shows.
package tenants.tenant_a

default allow := false

allow if count(granting) > 0

# The roles of the user that grant what is asked for.
granting contains role if {
	some role in data.users[input.subject.user_id].roles
	permission in data.roles[role].grants
}

permission := concat(":", [input.action, input.resource.type])

redact contains field if {
	allow
	some field in data.sensitive[input.resource.type]
	not shown(field)
}

shown(field) if {
	some role in granting
	field in data.roles[role].shows
}

reason := sprintf("Granted by role %v", [min(granting)]) if {
	allow
} else := sprintf("No role of user %v grants %v", [input.subject.user_id, permission]) if {
	data.users[input.subject.user_id]
} else := "There is no such user"
"#;

#[derive(Debug, Serialize)]
struct Data {
    roles: BTreeMap<String, Role>,
    users: BTreeMap<String, User>,
    /// By a resource's type, its fields that name a person.
    sensitive: BTreeMap<String, BTreeSet<&'static str>>,
}

#[derive(Debug, Serialize)]
struct Role {
    /// An action and a resource's type, with `:` between them.
    grants: BTreeSet<String>,
    shows: BTreeSet<&'static str>,
}

#[derive(Debug, Serialize)]
struct User {
    roles: BTreeSet<String>,
}

pub(super) fn policy() -> Policy {
    let mut numbers = Numbers(1);
    let data = data(&mut numbers);
    let cases = (0..CASES).map(|number| case(number, &data, &mut numbers)).collect();
    // Strings and lists of strings can always be serialized.
    let text = serde_json::to_string(&data).unwrap_or_default();
    Policy { name: "roles", cases, module: MODULE.into(), data: text.into() }
}

fn data(numbers: &mut Numbers) -> Data {
    let roles = (0..ROLES).map(|number| {
        let grants = (0..3 + numbers.below(4)).map(|_| permission(numbers)).collect();
        let shows = (0..numbers.below(4)).map(|_| numbers.one_of(&FIELDS)).collect();
        (role_name(number), Role { grants, shows })
    });
    let roles = roles.collect();
    let users = (0..USERS).map(|number| {
        let roles = (0..=numbers.below(3)).map(|_| role_name(numbers.below(ROLES))).collect();
        (format!("user_{number:05}"), User { roles })
    });
    let users = users.collect();
    let sensitive = (0..TYPES).map(|number| {
        let fields = (0..2 + numbers.below(3)).map(|_| numbers.one_of(&FIELDS)).collect();
        (type_name(number), fields)
    });
    Data { roles, users, sensitive: sensitive.collect() }
}

fn role_name(number: usize) -> String {
    format!("role_{number:04}")
}

fn type_name(number: usize) -> String {
    format!("type_{number:02}")
}

fn permission(numbers: &mut Numbers) -> String {
    format!("{}:{}", numbers.one_of(&ACTIONS), type_name(numbers.below(TYPES)))
}

/// Most cases ask for an action that a role of the user grants, some for a random one, and a few
/// name users that do not exist.
fn case(number: usize, data: &Data, numbers: &mut Numbers) -> Case {
    let beyond = if number % 8 == 7 { USERS } else { 0 };
    let name = format!("user_{:05}", beyond + numbers.below(USERS));
    let user = data.users.get(&name);
    let mut granted = user
        .into_iter()
        .flat_map(|user| &user.roles)
        .filter_map(|role| data.roles.get(role))
        .flat_map(|role| &role.grants);
    let wanted = match granted.next_back() {
        Some(permission) if number % 4 != 2 => permission.clone(),
        _ => permission(numbers),
    };

    let granting = user
        .into_iter()
        .flat_map(|user| &user.roles)
        .filter_map(|name| Some((name, data.roles.get(name)?)))
        .filter(|(_, role)| role.grants.contains(&wanted))
        .collect::<Vec<(&String, &Role)>>();
    // Roles of a user are sorted, so the first one is the least.
    let first = granting.first().map(|(name, _)| *name);
    let (action, kind) = wanted.split_once(':').unwrap_or_default();
    let redact = data
        .sensitive
        .get(kind)
        .filter(|_| first.is_some())
        .into_iter()
        .flatten()
        .filter(|field| !granting.iter().any(|(_, role)| role.shows.contains(*field)))
        .map(|field| (*field).to_owned())
        .collect();
    let reason = match (first, user) {
        (Some(role), _) => format!("Granted by role {role}"),
        (None, Some(_)) => format!("No role of user {name} grants {wanted}"),
        (None, None) => "There is no such user".to_owned(),
    };
    let text = |text: &str| Some(Value::from(text));
    let input = object([
        ("subject", Some(object([("user_id", text(&name))]))),
        ("action", text(action)),
        ("resource", Some(object([("type", text(kind)), ("id", text("4711"))]))),
    ]);
    Case { input, allow: first.is_some(), redact, reason: Some(reason) }
}
