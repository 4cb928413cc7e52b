//! Sets of variables, and the variables under a node.

use std::collections::{BTreeMap, btree_map};

use crate::ast::{Body, Expr, ExprKind, Head, Name, Rule, TemplatePart, Term, TermValue, With};
use crate::source::Span;

/// Variables in order of their names, with the place of one occurrence where it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VarSet {
    vars: BTreeMap<Name, Option<Span>>,
}

impl VarSet {
    /// `data` and `input`, which are always bound.
    pub(crate) fn reserved() -> Self {
        [Name::from("data"), Name::from("input")].into_iter().collect()
    }

    /// Adds a variable. Where it is in the set, its place stays.
    pub(crate) fn add(&mut self, var: &Name) {
        if !self.vars.contains_key(var) {
            self.vars.insert(Name::clone(var), None);
        }
    }

    /// Notes where a variable of the set occurs.
    pub(crate) fn locate(&mut self, var: &Name, span: Span) {
        if let Some(place) = self.vars.get_mut(var) {
            *place = Some(span);
        }
    }

    /// Where a variable of the set occurs.
    pub(crate) fn place(&self, var: &str) -> Option<Span> {
        self.vars.get(var).copied().flatten()
    }

    /// Takes a variable out.
    pub(crate) fn remove(&mut self, var: &str) {
        self.vars.remove(var);
    }

    /// Whether the variable is in the set.
    pub(crate) fn contains(&self, var: &str) -> bool {
        self.vars.contains_key(var)
    }

    /// Takes all variables out.
    pub(crate) fn clear(&mut self) {
        self.vars.clear();
    }

    /// Whether no variable is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// How many variables there are.
    pub(crate) fn len(&self) -> usize {
        self.vars.len()
    }

    /// The variables, sorted.
    pub(crate) fn iter(&self) -> btree_map::Keys<'_, Name, Option<Span>> {
        self.vars.keys()
    }

    /// Adds all variables of another set.
    pub(crate) fn update(&mut self, other: &Self) {
        for var in other.iter() {
            self.add(var);
        }
    }

    /// The variables that are not in `other`, with their places.
    pub(crate) fn diff(&self, other: &Self) -> Self {
        let vars = self.vars.iter().filter(|(var, _)| !other.contains(var));
        Self { vars: vars.map(|(var, span)| (Name::clone(var), *span)).collect() }
    }

    /// Whether all variables are in `other`.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|var| other.contains(var))
    }

    /// The variables that are in both sets.
    pub(crate) fn intersect(&self, other: &Self) -> Self {
        self.iter().filter(|var| other.contains(var)).map(Name::clone).collect()
    }
}

/// A view of the bound variables, for [`VarSet`] and its variants.
pub(crate) trait Bound {
    /// Whether a variable is bound.
    fn is_bound(&self, var: &str) -> bool;

    /// Whether all variables of a set are bound.
    fn has_all(&self, vars: &VarSet) -> bool {
        vars.iter().all(|var| self.is_bound(var))
    }

    /// The variables of a set that are not bound.
    fn unbound(&self, vars: &VarSet) -> VarSet {
        vars.iter().filter(|var| !self.is_bound(var)).map(Name::clone).collect()
    }
}

impl Bound for VarSet {
    fn is_bound(&self, var: &str) -> bool {
        self.contains(var)
    }
}

/// A set with a few variables added and removed, without a copy of it.
pub(crate) struct Changed<'a> {
    base: &'a dyn Bound,
    more: VarSet,
    less: VarSet,
}

impl<'a> Changed<'a> {
    /// The set as it is.
    pub(crate) fn new(base: &'a dyn Bound) -> Self {
        Self { base, more: VarSet::default(), less: VarSet::default() }
    }

    /// Adds variables.
    pub(crate) fn add(&mut self, vars: &VarSet) {
        self.more.update(vars);
    }

    /// Takes a variable out.
    pub(crate) fn remove(&mut self, var: &Name) {
        self.more.remove(var);
        self.less.add(var);
    }

    /// The variables that have been added to those of the set.
    pub(crate) fn added(&self) -> VarSet {
        self.base.unbound(&self.more)
    }
}

impl Bound for Changed<'_> {
    fn is_bound(&self, var: &str) -> bool {
        self.more.contains(var) || self.base.is_bound(var) && !self.less.contains(var)
    }
}

