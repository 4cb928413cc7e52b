//! Which policies may be bytecode: a list of what is known to be answered as the interpreter does.
//!
//! A name is let through only if it is known and stands for one thing. The engine resolves names in
//! several places, some of which know nothing of imports and others nothing of packages: where two
//! of them could take a name for different things, the bytecode and the interpreter may do so too.

use std::collections::{BTreeMap, BTreeSet};

use enforcer_protocol::Location;
use regorus::Value;
use regorus::unstable::{
    AssignOp, BUILTINS, Expr, Import, Literal, LiteralStmt, Module, NodeRef, Query, Rule,
    RuleAssign, RuleBody, RuleHead, Span,
};

use super::builtins::replacement;
use crate::contradictions::{name_of, parts_of};
use crate::diagnostics::shortened;
use crate::value::member;

/// How many rules may each need the next one. Every one of them takes some of the stack.
const MAX_DEPTH: usize = 50;

/// The machine passes eight operands on, and drops the others.
const MAX_PARAMETERS: usize = 8;

/// As many take the compiler some 25 ms, when a bundle is loaded: as long as all the rest of it.
const MAX_EXPRESSIONS: u32 = 20_000;

/// How many strings and numbers a policy may have. For each one that it comes to, the compiler looks
/// through those that it has: at this many and the most expressions, for a tenth of a second.
const MAX_CONSTANTS: usize = 4_000;

/// Why a policy stays with the interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The construct that is not on the list.
    pub(crate) what: &'static str,
    /// Where it stands in the engine's text of a module.
    pub(crate) location: Option<Location>,
}

type Path = Vec<String>;
type Checked = Result<(), Refused>;

/// Where members are gone through, by line, column and length: what follows a `some … in`, and what
/// keys are found in. The compiler tells by itself what is a key that is found, and has to agree.
pub(super) type Loops = BTreeSet<(usize, usize, usize)>;

/// Lets modules through that are made of what is known to be safe.
///
/// # Errors
/// The first construct that is not.
pub(super) fn check(modules: &[NodeRef<Module>], data: &Value) -> Result<Loops, Refused> {
    let modules: Vec<&Module> = modules.iter().map(AsRef::as_ref).collect();
    let expressions = modules.iter().map(|module| module.num_expressions);
    if expressions.fold(0, u32::saturating_add) > MAX_EXPRESSIONS {
        return Err(Refused { what: "more than 20,000 expressions", location: None });
    }
    let mut policy = Policy::default();
    for (index, module) in modules.iter().enumerate() {
        policy.add(index, module)?;
    }
    // No data is beside rules, or the interpreter would make one document of both.
    for root in policy.packages.iter().filter_map(|package| package.first()) {
        if *member(data, root) != Value::Undefined {
            return Err(Refused { what: "data where rules are", location: None });
        }
    }
    let imports = imports_by_package(&modules)?;
    let mut uses = BTreeMap::new();
    let mut loops = Loops::new();
    let mut constants = BTreeSet::new();
    let none = BTreeMap::new();
    for module in &modules {
        let package = package_of(module)?;
        let imports = imports.get(&package).unwrap_or(&none);
        let own = imports_of(module)?;
        policy.names(&package, imports, module.package.refr.span())?;
        for rule in &module.policy {
            let name = rule_name(rule)?;
            let mut walk = Walk {
                policy: &policy,
                package: &package,
                imports,
                own: &own,
                scopes: Vec::new(),
                quantified: BTreeSet::new(),
                is_within_query: false,
                is_negated: false,
                uses: BTreeSet::new(),
                loops: Loops::new(),
                constants: BTreeSet::new(),
            };
            walk.rule(rule)?;
            loops.extend(walk.loops);
            constants.extend(walk.constants);
            uses.entry(joined(&package, name)).or_insert_with(BTreeSet::new).extend(walk.uses);
        }
    }
    if constants.len() > MAX_CONSTANTS {
        return Err(Refused {
            what: "more than 4,000 different strings and numbers",
            location: None,
        });
    }
    depth(&uses)?;
    Ok(loops)
}

/// What names stand for by imports in each package, because so the engine knows them.
fn imports_by_package(
    modules: &[&Module],
) -> Result<BTreeMap<Path, BTreeMap<String, Path>>, Refused> {
    let mut imports: BTreeMap<Path, BTreeMap<String, Path>> = BTreeMap::new();
    for module in modules {
        let known = imports.entry(package_of(module)?).or_default();
        for (alias, path) in imports_of(module)? {
            if known.get(&alias).is_some_and(|other| *other != path) {
                let what = "a name for two imports of one package";
                return Err(refuse(what, module.package.refr.span()));
            }
            known.insert(alias, path);
        }
    }
    Ok(imports)
}

fn refuse(what: &'static str, span: &Span) -> Refused {
    let file = shortened(span.source.get_path());
    Refused { what, location: Some(Location { file, row: span.line, col: span.col }) }
}

fn joined(package: &[String], name: &str) -> Path {
    package.iter().cloned().chain([name.to_owned()]).collect()
}

fn strings(parts: &[Value]) -> Option<Path> {
    parts.iter().map(|part| part.as_string().ok().map(|part| part.to_string())).collect()
}

fn package_of(module: &Module) -> Result<Path, Refused> {
    let span = module.package.refr.span();
    let (parts, is_whole) = parts_of(&module.package.refr);
    let path = strings(&parts).filter(|_| is_whole);
    path.ok_or_else(|| refuse("a package of an unusual form", span))
}

