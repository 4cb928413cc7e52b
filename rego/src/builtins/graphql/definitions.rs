//! Parses schemas to trees.

use regorus::Value;

use super::lex::Kind;
use super::shape::node;
use super::syntax::Parser;
use crate::builtins::{Answer, Failure};

/// The locations of directives.
const LOCATIONS: [&str; 19] = [
    "QUERY",
    "MUTATION",
    "SUBSCRIPTION",
    "FIELD",
    "FRAGMENT_DEFINITION",
    "FRAGMENT_SPREAD",
    "INLINE_FRAGMENT",
    "VARIABLE_DEFINITION",
    "SCHEMA",
    "SCALAR",
    "OBJECT",
    "FIELD_DEFINITION",
    "ARGUMENT_DEFINITION",
    "INTERFACE",
    "UNION",
    "ENUM",
    "ENUM_VALUE",
    "INPUT_OBJECT",
    "INPUT_FIELD_DEFINITION",
];

/// A text before a definition, and the comments before that text.
struct Description {
    text: Value,
    comment: Value,
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        other => *other == Value::Null,
    }
}

impl Parser<'_> {
    pub(super) fn schema_document(&mut self) -> Answer {
        let mut parts = [
            ("Schema", Vec::new()),
            ("SchemaExtension", Vec::new()),
            ("Directives", Vec::new()),
            ("Definitions", Vec::new()),
            ("Extensions", Vec::new()),
        ];
        while !self.is(Kind::End) {
            let description = self.description()?;
            if !self.is(Kind::Name) {
                return Err(self.unexpected(&self.next));
            }
            let (part, definition) = match self.next.text.as_str() {
                "schema" => ("Schema", self.schema(description, None)?),
                "directive" => ("Directives", self.directive_definition(description)?),
                "extend" => {
                    if description.text != Value::from("") {
                        return Err(self.unexpected(&self.before));
                    }
                    let comment = self.word("extend")?;
                    if self.is_word("schema") {
                        ("SchemaExtension", self.schema(description, Some(comment))?)
                    } else {
                        ("Extensions", self.definition(description, Some(comment))?)
                    }
                }
                _ => ("Definitions", self.definition(description, None)?),
            };
            if let Some((_, all)) = parts.iter_mut().find(|(name, _)| *name == part) {
                all.push(definition);
            }
        }
        let [schema, extension, directives, definitions, extensions] =
            parts.map(|(name, all)| (name, Value::from(all)));
        let comment = ("Comment", self.comment());
        Ok(node(
            "SchemaDocument",
            [schema, extension, directives, definitions, extensions, comment],
        ))
    }

    fn description(&mut self) -> Result<Description, Failure> {
        if !self.is(Kind::Text) && !self.is(Kind::Block) {
            return Ok(Description { text: Value::from(""), comment: Value::Null });
        }
        let comment = self.comment();
        Ok(Description { text: Value::from(self.take()?.text), comment })
    }

    /// The description of a part of a definition; its comments are lost where it is empty.
    fn inner_description(&mut self) -> Result<Description, Failure> {
        let description = self.description()?;
        let is_empty = description.text == Value::from("");
        let comment = if is_empty { Value::Null } else { description.comment };
        Ok(Description { text: description.text, comment })
    }

    fn schema(&mut self, description: Description, extension: Option<Value>) -> Answer {
        let before = self.word("schema")?;
        let is_extension = extension.is_some();
        let directives = self.directives(true)?;
        let (operations, end) = self.some('{', '}', |parser| {
            let comment = parser.comment();
            let operation = parser.take()?;
            if !["query", "mutation", "subscription"].contains(&operation.text.as_str()) {
                return Err(parser.unexpected(&operation));
            }
            parser.expect(Kind::Mark(':'))?;
            let of = parser.name()?;
            let operation = Value::from(operation.text);
            Ok(node(
                "OperationTypeDefinition",
                [("Operation", operation), ("Type", of), ("Comment", comment)],
            ))
        })?;
        if is_extension && is_empty(&directives) && is_empty(&operations) {
            return Err(self.unexpected(&self.next));
        }
        Ok(node(
            "SchemaDefinition",
            [
                ("Description", description.text),
                ("Directives", directives),
                ("OperationTypes", operations),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", extension.unwrap_or(before)),
                ("EndOfDefinitionComment", end),
            ],
        ))
    }

    fn definition(&mut self, description: Description, extension: Option<Value>) -> Answer {
        let word = self.next.text.clone();
        let kind = match word.as_str() {
            "scalar" => "SCALAR",
            "type" => "OBJECT",
            "interface" => "INTERFACE",
            "union" => "UNION",
            "enum" => "ENUM",
            "input" => "INPUT_OBJECT",
            _ => return Err(self.unexpected(&self.next)),
        };
        let before = self.word(&word)?;
        let name = self.name()?;
        let may_implement = kind == "OBJECT" || kind == "INTERFACE" && extension.is_none();
        let interfaces = if may_implement { self.interfaces()? } else { Value::Null };
        // The library allows variables in extensions of inputs here.
        let directives = self.directives(!(kind == "INPUT_OBJECT" && extension.is_some()))?;
        let (mut fields, mut types, mut values) = (Value::Null, Value::Null, Value::Null);
        let mut end = Value::Null;
        match kind {
            "OBJECT" | "INTERFACE" => {
                (fields, end) = self.some('{', '}', Self::field_definition)?
            }
            "INPUT_OBJECT" => {
                (fields, end) = self.some('{', '}', |parser| parser.input("FieldDefinition"))?;
            }
            "ENUM" => (values, end) = self.some('{', '}', Self::enum_value)?,
            "UNION" => types = self.members()?,
            _ => {}
        }
        let nothing = [&interfaces, &directives, &fields, &types, &values];
        if extension.is_some() && nothing.into_iter().all(is_empty) {
            return Err(self.unexpected(&self.next));
        }
        Ok(node(
            "Definition",
            [
                ("Kind", Value::from(kind)),
                ("Description", description.text),
                ("Name", name),
                ("Directives", directives),
                ("Interfaces", interfaces),
                ("Fields", fields),
                ("Types", types),
                ("EnumValues", values),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", extension.unwrap_or(before)),
                ("EndOfDefinitionComment", end),
            ],
        ))
    }

    /// Names with a separator between them, which is also allowed before the first.
    fn separated(&mut self, mark: char) -> Result<Vec<Value>, Failure> {
        self.skip(Kind::Mark(mark))?;
        let mut names = vec![self.name()?];
        while self.skip(Kind::Mark(mark))? {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn interfaces(&mut self) -> Answer {
        if self.next.text != "implements" {
            return Ok(Value::Null);
        }
        self.take()?;
        Ok(Value::from(self.separated('&')?))
    }

    fn members(&mut self) -> Answer {
        if !self.skip(Kind::Mark('='))? {
            return Ok(Value::Null);
        }
        Ok(Value::from(self.separated('|')?))
    }

    fn field_definition(&mut self) -> Answer {
        let description = self.inner_description()?;
        let comment = self.comment();
        let name = self.name()?;
        let (arguments, _) = self.some('(', ')', |parser| parser.input("ArgumentDefinition"))?;
        self.expect(Kind::Mark(':'))?;
        let of = self.type_reference()?;
        let directives = self.directives(true)?;
        Ok(node(
            "FieldDefinition",
            [
                ("Description", description.text),
                ("Name", name),
                ("Arguments", arguments),
                ("Type", of),
                ("Directives", directives),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", comment),
            ],
        ))
    }

    /// An argument, or a field of an input.
    fn input(&mut self, shape: &str) -> Answer {
        let description = self.inner_description()?;
        let comment = self.comment();
        let name = self.name()?;
        self.expect(Kind::Mark(':'))?;
        let of = self.type_reference()?;
        let default = if self.skip(Kind::Mark('='))? { self.value(true)? } else { Value::Null };
        let directives = self.directives(true)?;
        Ok(node(
            shape,
            [
                ("Description", description.text),
                ("Name", name),
                ("DefaultValue", default),
                ("Type", of),
                ("Directives", directives),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", comment),
            ],
        ))
    }

    fn enum_value(&mut self) -> Answer {
        let description = self.inner_description()?;
        let comment = self.comment();
        let name = self.name()?;
        let directives = self.directives(true)?;
        Ok(node(
            "EnumValueDefinition",
            [
                ("Description", description.text),
                ("Name", name),
                ("Directives", directives),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", comment),
            ],
        ))
    }

    fn directive_definition(&mut self, description: Description) -> Answer {
        let before = self.word("directive")?;
        self.expect(Kind::Mark('@'))?;
        let name = self.name()?;
        let (arguments, _) = self.some('(', ')', |parser| parser.input("ArgumentDefinition"))?;
        let is_repeatable = self.is_word("repeatable");
        if is_repeatable {
            self.take()?;
        }
        self.word("on")?;
        self.skip(Kind::Mark('|'))?;
        let mut locations = Vec::new();
        loop {
            let location = self.expect(Kind::Name)?;
            if !LOCATIONS.contains(&location.text.as_str()) {
                return Err(self.unexpected(&location));
            }
            locations.push(Value::from(location.text));
            if !self.skip(Kind::Mark('|'))? {
                break;
            }
        }
        Ok(node(
            "DirectiveDefinition",
            [
                ("Description", description.text),
                ("Name", name),
                ("Arguments", arguments),
                ("Locations", Value::from(locations)),
                ("IsRepeatable", Value::from(is_repeatable)),
                ("BeforeDescriptionComment", description.comment),
                ("AfterDescriptionComment", before),
            ],
        ))
    }
}
