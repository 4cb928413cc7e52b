//! `and`, `or`, `not {…}` and groups of them in parentheses.
//!
//! An operand is an expression, or a body in braces. Braces and parentheses also begin values, so
//! the parser tries one and backtracks; failed attempts are recorded, so that nesting costs at most
//! one attempt each.

use crate::ast::{Body, Expr, ExprKind, Logical, NotBlock, Term, TermValue};
use crate::builtins::table;
use crate::compile::text;
use crate::source::Span;

use super::parser::Parser;
use super::rules::expr;
use super::token::Token;

/// One side of `and` or `or`, or the operand of a `not`.
pub(super) struct Operand {
    body: Body,
    /// Whether it is written in braces.
    explicit: bool,
    span: Span,
}

impl Operand {
    fn single(read: Expr) -> Self {
        Self { span: read.span, body: vec![read], explicit: false }
    }
}

impl Parser<'_> {
    /// `{ … } and …` at the beginning of a statement; `None` if the braces are not an operand.
    pub(super) fn braced_operand_first(&mut self) -> Option<Option<Expr>> {
        let start = self.s.start;
        if self.memo.no_operand.contains(&start) {
            return None;
        }
        let before = self.s;
        let known = self.known_terms();
        let brace = self.token_span();
        if let Some(body) = self.braced_body()
            && self.is_at_logical()
        {
            // Only here it is certain that the braces are an operand.
            if is_ambiguous_union(self, &body) {
                self.refuse_ambiguous_union(brace, &body, "");
                return Some(None);
            }
            let operand = Operand { body, explicit: true, span: brace };
            return Some(self.fold_logical(operand));
        }
        self.s = before;
        self.restore_known_terms(known);
        self.memo.no_operand.insert(start);
        None
    }

    const fn is_at_logical(&self) -> bool {
        matches!(self.s.token, Token::LogicalAnd | Token::LogicalOr)
    }

    /// Reads the operators that follow an operand, if any, and the modifiers of the whole.
    pub(super) fn fold_logical(&mut self, operand: Operand) -> Option<Expr> {
        let read = if self.is_at_logical() {
            self.or_chain(operand)?
        } else {
            operand.body.into_iter().next()?
        };
        self.attach_with(read)
    }

    pub(super) fn fold_logical_of(&mut self, body: Body) -> Option<Expr> {
        let span = body.first()?.span;
        self.fold_logical(Operand { body, explicit: false, span })
    }

    /// `left or right or …`, where `and` binds tighter; stands before an operator.
    fn or_chain(&mut self, left: Operand) -> Option<Expr> {
        self.nested(|parser| {
            let mut left = left;
            if parser.s.token == Token::LogicalAnd {
                left = Operand::single(parser.and_chain(left)?);
            }
            while parser.s.token == Token::LogicalOr {
                let height = parser.height;
                parser.scan();
                let mut right = parser.operand("or")?;
                if parser.s.token == Token::LogicalAnd {
                    right = Operand::single(parser.and_chain(right)?);
                }
                parser.refuse_void_operands(&left, &right, "or");
                left = Operand::single(parser.join(left, right, height, ExprKind::Or)?);
            }
            left.body.into_iter().next()
        })
    }

    fn and_chain(&mut self, left: Operand) -> Option<Expr> {
        self.nested(|parser| {
            let mut left = left;
            while parser.s.token == Token::LogicalAnd {
                let height = parser.height;
                parser.scan();
                let right = parser.operand("and")?;
                parser.refuse_void_operands(&left, &right, "and");
                left = Operand::single(parser.join(left, right, height, ExprKind::And)?);
            }
            left.body.into_iter().next()
        })
    }

    fn join(
        &mut self,
        left: Operand,
        right: Operand,
        left_height: usize,
        kind: fn(Box<Logical>) -> ExprKind,
    ) -> Option<Expr> {
        self.made(left_height.max(self.height) + 1)?;
        let span = self.extend(left.span);
        let sides = Logical {
            left: left.body,
            right: right.body,
            explicit_left: left.explicit,
            explicit_right: right.explicit,
        };
        Some(expr(kind(Box::new(sides)), span))
    }

    /// Reads an operand of `operator`; no operator where it is only tried.
    fn operand(&mut self, operator: &str) -> Option<Operand> {
        if self.s.token == Token::LBrace {
            return self.braced_operand(operator);
        }
        let not = self.take_not();
        if let Some(not) = not
            && self.not_bodies
            && self.s.token == Token::LBrace
        {
            return self.not_body(not);
        }
        if self.s.token == Token::LParen
            && self.s.keywords.has_logical()
            && (not.is_none() || self.not_bodies)
            && let Some(group) = self.group(true, if not.is_some() { "not " } else { "" })
        {
            let group = group?;
            return Some(match not {
                Some(not) => self.negate(group, not),
                None => group,
            });
        }
        let mut read = self.expression()?;
        match not {
            Some(not) if self.not_bodies => {
                let group = Operand::single(read);
                Some(self.negate(group, not))
            }
            _ => {
                read.negated = not.is_some();
                Some(Operand::single(read))
            }
        }
    }

    /// `not` before an operand.
    pub(super) fn negate(&mut self, operand: Operand, not: Span) -> Operand {
        let span = self.extend(not);
        self.height += 1;
        let block = NotBlock { body: operand.body, explicit: operand.explicit };
        Operand::single(expr(ExprKind::Not(block), span))
    }

    fn braced_operand(&mut self, operator: &str) -> Option<Operand> {
        let brace = self.token_span();
        let body = self.operand_body(operator.is_empty(), |parser, operand, _| {
            parser.refuse_brace(brace, operand, operator);
        })?;
        if is_ambiguous_union(self, &body) {
            // The body is still returned: where it was only tried, the fault is undone.
            self.refuse_ambiguous_union(brace, &body, "");
        }
        Some(Operand { body, explicit: true, span: brace })
    }

    /// `{…}` behind `not`.
    pub(super) fn not_body(&mut self, not: Span) -> Option<Operand> {
        let brace = self.token_span();
        let body = self.operand_body(false, |parser, operand, term| {
            parser.hint(format!(
                "write `not ({operand})` to negate the value, or `not {{{operand}}}` for a body holding it"
            ));
            let kind = text::kind(brace_led(term));
            parser.error(
                brace,
                format!("`{{...}}` in an operand position must contain expression(s), got: {kind}"),
            );
        })?;
        if is_ambiguous_union(self, &body) {
            self.refuse_ambiguous_union(brace, &body, "not ");
            return None;
        }
        Some(self.negate(Operand { body, explicit: true, span: brace }, not))
    }

    /// Reads a body in braces. If they hold a value instead, `refuse` reports it, with the text of
    /// the whole operand.
    fn operand_body(
        &mut self,
        is_tried: bool,
        refuse: impl FnOnce(&mut Self, &str, &Term),
    ) -> Option<Body> {
        let before = self.s;
        self.scan();
        let is_empty = self.s.token == Token::RBrace;
        if let Some(body) = self.body(Token::RBrace) {
            self.scan();
            return Some(body);
        }
        if !is_empty && !is_tried {
            let failed = self.s;
            self.s = before;
            match self.infix_term() {
                Some(term) => {
                    let operand = self.text(before.start, self.s.last_end);
                    refuse(self, operand, &term);
                }
                None => self.s = failed,
            }
        }
        None
    }

    /// Reads a group in parentheses; `None` if they hold a value. `is_operand` says that an
    /// operator stands before them.
    pub(super) fn group(&mut self, is_operand: bool, prefix: &str) -> Option<Option<Operand>> {
        let key = (self.s.start, is_operand);
        if self.memo.no_group.contains(&key) {
            return None;
        }
        let Some(group) = self.nested(|parser| Some(parser.group_inside(is_operand, prefix)))
        else {
            return Some(None);
        };
        if group.is_none() {
            self.memo.no_group.insert(key);
        }
        group
    }

    fn group_inside(&mut self, is_operand: bool, prefix: &str) -> Option<Option<Operand>> {
        let before = self.s;
        let open = self.token_span();
        self.scan();
        if self.s.token == Token::RParen {
            if is_operand {
                self.error(open, "empty parenthesized group");
                return Some(None);
            }
            self.s = before;
            return None;
        }
        let Some(left) = self.operand("") else {
            self.s = before;
            return None;
        };
        if self.is_at_logical() {
            let group = self.or_chain(left).and_then(|read| self.attach_with(read));
            return Some(group.and_then(|read| self.close_group(vec![read], open)));
        }
        if self.s.token == Token::With && !left.explicit {
            return self.group_with(left.body, open, is_operand, before);
        }
        if left.explicit {
            let start = usize::try_from(left.span.start).unwrap_or(usize::MAX);
            let braces = self.text(start, self.s.last_end);
            self.s = before;
            return self.refuse_body_in_parentheses(open, braces, prefix).then_some(None);
        }
        let is_group = matches!(
            left.body.as_slice(),
            [Expr { negated: true, .. }
                | Expr { kind: ExprKind::Not(_) | ExprKind::And(_) | ExprKind::Or(_), .. }]
        );
        if is_group {
            return Some(self.close_group(left.body, open));
        }
        self.s = before;
        None
    }

    /// `(x with …)`
    fn group_with(
        &mut self,
        body: Body,
        open: Span,
        is_operand: bool,
        before: super::parser::State,
    ) -> Option<Option<Operand>> {
        let with = self.token_span();
        let Some(read) = body.into_iter().next().and_then(|read| self.attach_with(read)) else {
            return Some(None);
        };
        if self.is_at_logical() {
            self.refuse_with_on_operand(with, self.s.token.name());
            return Some(None);
        }
        let group = self.close_group(vec![read], open);
        if group.is_none() || is_operand || self.is_at_logical() {
            return Some(group);
        }
        self.s = before;
        None
    }

    fn close_group(&mut self, body: Body, open: Span) -> Option<Operand> {
        if self.s.token != Token::RParen {
            self.error_here("expected ) to close parenthesized group");
            return None;
        }
        self.scan();
        Some(Operand { body, explicit: false, span: self.extend(open) })
    }

    /// `({ … })`: a value, or a fault.
    fn refuse_body_in_parentheses(&mut self, open: Span, braces: &str, prefix: &str) -> bool {
        let before = self.s;
        self.scan();
        let is_value = self.term().is_some();
        self.s = before;
        if !is_value {
            self.hint(format!("drop the parens to keep the body: `{prefix}{braces}`"));
            self.error(open, "`(...)` in an operand position cannot contain a body");
        }
        !is_value
    }

    // --- faults of operands

    pub(super) fn refuse_with_on_operand(&mut self, with: Span, operator: &str) {
        self.hint(format!(
            "Wrap the operand in `(...)` or `{{...}}` to scope, or move `with` after the `{operator}` expression to apply it to the whole expression"
        ));
        self.error(with, format!("`with` modifier is not allowed on operand of `{operator}`"));
    }

    pub(super) fn refuse_brace(&mut self, span: Span, operand: &str, operator: &str) {
        self.hint(format!("wrap the operand to keep the value: `({operand}) {operator} ...`"));
        self.error(
            span,
            format!("operand of `{operator}` cannot begin with `{{` unless the braces hold a body"),
        );
    }

    fn refuse_ambiguous_union(&mut self, brace: Span, body: &Body, prefix: &str) {
        let start = usize::try_from(brace.start).unwrap_or(usize::MAX);
        let braces = self.text(start, self.s.last_end);
        let in_braces = |at: u32| usize::try_from(at).ok()?.checked_sub(start);
        let union = body.first().and_then(|first| {
            let (from, to) = in_braces(first.span.start).zip(in_braces(first.span.end))?;
            let (before, inside) = (braces.get(..from)?, braces.get(from..to)?);
            Some(format!("{before}({inside}){}", braces.get(to..)?))
        });
        let union = union.unwrap_or_else(|| braces.to_owned());
        self.hint(format!(
            "write `{prefix}({braces})` for the comprehension, or `{prefix}{union}` for the set union"
        ));
        self.error(
            brace,
            "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, not as a comprehension",
        );
    }

    /// An operand that only prints never fails.
    fn refuse_void_operands(&mut self, left: &Operand, right: &Operand, operator: &str) {
        for operand in [left, right] {
            if let Some((name, span)) = void_call(&operand.body) {
                self.hint(format!(
                    "`{name}` produces no value and always succeeds, so the operand can never fail; move it out of the operand, or add an expression that can fail"
                ));
                self.error(
                    span,
                    format!("operand of `{operator}` cannot consist only of calls to `{name}`"),
                );
            }
        }
    }
}