/// What names stand for by imports.
fn imports_of(module: &Module) -> Result<BTreeMap<String, Path>, Refused> {
    let mut imports = BTreeMap::new();
    for Import { span, refr, r#as } in &module.imports {
        let (parts, is_whole) = parts_of(refr);
        let path = strings(&parts).filter(|_| is_whole);
        let path = path.ok_or_else(|| refuse("an import of an unusual form", span))?;
        let (Some(root), Some(last)) = (path.first(), path.last()) else {
            return Err(refuse("an import of an unusual form", span));
        };
        match root.as_str() {
            // The name is a keyword's, which nothing else can have.
            "future" if path.len() > 2 => {}
            // To the engine, `v1` and `keywords` are imports like any other.
            "data" | "input" | "rego" | "future" if path.len() > 1 => {
                let alias = match (r#as, refr.as_ref()) {
                    (Some(alias), _) => alias.text(),
                    (None, Expr::RefDot { .. }) => last.as_str(),
                    (None, _) => return Err(refuse("an import of an unusual form", span)),
                };
                imports.insert(alias.to_owned(), path);
            }
            _ => return Err(refuse("an import of an unusual form", span)),
        }
    }
    Ok(imports)
}

fn rule_name(rule: &Rule) -> Result<&str, Refused> {
    let name = match rule {
        Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => match refr.as_ref() {
            // To the engine, `a["b"]` is the rule `a.b`.
            Expr::RefBrack { index, .. } if matches!(index.as_ref(), Expr::String { .. }) => refr,
            Expr::RefBrack { refr, .. } => refr,
            _ => refr,
        },
        _ => name_of(rule),
    };
    match name {
        Expr::Var { span, .. } => Ok(span.text()),
        other => Err(refuse("a rule whose name has several parts", other.span())),
    }
}

/// Whether a call of that name, as it is written, has a meaning of its own to the engine.
fn is_built_in(name: &str) -> bool {
    BUILTINS.contains_key(name) || name == "print" || name.starts_with("__builtin_")
}

/// What is known of the rules of one name.
#[derive(Debug, Default)]
struct Stated {
    module: usize,
    /// Of a function.
    parameters: Option<usize>,
}

#[derive(Debug, Default)]
struct Policy {
    rules: BTreeMap<Path, Stated>,
    packages: BTreeSet<Path>,
}

impl Policy {
    fn add(&mut self, index: usize, module: &Module) -> Checked {
        let package = package_of(module)?;
        for rule in &module.policy {
            let name = rule_name(rule)?;
            if is_built_in(name) || matches!(name, "input" | "data" | "_") {
                return Err(refuse("a rule with the name of a built-in function", rule.span()));
            }
            let stated = self
                .rules
                .entry(joined(&package, name))
                .or_insert_with(|| Stated { module: index, ..Stated::default() });
            if stated.module != index {
                return Err(refuse("rules of one name in several files", rule.span()));
            }
            if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule.as_ref() {
                stated.parameters = Some(args.len());
            }
        }
        self.packages.insert(package);
        Ok(())
    }

    /// That no name stands for both a document or an import and what is in the package. A package
    /// may be imported under its own name.
    fn names(&self, package: &[String], imports: &BTreeMap<String, Path>, span: &Span) -> Checked {
        let is_above_rules = |name: &str| self.is_above_rules(&joined(package, name));
        if is_above_rules("input") || is_above_rules("data") {
            return Err(refuse("a package with the name of a document within another", span));
        }
        for (alias, path) in imports {
            let own = joined(package, alias);
            let is_own = self.packages.contains(&own)
                && path.split_first().is_some_and(|(root, path)| root == "data" && path == own);
            if !is_own && self.is_above_rules(&own) {
                return Err(refuse("an import with the name of a rule or a package", span));
            }
        }
        Ok(())
    }

    /// The longest rule that such a path leads to or through.
    fn rule_of(&self, path: &[String]) -> Option<(&Path, &Stated)> {
        (1..=path.len()).rev().find_map(|length| self.rules.get_key_value(path.get(..length)?))
    }

    /// Whether rules or packages stand at or below such a path.
    fn is_above_rules(&self, path: &[String]) -> bool {
        let is_below = |found: Option<&Path>| found.is_some_and(|next| next.starts_with(path));
        is_below(self.rules.range(path.to_vec()..).next().map(|(path, _)| path))
            || is_below(self.packages.range(path.to_vec()..).next())
    }
}

/// That no rule needs itself, nor too many others in a row.
fn depth(uses: &BTreeMap<Path, BTreeSet<Path>>) -> Checked {
    // The rules whose depth is not known yet become fewer in every turn, or need one another.
    let mut known: BTreeSet<&Path> = BTreeSet::new();
    for _ in 0..MAX_DEPTH {
        let found: Vec<&Path> = uses
            .iter()
            .filter(|(path, needed)| {
                !known.contains(path)
                    && needed.iter().all(|path| known.contains(path) || !uses.contains_key(path))
            })
            .map(|(path, _)| path)
            .collect();
        known.extend(found);
        if known.len() == uses.len() {
            return Ok(());
        }
    }
    Err(Refused {
        what: "rules that need themselves, or more than 50 others in a row",
        location: None,
    })
}

struct Walk<'a> {
    policy: &'a Policy,
    package: &'a [String],
    imports: &'a BTreeMap<String, Path>,
    /// Those imports that are in this very file.
    own: &'a BTreeMap<String, Path>,
    /// The variables that have a value, from the outside in.
    scopes: Vec<BTreeSet<&'a str>>,
    /// The variables of an `every`, whose references are taken for ones that find their key.
    quantified: BTreeSet<&'a str>,
    /// Whether one is in a comprehension or an `every`.
    is_within_query: bool,
    /// Whether one is in a `not`.
    is_negated: bool,
    /// The rules that are needed.
    uses: BTreeSet<Path>,
    loops: Loops,
    /// The strings and numbers.
    constants: BTreeSet<Value>,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// A statement that may be repeated for what its references find.
    Statement,
    /// Where nothing can be found.
    Value,
}

