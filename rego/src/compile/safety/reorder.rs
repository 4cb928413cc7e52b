//! The order of a body's statements.
//!
//! Statements are taken in their written order. A statement that needs unbound variables waits
//! until others have bound them, and is taken when the next round reaches it. OPA checks every
//! waiting statement in every round; here only statements whose variables have changed are checked,
//! so that the time is linear in the size of a body and not quadratic. OPA's peculiarities are
//! kept, since which policies are accepted depends on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ast::{Body, Every, Expr, ExprKind, Name, Term, TermValue};
use crate::compile::arity::Functions;
use crate::compile::order::{compare_exprs, sort_object, sort_set};
use crate::compile::outputs::{outputs_of_body, outputs_of_expr};
use crate::compile::vars::{Collector, Skip, VarSet, all_vars, vars_of_expr, vars_of_terms};
use crate::compile::visit::{
    Flow, Node, NodeMut, is_closure, is_comprehension, is_ground, walk, walk_mut, walk_terms,
};

use super::Unsafe;
use super::implicit::promote;

/// How many variables may be checked for one rule, repeatedly where statements wait for each other.
/// Statements in evaluation order need one check for each variable; more than this bound would take
/// seconds.
const MAX_WORK: usize = 20_000_000;

/// [`MAX_WORK`] is reached.
#[derive(Debug)]
pub(super) struct TooMuch;

/// Orders a body and those of its closures. Where that is impossible, the body stays unchanged, and
/// the variables that are never bound are returned.
pub(super) fn reorder_body(
    functions: Functions<'_>,
    globals: VarSet,
    body: Body,
) -> Result<(Body, Vec<Unsafe>), TooMuch> {
    let mut globals = Globals { vars: globals, added: Vec::new() };
    let mut work = MAX_WORK;
    Reorder { functions, globals: &mut globals, work: &mut work }.body(body)
}

/// The variables of the enclosing bodies, and those added for the current one.
struct Globals {
    vars: VarSet,
    added: Vec<Name>,
}

impl Globals {
    fn add(&mut self, vars: &VarSet) {
        for var in vars.iter().filter(|var| !self.vars.contains(var)) {
            self.added.push(Name::clone(var));
        }
        self.vars.update(vars);
    }

    fn forget_after(&mut self, count: usize) {
        for var in self.added.drain(count..) {
            self.vars.remove(&var);
        }
    }
}

struct Reorder<'a> {
    functions: Functions<'a>,
    globals: &'a mut Globals,
    work: &'a mut usize,
}

impl Reorder<'_> {
    // As deep as bodies are nested, which the parser bounds.
    fn body(&mut self, body: Body) -> Result<(Body, Vec<Unsafe>), TooMuch> {
        let (order, mut missing) =
            Rounds::new(self.functions, &self.globals.vars, &body).run(self.work)?;
        let mut body: Vec<Option<Expr>> = body.into_iter().map(Some).collect();
        let mut nested = Vec::new();
        let known = self.globals.added.len();
        for &index in &order {
            let Some(expr) = body.get_mut(index).and_then(Option::as_mut) else { continue };
            let mut closures = Closures::new(self);
            closures.node(NodeMut::Expr(expr))?;
            let Closures { missing: unbound, nested: found, .. } = closures;
            if !unbound.is_empty() {
                missing.entry(index).or_default().update(&unbound);
            }
            nested.extend(found);
            let visible = visible_vars(self.functions, expr);
            self.globals.add(&visible);
        }
        self.globals.forget_after(known);
        let mut found: Vec<Unsafe> = missing
            .into_iter()
            .filter_map(|(index, vars)| {
                let expr = body.get(index)?.as_ref()?;
                Some(Unsafe { span: expr.span, assigned: assigned_vars(expr), vars })
            })
            .collect();
        found.append(&mut nested);
        let body = if found.is_empty() {
            order.iter().filter_map(|index| body.get_mut(*index)?.take()).collect()
        } else {
            body.into_iter().flatten().collect()
        };
        Ok((body, found))
    }
}

/// The variables of a statement that are visible to the enclosing body.
fn visible_vars(functions: Functions<'_>, expr: &Expr) -> VarSet {
    let promote = |vars: &mut VarSet, kind: &ExprKind| promote(functions, vars, kind);
    let mut collector = Collector::with_override(Skip::SAFETY, &promote);
    collector.expr(expr);
    collector.vars
}

