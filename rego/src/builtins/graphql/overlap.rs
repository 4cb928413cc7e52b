//! Whether fields of one name can be merged in the answer.

use std::collections::{HashMap, HashSet};

use regorus::Value;

use super::schema::{Schema, Type};
use super::tree::{Literal, is_inline, is_spread, list, part, text};
use super::{DEPTH, broken, types};
use crate::builtins::Failure;
use crate::builtins::limits::{self, Clock};

/// A field, and its parent type.
#[derive(Clone, Copy)]
struct Field<'a> {
    node: &'a Value,
    parent: Option<&'a Type>,
}

/// Fields by their names in the answer in order, and the names of the fragments beside them.
#[derive(Default)]
struct Fields<'a> {
    by_name: Vec<(&'a str, Vec<Field<'a>>)>,
    places: HashMap<&'a str, usize>,
    fragments: Vec<&'a str>,
}

pub(super) struct Overlap<'a, 'c> {
    schema: &'a Schema,
    fragments: &'c HashMap<&'a str, &'a Value>,
    clock: &'c mut Clock,
    depth: usize,
    /// Pairs of fragments that have been compared, and whether as ones that exclude each other.
    pairs: HashMap<(&'a str, &'a str), bool>,
}

/// Why fields are in conflict.
type Found = Result<Option<String>, Failure>;

impl<'a, 'c> Overlap<'a, 'c> {
    pub(super) fn new(
        schema: &'a Schema,
        fragments: &'c HashMap<&'a str, &'a Value>,
        clock: &'c mut Clock,
    ) -> Self {
        Self { schema, fragments, clock, depth: DEPTH, pairs: HashMap::new() }
    }

    /// Checks a selection of a type.
    ///
    /// # Errors
    /// The library's message, when two fields are in conflict.
    pub(super) fn check(
        mut self,
        of: Option<&'a Type>,
        selections: &[&'a Value],
    ) -> Result<(), Failure> {
        let fields = self.collect(of, selections)?;
        match self.within(&fields)? {
            Some(what) => Err(broken(format!(
                "Fields {what}. Use different aliases on the fields to fetch both if this was intentional."
            ))),
            None => Ok(()),
        }
    }

    fn deeper<T>(
        &mut self,
        find: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let exceeded = || limits::exceeded("a query is too deep");
        self.clock.step()?;
        self.depth = self.depth.checked_sub(1).ok_or_else(exceeded)?;
        let found = find(self)?;
        self.depth += 1;
        Ok(found)
    }

    fn collect(
        &mut self,
        of: Option<&'a Type>,
        selections: &[&'a Value],
    ) -> Result<Fields<'a>, Failure> {
        let mut fields = Fields::default();
        // In the order of the text.
        let mut rest: Vec<(Option<&'a Type>, &'a Value)> =
            selections.iter().rev().map(|selection| (of, *selection)).collect();
        while let Some((parent, node)) = rest.pop() {
            self.clock.step()?;
            if is_spread(node) {
                fields.fragments.push(text(node, "Name"));
            } else if is_inline(node) {
                let condition = text(node, "TypeCondition");
                let of = if condition.is_empty() { parent } else { self.schema.get(condition) };
                let inner = list(node, "SelectionSet");
                rest.extend(inner.into_iter().rev().map(|selection| (of, selection)));
            } else {
                let alias = text(node, "Alias");
                let name = if alias.is_empty() { text(node, "Name") } else { alias };
                let next = fields.by_name.len();
                let place = *fields.places.entry(name).or_insert(next);
                if place == next {
                    fields.by_name.push((name, Vec::new()));
                }
                if let Some((_, all)) = fields.by_name.get_mut(place) {
                    all.push(Field { node, parent });
                }
            }
        }
        Ok(fields)
    }

    fn of_fragment(&mut self, name: &str) -> Result<Option<Fields<'a>>, Failure> {
        let Some(fragment) = self.fragments.get(name).copied() else { return Ok(None) };
        let of = self.schema.get(text(fragment, "TypeCondition"));
        self.collect(of, &list(fragment, "SelectionSet")).map(Some)
    }

