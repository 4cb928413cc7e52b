//! The walk through a module, and the statements that are written anew.

use std::collections::BTreeSet;
use std::mem;

use regorus::unstable::{Expr, Literal, LiteralStmt, Query, Rule, RuleBody, RuleHead, Span};

use super::operands::{Bindings, Link, Within, chain, offset, operands_of, path};
use super::places::{Edit, Piece, applied};
use super::scopes::{Known, Names, add_variables, bound_by};
use crate::contradictions::{Fault, name_of};

pub(super) struct Rewriter<'a, 'names> {
    text: &'a str,
    pub(super) known: Known<'a>,
    pub(super) names: &'names mut Names,
    /// The variables that are bound around here, from the outside in.
    scopes: Vec<BTreeSet<&'a str>>,
    edits: Vec<Edit>,
    pub(super) faults: Vec<Fault<'a>>,
}

impl<'a, 'names> Rewriter<'a, 'names> {
    pub(super) fn new(text: &'a str, known: Known<'a>, names: &'names mut Names) -> Self {
        Self { text, known, names, scopes: Vec::new(), edits: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn finish(self) -> (Vec<Edit>, Vec<Fault<'a>>) {
        (sorted(self.edits), self.faults)
    }

    /// Whether a variable has a value wherever its statement comes to be evaluated.
    pub(super) fn is_bound(&self, name: &str) -> bool {
        name != "_" && self.scopes.iter().any(|scope| scope.contains(name))
    }

    /// Whether a name is a variable with a value, a rule's, an import's, or a root.
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.is_bound(name) || self.known.has(name)
    }

    pub(super) fn rule(&mut self, rule: &'a Rule) {
        match rule {
            Rule::Default { value, .. } => self.value(value),
            Rule::Spec { head, bodies, .. } => {
                let mut parameters = BTreeSet::new();
                if let RuleHead::Func { args, .. } = head {
                    args.iter().for_each(|pattern| add_variables(pattern, &mut parameters));
                }
                self.scopes.push(parameters);
                self.parameter_patterns(head);
                self.head(rule, head, bodies.first());
                for body in bodies {
                    self.body(body);
                }
                self.scopes.pop();
            }
        }
    }

    /// A head is evaluated at the end of its first body.
    fn head(&mut self, rule: &'a Rule, head: &'a RuleHead, body: Option<&'a RuleBody>) {
        self.scopes.push(body.map(|body| bound_by(&body.query)).unwrap_or_default());
        for link in chain(name_of(rule)).1 {
            match link {
                Link::Index(index) if self.holds_membership(index, false) => {
                    let message = "an `in` cannot be part of a rule's name: bind it to a variable in the body";
                    let place = index.span();
                    self.faults.push(Fault { place, message: message.to_owned() });
                }
                Link::Index(index) => self.value(index),
                Link::Field(_) => {}
            }
        }
        match head {
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                assign.iter().for_each(|assign| self.value(&assign.value));
            }
            RuleHead::Set { key, .. } => key.iter().for_each(|key| self.value(key)),
        }
        self.scopes.pop();
    }

    fn body(&mut self, body: &'a RuleBody) {
        self.scopes.push(bound_by(&body.query));
        body.assign.iter().for_each(|assign| self.value(&assign.value));
        self.scopes.pop();
        self.query(&body.query);
    }

    fn query(&mut self, query: &'a Query) {
        self.scopes.push(bound_by(query));
        for statement in &query.stmts {
            // The query of a body without braces begins with its one statement.
            self.statement(statement, query.span.start == statement.span.start);
        }
        self.scopes.pop();
    }

