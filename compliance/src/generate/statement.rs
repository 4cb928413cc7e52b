//! Statements of bodies: they bind variables, test, or do both.

use crate::generate::Generator;
use crate::generate::expression::quoted;
use crate::generate::types::{self, NUMBERS, Type};
use crate::generate::world::{Kind, path_text};

const LOCALS: &[&str] = &["x", "y", "z", "i", "k", "v", "e"];

impl Generator {
    /// This many statements.
    pub(crate) fn body(&mut self, count: usize, depth: usize) -> Vec<String> {
        (0..count).map(|_| self.statement(depth)).collect()
    }

    /// One that binds variables or tests, with a `with` now and then.
    pub(crate) fn statement(&mut self, depth: usize) -> String {
        if self.closed > 0 {
            return self.testing(depth);
        }
        match self.random.below(100) {
            0..16 => self.assignment(depth),
            16..22 => self.unification(depth),
            22..36 => self.iteration(depth),
            36..44 => self.reference(depth),
            44..50 => self.pattern(depth),
            50..54 => self.lookup(),
            54..57 => self.walked(depth),
            57..60 => self.package(),
            _ => self.testing(depth),
        }
    }

    /// A new variable's name; rarely one that hides another.
    fn name(&mut self) -> String {
        self.fresh += 1;
        let word = self.random.pick(LOCALS);
        let hiding = format!("{word}0");
        let here = |name: &String| {
            self.scopes.last().is_some_and(|scope| scope.iter().any(|(taken, _)| taken == name))
        };
        if self.scopes.len() > 1 && !here(&hiding) && self.random.chance(6) {
            return hiding;
        }
        format!("{word}{}", self.fresh)
    }

    fn bind(&mut self, content: Type) -> String {
        let name = self.name();
        self.declare(&name, content);
        name
    }

