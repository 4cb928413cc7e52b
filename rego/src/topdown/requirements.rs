//! What statements of a rule require of the input, of base data and of arguments, as OPA's index
//! reads them.

use std::collections::HashMap;
use std::rc::Rc;

use regorus::Value;

use super::conditions::{Condition, Conditions, Source, split};
use super::nodes::{Body, Expr, ExprKind, Operator, Rule, Term, TermKind};
use crate::ast::Name;

/// The conditions of a rule.
pub(crate) fn of(rule: &Rule, is_virtual: &dyn Fn(&[Value]) -> bool) -> Conditions {
    let mut reader =
        Reader { args: &rule.args, is_virtual, found: Conditions::default(), outer: Vec::new() };
    if !has_effects(&rule.body) {
        let mut constants = HashMap::new();
        for expr in &rule.body.exprs {
            reader.read(expr, &mut constants);
        }
    }
    reader.found
}

/// Whether a body does something that must not be left out.
fn has_effects(body: &Body) -> bool {
    body.exprs.iter().any(|expr| match &expr.kind {
        ExprKind::Call(Operator::Builtin(name), _) => {
            matches!(&**name, "internal.print" | "internal.test_case")
        }
        ExprKind::Every(every) => has_effects(&every.body),
        ExprKind::Not(body) => has_effects(body),
        ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            has_effects(left) || has_effects(right)
        }
        ExprKind::Term(_) | ExprKind::Equal(..) | ExprKind::Call(..) => false,
    })
}

type Constants = HashMap<Name, Value>;

struct Reader<'r> {
    args: &'r [Rc<Term>],
    is_virtual: &'r dyn Fn(&[Value]) -> bool,
    found: Conditions,
    /// The conditions around the body of an `and` or `or`.
    outer: Vec<(Source, Condition)>,
}

/// A term as conditions see it.
enum Operand<'t> {
    Value(&'t Value),
    Var(&'t Name),
    /// The head, then the keys: values, or variables without a constant value.
    Ref(&'t Name, Vec<Result<Value, &'t Name>>),
    Array(Vec<Option<Value>>),
    Other,
}

const fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))
}

fn operand<'t>(term: &'t Term, constants: &Constants) -> Operand<'t> {
    match &term.kind {
        TermKind::Value(value) => Operand::Value(value),
        TermKind::Var(name) => Operand::Var(name),
        TermKind::Ref(terms) => {
            let Some((TermKind::Var(head), keys)) =
                terms.split_first().map(|(head, keys)| (&head.kind, keys))
            else {
                return Operand::Other;
            };
            let mut found = Vec::new();
            for key in keys {
                found.push(match &key.kind {
                    TermKind::Value(value) => Ok(value.clone()),
                    TermKind::Var(name) => match constants.get(name) {
                        Some(value) if is_scalar(value) => Ok(value.clone()),
                        _ => Err(name),
                    },
                    _ => return Operand::Other,
                });
            }
            Operand::Ref(head, found)
        }
        TermKind::Array(terms) => {
            let element = |term: &Rc<Term>| match &term.kind {
                TermKind::Value(value) if is_scalar(value) => Some(Some(value.clone())),
                TermKind::Var(_) => Some(None),
                _ => None,
            };
            match terms.iter().map(element).collect::<Option<Vec<_>>>() {
                Some(elements) => Operand::Array(elements),
                None => Operand::Other,
            }
        }
        TermKind::Object(_) | TermKind::Set(_) | TermKind::Comprehension(_) => Operand::Other,
    }
}

/// A constant as a condition; of an object or a set it only says that there is a value.
fn equal(value: &Value) -> Condition {
    match value {
        Value::Array(array) => Condition::Array(
            array.iter().map(|value| is_scalar(value).then(|| value.clone())).collect(),
        ),
        value if is_scalar(value) => Condition::Equal(value.clone()),
        _ => Condition::Any(None),
    }
}

/// A constant that a statement can be indexed by: a scalar, or an array of scalars.
fn indexable(value: &Value) -> bool {
    match value {
        Value::Array(array) => array.iter().all(is_scalar),
        value => is_scalar(value),
    }
}

