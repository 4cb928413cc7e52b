//! Parses queries to trees.

use regorus::Value;

use super::lex::{Kind, wrong};
use super::shape::node;
use super::syntax::Parser;
use crate::builtins::{Answer, Failure};

impl Parser<'_> {
    pub(super) fn query_document(&mut self) -> Answer {
        let (mut operations, mut fragments) = (Vec::new(), Vec::new());
        while !self.is(Kind::End) {
            let is_operation = self.is(Kind::Mark('{'))
                || ["query", "mutation", "subscription"].iter().any(|word| self.is_word(word));
            if is_operation {
                operations.push(self.operation()?);
            } else if self.is_word("fragment") {
                fragments.push(self.fragment_definition()?);
            } else {
                return Err(self.unexpected(&self.next));
            }
        }
        let (operations, fragments) = (Value::from(operations), Value::from(fragments));
        Ok(node("QueryDocument", [("Operations", operations), ("Fragments", fragments)]))
    }

    fn operation(&mut self) -> Answer {
        if self.is(Kind::Mark('{')) {
            let selections = self.required_selections()?;
            // The library looks for comments only after it has read the operation.
            return Ok(node(
                "OperationDefinition",
                [("Operation", Value::from("query")), ("SelectionSet", selections)],
            ));
        }
        let comment = self.comment();
        let operation = Value::from(self.take()?.text);
        let name = if self.is(Kind::Name) { self.name()? } else { Value::from("") };
        let variables = self.variables()?;
        let directives = self.directives(false)?;
        let selections = self.required_selections()?;
        Ok(node(
            "OperationDefinition",
            [
                ("Operation", operation),
                ("Name", name),
                ("VariableDefinitions", variables),
                ("Directives", directives),
                ("SelectionSet", selections),
                ("Comment", comment),
            ],
        ))
    }

    fn variables(&mut self) -> Answer {
        let (variables, _) = self.some('(', ')', |parser| {
            let comment = parser.comment();
            parser.expect(Kind::Mark('$'))?;
            let name = parser.name()?;
            parser.expect(Kind::Mark(':'))?;
            let of = parser.type_reference()?;
            let default =
                if parser.skip(Kind::Mark('='))? { parser.value(true)? } else { Value::Null };
            let directives = parser.directives(false)?;
            Ok(node(
                "VariableDefinition",
                [
                    ("Variable", name),
                    ("Type", of),
                    ("DefaultValue", default),
                    ("Directives", directives),
                    ("Comment", comment),
                ],
            ))
        })?;
        Ok(variables)
    }

    fn required_selections(&mut self) -> Answer {
        if !self.is(Kind::Mark('{')) {
            let found = self.next.kind.show();
            return Err(wrong(self.next.place, &format!("Expected {{, found {found}")));
        }
        self.selections()
    }

    fn selections(&mut self) -> Answer {
        let (selections, _) = self.some('{', '}', |parser| {
            if parser.is(Kind::Spread) { parser.fragment() } else { parser.field() }
        })?;
        Ok(selections)
    }

    fn field(&mut self) -> Answer {
        let comment = self.comment();
        let alias = self.name()?;
        let name = if self.skip(Kind::Mark(':'))? { self.name()? } else { alias.clone() };
        let arguments = self.arguments(false)?;
        let directives = self.directives(false)?;
        let selections = self.selections()?;
        Ok(node(
            "Field",
            [
                ("Alias", alias),
                ("Name", name),
                ("Arguments", arguments),
                ("Directives", directives),
                ("SelectionSet", selections),
                ("Comment", comment),
            ],
        ))
    }

    fn fragment(&mut self) -> Answer {
        let comment = self.comment();
        self.expect(Kind::Spread)?;
        if self.is(Kind::Name) && self.next.text != "on" {
            let name = self.fragment_name()?;
            let directives = self.directives(false)?;
            return Ok(node(
                "FragmentSpread",
                [("Name", name), ("Directives", directives), ("Comment", comment)],
            ));
        }
        let condition = if self.next.text == "on" {
            self.take()?;
            self.name()?
        } else {
            Value::from("")
        };
        let directives = self.directives(false)?;
        let selections = self.required_selections()?;
        Ok(node(
            "InlineFragment",
            [
                ("TypeCondition", condition),
                ("Directives", directives),
                ("SelectionSet", selections),
                ("Comment", comment),
            ],
        ))
    }

    fn fragment_definition(&mut self) -> Answer {
        let comment = self.word("fragment")?;
        let name = self.fragment_name()?;
        let variables = self.variables()?;
        self.word("on")?;
        let condition = self.name()?;
        let directives = self.directives(false)?;
        let selections = self.required_selections()?;
        Ok(node(
            "FragmentDefinition",
            [
                ("Name", name),
                ("VariableDefinition", variables),
                ("TypeCondition", condition),
                ("Directives", directives),
                ("SelectionSet", selections),
                ("Comment", comment),
            ],
        ))
    }

    fn fragment_name(&mut self) -> Result<Value, Failure> {
        if self.next.text == "on" {
            return Err(self.unexpected(&self.next));
        }
        self.name()
    }
}