/// The variables in a statement's closures.
fn closure_vars(expr: &Expr) -> VarSet {
    let mut collector = Collector::new(Skip::default());
    walk(Node::Expr(expr), &mut |node| {
        if !is_closure(node) {
            return Flow::Into;
        }
        match node {
            Node::Every(every) => collector.body(&every.body),
            Node::Not(not) => collector.body(&not.body),
            Node::Logical(logical) => {
                collector.body(&logical.left);
                collector.body(&logical.right);
            }
            Node::Term(term) => collector.term(term),
            Node::Rule(_) | Node::Head(_) | Node::Body(_) | Node::Expr(_) | Node::With(_) => {}
        }
        Flow::Over
    });
    collector.vars
}

/// The variables on the left side of a statement written with `:=`.
fn assigned_vars(expr: &Expr) -> VarSet {
    match &expr.kind {
        ExprKind::Call(terms) if expr.from_assignment => match terms.as_slice() {
            [_, left, _] => all_vars(left),
            _ => VarSet::default(),
        },
        _ => VarSet::default(),
    }
}

/// Orders the bodies of closures under one statement.
struct Closures<'r, 'a> {
    reorder: &'r mut Reorder<'a>,
    /// Variables in the terms of comprehensions that are never bound.
    missing: VarSet,
    /// Variables that statements in closures need and that are never bound.
    nested: Vec<Unsafe>,
    failed: Option<TooMuch>,
}

impl<'r, 'a> Closures<'r, 'a> {
    fn new(reorder: &'r mut Reorder<'a>) -> Self {
        Self { reorder, missing: VarSet::default(), nested: Vec::new(), failed: None }
    }

    fn node(&mut self, node: NodeMut<'_>) -> Result<(), TooMuch> {
        walk_mut(node, &mut |node| match node {
            NodeMut::Expr(expr) => self.kind(&mut expr.kind),
            NodeMut::Term(term) => self.value(&mut term.value),
            NodeMut::Rule(_)
            | NodeMut::Head(_)
            | NodeMut::Body(_)
            | NodeMut::Every(_)
            | NodeMut::Not(_)
            | NodeMut::Logical(_)
            | NodeMut::With(_) => Flow::Into,
        });
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Statements with bodies. OPA does not visit the rest of such a statement.
    fn kind(&mut self, kind: &mut ExprKind) -> Flow {
        match kind {
            ExprKind::Every(every) => {
                let Every { key, value, body, .. } = &mut **every;
                let vars = vars_of_terms(key.iter().chain([&*value]), Skip::default());
                self.reorder.globals.add(&vars);
                self.body(&VarSet::default(), body);
            }
            ExprKind::Not(not) => self.body(&VarSet::default(), &mut not.body),
            ExprKind::And(logical) | ExprKind::Or(logical) => {
                self.body(&VarSet::default(), &mut logical.left);
                self.body(&VarSet::default(), &mut logical.right);
            }
            ExprKind::Term(_) | ExprKind::Call(_) | ExprKind::Some(_) => return Flow::Into,
        }
        Flow::Over
    }

    fn value(&mut self, value: &mut TermValue) -> Flow {
        match value {
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                self.body(&all_vars(term), body);
            }
            TermValue::ObjectComprehension { key, value, body } => {
                let mut vars = all_vars(key);
                vars.update(&all_vars(value));
                self.body(&vars, body);
            }
            // A term without a variable is not visited, closures included, as in OPA.
            value @ (TermValue::Object(_) | TermValue::Set(_)) if is_ground(value) => {}
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    self.member(key);
                    self.member(value);
                }
                sort_object(pairs);
            }
            TermValue::Set(members) => {
                for member in &mut *members {
                    self.member(member);
                }
                sort_set(members);
            }
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::Ref(_)
            | TermValue::Array(_)
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => return Flow::Into,
        }
        Flow::Over
    }

    fn member(&mut self, term: &mut Term) {
        if let Err(failed) = self.node(NodeMut::Term(term)) {
            self.failed = Some(failed);
        }
    }

    /// Orders a closure's body, which must bind the variables of the closure's term.
    fn body(&mut self, yielded: &VarSet, body: &mut Body) {
        let unbound = yielded.diff(&self.reorder.globals.vars);
        if !unbound.is_empty() {
            let mut bound = VarSet::default();
            for expr in &*body {
                bound.update(&visible_vars(self.reorder.functions, expr));
            }
            self.missing.update(&unbound.diff(&bound));
        }
        match self.reorder.body(std::mem::take(body)) {
            Ok((ordered, found)) => {
                *body = ordered;
                self.nested.extend(found);
            }
            Err(failed) => self.failed = Some(failed),
        }
    }
}