impl Reader<'_> {
    fn read(&mut self, expr: &Expr, constants: &mut Constants) {
        if !expr.with.is_empty() || expr.negates.is_some() {
            return;
        }
        match &expr.kind {
            ExprKind::And(left, right) => {
                let (left, right) = (self.side(left, constants), self.side(right, constants));
                self.require(left);
                self.require(right);
            }
            ExprKind::Or(left, right) => {
                let (mut left, right) = (self.side(left, constants), self.side(right, constants));
                if !left.is_empty() && !right.is_empty() {
                    left.extend(right);
                    self.require(left);
                }
            }
            ExprKind::Term(term) => {
                if let Operand::Ref(head, keys) = operand(term, constants)
                    && !self.read_key_of_collection(head, &keys)
                    && let Some(source) = self.source(head, &keys)
                {
                    self.insert(source, Condition::Any(None));
                }
            }
            ExprKind::Equal(left, right) => self.read_equal(left, right, constants),
            ExprKind::Call(Operator::Builtin(name), operands) => match (&**name, &**operands) {
                ("equal", [left, right]) => self.read_equal(left, right, constants),
                ("glob.match", [pattern, delimiters, text]) => {
                    self.read_glob(pattern, delimiters, text, constants);
                }
                ("internal.member_2", [element, collection]) => {
                    self.read_member(element, collection, constants);
                }
                ("startswith", [text, base]) => {
                    self.read_affix(text, base, constants, false, Condition::Prefix);
                }
                ("endswith", [text, base]) => {
                    self.read_affix(text, base, constants, false, Condition::Suffix);
                }
                ("strings.any_prefix_match", [text, base]) => {
                    self.read_affix(text, base, constants, true, Condition::Prefix);
                }
                ("strings.any_suffix_match", [text, base]) => {
                    self.read_affix(text, base, constants, true, Condition::Suffix);
                }
                _ => {}
            },
            ExprKind::Call(Operator::Function(_), _) | ExprKind::Every(_) | ExprKind::Not(_) => {}
        }
    }

    /// The lists of conditions of one side of an `and` or `or`, of which one must hold; none where
    /// nothing is known.
    fn side(&self, body: &Body, constants: &Constants) -> Vec<Vec<(Source, Condition)>> {
        let outer = self.found.all.iter().chain(&self.outer).cloned().collect();
        let found = Conditions::default();
        let mut inner = Reader { args: self.args, is_virtual: self.is_virtual, found, outer };
        let mut constants = constants.clone();
        for expr in &body.exprs {
            inner.read(expr, &mut constants);
        }
        let anonymous = |(source, condition): &(Source, Condition)| match condition {
            Condition::Any(_) => (source.clone(), Condition::Any(None)),
            condition => (source.clone(), condition.clone()),
        };
        let paths: Vec<Vec<_>> = inner
            .found
            .paths()
            .iter()
            .map(|path| path.iter().map(|c| anonymous(c)).collect())
            .collect();
        match paths.as_slice() {
            [path] if path.is_empty() => Vec::new(),
            _ => paths,
        }
    }

    fn require(&mut self, mut alternatives: Vec<Vec<(Source, Condition)>>) {
        if alternatives.len() > 1 {
            self.found.alternatives.push(alternatives);
            return;
        }
        for (source, condition) in alternatives.pop().unwrap_or_default() {
            self.insert(source, condition);
        }
    }

    fn insert(&mut self, source: Source, condition: Condition) {
        let is_any = matches!(condition, Condition::Any(_));
        let is_affix = matches!(condition, Condition::Prefix(_) | Condition::Suffix(_));
        for (other, earlier) in &mut self.found.all {
            if *other != source {
                continue;
            }
            if *earlier == condition {
                return;
            }
            if !is_any && !is_affix && matches!(earlier, Condition::Any(_)) {
                *earlier = condition;
                return;
            }
        }
        self.found.all.push((source, condition));
    }

    /// The source that a variable is known to have the value of.
    fn source_of(&self, name: &Name) -> Option<Source> {
        let known = self.found.all.iter().chain(&self.outer).find(
            |(_, condition)| matches!(condition, Condition::Any(Some(known)) if known == name),
        );
        if let Some((source, _)) = known {
            return Some(source.clone());
        }
        let is_it = |arg: &Rc<Term>| matches!(&arg.kind, TermKind::Var(arg) if arg == name);
        self.args.iter().position(is_it).map(Source::Argument)
    }

    /// The source of a reference without variables, which no rule defines.
    fn source(&self, head: &Name, keys: &[Result<Value, &Name>]) -> Option<Source> {
        let keys: Vec<Value> = keys.iter().cloned().collect::<Result<_, _>>().ok()?;
        let (is_data, path) = match &**head {
            "input" => (false, keys),
            "data" => (true, keys),
            _ => match self.source_of(head)? {
                Source::Input(path) => (false, [path, keys].concat()),
                Source::Data(path) => (true, [path, keys].concat()),
                Source::Argument(_) => return None,
            },
        };
        match is_data {
            true if (self.is_virtual)(&path) => None,
            true => Some(Source::Data(path)),
            false => Some(Source::Input(path)),
        }
    }

    fn read_equal(&mut self, left: &Term, right: &Term, constants: &mut Constants) {
        let is_read = self.read_element(left, right, constants)
            || self.read_element(right, left, constants)
            || self.read_side(left, right, constants)
            || self.read_side(right, left, constants);
        let _: bool = is_read;
    }

    /// `input.x[_] == "a"`
    fn read_element(&mut self, left: &Term, right: &Term, constants: &Constants) -> bool {
        let Operand::Ref(head, keys) = operand(left, constants) else { return false };
        let Some((Err(_), prefix)) = keys.split_last() else { return false };
        let Some(source) = self.source(head, prefix) else { return false };
        let value = match operand(right, constants) {
            Operand::Value(value) => value.clone(),
            Operand::Var(name) => match constants.get(name) {
                Some(value) => value.clone(),
                None => return false,
            },
            _ => return false,
        };
        if !is_scalar(&value) {
            return false;
        }
        self.insert(source, Condition::Member(value));
        true
    }

    fn read_side(&mut self, left: &Term, right: &Term, constants: &mut Constants) -> bool {
        let right = operand(right, constants);
        match operand(left, constants) {
            Operand::Var(name) => {
                let value = match &right {
                    Operand::Value(value) => Some((*value).clone()),
                    Operand::Var(other) => constants.get(*other).cloned(),
                    _ => None,
                };
                let condition = match &right {
                    Operand::Value(value) if indexable(value) => Some(equal(value)),
                    Operand::Var(other) => Some(Condition::Any(Some(Name::clone(other)))),
                    Operand::Array(elements) => Some(Condition::Array(elements.clone())),
                    _ => None,
                };
                if let Some(value) = value {
                    constants.insert(Name::clone(name), value);
                }
                match (condition, self.source_of(name)) {
                    (Some(condition), Some(source)) => {
                        self.insert(source, condition);
                        true
                    }
                    _ => false,
                }
            }
            Operand::Ref(head, keys) => {
                let Some(source) = self.source(head, &keys) else { return false };
                let condition = match right {
                    Operand::Value(value) if indexable(value) => equal(value),
                    Operand::Var(name) => match constants.get(name) {
                        Some(value) => equal(value),
                        None => Condition::Any(Some(Name::clone(name))),
                    },
                    Operand::Array(elements) => Condition::Array(elements),
                    _ => return false,
                };
                self.insert(source, condition);
                true
            }
            Operand::Value(_) | Operand::Array(_) | Operand::Other => false,
        }
    }

    fn read_glob(&mut self, pattern: &Term, delimiters: &Term, text: &Term, constants: &Constants) {
        let (Operand::Value(Value::String(pattern)), Operand::Value(Value::Array(delimiters))) =
            (operand(pattern, constants), operand(delimiters, constants))
        else {
            return;
        };
        let texts = delimiters.iter().map(|delimiter| match delimiter {
            Value::String(text) => Some(text.as_ref()),
            _ => None,
        });
        let Some(mut delimiters) = texts.collect::<Option<String>>() else { return };
        if delimiters.is_empty() {
            delimiters.push('.');
        }
        let parts = split(pattern, &delimiters);
        if parts.iter().any(|part| *part != "*" && is_pattern(part)) {
            return;
        }
        let part = |part: &&str| (*part != "*").then(|| Value::from(*part));
        let parts = parts.iter().map(part).collect();
        if let Operand::Var(name) = operand(text, constants)
            && let Some(source) = self.source_of(name)
        {
            self.insert(source, Condition::Glob(delimiters.into(), parts));
        }
    }

    fn read_member(&mut self, element: &Term, collection: &Term, constants: &Constants) {
        let element = operand(element, constants);
        let collection = operand(collection, constants);
        if let Operand::Var(name) = element
            && let Some(source) = self.source_of(name)
        {
            let collection = match collection {
                Operand::Value(value) => Some(value),
                Operand::Var(name) => constants.get(name),
                _ => None,
            };
            let members: Vec<&Value> = match collection {
                Some(Value::Array(array)) => array.iter().collect(),
                Some(Value::Set(set)) => set.iter_sorted().collect(),
                Some(Value::Object(object)) => object.iter().map(|(_, value)| value).collect(),
                _ => return,
            };
            for member in members {
                self.insert(source.clone(), equal(member));
            }
            return;
        }
        let condition = match element {
            Operand::Value(value) if is_scalar(value) => Condition::Member(value.clone()),
            Operand::Var(name) => match constants.get(name) {
                Some(value) if is_scalar(value) => Condition::Member(value.clone()),
                Some(_) => return,
                None => Condition::Any(Some(Name::clone(name))),
            },
            _ => return,
        };
        if let Some(source) = self.source_of_operand(&collection) {
            self.insert(source, condition);
        }
    }

    fn source_of_operand(&self, operand: &Operand<'_>) -> Option<Source> {
        match operand {
            Operand::Ref(head, keys) if matches!(&***head, "input" | "data") => {
                self.source(head, keys)
            }
            Operand::Var(name) => match self.source_of(name)? {
                Source::Argument(_) => None,
                source => Some(source),
            },
            _ => None,
        }
    }

    fn read_affix(
        &mut self,
        text: &Term,
        base: &Term,
        constants: &Constants,
        is_any: bool,
        condition: fn(Rc<str>) -> Condition,
    ) {
        let Some(source) = self.source_of_operand(&operand(text, constants)) else { return };
        let base = match operand(base, constants) {
            Operand::Value(value) => Some(value),
            Operand::Var(name) => constants.get(name),
            _ => None,
        };
        let texts: Vec<&Value> = match base {
            Some(value @ Value::String(_)) => vec![value],
            Some(Value::Array(array)) if is_any => array.iter().collect(),
            Some(Value::Set(set)) if is_any => set.iter_sorted().collect(),
            _ => return,
        };
        if texts.iter().all(|text| matches!(text, Value::String(_))) {
            for text in texts {
                if let Value::String(text) = text {
                    self.insert(source.clone(), condition(text.as_ref().into()));
                }
            }
        }
    }

    /// `data.groups.admins[input.user]`: the last key must be one of a collection of base data.
    fn read_key_of_collection(&mut self, head: &Name, keys: &[Result<Value, &Name>]) -> bool {
        let Some((Err(name), prefix)) = keys.split_last() else { return false };
        let prefix = prefix.iter().cloned().collect::<Result<Vec<Value>, _>>();
        match (&**head, prefix, self.source_of(name)) {
            ("data", Ok(prefix), Some(source)) if !(self.is_virtual)(&prefix) => {
                let membership = (source, prefix);
                if !self.found.memberships.contains(&membership) {
                    self.found.memberships.push(membership);
                }
                true
            }
            _ => false,
        }
    }
}

/// Whether a part of a pattern has other signs than text.
fn is_pattern(part: &str) -> bool {
    let mut is_escaped = false;
    for character in part.chars() {
        if character == '\\' {
            is_escaped = !is_escaped;
            continue;
        }
        if !is_escaped && matches!(character, '[' | '?' | '{' | '*') {
            return true;
        }
        is_escaped = false;
    }
    false
}