    pub(crate) fn declare(&mut self, name: &str, content: Type) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name.to_owned(), content));
        }
    }

    fn assignment(&mut self, depth: usize) -> String {
        let content = Type::any(&mut self.random, 1);
        let value = self.expression(&content, depth);
        let with = self.modifiers(15, depth);
        format!("{} := {value}{with}", self.bind(content))
    }

    fn unification(&mut self, depth: usize) -> String {
        let content = Type::any(&mut self.random, 1);
        let value = self.expression(&content, depth);
        let name = self.bind(content);
        match self.random.below(4) {
            0 => format!("{value} = {name}"),
            1 => format!("some {name}; {name} = {value}"),
            // The statement that binds comes behind the one that uses.
            2 => format!("[{name}, 1] = [{value}, 1]"),
            _ => format!("{name} = {value}"),
        }
    }

    /// An expression that can be iterated over, and its type.
    fn collection(&mut self, depth: usize) -> (String, Type) {
        let item = match self.random.below(6) {
            0..3 => Type::String,
            3 => Type::Number,
            4 => types::item(),
            _ => Type::any(&mut self.random, 1),
        };
        let collection = self.collection_of(&item);
        (self.expression(&collection, depth), collection)
    }

    fn iteration(&mut self, depth: usize) -> String {
        if self.legacy() {
            return self.reference(depth);
        }
        let (text, collection) = self.collection(depth);
        let Some((key, item)) = collection.elements() else { return "true".into() };
        let with = self.modifiers(5, depth);
        match self.random.below(10) {
            0..5 => format!("some {} in {text}{with}", self.bind(item)),
            5..8 => {
                let key = if self.random.chance(15) { "_".into() } else { self.bind(key) };
                format!("some {key}, {} in {text}{with}", self.bind(item))
            }
            8 => {
                let other = self.atom(&Type::String);
                let first = self.bind(item.clone());
                let second = self.bind(item);
                format!("some [{first}, {second}] in [{text}, [{other}, {other}]]")
            }
            _ => match &item {
                Type::Record(fields) => {
                    let members: Vec<_> = fields
                        .iter()
                        .map(|(name, field)| format!("\"{name}\": {}", self.bind(field.clone())))
                        .collect();
                    format!("some {{{}}} in {text}{with}", members.join(", "))
                }
                _ => format!("some {}, \"a\" in {text}{with}", self.bind(key)),
            },
        }
    }

    /// A reference with variables in it.
    fn reference(&mut self, depth: usize) -> String {
        let (text, collection) = if self.random.chance(60) {
            match self.wide_place() {
                Some(found) => found,
                None => self.collection(depth),
            }
        } else {
            self.collection(depth)
        };
        let Some((key, item)) = collection.elements() else { return "true".into() };
        match self.random.below(6) {
            0 => {
                let test = self.atom(&item);
                format!("{text}[_] == {test}")
            }
            1 => {
                let key = self.bind(key);
                let test = self.atom(&item);
                format!("some {key}; {text}[{key}] = {test}")
            }
            2..4 => {
                let key = self.bind(key);
                format!("{} := {text}[{key}]", self.bind(item))
            }
            4 => {
                let key = self.bind(key);
                format!("{text}[{key}] = {}", self.bind(item))
            }
            _ => format!("{} := {text}[_]", self.bind(item)),
        }
    }

    /// A collection of a document.
    fn wide_place(&mut self) -> Option<(String, Type)> {
        let input = self.random.chance(60);
        let places = if input { &self.input } else { &self.base };
        let wide: Vec<_> = places
            .iter()
            .filter(|place| matches!(place.content, Type::Array(_) | Type::Map(_)))
            .cloned()
            .collect();
        let place = self.random.choose(&wide)?.clone();
        let root = if input { "input" } else { "data.base" };
        let content = place.content.clone();
        Some((self.walk_to(root, &place), content))
    }

    /// Closes the innermost scope. An unused variable of `some` is an error, so tests are added
    /// that use it.
    pub(crate) fn close(&mut self, body: &mut Vec<String>, head: &str) {
        for (name, _) in self.scopes.pop().unwrap_or_default() {
            let uses = |text: &str| {
                let word = |mark: char| mark.is_alphanumeric() || mark == '_';
                text.split(|mark| !word(mark)).filter(|found| *found == name).count()
            };
            let count: usize = body.iter().map(|line| uses(line)).sum::<usize>() + uses(head);
            if count == 1 {
                body.push(match self.random.below(3) {
                    0 => format!("not is_null({name})"),
                    1 => format!("[{name}] != []"),
                    _ => format!("{name} != \"zz\""),
                });
            }
        }
    }

    fn pattern(&mut self, depth: usize) -> String {
        let operator = self.random.pick(&[":=", "=", "="]);
        let first = Type::scalar(&mut self.random);
        let second = Type::any(&mut self.random, 1);
        let left = self.expression(&first, depth);
        let right = self.expression(&second, depth);
        match self.random.below(6) {
            0 => {
                let (one, other) = (self.bind(first), self.bind(second));
                format!("[{one}, {other}] {operator} [{left}, {right}]")
            }
            1 => {
                let name = self.bind(second);
                format!("[_, [{name}, _]] {operator} [1, [{right}, {left}]]")
            }
            2 => {
                let (one, other) = (self.bind(first), self.bind(second));
                format!(
                    "{{\"a\": {one}, \"b\": [{other}]}} {operator} {{\"a\": {left}, \"b\": [{right}]}}"
                )
            }
            3 => {
                // Variables on both sides.
                let (one, other) = (self.bind(first), self.bind(second));
                format!("[{one}, {right}] = [{left}, {other}]")
            }
            4 => {
                let name = self.bind(Type::String);
                format!("[{name}, _] {operator} split({}, \",\")", quoted("a,b"))
            }
            _ => {
                let constant = self.random.pick(NUMBERS);
                let name = self.bind(first);
                format!("[{name}, {constant}] = [{left}, {}]", self.atom(&Type::Number))
            }
        }
    }

    /// A look-up in an earlier rule, by a key that may be found or given.
    fn lookup(&mut self) -> String {
        let mut fitting = Vec::new();
        for (number, name) in self.world.earlier(self.rank) {
            if let Some(content) = name.kind.content()
                && content.elements().is_some()
            {
                fitting.push((number, name.kind.clone(), content));
            }
        }
        let Some((number, kind, content)) = self.random.choose(&fitting).cloned() else {
            return self.assignment(0);
        };
        let spelled = self.spell(number);
        let Some((key, item)) = content.elements() else { return spelled };
        let found = if self.random.chance(50) { self.bind(key) } else { self.atom(&key) };
        match kind {
            Kind::Nested(part) | Kind::NestedSet(part) if self.random.chance(60) => {
                let inner = self.bind(Type::String);
                format!("{} := {spelled}[{found}][{inner}]", self.bind(part))
            }
            Kind::Members(Type::Array(part)) if self.random.chance(60) => {
                let one = self.bind((*part).clone());
                let other = self.atom(&part);
                format!("{spelled}[[{one}, {other}]]")
            }
            Kind::Members(_) => format!("{spelled}[{found}]"),
            _ => format!("{} := {spelled}[{found}]", self.bind(item)),
        }
    }

    fn walked(&mut self, depth: usize) -> String {
        let some = Type::any(&mut self.random, 2);
        let text = self.expression(&some, depth);
        let path = self.bind(Type::array(Type::Any));
        match self.random.below(4) {
            0 => format!("walk({text}, [{path}, {}])", self.atom(&Type::String)),
            1 => format!("[{path}, {}] = walk({text})", self.bind(Type::Any)),
            2 => format!("walk({text}, [[_, {path}], {}])", self.bind(Type::Any)),
            _ => format!("walk({text}, [{path}, {}])", self.bind(Type::Any)),
        }
    }

    /// A package as a document. It must hold earlier rules only, or the rule would use itself.
    fn package(&mut self) -> String {
        let ranks = |package: usize| {
            let path = self.world.packages.get(package)?;
            let inner = |other: &usize| {
                self.world.packages.get(*other).is_some_and(|other| other.starts_with(path))
            };
            Some(
                self.world
                    .names
                    .iter()
                    .enumerate()
                    .filter(move |(_, name)| inner(&name.package))
                    .map(|(rank, _)| rank)
                    .max(),
            )
        };
        let done: Vec<usize> = (0..self.world.packages.len())
            .filter(|package| {
                ranks(*package).is_some_and(|last| last.is_none_or(|last| last < self.rank))
            })
            .collect();
        let Some(package) = self.random.choose(&done).copied() else { return self.assignment(1) };
        let path = self.world.packages.get(package).map(|path| path_text(path));
        let document = format!("data{}", path.unwrap_or_default());
        match self.random.below(4) {
            0 => format!("{} := {document}", self.bind(Type::Any)),
            1 => {
                let key = self.bind(Type::String);
                format!("{} := {document}[{key}]", self.bind(Type::Any))
            }
            2 => {
                let key = self.bind(Type::String);
                let test = self.atom(&Type::Any);
                format!("some {key}; {document}[{key}] == {test}")
            }
            _ => format!("count({document}) > {}", self.random.below(4)),
        }
    }

    /// A statement that binds no variable outside of itself.
    fn testing(&mut self, depth: usize) -> String {
        let inner = depth.saturating_sub(1);
        match self.random.below(100) {
            0..40 => {
                let test = self.test(depth);
                let test = bare(test);
                format!("{test}{}", self.modifiers(10, inner))
            }
            40..52 => self.negation(inner),
            52..60 if !self.legacy() => self.every(inner),
            60..72 => match self.rule_value(&Type::Bool, inner) {
                Some(test) => format!("{test}{}", self.modifiers(35, inner)),
                None => "true".into(),
            },
            72..82 => {
                let content = Type::any(&mut self.random, 1);
                match self.rule_value(&content, inner) {
                    Some(value) => {
                        let other = self.expression(&content, inner);
                        let operator = self.random.pick(&["==", "!=", "="]);
                        format!("{value} {operator} {other}{}", self.modifiers(35, inner))
                    }
                    None => self.atom(&Type::Bool),
                }
            }
            82..88 if self.logical() => self.logic(inner),
            88..90 => {
                self.closed += 1;
                let text =
                    format!("print({}, {})", self.atom(&Type::Any), self.atom(&Type::String));
                self.closed -= 1;
                text
            }
            90..93 => {
                let content = Type::any(&mut self.random, 1);
                let left = self.expression(&content, inner);
                format!("{left} = {}", self.expression(&content, inner))
            }
            _ => bare(self.atom(&Type::Bool)),
        }
    }

    fn negation(&mut self, depth: usize) -> String {
        self.closed += 1;
        let logical = self.logical();
        let text = match self.random.below(6) {
            0..3 => bare(self.test(depth)),
            3..5 => match self.rule_value(&Type::Bool, depth) {
                Some(test) => format!("{test}{}", self.modifiers(30, depth)),
                None => bare(self.test(depth)),
            },
            _ => self.atom(&Type::Any),
        };
        self.closed -= 1;
        if logical && self.random.chance(50) {
            self.scopes.push(Vec::new());
            let body = self.block("", depth);
            return format!("not {body}");
        }
        let text = if text.starts_with(['{', '(']) { format!("is_null({text})") } else { text };
        format!("not {text}")
    }

    /// A block of statements in braces; it closes the scope that was opened for it.
    fn block(&mut self, declared: &str, depth: usize) -> String {
        let closed = std::mem::take(&mut self.closed);
        let count = self.random.between(1, 2);
        let mut body = self.body(count, depth);
        self.close(&mut body, declared);
        self.closed = closed;
        format!("{{ {} }}", body.join("; "))
    }

    fn every(&mut self, depth: usize) -> String {
        let (text, collection) = self.collection(depth);
        let Some((key, item)) = collection.elements() else { return "true".into() };
        self.scopes.push(Vec::new());
        let value = self.bind(item);
        let names =
            if self.random.chance(30) { format!("{}, {value}", self.bind(key)) } else { value };
        let body = self.block(&names, depth);
        // An object's braces would be taken for the body.
        let text = if text.starts_with('{') { format!("[{text}]") } else { text };
        format!("every {names} in {text} {body}")
    }

    /// `and`, `or` and blocks as operands.
    fn logic(&mut self, depth: usize) -> String {
        let operator = self.random.pick(&["and", "or"]);
        let operand = |generator: &mut Self| match generator.random.below(5) {
            0 => {
                generator.scopes.push(Vec::new());
                generator.block("", depth)
            }
            1 => {
                generator.closed += 1;
                let test = bare(generator.test(depth));
                generator.closed -= 1;
                format!("not {test}")
            }
            2 => {
                generator.closed += 1;
                let (one, other) = (generator.atom(&Type::Bool), generator.atom(&Type::Bool));
                generator.closed -= 1;
                format!("({one} or {other})")
            }
            _ => {
                generator.closed += 1;
                let test = generator.test(depth);
                generator.closed -= 1;
                test
            }
        };
        let (left, right) = (operand(self), operand(self));
        format!("{left} {operator} {right}{}", self.modifiers(15, depth))
    }

    fn logical(&self) -> bool {
        self.world.modules.get(self.module).is_some_and(|module| module.logical)
    }

    /// `with` clauses, in this many of a hundred cases.
    fn modifiers(&mut self, percent: usize, depth: usize) -> String {
        let mut text = String::new();
        let mut chance = percent;
        while self.random.chance(chance) {
            if let Some(clause) = self.modifier(depth) {
                text.push_str(&format!(" with {clause}"));
            }
            chance = 30;
        }
        text
    }

    fn modifier(&mut self, depth: usize) -> Option<String> {
        match self.random.below(12) {
            0..4 => {
                let places = self.input.clone();
                self.replaced("input", &places, depth)
            }
            4..6 => {
                let places = self.base.clone();
                self.replaced("data.base", &places, depth)
            }
            6 => Some(format!("input as {}", types::document(&mut self.random, &types::input()))),
            7..10 => {
                let ranks: Vec<usize> =
                    self.world.earlier(self.rank).map(|(rank, _)| rank).collect();
                let rank = *self.random.choose(&ranks)?;
                let kind = self.world.names.get(rank)?.kind.clone();
                let target = self.spell(rank);
                let value = match &kind {
                    Kind::Function(parameters, result) => {
                        let same: Vec<usize> = self
                            .world
                            .earlier(self.rank)
                            .filter(|(other, name)| {
                                *other != rank
                                    && matches!(&name.kind, Kind::Function(others, _) if others.len() == parameters.len())
                            })
                            .map(|(other, _)| other)
                            .collect();
                        match self.random.choose(&same).copied() {
                            Some(other) if self.random.chance(60) => self.spell(other),
                            _ => self.expression(result, depth),
                        }
                    }
                    other => self.expression(&other.content()?, depth),
                };
                Some(format!("{target} as {value}"))
            }
            _ => Some(match self.random.below(5) {
                0 => format!("count as {}", self.random.below(4)),
                1 => "time.now_ns as 5".into(),
                2 => "lower as upper".into(),
                3 => format!("startswith as {}", self.atom(&Type::Bool)),
                _ => {
                    let one: Vec<usize> = self
                        .world
                        .earlier(self.rank)
                        .filter(|(_, name)| matches!(&name.kind, Kind::Function(parameters, _) if parameters.len() == 1))
                        .map(|(rank, _)| rank)
                        .collect();
                    let rank = self.random.choose(&one).copied()?;
                    format!(
                        "{} as {}",
                        self.random.pick(&["lower", "count", "abs"]),
                        self.spell(rank)
                    )
                }
            }),
        }
    }

    /// A part of a document that is replaced. Its keys are constants there.
    fn replaced(&mut self, root: &str, places: &[types::Place], depth: usize) -> Option<String> {
        let ground: Vec<_> = places
            .iter()
            .filter(|place| {
                !place.steps.is_empty()
                    && place.steps.iter().all(|step| matches!(step, types::Step::Field(_)))
            })
            .collect();
        let place = (*self.random.choose(&ground)?).clone();
        let mut target = root.to_owned();
        for step in &place.steps {
            if let types::Step::Field(name) = step {
                target.push_str(&format!(".{name}"));
            }
        }
        if self.random.chance(10) {
            target.push_str(".new");
        }
        Some(format!("{target} as {}", self.expression(&place.content, depth)))
    }
}

/// Without the brackets that keep an operation together within others.
fn bare(test: String) -> String {
    match test.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) if balanced(inner) => inner.to_owned(),
        _ => test,
    }
}

fn balanced(text: &str) -> bool {
    let mut open = 0_i32;
    for mark in text.chars() {
        match mark {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0
}