impl<'a> Walk<'a> {
    fn is_global(&self, name: &str) -> bool {
        matches!(name, "input" | "data")
            || self.imports.contains_key(name)
            || self.policy.is_above_rules(&joined(self.package, name))
    }

    fn goes_through(&mut self, members: &Span) {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        self.loops.insert((number(members.line), number(members.col), members.text().len()));
    }

    /// The engine finds an import of any file of the package, but not when it tells variables from
    /// other names.
    fn imported_here(&self, name: &str, span: &Span) -> Checked {
        if self.imports.contains_key(name) && !self.own.contains_key(name) {
            return Err(refuse("a name that another file of the package imports", span));
        }
        Ok(())
    }

    fn is_bound(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }

    fn rule(&mut self, rule: &'a Rule) -> Checked {
        let (head, bodies) = match rule {
            Rule::Default { args, value, span, .. } => {
                if !args.is_empty() {
                    return Err(refuse("a default function", span));
                }
                return match is_constant(value) {
                    true => self.expression(value, Within::Value),
                    false => Err(refuse("a default value that is no constant", value.span())),
                };
            }
            Rule::Spec { head, bodies, .. } => (head, bodies),
        };
        let (first, others) = match bodies.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, [].as_slice()),
        };
        if let Some(other) = others.iter().find(|other| !other.is_else) {
            return Err(refuse("a rule with several bodies that are no `else`", &other.span));
        }
        self.scopes.push(BTreeSet::new());
        let (values, assign): (Vec<&'a Expr>, Option<&'a RuleAssign>) = match head {
            RuleHead::Set { key: Some(key), span, .. } => {
                if !others.is_empty() {
                    return Err(refuse("an `else` of a set", span));
                }
                (vec![key], None)
            }
            RuleHead::Set { key: None, span, .. } => {
                return Err(refuse("a set without members", span));
            }
            RuleHead::Compr { refr, assign, span } => match refr.as_ref() {
                Expr::Var { .. } => (vec![], assign.as_ref()),
                Expr::RefBrack { index, .. } => {
                    if !others.is_empty() {
                        return Err(refuse("an `else` of an object", span));
                    }
                    let Some(assign) = assign else {
                        return Err(refuse("a rule whose name has several parts", span));
                    };
                    if !is_simple(index) {
                        // The interpreter fails at a comprehension there.
                        return Err(refuse("a key of a rule that is not simple", index.span()));
                    }
                    (vec![index], Some(assign))
                }
                other => return Err(refuse("a rule whose name has several parts", other.span())),
            },
            RuleHead::Func { args, assign, span, .. } => {
                if args.is_empty() || args.len() > MAX_PARAMETERS {
                    return Err(refuse("a function of no or more than eight parameters", span));
                }
                for pattern in args {
                    self.pattern(pattern)?;
                }
                (vec![], assign.as_ref())
            }
        };
        Self::alternatives(rule, head, assign, others)?;
        let assigned = assign.map(|assign| assign.value.as_ref());
        let values: Vec<&'a Expr> = values.into_iter().chain(assigned).collect();
        if let Some(value) = assigned.filter(|value| !others.is_empty() && !is_simple(value)) {
            // What it finds is told from the last body, and not from the one that it belongs to.
            let what = "an `else` behind a value that has variables as keys or a comprehension";
            return Err(refuse(what, value.span()));
        }
        match first {
            Some(body) => {
                let own = body.assign.as_ref().map(|assign| assign.value.as_ref());
                self.query(&body.query, &values.into_iter().chain(own).collect::<Vec<_>>())?;
            }
            None => {
                for value in values {
                    self.expression(value, Within::Value)?;
                }
            }
        }
        for body in others {
            let own = body.assign.as_ref().map(|assign| assign.value.as_ref());
            self.query(&body.query, own.as_slice())?;
        }
        self.scopes.pop();
        Ok(())
    }

    /// That a function's `else` is tried by both where a value is undefined.
    fn alternatives(
        rule: &Rule,
        head: &RuleHead,
        assign: Option<&RuleAssign>,
        others: &[RuleBody],
    ) -> Checked {
        let mut values = vec![assign];
        values.extend(others.iter().map(|body| body.assign.as_ref()));
        let is_sure =
            |assign: &Option<&RuleAssign>| assign.is_none_or(|assign| is_constant(&assign.value));
        let is_function = matches!(head, RuleHead::Func { .. });
        if is_function && !others.is_empty() && !values.iter().all(is_sure) {
            let what = "a function with an `else` and a value that is no constant";
            return Err(refuse(what, rule.span()));
        }
        Ok(())
    }

    /// A query, and what is evaluated when it holds.
    fn query(&mut self, query: &'a Query, values: &[&'a Expr]) -> Checked {
        if self.is_negated {
            // The compiler leaves the checks of `=` and of patterns out of all that is in a `not`.
            return Err(refuse("a comprehension in a `not`", &query.span));
        }
        self.scopes.push(BTreeSet::new());
        // Statements are put in order by what they need, so all that one binds is there for each.
        for statement in &query.stmts {
            self.declare(statement)?;
        }
        for statement in &query.stmts {
            self.statement(statement)?;
        }
        for value in values {
            self.expression(value, Within::Value)?;
        }
        self.scopes.pop();
        Ok(())
    }

    /// A query within another one.
    fn inner_query(&mut self, query: &'a Query, values: &[&'a Expr]) -> Checked {
        if self.is_within_query {
            return Err(refuse("a comprehension or an `every` within another", &query.span));
        }
        self.is_within_query = true;
        let checked = self.query(query, values);
        self.is_within_query = false;
        checked
    }

    fn declare(&mut self, statement: &'a LiteralStmt) -> Checked {
        match &statement.literal {
            Literal::SomeIn { key, value, .. } => {
                for pattern in key.iter().chain([value]) {
                    self.pattern(pattern)?;
                }
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    self.target(lhs)?;
                }
            }
            Literal::SomeVars { .. } | Literal::NotExpr { .. } | Literal::Every { .. } => {}
        }
        Ok(())
    }

    /// What is left of a `:=`: a name, or an array of names. Constants there are what was found to
    /// be compared wrongly.
    fn target(&mut self, target: &'a Expr) -> Checked {
        let Expr::Array { items, .. } = target else { return self.pattern(target) };
        items.iter().try_for_each(|item| match item.as_ref() {
            Expr::Var { .. } => self.pattern(item),
            other => Err(refuse("an array on the left of `:=` with more than names", other.span())),
        })
    }

    fn bind(&mut self, name: &'a Span) -> Checked {
        if self.is_global(name.text()) {
            let what = "a variable with the name of a rule, a package or an import";
            return Err(refuse(what, name));
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.text());
        }
        Ok(())
    }

    /// A pattern that a value is compared with, and that binds variables.
    fn pattern(&mut self, pattern: &'a Expr) -> Checked {
        match pattern {
            Expr::Var { span, .. } if span.text() == "_" => Ok(()),
            Expr::Var { span, .. } => self.bind(span),
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => self.expression(pattern, Within::Value),
            Expr::Array { span, .. }
            | Expr::Object { span, .. }
            | Expr::Set { span, .. }
            | Expr::ArrayCompr { span, .. }
            | Expr::SetCompr { span, .. }
            | Expr::ObjectCompr { span, .. }
            | Expr::Call { span, .. }
            | Expr::UnaryExpr { span, .. }
            | Expr::RefDot { span, .. }
            | Expr::RefBrack { span, .. }
            | Expr::BinExpr { span, .. }
            | Expr::BoolExpr { span, .. }
            | Expr::ArithExpr { span, .. }
            | Expr::AssignExpr { span, .. }
            | Expr::Membership { span, .. } => {
                Err(refuse("a pattern that is neither a name nor a constant", span))
            }
        }
    }

    fn statement(&mut self, statement: &'a LiteralStmt) -> Checked {
        if !statement.with_mods.is_empty() {
            return Err(refuse("a `with` modifier", &statement.span));
        }
        match &statement.literal {
            // What is found by a name depends on where else the name stands.
            Literal::SomeVars { span, .. } => Err(refuse("a `some` of names alone", span)),
            Literal::SomeIn { collection, .. } => {
                self.goes_through(collection.span());
                self.expression(collection, Within::Statement)
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, span, .. } => {
                    // It is not looked at whether the other side has a value.
                    if matches!(lhs.as_ref(), Expr::Var { span, .. } if span.text() == "_") {
                        return Err(refuse("a value that is given to `_`", span));
                    }
                    self.expression(rhs, Within::Statement)
                }
                // It compares, or gives a value to either side, by what else there is.
                Expr::AssignExpr { op: AssignOp::Eq, span, .. } => {
                    Err(refuse("a `=`, which is neither `:=` nor `==`", span))
                }
                _ => self.expression(expr, Within::Statement),
            },
            Literal::NotExpr { expr, .. } => {
                self.is_negated = true;
                let checked = self.expression(expr, Within::Value);
                self.is_negated = false;
                checked
            }
            Literal::Every { key, value, domain, query, .. } => {
                self.expression(domain, Within::Value)?;
                self.scopes.push(BTreeSet::new());
                for name in key.iter().chain([value]) {
                    if name.text() != "_" {
                        self.bind(name)?;
                        self.quantified.insert(name.text());
                    }
                }
                self.inner_query(query, &[])?;
                self.scopes.pop();
                Ok(())
            }
        }
    }

    fn expression(&mut self, expression: &'a Expr, within: Within) -> Checked {
        match expression {
            Expr::String { value, .. } | Expr::RawString { value, .. } => {
                self.constants.insert(value.clone());
                Ok(())
            }
            Expr::Bool { .. } | Expr::Null { .. } => Ok(()),
            Expr::Number { span, value, .. } => {
                self.constants.insert(value.clone());
                number(span)
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(expression, within)
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().try_for_each(|item| self.expression(item, within))
            }
            Expr::Object { fields, span, .. } => {
                let mut keys = BTreeSet::new();
                for (_, key, value) in fields {
                    let is_new = match key.as_ref() {
                        Expr::String { value, .. }
                        | Expr::RawString { value, .. }
                        | Expr::Number { value, .. } => keys.insert(value),
                        _ => fields.len() == 1,
                    };
                    if !is_new {
                        let what = "an object with keys that may be the same";
                        return Err(refuse(what, span));
                    }
                    self.expression(key, within)?;
                    self.expression(value, within)?;
                }
                Ok(())
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.inner_query(query, &[term])
            }
            Expr::ObjectCompr { key, value, query, .. } => self.inner_query(query, &[key, value]),
            Expr::Call { fcn, params, .. } => self.call(fcn, params, within),
            Expr::UnaryExpr { expr, span, .. } => match expr.as_ref() {
                Expr::Number { span, value, .. } if *value != Value::from(0) => number(span),
                _ => Err(refuse("a sign of what is no number", span)),
            },
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. } => {
                self.expression(lhs, within)?;
                self.expression(rhs, within)
            }
            Expr::AssignExpr { span, .. } => {
                Err(refuse("a `=` or `:=` that is no statement of its own", span))
            }
            Expr::Membership { key: Some(_), span, .. } => {
                Err(refuse("an `in` with a key and a value", span))
            }
            Expr::Membership { key: None, value, collection, .. } => {
                self.expression(value, within)?;
                self.expression(collection, within)
            }
        }
    }

    fn call(&mut self, function: &'a Expr, params: &'a [NodeRef<Expr>], within: Within) -> Checked {
        let span = function.span();
        let (parts, is_whole) = parts_of(function);
        let path = strings(&parts).filter(|_| is_whole);
        let Some((root, rest)) = path.as_deref().and_then(<[String]>::split_first) else {
            return Err(refuse("a call of an unusual form", span));
        };
        if self.is_bound(root) {
            return Err(refuse("a variable with the name of a function", span));
        }
        self.imported_here(root, span)?;
        let mut target: Path = match (root.as_str(), self.imports.get(root)) {
            ("data", _) => Vec::new(),
            (_, Some(import)) => match import.split_first() {
                Some((root, path)) if root == "data" => path.to_vec(),
                _ => return Err(refuse("a call through an import of no rules", span)),
            },
            (name, None) => joined(self.package, name),
        };
        target.extend_from_slice(rest);
        let name = parts_to_name(root, rest);
        let expected = match self.policy.rules.get_key_value(&target) {
            // By the name that is written, the interpreter tells whether the last operand is what
            // the result is compared with.
            Some(_) if is_built_in(&name) => {
                let what = "a call of a function by the name of a built-in one";
                return Err(refuse(what, span));
            }
            Some((path, stated)) => {
                self.uses.insert(path.clone());
                stated.parameters
            }
            None if self.is_global(root) => None,
            None => {
                let arity = BUILTINS.get(name.as_str()).map(|(_, arity)| usize::from(*arity));
                if replacement(&name).is_none() {
                    return Err(refuse("a built-in function that is not on the list", span));
                }
                arity
            }
        };
        if expected != Some(params.len()) || params.len() > MAX_PARAMETERS {
            return Err(refuse("a call with another number of operands", span));
        }
        params.iter().try_for_each(|param| self.expression(param, within))
    }

    fn reference(&mut self, reference: &'a Expr, within: Within) -> Checked {
        let mut indexes: Vec<(&'a Expr, &'a Expr)> = Vec::new();
        let mut rest = reference;
        let root = loop {
            rest = match rest {
                Expr::RefDot { refr, field: (_, name), .. } => {
                    self.constants.insert(name.clone());
                    refr
                }
                Expr::RefBrack { refr, index, .. } => {
                    indexes.push((refr, index));
                    refr
                }
                other => break other,
            };
        };
        indexes.reverse();
        let (parts, is_whole) = parts_of(reference);
        let mut has_loops = false;
        let mut has_found = false;
        for (members, index) in indexes {
            let is_loop = match index {
                Expr::Var { span, .. } if self.quantified.contains(span.text()) => {
                    return Err(refuse("a variable of an `every` as a key", span));
                }
                Expr::Var { span, .. } if span.text() == "_" => true,
                Expr::Var { span, .. }
                    if self.is_bound(span.text()) || self.is_global(span.text()) =>
                {
                    false
                }
                Expr::Var { span, .. } => return Err(refuse("a name that finds keys", span)),
                Expr::String { value, .. } | Expr::RawString { value, .. } => {
                    self.constants.insert(value.clone());
                    continue;
                }
                Expr::Number { .. } => false,
                Expr::RefDot { .. } | Expr::RefBrack { .. } | Expr::Call { .. } => false,
                other => {
                    return Err(refuse(
                        "a key that is no name, reference or constant",
                        other.span(),
                    ));
                }
            };
            if is_loop && within == Within::Value {
                return Err(refuse(
                    "a reference that finds its key, outside of a statement",
                    index.span(),
                ));
            }
            if has_loops && is_data(root, self.imports) {
                return Err(refuse(
                    "a reference to data with more keys after one that is found",
                    index.span(),
                ));
            }
            has_loops |= is_loop;
            has_found |= !is_loop;
            if is_loop {
                self.goes_through(members.span());
            } else {
                self.expression(index, within)?;
            }
        }
        let Expr::Var { span, .. } = root else {
            return match root {
                Expr::Array { .. }
                | Expr::Set { .. }
                | Expr::Object { .. }
                | Expr::ArrayCompr { .. }
                | Expr::SetCompr { .. }
                | Expr::ObjectCompr { .. }
                | Expr::Call { .. } => self.expression(root, within),
                other => Err(refuse("a reference into what is no reference", other.span())),
            };
        };
        let name = span.text();
        if name == "_" {
            return Err(refuse("a `_` that stands for any value", span));
        }
        if name == "input" || self.is_bound(name) {
            return Ok(());
        }
        self.imported_here(name, span)?;
        let names = parts.iter().skip(1);
        let mut path: Path =
            names.map_while(|part| part.as_string().ok().map(|part| part.to_string())).collect();
        let is_whole = is_whole && path.len() + 1 == parts.len();
        if name == "data" {
            return self.data(&path, is_whole, has_found || has_loops, span);
        }
        if let Some(import) = self.imports.get(name) {
            let Some((root, imported)) = import.split_first() else {
                return Err(refuse("an import of an unusual form", span));
            };
            match root.as_str() {
                "input" => return Ok(()),
                "data" => {}
                _ => return Err(refuse("a name that stands for nothing", span)),
            }
            // The interpreter looks at what is imported as a whole.
            if self.policy.rule_of(imported).is_none() && self.policy.is_above_rules(imported) {
                return Err(refuse("an import of a package that is no call of a function", span));
            }
            let mut whole = imported.to_vec();
            whole.append(&mut path);
            return self.data(&whole, is_whole, false, span);
        }
        let path = joined(self.package, name);
        match self.policy.rules.get_key_value(&path) {
            Some((path, stated)) if stated.parameters.is_none() => {
                self.uses.insert(path.clone());
                Ok(())
            }
            Some(_) => Err(refuse("a function that is not called", span)),
            // Of packages, the compiler looks for one that is in this one, and the interpreter not.
            None => Err(refuse("a name that stands for nothing", span)),
        }
    }

    /// A path below `data`, or what of it is known.
    fn data(&mut self, path: &[String], is_whole: bool, has_keys: bool, span: &'a Span) -> Checked {
        if path.is_empty() {
            return Err(refuse("all data at once", span));
        }
        // The tenant's own data has another root than its rules.
        let is_root = |package: &Path| package.first() == path.first();
        if !self.policy.packages.iter().any(is_root) {
            return Ok(());
        }
        match self.policy.rule_of(path) {
            Some(_) if has_keys => {
                Err(refuse("a rule by its whole name with a key that is no string", span))
            }
            Some((rule, stated)) if stated.parameters.is_none() => {
                self.uses.insert(rule.clone());
                Ok(())
            }
            Some(_) => Err(refuse("a function that is not called", span)),
            None if !is_whole || self.policy.is_above_rules(path) => {
                Err(refuse("a package, or a rule whose name is found", span))
            }
            None => Ok(()),
        }
    }
}

