//! Rules and functions: heads, bodies, `else`, defaults.

use crate::ast::{Body, Expr, ExprKind, Head, Rule, Term, TermValue};
use crate::compile::text;
use crate::source::Span;

use super::ground::is_ground;
use super::parser::Parser;
use super::relocate;
use super::token::Token;
use super::words;

/// How many `else` may follow one rule: each is a level of the tree.
const MAX_ELSE: usize = 1_000;

/// A rule, and the keywords in it and in each `else` of it.
pub(super) struct ParsedRule {
    pub(super) rule: Rule,
    pub(super) keywords: Vec<HeadKeywords>,
}

/// The keywords before a body.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadKeywords {
    pub(super) contains: bool,
    pub(super) if_: bool,
}

/// The generated body of a rule without one.
pub(super) fn true_body(span: Span) -> Body {
    let term = Term { value: TermValue::Bool(true), span };
    vec![Expr { generated: true, ..expr(ExprKind::Term(term), span) }]
}

/// A statement without modifiers.
pub(super) const fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, negated: false, with: Vec::new(), generated: false, from_assignment: false, span }
}

impl Parser<'_> {
    /// Reads a rule, and the chained bodies after it.
    pub(super) fn rules(&mut self) -> Option<Vec<ParsedRule>> {
        let start = self.s.start;
        let first_token = self.token_span();
        self.keyword_as_ref();
        let is_default = self.s.token == Token::Default;
        if is_default {
            self.scan();
            self.keyword_as_ref();
        }
        if self.s.token != Token::Ident {
            if is_default {
                self.refuses_keyword_as_rule_name(true);
            }
            return None;
        }
        let (mut head, contains) = self.head(is_default)?;
        if is_default {
            return self.default_rule(head, first_token).map(|rule| vec![rule]);
        }
        let if_ = self.s.token == Token::If;
        if !contains && head.args.as_ref().is_none_or(Vec::is_empty) {
            complete_bracket_head(&mut head, if_)?;
        }
        let keywords = HeadKeywords { contains, if_ };
        let mut rule = Rule {
            span: head.span,
            head,
            body: Body::new(),
            else_rule: None,
            is_default,
            generated_body: false,
            annotations: Vec::new(),
        };
        match self.s.token {
            Token::If => rule.body = self.body_after_if()?,
            Token::LBrace => rule.body = self.braced_body()?,
            _ if contains => {
                rule.body = true_body(first_token);
                rule.generated_body = true;
                return Some(vec![ParsedRule { rule, keywords: vec![keywords] }]);
            }
            _ => return None,
        }
        let mut all_keywords = vec![keywords];
        // A rule that is named `else.x` may follow as well.
        if self.s.token == Token::Else && !self.keyword_as_ref() {
            if rule.head.reference.len() > 1 && !rule.head.reference.iter().skip(1).all(is_ground) {
                self.error_here("else keyword cannot be used on rules with variables in head");
                return None;
            }
            if rule.head.key.is_some() {
                self.error_here("else keyword cannot be used on multi-value rules");
                return None;
            }
            let others = self.else_chain(&rule.head, &mut all_keywords)?;
            rule.else_rule = others.map(Box::new);
        }
        rule.span = self.span_from(start);
        self.chained_bodies(ParsedRule { rule, keywords: all_keywords })
    }

    fn default_rule(&mut self, head: Head, span: Span) -> Option<ParsedRule> {
        let span = self.extend(span);
        match &head.value {
            None => {
                self.error(span, "illegal default rule (must have a value)");
                return None;
            }
            Some(value) => {
                let mut kinds = Vec::new();
                super::ground::not_constant(value, &mut kinds);
                if !kinds.is_empty() {
                    for kind in kinds {
                        self.error(
                            span,
                            format!("illegal default rule (value cannot contain {kind})"),
                        );
                    }
                    return None;
                }
            }
        }
        let mut valid = true;
        let mut seen: Vec<&str> = Vec::new();
        for arg in head.args.iter().flatten() {
            match &arg.value {
                TermValue::Var(name) if seen.contains(&&**name) => {
                    valid = false;
                    self.error(
                        span,
                        format!("illegal default rule (arguments cannot be repeated {name})"),
                    );
                }
                TermValue::Var(name) => seen.push(name),
                other => {
                    valid = false;
                    let kind = text::kind(other);
                    self.error(
                        span,
                        format!("illegal default rule (arguments cannot contain {kind})"),
                    );
                }
            }
        }
        let rule = Rule {
            head,
            body: true_body(span),
            else_rule: None,
            is_default: true,
            generated_body: true,
            annotations: Vec::new(),
            span,
        };
        valid.then(|| ParsedRule { rule, keywords: vec![HeadKeywords::default()] })
    }

    /// `if statement` or `if { statements }`
    fn body_after_if(&mut self) -> Option<Body> {
        self.scan();
        let before = self.s;
        let is_braced = self.s.token == Token::LBrace;
        if let Some(expr) = self.statement() {
            // A set is always defined: `if { x }` is a body.
            let is_set = is_braced
                && matches!(&expr.kind, ExprKind::Term(term) if matches!(term.value, TermValue::Set(_)));
            if !is_set {
                return Some(vec![expr]);
            }
        }
        if !is_braced {
            return None;
        }
        self.s = before;
        self.braced_body()
    }

    /// `{ statements }`
    pub(super) fn braced_body(&mut self) -> Option<Body> {
        self.scan();
        let body = self.body(Token::RBrace)?;
        self.scan();
        Some(body)
    }

    /// `{ … }` after a rule's body: another rule with the same head, placed at the body.
    fn chained_bodies(&mut self, first: ParsedRule) -> Option<Vec<ParsedRule>> {
        let mut rules = vec![first];
        while self.s.token == Token::LBrace {
            let (head, keywords, has_else) = rules.first().map(|first| {
                let keywords = first.keywords.first().copied().unwrap_or_default();
                (first.rule.head.clone(), keywords, first.rule.else_rule.is_some())
            })?;
            if has_else {
                self.error_here("expected else keyword");
                return None;
            }
            let start = self.s.start;
            let body = self.braced_body()?;
            let span = self.span_from(start);
            let mut head = Head { span, ..head };
            self.renew_wildcards(&mut head);
            relocate::head(&mut head, span);
            let rule = Rule {
                head,
                body,
                else_rule: None,
                is_default: false,
                generated_body: false,
                annotations: Vec::new(),
                span,
            };
            rules.push(ParsedRule { rule, keywords: vec![keywords] });
        }
        Some(rules)
    }

    /// Gives wildcard parameters unique names.
    fn renew_wildcards(&mut self, head: &mut Head) {
        for arg in head.args.iter_mut().flatten() {
            if let TermValue::Var(name) = &mut arg.value
                && name.starts_with('$')
            {
                *name = self.wildcard();
            }
        }
    }

    /// All `else` of a rule, the later ones within the earlier ones.
    fn else_chain(
        &mut self,
        head: &Head,
        keywords: &mut Vec<HeadKeywords>,
    ) -> Option<Option<Rule>> {
        let mut rules = Vec::new();
        while self.s.token == Token::Else {
            if rules.len() >= MAX_ELSE {
                self.error_here(format!("a rule cannot have more than {MAX_ELSE} else branches"));
                return None;
            }
            let (rule, has_if) = self.else_rule(head)?;
            let ends = rule.generated_body;
            rules.push(rule);
            keywords.push(HeadKeywords { contains: false, if_: has_if });
            if ends {
                break;
            }
        }
        let mut chain: Option<Rule> = None;
        while let Some(rule) = rules.pop() {
            let span = self.extend(rule.span);
            chain = Some(Rule { span, else_rule: chain.map(Box::new), ..rule });
        }
        Some(chain)
    }

    /// `else := value if …`, without further `else`.
    fn else_rule(&mut self, head: &Head) -> Option<(Rule, bool)> {
        let keyword = self.token_span();
        let mut head = Head { span: keyword, generated_value: false, ..head.clone() };
        self.renew_wildcards(&mut head);
        self.scan();
        match self.s.token {
            Token::LBrace | Token::If => {
                head.generated_value = true;
                head.value = Some(Term { value: TermValue::Bool(true), span: keyword.emptied() });
            }
            Token::Assign | Token::Unify => {
                head.assign = self.s.token == Token::Assign;
                self.scan();
                head.value = Some(self.infix_term()?);
                head.span = self.extend(keyword);
            }
            _ => {
                self.illegal("expected else value term or rule body");
                return None;
            }
        }
        let has_if = self.s.token == Token::If;
        let mut rule = Rule {
            head,
            body: Body::new(),
            else_rule: None,
            is_default: false,
            generated_body: false,
            annotations: Vec::new(),
            span: keyword,
        };
        if !has_if && self.s.token != Token::LBrace {
            rule.body = true_body(keyword);
            rule.generated_body = true;
            return Some((rule, false));
        }
        if has_if {
            self.scan();
        }
        rule.body = match self.s.token {
            Token::LBrace => self.braced_body()?,
            Token::Eof => {
                self.illegal("rule body expected");
                return None;
            }
            _ => {
                // OPA places such a body where the keyword stands.
                let mut body = vec![self.statement()?];
                relocate::body(&mut body, keyword);
                body
            }
        };
        Some((rule, has_if))
    }

    /// Reads a head; returns whether it has `contains`.
    fn head(&mut self, is_default: bool) -> Option<(Head, bool)> {
        let start = self.s.start;
        let first_token = self.token_span();
        let name = self.variable();
        let Some(term) = self.head_finish(name) else {
            self.illegal("expected rule head name");
            return None;
        };
        let (reference, args) = match term.value {
            TermValue::Var(_) => (vec![term], None),
            TermValue::Ref(reference) => (reference, None),
            TermValue::Call(mut terms) => {
                let args = terms.split_off(1);
                let operator = terms.pop()?;
                match operator.value {
                    TermValue::Ref(reference) => {
                        if !matches!(reference.first()?.value, TermValue::Var(_)) {
                            let name = words::reference(&reference);
                            self.illegal(&format!("rule head ref {name} invalid"));
                            return None;
                        }
                        (reference, Some(args))
                    }
                    _ => (vec![operator], Some(args)),
                }
            }
            _ => return None,
        };
        let mut head = Head {
            reference,
            args,
            key: None,
            value: None,
            generated_value: false,
            assign: false,
            span: first_token,
        };
        let mut contains = false;
        match self.s.token {
            Token::Contains => {
                contains = true;
                if head.args.is_some() {
                    let name = words::reference(&head.reference);
                    self.illegal(&format!("the contains keyword can only be used with multi-value rule definitions (e.g., {name} contains <VALUE> {{ ... }})"));
                }
                self.scan();
                head.key = self.infix_term();
                if head.key.is_none() {
                    let name = words::reference(&head.reference);
                    self.illegal(&format!(
                        "expected rule key term (e.g., {name} contains <VALUE> {{ ... }})"
                    ));
                }
            }
            Token::Unify => {
                self.scan();
                head.value = self.infix_term();
                if head.value.is_none() {
                    // OPA prints the key, which is always missing here.
                    let name = words::reference(&head.reference);
                    self.illegal(&format!(
                        "expected rule value term (e.g., {name}[<nil>] = <VALUE> {{ ... }})"
                    ));
                }
            }
            Token::Assign => {
                self.scan();
                head.assign = true;
                head.value = self.infix_term();
                if head.value.is_none() {
                    self.expected_value(&head, is_default);
                }
            }
            _ => {}
        }
        head.span = self.span_from(start);
        let has_args = head.args.as_ref().is_some_and(|args| !args.is_empty());
        if !contains && head.value.is_none() && (head.reference.len() != 2 || has_args) {
            let span = head.span.emptied();
            set_true(&mut head, span);
        }
        Some((head, contains))
    }

    fn expected_value(&mut self, head: &Head, is_default: bool) {
        let name = words::reference(&head.reference);
        let note = if head.args.as_ref().is_some_and(|args| !args.is_empty()) {
            format!("expected function value term (e.g., {name}(...) := <VALUE> {{ ... }})")
        } else if is_default {
            format!("expected default rule value term (e.g., default {name} := <VALUE>)")
        } else {
            format!("expected rule value term (e.g., {name} := <VALUE> {{ ... }})")
        };
        self.illegal(&note);
    }
}

fn set_true(head: &mut Head, span: Span) {
    head.generated_value = true;
    head.value = Some(Term { value: TermValue::Bool(true), span });
}

/// The meaning of `p[x]`: with `if` one value at a path, without it an element of the set `p`.
fn complete_bracket_head(head: &mut Head, has_if: bool) -> Option<()> {
    let [name, key] = head.reference.as_slice() else { return Some(()) };
    if has_if {
        if !is_ground(key) || matches!(key.value, TermValue::Ref(_)) {
            head.key = Some(key.clone());
        }
        let is_named = matches!(name.value, TermValue::Var(_));
        match &head.value {
            None => {
                let span = head.span;
                set_true(head, span);
            }
            Some(_) if is_named => {}
            Some(_) => return None,
        }
    } else {
        if !matches!(name.value, TermValue::Var(_)) {
            return None;
        }
        head.key = Some(key.clone());
        if head.value.is_none() {
            head.reference.truncate(1);
        }
    }
    Some(())
}
