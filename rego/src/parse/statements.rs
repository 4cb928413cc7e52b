//! A module's statements: packages, imports, rules, and bodies that may turn out to be rules.

use crate::ast::{Body, Import, Package, Term, TermValue};
use crate::compile::text;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

use super::parser::{Comment, Parser};
use super::rules::ParsedRule;
use super::token::{Future, Keywords, Token, is_keyword_of};
use super::words;

/// How many faults of a module are reported.
const MAX_FAULTS: usize = 10;

/// A statement of a module.
pub(super) enum Statement {
    Package(Package),
    Import(Import),
    Rule(ParsedRule),
    Body(Body),
}

/// The statements and faults of a module.
pub(super) struct Statements {
    pub(super) statements: Vec<Statement>,
    /// The statements before the first fault.
    pub(super) comments: Vec<Comment>,
    /// The faults of the first faulty statement.
    pub(super) faults: Vec<Diagnostic>,
    /// The faults of later statements.
    pub(super) later_faults: Vec<Diagnostic>,
}

/// A rule must not have such a name if one of these tokens follows, because the statement could
/// only be a rule.
const fn followers(keyword: Token) -> &'static [Token] {
    match keyword {
        Token::Every | Token::If | Token::In | Token::Some | Token::As => {
            &[Token::Assign, Token::Unify, Token::If, Token::Contains, Token::LParen]
        }
        // Paths may begin with `if` and `contains`.
        Token::Package | Token::Import => &[Token::Assign, Token::Unify, Token::LParen],
        // `not (x)` is a group, `or(x, y)` a call.
        Token::Not | Token::LogicalAnd | Token::LogicalOr => {
            &[Token::Assign, Token::Unify, Token::If, Token::Contains]
        }
        Token::Contains => &[Token::If, Token::Contains],
        _ => &[],
    }
}

impl<'a> Parser<'a> {
    /// Reads all statements. After a fault, reading continues at the next line that looks like the
    /// beginning of a statement.
    pub(super) fn statements(mut self) -> Statements {
        let mut parsed = self.up_to_fault();
        if !parsed.faults.is_empty() {
            while parsed.faults.len() + parsed.later_faults.len() < MAX_FAULTS && self.recover() {
                self.run(&mut parsed.statements);
                parsed.later_faults.append(&mut self.faults());
            }
        }
        parsed
    }

    /// Reads statements up to the first fault.
    pub(super) fn first_statements(mut self) -> Statements {
        self.up_to_fault()
    }

    fn up_to_fault(&mut self) -> Statements {
        let mut statements = Vec::new();
        self.run(&mut statements);
        let (faults, comments) = (self.faults(), self.comments());
        Statements { statements, comments, faults, later_faults: Vec::new() }
    }

    /// Skips to the next line that looks like the beginning of a statement.
    fn recover(&mut self) -> bool {
        if self.is_at_its_end() {
            return false;
        }
        let text = self.lexer.text();
        let mut at = self.s.start;
        while let Some(newline) = text.get(at..).and_then(|rest| rest.find('\n')) {
            at += newline + 1;
            let begins = text.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
            if begins {
                self.go_to(at);
                return true;
            }
        }
        false
    }

    /// Reads statements up to the end, or to a faulty one.
    fn run(&mut self, statements: &mut Vec<Statement>) {
        while self.s.token != Token::Eof {
            self.memo = super::parser::Memo::default();
            let before = self.s;
            if self.refuses_keyword_as_rule_name(false) {
                return;
            }
            if self.s.token == Token::Package {
                if let Some(package) = self.package() {
                    if self.s.token == Token::Sub {
                        // It would be read as the sign of the next statement.
                        self.illegal_token();
                        return;
                    }
                    statements.push(Statement::Package(package));
                    continue;
                } else if self.has_faults() {
                    return;
                }
                self.s = before;
            }
            if self.s.token == Token::Import {
                if let Some(import) = self.import() {
                    if self.s.token == Token::Sub {
                        self.illegal_token();
                        return;
                    }
                    self.apply_import(&import);
                    statements.push(Statement::Import(import));
                    continue;
                } else if self.has_faults() {
                    return;
                }
                self.s = before;
            }
            if let Some(rules) = self.rules() {
                statements.extend(rules.into_iter().map(Statement::Rule));
                continue;
            } else if self.has_faults() {
                return;
            }
            self.s = before;
            match self.query(true, Token::Eof) {
                Some(body) => statements.push(Statement::Body(body)),
                None => return,
            }
        }
    }