/// The rounds over one body, apart from its closures.
struct Rounds<'a> {
    functions: Functions<'a>,
    body: &'a [Expr],
    /// The bound variables.
    safe: VarSet,
    /// The unbound variables that statements need, without statements that need none.
    missing: BTreeMap<usize, VarSet>,
    /// The variables of this body that a statement's closures need.
    captured: Vec<VarSet>,
    /// The statements that have a variable anywhere.
    users: HashMap<Name, Vec<usize>>,
    /// How many variables a statement has.
    sizes: Vec<usize>,
    placed: Vec<bool>,
    /// OPA numbers statements: first by their written position, after they are taken by their
    /// position in the order.
    numbers: Vec<usize>,
    order: Vec<usize>,
    /// Ordered statements that may bind more once further variables are bound.
    unsettled: Vec<usize>,
    /// The scratch set of [`outputs_of_expr`], passed from statement to statement.
    scratch: VarSet,
    /// To be checked in this round, after the current one.
    now: BTreeSet<usize>,
    /// To be checked in the next round.
    later: BTreeSet<usize>,
}

impl<'a> Rounds<'a> {
    fn new(functions: Functions<'a>, globals: &VarSet, body: &'a [Expr]) -> Self {
        let visible: Vec<VarSet> = body.iter().map(|expr| visible_vars(functions, expr)).collect();
        let mut body_vars = VarSet::default();
        visible.iter().for_each(|vars| body_vars.update(vars));
        let safe = body_vars.intersect(globals);
        let missing = visible
            .into_iter()
            .map(|vars| vars.diff(&safe))
            .enumerate()
            .filter(|(_, vars)| !vars.is_empty())
            .collect();
        let captured: Vec<VarSet> = body
            .iter()
            .map(|expr| closure_vars(expr).intersect(&body_vars).diff(globals))
            .collect();
        let mut users: HashMap<Name, Vec<usize>> = HashMap::new();
        let mut sizes = Vec::with_capacity(body.len());
        for (index, expr) in body.iter().enumerate() {
            let vars = vars_of_expr(expr, Skip::default());
            sizes.push(vars.len());
            for var in vars.iter().chain(captured.get(index).into_iter().flat_map(VarSet::iter)) {
                users.entry(Name::clone(var)).or_default().push(index);
            }
        }
        Self {
            functions,
            body,
            safe,
            missing,
            captured,
            users,
            sizes,
            placed: vec![false; body.len()],
            numbers: (0..body.len()).collect(),
            order: Vec::with_capacity(body.len()),
            unsettled: Vec::new(),
            scratch: VarSet::default(),
            now: (0..body.len()).collect(),
            later: BTreeSet::new(),
        }
    }

    /// The statements that could be ordered, and the needs of the remaining ones.
    fn run(mut self, work: &mut usize) -> Result<(Vec<usize>, BTreeMap<usize, VarSet>), TooMuch> {
        // The variables that an `every` is taken to bind depend on the statements checked before
        // it.
        let look_at_all = self.body.iter().any(|expr| matches!(expr.kind, ExprKind::Every(_)));
        loop {
            let before = self.order.len();
            while let Some(index) = self.now.pop_first() {
                let cost = 1 + self.sizes.get(index).copied().unwrap_or_default();
                *work = work.checked_sub(cost).ok_or(TooMuch)?;
                self.look_at(index);
            }
            if self.order.len() == before {
                return Ok((self.order, self.missing));
            }
            self.now = if look_at_all {
                let waiting = self.placed.iter().enumerate().filter(|(_, placed)| !**placed);
                waiting.map(|(index, _)| index).collect()
            } else {
                std::mem::take(&mut self.later)
            };
        }
    }