    fn statement(&mut self, statement: &'a LiteralStmt, is_bare: bool) {
        self.statement_patterns(&statement.literal);
        let (start, end) = self.extent(&statement.span);
        let outer = mem::take(&mut self.edits);
        let mut bindings = Bindings::default();
        let new = match &statement.literal {
            Literal::NotExpr { expr, .. }
                if !self.stays_negated(expr)
                    || statement.with_mods.iter().any(|modifier| !self.stays(&modifier.r#as)) =>
            {
                self.modifiers(statement, &mut bindings);
                let negated = self.negated(expr, &mut bindings);
                format!("not {negated}{}", bindings.modifiers)
            }
            literal => {
                if self.needs_modifiers(statement) {
                    self.modifiers(statement, &mut bindings);
                    self.replace_modifiers(statement, &bindings.modifiers);
                } else {
                    statement.with_mods.iter().for_each(|modifier| self.value(&modifier.r#as));
                }
                self.literal(literal, &mut bindings);
                let edits = sorted(mem::take(&mut self.edits));
                if bindings.pieces.is_empty() {
                    self.edits = edits;
                    self.edits.extend(outer);
                    return;
                }
                applied(self.text, start, end, &edits)
            }
        };
        self.edits = outer;
        let old = self.text.get(start..end).unwrap_or_default();
        let is_kept = !matches!(statement.literal, Literal::NotExpr { .. });
        let mut pieces = bindings.pieces;
        pieces.push(Piece { text: new, offset: start, is_kept });
        if is_bare {
            pieces.insert(0, Piece { text: "{ ".to_owned(), offset: start, is_kept: false });
        }
        self.keep_lines(&statement.span, old, &mut pieces, end);
        if is_bare {
            pieces.push(Piece { text: " }".to_owned(), offset: end, is_kept: false });
        }
        self.edits.push(Edit { start, end, pieces });
    }

    /// Ends the pieces with as many line breaks as they have less than the old text.
    fn keep_lines(&mut self, place: &'a Span, old: &str, pieces: &mut Vec<Piece>, end: usize) {
        let lines = |text: &str| text.matches('\n').count();
        let new: usize = pieces.iter().map(|piece| lines(&piece.text)).sum();
        match lines(old).checked_sub(new) {
            Some(0) => {}
            Some(missing) => {
                let text = "\n".repeat(missing);
                pieces.push(Piece { text, offset: end, is_kept: false });
            }
            None => {
                let message = "bind the operands of this statement to variables before it";
                self.faults.push(Fault { place, message: message.to_owned() });
            }
        }
    }

    /// Writes down the modifiers of a statement, and binds their values.
    fn modifiers(&mut self, statement: &'a LiteralStmt, bindings: &mut Bindings) {
        let mut modifiers = String::new();
        for modifier in &statement.with_mods {
            let value: &'a Expr = &modifier.r#as;
            let is_function =
                self.known.may_be_function(&modifier.refr) && self.known.may_be_function(value);
            let value = if is_function { path(value) } else { self.modifier(value, bindings) };
            modifiers.push_str(&format!(" with {} as {value}", path(&modifier.refr)));
        }
        bindings.modifiers = modifiers;
    }

    /// The value of a modifier, in a form that may be repeated.
    fn modifier(&mut self, value: &'a Expr, bindings: &mut Bindings) -> String {
        let text = self.operand(value, bindings, Within::Operand);
        match value {
            Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. }
            | Expr::RawString { .. }
            | Expr::Array { .. }
            | Expr::Set { .. }
            | Expr::Object { .. } => {
                let name = self.names.next();
                bindings.add(&name, &text, value);
                name
            }
            _ => text,
        }
    }

    /// Whether the modifiers of a statement that is no `not` have to be written anew.
    fn needs_modifiers(&self, statement: &LiteralStmt) -> bool {
        let Some((_, before)) = statement.with_mods.split_last() else { return false };
        // The engine heeds an undefined value of the last one only.
        before.iter().any(|modifier| !self.stays(&modifier.r#as))
            || match &statement.literal {
                Literal::Expr { expr, .. } => self.holds_membership(expr, true),
                Literal::SomeIn { collection, .. } => self.holds_membership(collection, false),
                Literal::Every { domain, .. } => self.holds_membership(domain, false),
                Literal::SomeVars { .. } | Literal::NotExpr { .. } => false,
            }
    }

    fn replace_modifiers(&mut self, statement: &'a LiteralStmt, modifiers: &str) {
        let (Some(first), Some(last)) = (statement.with_mods.first(), statement.with_mods.last())
        else {
            return;
        };
        let (start, end) = (offset(first.span.start), self.extent(&last.span).1);
        let text = modifiers.trim_start().to_owned();
        let pieces = vec![Piece { text, offset: start, is_kept: false }];
        self.edits.push(Edit { start, end, pieces });
    }

    fn literal(&mut self, literal: &'a Literal, bindings: &mut Bindings) {
        match literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().for_each(|key| self.expression(key, Some(bindings), false));
                self.expression(value, Some(bindings), false);
                self.expression(collection, Some(bindings), false);
            }
            Literal::Expr { expr, .. } => self.expression(expr, Some(bindings), true),
            Literal::NotExpr { expr, .. } => self.expression(expr, Some(bindings), false),
            Literal::Every { key, value, domain, query, .. } => {
                self.expression(domain, Some(bindings), false);
                let names = key.iter().chain([value]).map(Span::text);
                self.scopes.push(names.collect());
                self.query(query);
                self.scopes.pop();
            }
        }
    }

    /// An expression that no statement can stand before.
    fn value(&mut self, expression: &'a Expr) {
        self.expression(expression, None, false);
    }

    fn expression(
        &mut self,
        expression: &'a Expr,
        mut bindings: Option<&mut Bindings>,
        is_statement: bool,
    ) {
        match expression {
            Expr::Membership { .. } if self.is_rewritten(expression, is_statement) => {
                self.membership(expression, bindings);
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.comprehension(&[term], query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.comprehension(&[key, value], query);
            }
            _ => {
                for part in parts(expression) {
                    self.expression(part, bindings.as_deref_mut(), false);
                }
            }
        }
    }

    fn comprehension(&mut self, terms: &[&'a Expr], query: &'a Query) {
        self.scopes.push(bound_by(query));
        terms.iter().for_each(|term| self.value(term));
        self.scopes.pop();
        self.query(query);
    }

    /// An `in` is false to the engine where an operand is undefined, and true where key and element
    /// are. As a statement of its own, without a key, false is as good as undefined.
    fn is_rewritten(&self, membership: &Expr, is_statement: bool) -> bool {
        let has_key = matches!(membership, Expr::Membership { key: Some(_), .. });
        let is_harmless = is_statement && !has_key;
        !is_harmless && operands_of(membership).iter().any(|operand| !self.stays(operand))
    }

    fn holds_membership(&self, expression: &Expr, is_statement: bool) -> bool {
        let is_membership = matches!(expression, Expr::Membership { .. });
        is_membership && self.is_rewritten(expression, is_statement)
            || parts(expression).iter().any(|part| self.holds_membership(part, false))
    }

    fn membership(&mut self, expression: &'a Expr, bindings: Option<&mut Bindings>) {
        let place = expression.span();
        let (start, end) = self.extent(place);
        let mut pieces = Vec::new();
        if let Some(bindings) = bindings {
            let text = self.operation(expression, bindings, Within::Operand);
            pieces.push(Piece { text, offset: start, is_kept: false });
        } else {
            let mut own = Bindings::default();
            let text = self.operation(expression, &mut own, Within::Head);
            let name = self.names.next();
            let piece = |text| Piece { text, offset: start, is_kept: false };
            pieces.push(piece(format!("[{name} | ")));
            pieces.append(&mut own.pieces);
            // The first of none is undefined.
            pieces.push(piece(format!("{name} := {text}][0]")));
            let old = self.text.get(start..end).unwrap_or_default();
            self.keep_lines(place, old, &mut pieces, end);
        }
        self.edits.push(Edit { start, end, pieces });
    }

    /// The text of an expression, with what is written anew in it.
    pub(super) fn rendered(&mut self, expression: &'a Expr) -> String {
        let outer = mem::take(&mut self.edits);
        self.value(expression);
        let edits = sorted(mem::replace(&mut self.edits, outer));
        let (start, end) = self.extent(expression.span());
        applied(self.text, start, end, &edits)
    }

    /// From where to where a span goes. regorus leaves out the quote that it begins or ends with.
    fn extent(&self, span: &Span) -> (usize, usize) {
        let (start, end) = (offset(span.start), offset(span.end));
        let is_quote = |at: usize| matches!(self.text.as_bytes().get(at), Some(b'"' | b'`'));
        let before = start.checked_sub(1).filter(|before| is_quote(*before));
        (before.unwrap_or(start), if is_quote(end) { end + 1 } else { end })
    }
}

/// The expressions that one is made of, those of a comprehension left out.
pub(super) fn parts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().map(AsRef::as_ref).collect()
        }
        Expr::Object { fields, .. } => {
            fields.iter().flat_map(|(_, key, value)| [key.as_ref(), value]).collect()
        }
        Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            let (base, links) = chain(expression);
            let indices = links.into_iter().filter_map(|link| match link {
                Link::Index(index) => Some(index),
                Link::Field(_) => None,
            });
            [base].into_iter().chain(indices).collect()
        }
        other => operands_of(other),
    }
}

fn sorted(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| edit.start);
    edits
}