    /// Records that a keyword cannot be a rule's name, where the statement could only be a rule.
    pub(super) fn refuses_keyword_as_rule_name(&mut self, is_default: bool) -> bool {
        let keyword = self.s.token;
        let followers = followers(keyword);
        if followers.is_empty() || (!is_default && !followers.contains(&self.peek(true))) {
            return false;
        }
        self.error_here(format!("{} keyword cannot be used for rule name", keyword.name()));
        true
    }

    fn package(&mut self) -> Option<Package> {
        let span = self.token_span();
        let term = self.path_after_keyword(Self::term)?;
        let Some(term) = term else {
            if !self.has_faults() {
                self.error_here("expected path");
            }
            return None;
        };
        let root = |span: Span| Term { value: TermValue::Var("data".into()), span };
        let path = match term.value {
            TermValue::Var(name) => {
                vec![root(term.span), Term { value: TermValue::String(name), span: term.span }]
            }
            TermValue::Ref(terms) => {
                let mut path = Vec::with_capacity(terms.len() + 1);
                for (index, key) in terms.into_iter().enumerate() {
                    let (key, expected) = match key.value {
                        TermValue::Var(name) if index == 0 => {
                            path.push(root(key.span));
                            (Term { value: TermValue::String(name), span: key.span }, "")
                        }
                        TermValue::String(_) if index > 0 => (key, ""),
                        _ => (key, if index == 0 { "var" } else { "string" }),
                    };
                    if !expected.is_empty() {
                        self.unexpected_key(&key, expected);
                        return None;
                    }
                    path.push(key);
                }
                path
            }
            _ => {
                self.illegal_token();
                return None;
            }
        };
        Some(Package { path, span })
    }

    fn unexpected_key(&mut self, key: &Term, expected: &str) {
        let kind = text::kind(&key.value);
        self.error(key.span, format!("unexpected {kind} token: expecting {expected}"));
    }