/// The first built-in without a value that a body calls, if it does nothing else.
fn void_call(body: &Body) -> Option<(&'static str, Span)> {
    let mut first = None;
    for read in body {
        let ExprKind::Call(terms) = &read.kind else { return None };
        let TermValue::Ref(operator) = &terms.first()?.value else { return None };
        let declaration = table::declaration(&text::of_ref(operator))?;
        if read.negated || declaration.result.is_some() {
            return None;
        }
        first = first.or(Some((declaration.name, read.span)));
    }
    first
}

/// Whether a body begins with a bare `a | b`, which cannot be distinguished from a comprehension.
fn is_ambiguous_union(parser: &Parser<'_>, body: &Body) -> bool {
    let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
    let text = |span: Span| parser.text(at(span.start), at(span.end));
    let Some(Expr { kind: ExprKind::Call(terms), span, .. }) = body.first() else { return false };
    let is_union = terms.first().is_some_and(|operator| {
        matches!(
            &operator.value,
            TermValue::Ref(name) if matches!(
                name.as_slice(),
                [Term { value: TermValue::Var(name), .. }] if &**name == "or"
            )
        ) && text(operator.span) == "|"
    });
    is_union && !text(*span).trim_start().starts_with('(')
}

/// The value that a term's leading brace opens: an infix call's left side is written first.
fn brace_led(term: &Term) -> &TermValue {
    let mut value = &term.value;
    while let TermValue::Call(terms) = value
        && let Some(TermValue::Ref(operator)) = terms.first().map(|operator| &operator.value)
        && let Some(declaration) = table::declaration(&text::of_ref(operator))
        && declaration.infix.is_some()
        && terms.len() == declaration.arity() + 1
        && let Some(left) = terms.get(1)
    {
        value = &left.value;
    }
    value
}