impl FromIterator<Name> for VarSet {
    fn from_iter<Names: IntoIterator<Item = Name>>(names: Names) -> Self {
        Self { vars: names.into_iter().map(|name| (name, None)).collect() }
    }
}

/// Whether a variable is a wildcard that the parser has numbered.
pub(crate) fn is_wildcard(var: &str) -> bool {
    var.starts_with('$')
}

/// Whether the compiler made a variable.
pub(crate) fn is_generated(var: &str) -> bool {
    var.starts_with(super::locals::PREFIX)
}

/// The nodes that [`Collector`] skips.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as OPA's VarVisitorParams"
)]
pub(crate) struct Skip {
    /// The first term of every reference.
    pub(crate) ref_head: bool,
    /// The first term of every operator, and of references in `with`.
    pub(crate) ref_call_head: bool,
    /// The keys of objects.
    pub(crate) object_keys: bool,
    /// Bodies of comprehensions, `every`, `not { … }`, `and` and `or`; and template strings.
    pub(crate) closures: bool,
    /// The target of a `with`.
    pub(crate) with_target: bool,
    /// Sets.
    pub(crate) sets: bool,
    /// Template strings.
    pub(crate) template_strings: bool,
    /// Wildcards.
    pub(crate) wildcards: bool,
}

impl Skip {
    /// The nodes that the safety check skips.
    pub(crate) const SAFETY: Self = Self {
        ref_call_head: true,
        closures: true,
        ref_head: false,
        object_keys: false,
        with_target: false,
        sets: false,
        template_strings: false,
        wildcards: false,
    };

    /// The nodes that unification skips: only variables of patterns remain.
    pub(crate) const PATTERN: Self = Self {
        ref_head: true,
        object_keys: true,
        closures: true,
        ref_call_head: false,
        with_target: false,
        sets: false,
        template_strings: false,
        wildcards: false,
    };
}

/// Called with a statement's kind before [`Collector`] visits it, and may add variables for it;
/// where it returns `true`, the collector skips the kind.
pub(crate) type Override<'a> = &'a dyn Fn(&mut VarSet, &ExprKind) -> bool;

/// Collects the variables under nodes: OPA's `VarVisitor`.
#[derive(Default)]
pub(crate) struct Collector<'a> {
    skip: Skip,
    override_kind: Option<Override<'a>>,
    /// The variables found.
    pub(crate) vars: VarSet,
}

/// The variables under a statement.
pub(crate) fn vars_of_expr(expr: &Expr, skip: Skip) -> VarSet {
    let mut collector = Collector::new(skip);
    collector.expr(expr);
    collector.vars
}

/// The variables under a body.
pub(crate) fn vars_of_body(body: &[Expr], skip: Skip) -> VarSet {
    let mut collector = Collector::new(skip);
    collector.body(body);
    collector.vars
}

/// The variables under a term.
pub(crate) fn vars_of_term(term: &Term, skip: Skip) -> VarSet {
    let mut collector = Collector::new(skip);
    collector.term(term);
    collector.vars
}

/// The variables under terms.
pub(crate) fn vars_of_terms<'t>(terms: impl IntoIterator<Item = &'t Term>, skip: Skip) -> VarSet {
    let mut collector = Collector::new(skip);
    collector.terms(terms);
    collector.vars
}

/// The variables of a head, except for the rule's name, with the places that OPA reports.
pub(crate) fn vars_of_head(head: &Head) -> VarSet {
    let mut collector = Collector::new(Skip::default());
    collector.terms(head.args.iter().flatten());
    collector.terms(head.key.iter().chain(&head.value));
    collector.terms(head.reference.iter().skip(1));
    collector.vars
}

/// Every variable under a term, operators and heads of references included: OPA's `WalkVars`.
pub(crate) fn all_vars(term: &Term) -> VarSet {
    vars_of_term(term, Skip::default())
}

impl<'a> Collector<'a> {
    /// An empty collector.
    pub(crate) fn new(skip: Skip) -> Self {
        Self { skip, override_kind: None, vars: VarSet::default() }
    }

    /// The same, with a function that is called with statements first.
    pub(crate) fn with_override(skip: Skip, override_kind: Override<'a>) -> Self {
        Self { skip, override_kind: Some(override_kind), vars: VarSet::default() }
    }

    /// Continues with different parameters.
    pub(crate) fn set_skip(&mut self, skip: Skip) {
        self.skip = skip;
        self.override_kind = None;
    }