    /// Reads the path after `package` or `import`; `None` if the keyword begins a reference.
    fn path_after_keyword<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.scan_whitespace();
        if matches!(self.s.token, Token::Dot | Token::LBrack) {
            return None;
        }
        if self.s.token == Token::Whitespace {
            self.scan();
        }
        if self.s.token != Token::Ident {
            if !self.is_allowed_ref_keyword(self.s.token) {
                self.illegal_token();
                return None;
            }
            self.s.token = Token::Ident;
        }
        Some(read(self))
    }

    fn import(&mut self) -> Option<Import> {
        let span = self.token_span();
        let mut before = self.s;
        let term = self.path_after_keyword(|parser| {
            before = parser.s;
            let keywords = parser.s.keywords;
            // In a path, keywords are plain words.
            parser.s.keywords = Keywords::NONE;
            let term = parser.term();
            parser.s.keywords = keywords;
            term
        })?;
        let path = match term {
            Some(term @ Term { value: TermValue::Var(_), span }) => Some((span, vec![term])),
            Some(Term { value: TermValue::Ref(keys), span }) => {
                let wrong = |key: &&Term| !matches!(key.value, TermValue::String(_));
                if let Some(key) = keys.iter().skip(1).find(wrong) {
                    self.s = before;
                    self.unexpected_key(key, "string");
                    return None;
                }
                Some((span, keys))
            }
            Some(_) | None => None,
        };
        let Some((path_span, path)) = path else {
            self.error_here("expected path");
            return None;
        };
        if !root(&path).is_some_and(|root| matches!(root, "data" | "input" | "future" | "rego")) {
            self.hint("if this is unexpected, try updating OPA");
            let got = path.first().map(words::term).unwrap_or_default();
            self.error(
                path_span,
                format!(
                    "unexpected import path, must begin with one of: {{data, future, input, rego}}, got: {got}"
                ),
            );
            return None;
        }
        let (alias, alias_span) = if self.s.token == Token::As {
            let (alias, span) = self.alias()?;
            (Some(alias), Some(span))
        } else {
            self.refuse_keyword_at_the_end(&path);
            (None, None)
        };
        let path = Term { value: TermValue::Ref(path), span: path_span };
        Some(Import { path, alias, span, alias_span })
    }

    fn alias(&mut self) -> Option<(crate::ast::Name, Span)> {
        self.scan();
        if self.s.token != Token::Ident {
            self.illegal("expected var");
            return None;
        }
        match self.term() {
            Some(Term { value: TermValue::Var(name), span }) => return Some((name, span)),
            Some(Term { value: TermValue::Ref(keys), span }) if keys.len() == 1 => {
                if let Some(name) = root(&keys).filter(|name| matches!(*name, "data" | "input")) {
                    self.error(
                        span,
                        format!(
                            "unexpected import alias, must not be a reserved name, got: {name}"
                        ),
                    );
                    return None;
                }
            }
            Some(_) | None => {}
        }
        self.illegal("expected var");
        None
    }

    fn refuse_keyword_at_the_end(&mut self, path: &[Term]) {
        let last = match path {
            [only] => only,
            [_, .., last] if root(path) != Some("future") => last,
            _ => return,
        };
        let (TermValue::Var(name) | TermValue::String(name)) = &last.value else { return };
        if is_keyword_of(name, self.version) {
            self.hint("import a different path or use an alias");
            self.error(
                last.span,
                format!("unexpected import path, must not end with a keyword, got: {name}"),
            );
        }
    }

    /// Enables the keywords of an import of `future` or `rego`.
    fn apply_import(&mut self, import: &Import) {
        let TermValue::Ref(path) = &import.path.value else { return };
        match root(path) {
            Some("rego") => self.apply_rego_import(import, path),
            Some("future") => self.apply_future_import(import, path),
            _ => return,
        }
        // The token after the import was read before the keyword was enabled.
        if self.s.token == Token::Ident
            && let Some(keyword) = Future::of(self.literal())
            && self.s.keywords.has(keyword)
        {
            self.s.token = keyword.token();
        }
    }

    fn apply_rego_import(&mut self, import: &Import, path: &[Term]) {
        let version = match path {
            [_, Term { value: TermValue::String(name), .. }] => &**name,
            _ => "",
        };
        if !matches!(version, "v1" | "v2") {
            let path = words::reference(path);
            self.error(
                import.path.span,
                format!("invalid import `{path}`, must be one of: `rego.v1`, `rego.v2`"),
            );
        } else if let Some(alias) = import.alias_span {
            self.error(alias, "`rego` imports cannot be aliased");
        } else if version == "v1" {
            self.s.keywords.add_v1();
        } else {
            self.s.keywords = Keywords::all();
            self.not_bodies = true;
        }
    }

    fn apply_future_import(&mut self, import: &Import, path: &[Term]) {
        let key = |index: usize| match path.get(index).map(|key| &key.value) {
            Some(TermValue::String(name)) => Some(&**name),
            _ => None,
        };
        if key(1) != Some("keywords") {
            self.error(import.path.span, "invalid import, must be `future.keywords`");
        } else if let Some(alias) = import.alias_span {
            self.error(alias, "`future` imports cannot be aliased");
        } else if path.len() == 3 {
            match key(2).and_then(Future::of) {
                Some(keyword) => {
                    self.not_bodies |= keyword == Future::Not;
                    self.s.keywords.add(keyword);
                }
                None => {
                    let names = Future::ALL.map(Future::name).join(" ");
                    self.error(
                        import.path.span,
                        format!("unexpected keyword, must be one of [{names}]"),
                    );
                }
            }
        } else {
            self.s.keywords = Keywords::all();
            self.not_bodies = true;
        }
    }
}

/// The name that a reference begins with.
fn root(path: &[Term]) -> Option<&str> {
    match path.first().map(|root| &root.value) {
        Some(TermValue::Var(name)) => Some(name),
        _ => None,
    }
}