fn is_data(root: &Expr, imports: &BTreeMap<String, Path>) -> bool {
    match root {
        Expr::Var { span, .. } => span.text() == "data" || imports.contains_key(span.text()),
        _ => false,
    }
}

fn parts_to_name(root: &str, rest: &[String]) -> String {
    let mut name = root.to_owned();
    for part in rest {
        name.push('.');
        name.push_str(part);
    }
    name
}

/// The compiler takes numbers of one value for one, however they are written, and so they are
/// printed.
fn number(span: &Span) -> Checked {
    let text = span.text();
    let is_negative = text.starts_with('-');
    let text = text.strip_prefix('-').unwrap_or(text);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = match text.split_once('.') {
        None => is_digits(text),
        Some((whole, part)) => {
            is_digits(whole) && is_digits(part) && part.bytes().any(|byte| byte != b'0')
        }
    };
    let is_zero = !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if is_plain && text.len() <= 15 && !(is_zero && is_negative) {
        Ok(())
    } else {
        Err(refuse("a number in an unusual form", span))
    }
}

/// A value that is the same whatever happens.
fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. } => true,
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().all(|item| is_constant(item))
        }
        Expr::Object { fields, .. } => {
            fields.iter().all(|(_, key, value)| is_constant(key) && is_constant(value))
        }
        Expr::UnaryExpr { expr, .. } => is_constant(expr),
        Expr::Var { .. }
        | Expr::ArrayCompr { .. }
        | Expr::SetCompr { .. }
        | Expr::ObjectCompr { .. }
        | Expr::Call { .. }
        | Expr::RefDot { .. }
        | Expr::RefBrack { .. }
        | Expr::BinExpr { .. }
        | Expr::BoolExpr { .. }
        | Expr::ArithExpr { .. }
        | Expr::AssignExpr { .. }
        | Expr::Membership { .. } => false,
    }
}