    /// Visits a definition and its `else`s.
    pub(crate) fn rule(&mut self, rule: &Rule) {
        for rule in super::visit::chain(rule) {
            self.head(&rule.head);
            self.body(&rule.body);
        }
    }

    /// Visits a head, its reference included.
    pub(crate) fn head(&mut self, head: &Head) {
        self.reference(&head.reference);
        self.terms(head.args.iter().flatten());
        self.terms(&head.value);
    }

    /// Visits a body.
    pub(crate) fn body(&mut self, body: &[Expr]) {
        for expr in body {
            self.expr(expr);
        }
    }

    /// Visits a statement.
    pub(crate) fn expr(&mut self, expr: &Expr) {
        if let Some(override_kind) = self.override_kind
            && override_kind(&mut self.vars, &expr.kind)
        {
            self.withs(&expr.with);
            return;
        }
        if let ExprKind::Every(every) = &expr.kind
            && self.skip.closures
        {
            // OPA skips the statement's `with` here too.
            self.term(&every.domain);
            return;
        }
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => self.call(terms),
            ExprKind::Some(symbols) => self.terms(symbols),
            ExprKind::Every(every) => {
                self.terms(&every.key);
                self.term(&every.value);
                self.term(&every.domain);
                self.body(&every.body);
            }
            ExprKind::Not(not) => self.closure(&[&not.body]),
            ExprKind::And(logical) | ExprKind::Or(logical) => {
                self.closure(&[&logical.left, &logical.right]);
            }
        }
        self.withs(&expr.with);
    }

    fn closure(&mut self, bodies: &[&Body]) {
        if !self.skip.closures {
            for body in bodies {
                self.body(body);
            }
        }
    }

    fn withs(&mut self, withs: &[With]) {
        for with in withs {
            self.with(with);
        }
    }

    /// Visits a `with`.
    pub(crate) fn with(&mut self, with: &With) {
        if self.skip.with_target {
            self.term(&with.value);
        } else if self.skip.ref_call_head {
            if let TermValue::Ref(terms) = &with.target.value {
                self.terms(terms.iter().skip(1));
            }
            if let TermValue::Ref(terms) = &with.value.value {
                self.terms(terms.iter().skip(1));
            } else {
                self.term(&with.value);
            }
        } else {
            self.term(&with.target);
            self.term(&with.value);
        }
    }

    fn call(&mut self, terms: &[Term]) {
        match terms {
            [operator, operands @ ..] if self.skip.ref_call_head => {
                if let TermValue::Ref(operator) = &operator.value {
                    self.terms(operator.iter().skip(1));
                }
                self.terms(operands);
            }
            _ => self.terms(terms),
        }
    }

    fn reference(&mut self, terms: &[Term]) {
        self.terms(terms.iter().skip(usize::from(self.skip.ref_head)));
    }

    /// Visits terms.
    pub(crate) fn terms<'t>(&mut self, terms: impl IntoIterator<Item = &'t Term>) {
        for term in terms {
            self.term(term);
        }
    }

    /// Visits a term.
    pub(crate) fn term(&mut self, term: &Term) {
        match &term.value {
            TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => {}
            TermValue::Var(var) => {
                if !(self.skip.wildcards && is_wildcard(var)) {
                    self.vars.add(var);
                    self.vars.locate(var, term.span);
                }
            }
            TermValue::Ref(terms) => self.reference(terms),
            TermValue::Array(terms) => self.terms(terms),
            TermValue::Call(terms) => self.call(terms),
            TermValue::Set(terms) => {
                if !self.skip.sets {
                    self.terms(terms);
                }
            }
            TermValue::Object(pairs) => {
                for (key, value) in pairs {
                    if !self.skip.object_keys {
                        self.term(key);
                    }
                    self.term(value);
                }
            }
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                if !self.skip.closures {
                    self.term(term);
                    self.body(body);
                }
            }
            TermValue::ObjectComprehension { key, value, body } => {
                if !self.skip.closures {
                    self.term(key);
                    self.term(value);
                    self.body(body);
                }
            }
            TermValue::TemplateString { parts, .. } => {
                if !self.skip.closures && !self.skip.template_strings {
                    for part in parts {
                        match part {
                            TemplatePart::Text(term) => self.term(term),
                            TemplatePart::Expr(expr) => self.expr(expr),
                        }
                    }
                }
            }
        }
    }
}