    fn look_at(&mut self, index: usize) {
        let Some(expr) = self.body.get(index) else { return };
        if self.is_taken_already(index, expr) {
            return;
        }
        let outputs = outputs_of_expr(expr, self.functions, &self.safe, &mut self.scratch);
        if let Some(captured) = self.captured.get(index).filter(|captured| !captured.is_empty()) {
            let unsettled = self.unsettled.iter().filter_map(|index| self.body.get(*index));
            let bound = outputs_of_body(unsettled, self.functions, &self.safe);
            let unbound = captured.diff(&bound);
            if !unbound.is_empty() {
                if same_vars(&unbound, &outputs) {
                    return;
                }
                // OPA forgets the statement's other needs, even unbound ones.
                self.missing.insert(index, unbound);
            }
        }
        if let Some(missing) = self.missing.get_mut(&index) {
            let left =
                missing.iter().filter(|var| !outputs.contains(var) && !self.safe.contains(var));
            let left: VarSet = left.map(Name::clone).collect();
            if !left.is_empty() {
                *missing = left;
                return;
            }
            self.missing.remove(&index);
        }
        self.take(index, expr, &outputs);
    }

    /// Whether OPA takes the statement for one that is already ordered: the same one, or an equal
    /// one that happens to have its number. The latter is then never taken.
    fn is_taken_already(&self, index: usize, expr: &Expr) -> bool {
        let number = self.numbers.get(index).copied().unwrap_or(index);
        self.order.get(number).is_some_and(|&other| {
            other == index
                || self.body.get(other).is_some_and(|other| compare_exprs(expr, other).is_eq())
        })
    }

    fn take(&mut self, index: usize, expr: &Expr, outputs: &VarSet) {
        if let Some(placed) = self.placed.get_mut(index) {
            *placed = true;
        }
        if let Some(number) = self.numbers.get_mut(index) {
            *number = self.order.len();
        }
        self.order.push(index);
        for var in outputs.iter().filter(|var| !self.safe.contains(var)) {
            for &user in self.users.get(var).into_iter().flatten() {
                if self.placed.get(user) == Some(&false) {
                    if user > index {
                        self.now.insert(user)
                    } else {
                        self.later.insert(user)
                    };
                }
            }
        }
        self.safe.update(outputs);
        self.unsettled.retain(|index| {
            self.body.get(*index).is_some_and(|expr| !is_settled(expr, &self.safe))
        });
        if !is_settled(expr, &self.safe) {
            self.unsettled.push(index);
        }
        if !self.unsettled.is_empty() {
            for (user, captured) in self.captured.iter().enumerate() {
                if !captured.is_empty() && self.placed.get(user) == Some(&false) {
                    if user > index {
                        self.now.insert(user)
                    } else {
                        self.later.insert(user)
                    };
                }
            }
        }
    }
}

fn same_vars(left: &VarSet, right: &VarSet) -> bool {
    left.len() == right.len() && left.is_subset(right)
}

/// Whether all variables that a statement can bind are bound.
fn is_settled(expr: &Expr, safe: &VarSet) -> bool {
    let ExprKind::Call(terms) = &expr.kind else {
        let mut settled = true;
        let node = match &expr.kind {
            ExprKind::Every(every) => Node::Term(&every.domain),
            _ => Node::Expr(expr),
        };
        each_key(node, &mut |keys| settled &= keys.is_subset(safe));
        return settled;
    };
    let mut settled = vars_of_terms(terms.iter().skip(1), Skip::PATTERN).is_subset(safe);
    each_key(Node::Expr(expr), &mut |keys| settled &= keys.is_subset(safe));
    settled
}

/// Calls `see` with the variables in the keys of every reference outside of comprehensions.
fn each_key(node: Node<'_>, see: &mut dyn FnMut(&VarSet)) {
    walk_terms(node, &mut |term| match &term.value {
        TermValue::Ref(terms) => {
            see(&vars_of_terms(terms.iter().skip(1), Skip::default()));
            Flow::Over
        }
        value if is_comprehension(value) => Flow::Over,
        _ => Flow::Into,
    });
}
