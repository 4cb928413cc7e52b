//! The parts of a tree's nodes, with the library's names.

use std::collections::BTreeMap;

use regorus::Value;

use super::{DEPTH, broken};
use crate::builtins::operands::type_name;
use crate::builtins::{Answer, Failure, limits};

/// The type of a node's part.
#[derive(Clone, Copy)]
enum Part {
    Text,
    Flag,
    Integer,
    Texts,
    One(&'static str),
    Many(&'static str),
}

type Shape = (&'static str, &'static [(&'static str, Part)]);

use Part::{Flag, Integer, Many, One, Text, Texts};

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    ("QueryDocument", &[("Operations", Many("OperationDefinition")), ("Fragments", Many("FragmentDefinition")), ("Comment", One("CommentGroup"))]),
    ("OperationDefinition", &[("Operation", Text), ("Name", Text), ("VariableDefinitions", Many("VariableDefinition")), ("Directives", Many("Directive")), ("SelectionSet", Many("Field")), ("Comment", One("CommentGroup"))]),
    ("VariableDefinition", &[("Variable", Text), ("Type", One("Type")), ("DefaultValue", One("Value")), ("Directives", Many("Directive")), ("Comment", One("CommentGroup")), ("Used", Flag)]),
    ("Type", &[("NamedType", Text), ("Elem", One("Type")), ("NonNull", Flag)]),
    ("Field", &[("Alias", Text), ("Name", Text), ("Arguments", Many("Argument")), ("Directives", Many("Directive")), ("SelectionSet", Many("Field")), ("Comment", One("CommentGroup"))]),
    ("Argument", &[("Name", Text), ("Value", One("Value")), ("Comment", One("CommentGroup"))]),
    ("Value", &[("Raw", Text), ("Children", Many("ChildValue")), ("Kind", Integer), ("Comment", One("CommentGroup")), ("ExpectedTypeHasDefault", Flag)]),
    ("ChildValue", &[("Name", Text), ("Value", One("Value")), ("Comment", One("CommentGroup"))]),
    ("Directive", &[("Name", Text), ("Arguments", Many("Argument")), ("Location", Text)]),
    ("FragmentSpread", &[("Name", Text), ("Directives", Many("Directive")), ("Comment", One("CommentGroup"))]),
    ("InlineFragment", &[("TypeCondition", Text), ("Directives", Many("Directive")), ("SelectionSet", Many("Field")), ("Comment", One("CommentGroup"))]),
    ("FragmentDefinition", &[("Name", Text), ("VariableDefinition", Many("VariableDefinition")), ("TypeCondition", Text), ("Directives", Many("Directive")), ("SelectionSet", Many("Field")), ("Comment", One("CommentGroup"))]),
    ("CommentGroup", &[("List", Many("Comment"))]),
    ("Comment", &[("Value", Text)]),
    ("SchemaDocument", &[("Schema", Many("SchemaDefinition")), ("SchemaExtension", Many("SchemaDefinition")), ("Directives", Many("DirectiveDefinition")), ("Definitions", Many("Definition")), ("Extensions", Many("Definition")), ("Comment", One("CommentGroup"))]),
    ("SchemaDefinition", &[("Description", Text), ("Directives", Many("Directive")), ("OperationTypes", Many("OperationTypeDefinition")), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup")), ("EndOfDefinitionComment", One("CommentGroup"))]),
    ("OperationTypeDefinition", &[("Operation", Text), ("Type", Text), ("Comment", One("CommentGroup"))]),
    ("Definition", &[("Kind", Text), ("Description", Text), ("Name", Text), ("Directives", Many("Directive")), ("Interfaces", Texts), ("Fields", Many("FieldDefinition")), ("Types", Texts), ("EnumValues", Many("EnumValueDefinition")), ("BuiltIn", Flag), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup")), ("EndOfDefinitionComment", One("CommentGroup"))]),
    ("FieldDefinition", &[("Description", Text), ("Name", Text), ("Arguments", Many("ArgumentDefinition")), ("DefaultValue", One("Value")), ("Type", One("Type")), ("Directives", Many("Directive")), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup"))]),
    ("ArgumentDefinition", &[("Description", Text), ("Name", Text), ("DefaultValue", One("Value")), ("Type", One("Type")), ("Directives", Many("Directive")), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup"))]),
    ("EnumValueDefinition", &[("Description", Text), ("Name", Text), ("Directives", Many("Directive")), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup"))]),
    ("DirectiveDefinition", &[("Description", Text), ("Name", Text), ("Arguments", Many("ArgumentDefinition")), ("Locations", Texts), ("IsRepeatable", Flag), ("BeforeDescriptionComment", One("CommentGroup")), ("AfterDescriptionComment", One("CommentGroup"))]),
];

fn parts(shape: &str) -> &'static [(&'static str, Part)] {
    SHAPES.iter().find(|(name, _)| *name == shape).map_or(&[], |(_, parts)| parts)
}

/// Whether a part is left out of a tree.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Undefined => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// A node of a shape with some parts; the others are empty.
pub(super) fn node<const N: usize>(shape: &str, given: [(&str, Value); N]) -> Value {
    let mut given = BTreeMap::from(given);
    let mut entries = BTreeMap::new();
    for (name, part) in parts(shape) {
        let value = given.remove(name).unwrap_or(match part {
            Text => Value::from(""),
            Flag => Value::from(false),
            Integer => Value::from(0u64),
            Texts | One(_) | Many(_) => Value::Null,
        });
        if !is_nothing(&value) {
            entries.insert(Value::from(*name), value);
        }
    }
    Value::from(entries)
}

/// A tree from a policy, as the library reads it. The library takes every selection for a field.
///
/// # Errors
/// When a part has a different type.
pub(super) fn decode(value: &Value, shape: &str) -> Answer {
    decode_at(value, shape, DEPTH)
}

fn decode_at(value: &Value, shape: &str, depth: usize) -> Answer {
    let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a document is too deep"))?;
    let object = match value {
        Value::Object(object) => object,
        Value::Null => return Ok(Value::Null),
        other => return Err(wrong(other, shape)),
    };
    let mut entries = BTreeMap::new();
    for (name, part) in parts(shape) {
        let given = object.get(&Value::from(*name)).unwrap_or(&Value::Null);
        let decoded = match (part, given) {
            (Text, Value::String(_)) | (Flag, Value::Bool(_)) | (Integer, Value::Number(_)) => {
                given.clone()
            }
            (Text, Value::Null) => Value::from(""),
            (Flag, Value::Null) => Value::from(false),
            (Integer, Value::Null) => Value::from(0u64),
            (Texts | Many(_), Value::Null) => Value::Null,
            (Texts, Value::Array(elements)) => {
                if let Some(other) = elements.iter().find(|v| !matches!(v, Value::String(_))) {
                    return Err(wrong(other, name));
                }
                given.clone()
            }
            (One(shape), given) => decode_at(given, shape, below)?,
            (Many(shape), Value::Array(elements)) => {
                let mut all = Vec::new();
                for element in elements.iter() {
                    let element = decode_at(element, shape, below)?;
                    if !is_nothing(&element) {
                        all.push(element);
                    }
                }
                Value::from(all)
            }
            (_, other) => return Err(wrong(other, name)),
        };
        if !is_nothing(&decoded) {
            entries.insert(Value::from(*name), decoded);
        }
    }
    Ok(Value::from(entries))
}

fn wrong(value: &Value, name: &str) -> Failure {
    broken(format!("json: cannot unmarshal {} into Go value of {name}", type_name(value)))
}