    fn within(&mut self, fields: &Fields<'a>) -> Found {
        for (_, same) in &fields.by_name {
            for (i, a) in same.iter().enumerate() {
                for b in same.iter().skip(i + 1) {
                    if let Some(what) = self.conflict(false, *a, *b)? {
                        return Ok(Some(what));
                    }
                }
            }
        }
        let mut compared = HashSet::new();
        for (i, a) in fields.fragments.iter().enumerate() {
            if let Some(what) = self.with_fragment(false, fields, a, &mut compared)? {
                return Ok(Some(what));
            }
            for b in fields.fragments.iter().skip(i + 1) {
                if let Some(what) = self.of_fragments(false, a, b)? {
                    return Ok(Some(what));
                }
            }
        }
        Ok(None)
    }

    fn between(&mut self, exclusive: bool, a: &Fields<'a>, b: &Fields<'a>) -> Found {
        for (name, these) in &a.by_name {
            let Some((_, those)) = b.places.get(name).and_then(|place| b.by_name.get(*place))
            else {
                continue;
            };
            for x in these {
                for y in those {
                    if let Some(what) = self.conflict(exclusive, *x, *y)? {
                        return Ok(Some(what));
                    }
                }
            }
        }
        Ok(None)
    }

    fn with_fragment(
        &mut self,
        exclusive: bool,
        fields: &Fields<'a>,
        fragment: &'a str,
        compared: &mut HashSet<&'a str>,
    ) -> Found {
        if !compared.insert(fragment) {
            return Ok(None);
        }
        let Some(own) = self.of_fragment(fragment)? else { return Ok(None) };
        if let Some(what) = self.between(exclusive, fields, &own)? {
            return Ok(Some(what));
        }
        for inner in &own.fragments {
            let found =
                self.deeper(|overlap| overlap.with_fragment(exclusive, fields, inner, compared))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn of_fragments(&mut self, exclusive: bool, a: &'a str, b: &'a str) -> Found {
        if a == b {
            return Ok(None);
        }
        match self.pairs.get(&(a, b)) {
            Some(known) if exclusive || !known => return Ok(None),
            _ => {}
        }
        self.pairs.insert((a, b), exclusive);
        self.pairs.insert((b, a), exclusive);
        let (Some(these), Some(those)) = (self.of_fragment(a)?, self.of_fragment(b)?) else {
            return Ok(None);
        };
        if let Some(what) = self.between(exclusive, &these, &those)? {
            return Ok(Some(what));
        }
        for inner in &those.fragments {
            let found = self.deeper(|overlap| overlap.of_fragments(exclusive, a, inner))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        for inner in &these.fragments {
            let found = self.deeper(|overlap| overlap.of_fragments(exclusive, inner, b))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn conflict(&mut self, exclusive: bool, a: Field<'a>, b: Field<'a>) -> Found {
        self.clock.step()?;
        let (Some(parent_a), Some(parent_b)) = (a.parent, b.parent) else { return Ok(None) };
        let [type_a, type_b] = [a, b].map(type_of_field);
        let exclusive = exclusive
            || parent_a.name != parent_b.name
                && parent_a.kind == "OBJECT"
                && parent_b.kind == "OBJECT"
                && type_a.is_some()
                && type_b.is_some();
        let [name_a, name_b] = [a, b].map(|field| text(field.node, "Name"));
        let response = match text(a.node, "Alias") {
            "" => name_a,
            alias => alias,
        };
        let because = |what: &str| Ok(Some(format!("\"{response}\" conflict because {what}")));
        if !exclusive {
            if name_a != name_b {
                return because(&format!("\"{name_a}\" and \"{name_b}\" are different fields"));
            }
            let [these, those] = [a, b].map(|field| list(field.node, "Arguments"));
            if !same_arguments(&these, &those) {
                return because("they have differing arguments");
            }
        }
        if let (Some(of_a), Some(of_b)) = (type_a, type_b)
            && self.types_conflict(of_a, of_b)
        {
            return because("they return conflicting types");
        }
        let [inner_a, inner_b] = [type_a, type_b]
            .map(|of| of.and_then(|of| of.named()).and_then(|name| self.schema.get(name)));
        let these = self.collect(inner_a, &list(a.node, "SelectionSet"))?;
        let those = self.collect(inner_b, &list(b.node, "SelectionSet"))?;
        self.deeper(|overlap| overlap.between_selections(exclusive, &these, &those))
    }

    fn between_selections(
        &mut self,
        exclusive: bool,
        these: &Fields<'a>,
        those: &Fields<'a>,
    ) -> Found {
        if let Some(what) = self.between(exclusive, these, those)? {
            return Ok(Some(what));
        }
        for (fields, fragments) in [(these, &those.fragments), (those, &these.fragments)] {
            for fragment in fragments {
                let found = self.with_fragment(exclusive, fields, fragment, &mut HashSet::new())?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        for a in &these.fragments {
            for b in &those.fragments {
                if let Some(what) = self.of_fragments(exclusive, a, b)? {
                    return Ok(Some(what));
                }
            }
        }
        Ok(None)
    }

    fn types_conflict(&self, a: Of<'a>, b: Of<'a>) -> bool {
        let (mut a, mut b) = match (a, b) {
            (Of::Type(a), Of::Type(b)) => (a, b),
            (Of::Text, Of::Text) => return false,
            (Of::Text, Of::Type(of)) | (Of::Type(of), Of::Text) => {
                let found = self.schema.get(types::name(of));
                let is_other = found.is_some_and(|of| of.is_leaf() && of.name != "String");
                return types::element(of).is_some() || types::is_required(of) || is_other;
            }
        };
        loop {
            match (types::element(a), types::element(b)) {
                (Some(inner_a), Some(inner_b)) => (a, b) = (inner_a, inner_b),
                (None, None) => break,
                _ => return true,
            }
        }
        if types::is_required(a) != types::is_required(b) {
            return true;
        }
        let [a, b] = [a, b].map(|of| self.schema.get(types::name(of)));
        matches!((a, b), (Some(a), Some(b)) if a.is_leaf() && b.is_leaf() && a.name != b.name)
    }
}

/// The type of a field: its definition's, or the string type of `__typename`.
#[derive(Clone, Copy)]
enum Of<'a> {
    Type(&'a Value),
    Text,
}

impl<'a> Of<'a> {
    fn named(self) -> Option<&'a str> {
        match self {
            Self::Type(of) => Some(types::name(of)),
            Self::Text => None,
        }
    }
}

fn type_of_field<'a>(field: Field<'a>) -> Option<Of<'a>> {
    let name = text(field.node, "Name");
    if name == "__typename" {
        return Some(Of::Text);
    }
    field.parent?.field(name).and_then(|definition| part(definition, "Type")).map(Of::Type)
}

fn same_arguments(these: &[&Value], those: &[&Value]) -> bool {
    these.len() == those.len()
        && these.iter().all(|a| {
            those.iter().any(|b| {
                text(a, "Name") == text(b, "Name") && same_value(part(a, "Value"), part(b, "Value"))
            })
        })
}

/// Values nest no deeper than trees do.
fn same_value(a: Option<&Value>, b: Option<&Value>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let kind = Literal::of(a);
    if kind != Literal::of(b) || text(a, "Raw") != text(b, "Raw") {
        return false;
    }
    let [mut these, mut those] = [a, b].map(|value| list(value, "Children"));
    if kind == Literal::Object {
        for children in [&mut these, &mut those] {
            children.sort_by(|x, y| text(x, "Name").cmp(text(y, "Name")));
        }
    }
    these.len() == those.len()
        && these.iter().zip(&those).all(|(x, y)| {
            text(x, "Name") == text(y, "Name") && same_value(part(x, "Value"), part(y, "Value"))
        })
}
