//! The features that policies may use here, in the format of `opa capabilities`: `opa check
//! --capabilities` and editors then refuse the same policies as the loader.

use serde_json::{Map, Value, json};

use super::{DECLARATIONS, Declaration, FEATURES, FUTURE_KEYWORDS, Parameter, StaticType};

/// Built-ins of OPA that no policy may call, with the reason: they need the network, which a worker
/// does not have, and a decision must not wait for another machine.
pub const REFUSED: [(&str, &str); 2] = [
    ("http.send", "a worker has no network: send what the policy needs with the input"),
    ("net.lookup_ip_addr", "a worker has no network: send the address with the input"),
];

/// Whether no policy may call a built-in.
#[must_use]
pub fn is_refused(name: &str) -> bool {
    REFUSED.iter().any(|(refused, _)| *refused == name)
}

/// The capabilities: every declared built-in except the [`REFUSED`] ones, without OPA's
/// descriptions.
#[must_use]
pub fn capabilities() -> Value {
    let is_offered = |declaration: &&Declaration| !is_refused(declaration.name);
    json!({
        "builtins": DECLARATIONS.iter().filter(is_offered).map(builtin).collect::<Vec<_>>(),
        "features": FEATURES,
        "future_keywords": FUTURE_KEYWORDS,
        // Hosts that policies may contact, also for the `$ref` of a schema. Without a list OPA
        // allows all.
        "allow_net": [],
    })
}

fn builtin(declaration: &Declaration) -> Value {
    let mut function = Map::from_iter([("type".to_owned(), json!("function"))]);
    if !declaration.parameters.is_empty() {
        let parameters = declaration.parameters.iter().map(parameter).collect();
        function.insert("args".to_owned(), parameters);
    }
    if let Some(rest) = &declaration.variadic {
        function.insert("variadic".to_owned(), type_of(rest));
    }
    if let Some(result) = &declaration.result {
        function.insert("result".to_owned(), parameter(result));
    }
    let mut fields = Map::from_iter([
        ("name".to_owned(), json!(declaration.name)),
        ("decl".to_owned(), Value::Object(function)),
    ]);
    if let Some(infix) = declaration.infix {
        fields.insert("infix".to_owned(), json!(infix));
    }
    if !declaration.categories.is_empty() {
        fields.insert("categories".to_owned(), json!(declaration.categories));
    }
    let flags = [
        ("nondeterministic", declaration.nondeterministic),
        ("relation", declaration.relation),
        ("deprecated", declaration.deprecated),
    ];
    let set = flags.into_iter().filter(|(_, is_set)| *is_set);
    fields.extend(set.map(|(name, _)| (name.to_owned(), json!(true))));
    Value::Object(fields)
}

fn parameter(parameter: &Parameter) -> Value {
    let mut of = type_of(&parameter.of);
    if let (Some(name), Value::Object(fields)) = (parameter.name, &mut of) {
        fields.insert("name".to_owned(), json!(name));
    }
    of
}

/// A type of the table, a constant that nests no deeper than OPA's declarations.
fn type_of(of: &StaticType) -> Value {
    let all = |types: &[StaticType]| types.iter().map(type_of).collect::<Vec<_>>();
    match of {
        StaticType::Null => json!({"type": "null"}),
        StaticType::Boolean => json!({"type": "boolean"}),
        StaticType::Number => json!({"type": "number"}),
        StaticType::String => json!({"type": "string"}),
        StaticType::Any => json!({"type": "any"}),
        StaticType::OneOf(types) => json!({"type": "any", "of": all(types)}),
        StaticType::Array(element) => json!({"type": "array", "dynamic": type_of(element)}),
        StaticType::Tuple(elements) => json!({"type": "array", "static": all(elements)}),
        StaticType::Set(element) => json!({"type": "set", "of": type_of(element)}),
        StaticType::Object(properties, rest) => {
            let mut object = Map::from_iter([("type".to_owned(), json!("object"))]);
            if !properties.is_empty() {
                let property = |(key, of): &(&str, _)| json!({"key": key, "value": type_of(of)});
                object.insert("static".to_owned(), properties.iter().map(property).collect());
            }
            if let Some((key, value)) = rest {
                let rest = json!({"key": type_of(key), "value": type_of(value)});
                object.insert("dynamic".to_owned(), rest);
            }
            Value::Object(object)
        }
    }
}