/// Whether a value has neither variables as keys nor comprehensions.
fn is_simple(expression: &Expr) -> bool {
    match expression {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => true,
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().all(|item| is_simple(item))
        }
        Expr::Object { fields, .. } => {
            fields.iter().all(|(_, key, value)| is_simple(key) && is_simple(value))
        }
        Expr::UnaryExpr { expr, .. } => is_simple(expr),
        Expr::Call { params, .. } => params.iter().all(|param| is_simple(param)),
        Expr::RefDot { refr, .. } => is_simple(refr),
        Expr::RefBrack { refr, index, .. } => {
            is_simple(refr) && is_simple(index) && !matches!(index.as_ref(), Expr::Var { .. })
        }
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. } => is_simple(lhs) && is_simple(rhs),
        Expr::Membership { value, collection, .. } => is_simple(value) && is_simple(collection),
        Expr::ArrayCompr { .. }
        | Expr::SetCompr { .. }
        | Expr::ObjectCompr { .. }
        | Expr::AssignExpr { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(texts: &[&str], data: &str) -> Option<(&'static str, Option<(u32, u32)>)> {
        let mut engine = regorus::Engine::new();
        for (number, text) in texts.iter().enumerate() {
            engine.add_policy(format!("{number}.rego"), (*text).to_owned()).unwrap();
        }
        let data = Value::from_json_str(data).unwrap();
        let refused = check(engine.get_modules(), &data).err()?;
        Some((refused.what, refused.location.map(|location| (location.row, location.col))))
    }

    /// Of these rules, and others in a package below `tenants`.
    fn verdict_beside(
        rules: &str,
        package: &str,
        there: &str,
    ) -> Option<(&'static str, Option<(u32, u32)>)> {
        let own = format!("package tenants.t\n{rules}\n");
        let other = format!("package tenants.{package}\n{there}\n");
        verdict(&[&own, &other], "{}")
    }

    #[test]
    fn what_differs_or_is_not_known_not_to_is_refused_where_it_stands() {
        for (rules, place, what) in [
            ("a if input.x with input as {}", (2, 6), "a `with` modifier"),
            ("default f(_) := 1\nf(x) := x", (2, 1), "a default function"),
            ("default a := [x | x := 1]", (2, 14), "a default value that is no constant"),
            ("a.b := 1", (2, 2), "a rule whose name has several parts"),
            ("a.b[x] := 1 if some x in [1]", (2, 2), "a rule whose name has several parts"),
            ("a := time.now_ns()", (2, 10), "a built-in function that is not on the list"),
            ("a := rand.intn(\"x\", 2)", (2, 10), "a built-in function that is not on the list"),
            ("a if print(1)", (2, 6), "a built-in function that is not on the list"),
            ("a if walk(input, [p, v])", (2, 6), "a built-in function that is not on the list"),
            ("a if upper(input.x, y)", (2, 6), "a call with another number of operands"),
            ("a if 1, 2 in input", (2, 11), "an `in` with a key and a value"),
            ("a if {\"x\": y} := input", (2, 6), "a pattern that is neither a name nor a constant"),
            (
                "a if [x, [_]] := input",
                (2, 10),
                "an array on the left of `:=` with more than names",
            ),
            ("a if [x, 1] := input", (2, 10), "an array on the left of `:=` with more than names"),
            (
                "a if some [x, _] in input",
                (2, 11),
                "a pattern that is neither a name nor a constant",
            ),
            ("f([x]) if x", (2, 3), "a pattern that is neither a name nor a constant"),
            ("a if _ := input.x", (2, 8), "a value that is given to `_`"),
            ("a if x = input.y", (2, 8), "a `=`, which is neither `:=` nor `==`"),
            ("a if input.x = 1", (2, 14), "a `=`, which is neither `:=` nor `==`"),
            ("a if input.x[y] == y", (2, 14), "a name that finds keys"),
            ("a if { some x; input.y[x] }", (2, 8), "a `some` of names alone"),
            ("a if data[input.x]", (2, 6), "all data at once"),
            ("a if data.tenants[input.x].b", (2, 6), "a package, or a rule whose name is found"),
            ("a if data.tenants.t\nb := 1", (2, 6), "a package, or a rule whose name is found"),
            (
                "a if data.tenants.t.b[1]\nb := {}",
                (2, 6),
                "a rule by its whole name with a key that is no string",
            ),
            (
                "a if data.x[_][input.y]",
                (2, 21),
                "a reference to data with more keys after one that is found",
            ),
            ("a := input.x[_]", (2, 14), "a reference that finds its key, outside of a statement"),
            (
                "a if every k, v in input.x { input.y[k] == v }",
                (2, 38),
                "a variable of an `every` as a key",
            ),
            (
                "a := [x | some y in input.y; x := [z | some z in y]]",
                (2, 38),
                "a comprehension or an `every` within another",
            ),
            (
                "a if every x in input.x { every y in x { y } }",
                (2, 40),
                "a comprehension or an `every` within another",
            ),
            ("a[[y | y := x]] := x if x := 1", (2, 3), "a key of a rule that is not simple"),
            ("a if not [1 | input.x] == []", (2, 13), "a comprehension in a `not`"),
            ("a if not f([x | x := 1])\nf(x) if x", (2, 15), "a comprehension in a `not`"),
            (
                "a if { b := 1; b == 1 }\nb := 2",
                (2, 8),
                "a variable with the name of a rule, a package or an import",
            ),
            ("a := {input.x: 1, \"b\": 2}", (2, 6), "an object with keys that may be the same"),
            ("a := 1.0", (2, 6), "a number in an unusual form"),
            ("a := -0", (2, 6), "a number in an unusual form"),
            ("a := 1e3", (2, 6), "a number in an unusual form"),
            (
                "a := [x | x := 1] if input.x else := 2",
                (2, 6),
                "an `else` behind a value that has variables as keys or a comprehension",
            ),
            (
                "f(x) := input.y if x else := 2",
                (2, 1),
                "a function with an `else` and a value that is no constant",
            ),
            ("count(x) := 1", (2, 1), "a rule with the name of a built-in function"),
            ("_ := 1", (2, 1), "a rule with the name of a built-in function"),
            ("a[\"b\"] := 1", (2, 2), "a rule whose name has several parts"),
            ("import rego.v1\na if v1", (3, 6), "a name that stands for nothing"),
            (
                "import rego.v1\na if { v1 := 1; v1 == 1 }",
                (3, 8),
                "a variable with the name of a rule, a package or an import",
            ),
            ("import rego.v1\nv1 := 1", (1, 16), "an import with the name of a rule or a package"),
        ] {
            let text = format!("package tenants.t\n{rules}\n");
            assert_eq!(verdict(&[&text], "{}"), Some((what, Some(place))), "{rules}");
        }
    }

    #[test]
    fn what_has_no_place_is_refused_too() {
        let text = "package tenants.t\na if b\nb if not a";
        let recursive = "rules that need themselves, or more than 50 others in a row";
        assert_eq!(verdict(&[text], "{}"), Some((recursive, None)));
        let text = "package tenants.t\na if f(1)\nf(x) if data.tenants.t.a";
        assert_eq!(verdict(&[text], "{}"), Some((recursive, None)));
        let text = "package tenants.t\na := 1";
        let beside = Some(("data where rules are", None));
        assert_eq!(verdict(&[text], r#"{"tenants":{}}"#), beside);
        let two = ["package tenants.t\na if input.x", "package tenants.t\na if input.y"];
        let several = Some(("rules of one name in several files", Some((2, 1))));
        assert_eq!(verdict(&two, "{}"), several);
        let two = ["package tenants.t\nimport data.x", "package tenants.t\na if x.y"];
        let foreign = Some(("a name that another file of the package imports", Some((2, 6))));
        assert_eq!(verdict(&two, "{}"), foreign);
        let import = "package tenants.t\nimport data.tenants.t.lib\na if lib.b";
        let package = Some(("an import of a package that is no call of a function", Some((3, 6))));
        assert_eq!(verdict(&[import, "package tenants.t.lib\nb := 1"], "{}"), package);
    }

    #[test]
    fn a_name_that_stands_for_nothing_or_for_two_things_is_refused() {
        for (rules, package, there, place, what) in [
            // The compiler would find the package, and the interpreter nothing.
            ("a if lib.b", "t.lib", "b := 1", (2, 6), "a name that stands for nothing"),
            ("a if sub.lib.b", "t.sub.lib", "b := 1", (2, 6), "a name that stands for nothing"),
            ("a if input.x[lib]", "t.lib", "b := 1", (2, 14), "a name that stands for nothing"),
            // `lib.b` is the package's to the engine, and not of what is imported.
            (
                "import data.m as lib\na if lib.b",
                "t.lib",
                "b if data.tenants.t.a",
                (1, 16),
                "an import with the name of a rule or a package",
            ),
            (
                "import input.m as lib\na if lib.b",
                "t.lib.sub",
                "b := 1",
                (1, 16),
                "an import with the name of a rule or a package",
            ),
            // The interpreter would take 2 for the result.
            (
                "import data.tenants.t.x.json\na if json.marshal(1, 2)",
                "t.x.json",
                "marshal(x, y) if x < y",
                (3, 10),
                "a call of a function by the name of a built-in one",
            ),
            (
                "a if json.marshal(1, 2)",
                "t.json",
                "marshal(x, y) if x < y",
                (2, 10),
                "a call of a function by the name of a built-in one",
            ),
            (
                "import data.tenants.t.lib.f as count\na if count(1, 2)",
                "t.lib",
                "f(x, y) if x < y",
                (3, 6),
                "a call of a function by the name of a built-in one",
            ),
            (
                "f(x, y) if x < y\na if data.tenants.t.f(1, 2)",
                "t.data.tenants.t",
                "f(x) := x",
                (1, 16),
                "a package with the name of a document within another",
            ),
            (
                "a if input.x",
                "t.input",
                "x := 1",
                (1, 16),
                "a package with the name of a document within another",
            ),
            (
                "a if { lib := input.x; lib.b }",
                "t.lib",
                "b := 1",
                (2, 8),
                "a variable with the name of a rule, a package or an import",
            ),
            (
                "a if count([]) == 0",
                "t.count",
                "b := 1",
                (2, 6),
                "a call with another number of operands",
            ),
        ] {
            let refused = Some((what, Some(place)));
            assert_eq!(verdict_beside(rules, package, there), refused, "{rules}");
        }
    }

    #[test]
    fn other_packages_may_be_bytecode_where_their_names_are_clear() {
        for (rules, package, there) in [
            ("import data.tenants.t.lib\na if lib.f(1)", "t.lib", "f(x) if x == 1"),
            ("a if lib.f(1)", "t.lib", "f(x) if x == 1"),
            ("a if data.tenants.t.lib.f(1)", "t.lib", "f(x) if x == 1"),
            ("a if data.tenants.t.lib.b", "t.lib", "b if input.x"),
            ("import data.tenants.t.lib.b as c\na if c", "t.lib", "b if input.x"),
            ("import data.tenants.t.lib.f as g\na if g(1)", "t.lib", "f(x) if x == 1"),
            ("import data.tenants.t.json\na if json.f(1)", "t.json", "f(x) if x == 1"),
            ("a if lib.f(1)\nb := 1", "t.lib", "f(x) if x == data.tenants.t.b"),
            ("import rego.v1\na if data.tenants.t.lib.b", "t.lib", "b if input.x"),
            (
                "import future.keywords.contains\na if contains(input.x, \"y\")",
                "t.lib",
                "b if input.x",
            ),
        ] {
            assert_eq!(verdict_beside(rules, package, there), None, "{rules}");
        }
    }

    #[test]
    fn what_takes_the_compiler_long_is_refused() {
        let rules = |count: usize, bodies: &dyn Fn(usize) -> String| {
            let rules: String = (0..count).map(|next| format!("a if {}\n", bodies(next))).collect();
            verdict(&[&format!("package tenants.t\n{rules}")], "{}").map(|(what, _)| what)
        };
        let constants = |next: usize| format!("\"{next}\"");
        assert_eq!(rules(MAX_CONSTANTS, &constants), None);
        let what = "more than 4,000 different strings and numbers";
        assert_eq!(rules(MAX_CONSTANTS + 1, &constants), Some(what));
        let count = usize::try_from(MAX_EXPRESSIONS).unwrap();
        let what = "more than 20,000 expressions";
        assert_eq!(rules(count / 10, &|_| "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]".to_owned()), Some(what));
    }

    #[test]
    fn what_policies_are_mostly_made_of_may_be_bytecode() {
        for rules in [
            "default a := false\na if input.x == 1\na if input.y > data.z.w",
            "a contains x if { some x in data.m[input.x]; not b(x) }\nb(x) if x in data.l",
            "a := \"r\" if input.x else := sprintf(\"%v\", [input.y]) if input.y else := \"s\"",
            "a := \"x\" if input.x\na := \"y\" if input.y",
            "a[lower(k)] := v if some k, v in input.m\nb if a.x",
            "f(\"x\") := 1\nf(\"y\") := 2\na := f(input.x)",
            "a if { some i, x in input.x; x == 1; input.y[i] == 2 }",
            "a if input.x[_].y == 1",
            "a if every x in input.x { x.y; some z in x.z; z > 1 }",
            "a := count({x | some x in input.x; x.y}) + 1",
            "a if data.tenants.t.b.c\nb := {\"c\": 1}",
            "a if { [x, _] := split(input.x, \"/\"); x == \"y\" }",
        ] {
            let text = format!("package tenants.t\n{rules}\n");
            assert_eq!(verdict(&[&text], "{}"), None, "{rules}");
        }
    }

    #[test]
    fn the_example_tenants_may_be_bytecode() {
        for text in [
            include_str!("../../../config/tenants.d/tenant_a/policy.rego"),
            include_str!("../../../config/tenants.d/tenant_b/policy.rego"),
            include_str!("../../../config/tenants.d/tenant-c/policy.rego"),
        ] {
            assert_eq!(verdict(&[text], "{}"), None);
        }
    }
}
