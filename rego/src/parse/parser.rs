//! The parser's state: tokens, faults, and backtracking.
//!
//! The grammar needs to look ahead without bound (`{x | …}` may be a comprehension or a set of
//! unions), so the parser tries and backtracks, as OPA's does. All state that backtracking must
//! undo is a small value that is copied ([`State`]). Faults, hints and comments are linked lists,
//! so that a copy is an index.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::ast::{Name, RegoVersion, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};

use super::lexer::{Lexer, Mode};
use super::token::{Future, Keywords, Token, is_keyword_of};

/// The highest nesting of terms, statements and bodies; also the height of any tree that the parser
/// makes, long chains of operators included.
///
/// OPA's parser allows 100,000 levels of recursion. A worker parses, compiles and drops the tree on
/// its main thread's stack of 8 MiB, where each level costs some KiB in a debug build.
pub(super) const MAX_DEPTH: usize = 400;

/// How often terms may be read, including reads after backtracking: a number for each byte of the
/// text, and a constant number more. Handwritten text needs a quarter of a read for each byte. Only
/// nested ambiguous brackets need more than this, where each level could double the time.
const READS_PER_BYTE: usize = 8;
const MORE_READS: usize = 100_000;

/// An index into a linked list; 0 is the empty list.
pub(super) type Entry = usize;

/// The state that backtracking restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) token: Token,
    /// The beginning of the token.
    pub(super) start: usize,
    /// The end of the token.
    pub(super) end: usize,
    /// The end of the last token before it that is not whitespace.
    pub(super) last_end: usize,
    /// Whether a line ended between the two.
    pub(super) skipped_newline: bool,
    /// The number of the next wildcard.
    wildcard: u32,
    pub(super) keywords: Keywords,
    faults: Entry,
    hints: Entry,
    pub(super) comments: Entry,
}

/// A `#` comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comment {
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
struct Linked<T> {
    entries: Vec<(T, Entry)>,
}

impl<T> Default for Linked<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Linked<T> {
    fn push(&mut self, list: &mut Entry, value: T) {
        self.entries.push((value, *list));
        *list = self.entries.len();
    }

    /// The last entry and the list before it, if the entry is one of these.
    fn get(&self, list: Entry, is: impl FnOnce(&T) -> bool) -> Option<(&T, Entry)> {
        let (value, before) = self.entries.get(list.checked_sub(1)?)?;
        is(value).then_some((value, *before))
    }

    /// From the last to the first.
    fn iter(&self, list: Entry) -> impl Iterator<Item = &T> {
        let mut next = list;
        std::iter::from_fn(move || {
            let (value, before) = self.entries.get(next.checked_sub(1)?)?;
            next = *before;
            Some(value)
        })
    }

    /// From the first to the last.
    fn collect(&self, list: Entry) -> Vec<T>
    where
        T: Clone,
    {
        let mut all: Vec<T> = self.iter(list).cloned().collect();
        all.reverse();
        all
    }
}

/// Reads a module's tokens.
pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) file: FileId,
    pub(super) version: RegoVersion,
    /// `not {…}` is enabled.
    pub(super) not_bodies: bool,
    pub(super) s: State,
    /// The current nesting depth.
    depth: usize,
    /// The height of the term, statement or body that was read last.
    pub(super) height: usize,
    pub(super) memo: Memo,
    /// Whether the result is discarded, so that hints are not computed.
    pub(super) is_trial: bool,
    /// How often terms may still be read.
    reads: usize,
    /// The place where the budget of reads ended.
    exhausted: Option<Span>,
    faults: Linked<Diagnostic>,
    hints: Linked<String>,
    comments: Linked<Comment>,
    names: HashMap<&'a str, Name>,
}

/// The failed attempts in this statement, so that they are not repeated.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// The positions where terms were read, and the state after failed reads. As in OPA, a term
    /// that is read drops the entries for later positions, and a term that is read again does not.
    terms: Linked<(usize, Option<State>)>,
    last_term: Entry,
    /// Failed reads of terms: the state before, and the one after. Reading depends only on the
    /// state, so this is always valid; it prevents repeated attempts at nested braces, for which
    /// OPA's time doubles with each level.
    failures: HashMap<usize, (State, State)>,
    /// Bars after which a list continues, not a comprehension.
    pub(super) no_comprehension: HashSet<usize>,
    /// Braces that are not an operand of `and` or `or`.
    pub(super) no_operand: HashSet<usize>,
    /// Parentheses that are not a group of operands, and whether they were at an operand's
    /// position.
    pub(super) no_group: HashSet<(usize, bool)>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, file: FileId, version: RegoVersion) -> Self {
        let lexer = Lexer::new(text);
        let start = lexer.start();
        let mut parser = Self {
            lexer,
            file,
            version,
            not_bodies: false,
            s: State {
                token: Token::Illegal,
                start,
                end: start,
                last_end: start,
                skipped_newline: false,
                wildcard: 0,
                keywords: Keywords::of_version(version),
                faults: 0,
                hints: 0,
                comments: 0,
            },
            depth: 0,
            height: 0,
            memo: Memo::default(),
            is_trial: false,
            reads: text.len().saturating_mul(READS_PER_BYTE).saturating_add(MORE_READS),
            exhausted: None,
            faults: Linked::default(),
            hints: Linked::default(),
            comments: Linked::default(),
            names: HashMap::new(),
        };
        parser.scan();
        parser
    }

    // --- tokens

    /// Advances to the next token that is not whitespace.
    pub(super) fn scan(&mut self) {
        self.advance(true, Mode::Plain);
    }

    /// Advances to the next token, which may be whitespace.
    pub(super) fn scan_whitespace(&mut self) {
        self.advance(false, Mode::Plain);
    }

    /// Continues in a template string, after an expression's brace.
    pub(super) fn scan_template(&mut self, raw: bool) {
        self.advance(false, if raw { Mode::RawTemplate } else { Mode::Template });
    }

    fn advance(&mut self, skip_whitespace: bool, mode: Mode) {
        if self.s.token != Token::Whitespace {
            self.s.last_end = self.s.end;
            self.s.skipped_newline = false;
        }
        loop {
            if skip_whitespace && self.lexer.is_clean() {
                let (end, newline) = self.lexer.skip_whitespace(self.s.end);
                self.s.end = end;
                self.s.skipped_newline |= newline;
            }
            let start = self.s.end;
            let lexeme = self.lexer.token(start, self.s.keywords, mode);
            self.s.start = start;
            self.s.end = lexeme.end;
            self.s.token = lexeme.token;
            if lexeme.fault.is_some() || !self.lexer.is_clean() {
                let faults = self.lexer.faults(start, lexeme, mode);
                if !faults.is_empty() {
                    self.s.token = Token::Illegal;
                    let span = self.token_span();
                    faults.into_iter().for_each(|message| self.error(span, message));
                }
            }
            match self.s.token {
                Token::Whitespace => {
                    self.s.skipped_newline |= self.literal() == "\n";
                    if !skip_whitespace {
                        return;
                    }
                }
                Token::Comment => {
                    let comment = Comment { start, end: self.s.end };
                    self.comments.push(&mut self.s.comments, comment);
                }
                _ => return,
            }
        }
    }

    /// Continues at a position, without earlier faults.
    pub(super) fn go_to(&mut self, at: usize) {
        self.s.faults = 0;
        self.s.hints = 0;
        self.s.end = at;
        self.depth = 0;
        self.scan();
    }

    /// The token's text.
    pub(super) fn literal(&self) -> &'a str {
        self.text(self.s.start, self.s.end)
    }

    pub(super) fn text(&self, start: usize, end: usize) -> &'a str {
        self.lexer.text().get(start..end).unwrap_or_default()
    }

    /// Whether a non-ASCII character immediately follows the token.
    pub(super) fn is_glued(&self) -> bool {
        self.lexer.text().as_bytes().get(self.s.end).is_some_and(|byte| !byte.is_ascii())
    }

    /// The token after this one, whitespace included or not, without a change of state.
    pub(super) fn peek(&mut self, skip_whitespace: bool) -> Token {
        let before = self.s;
        self.advance(skip_whitespace, Mode::Plain);
        let token = self.s.token;
        self.s = before;
        token
    }

    pub(super) fn comments(&self) -> Vec<Comment> {
        self.comments.collect(self.s.comments)
    }

    // --- places

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file: self.file, start: number(start), end: number(end.max(start)) }
    }

    /// The token's span.
    pub(super) fn token_span(&self) -> Span {
        self.span(self.s.start, self.s.end)
    }

    /// From a place to the end of the token before this one.
    pub(super) fn span_from(&self, start: usize) -> Span {
        self.span(start, self.s.last_end)
    }

    /// The same, from where a span begins.
    pub(super) fn extend(&self, span: Span) -> Span {
        let end = u32::try_from(self.s.last_end).unwrap_or(u32::MAX);
        Span { end: end.max(span.start), ..span }
    }

    // --- faults

    pub(super) fn has_faults(&self) -> bool {
        self.s.faults != 0
    }

    pub(super) fn faults(&self) -> Vec<Diagnostic> {
        match self.exhausted {
            Some(span) => {
                let message = "the brackets here are nested in too many ways that cannot be told apart; give parts of it names of their own";
                vec![Diagnostic::new(Code::Parse, message, span)]
            }
            None => self.faults.collect(self.s.faults),
        }
    }

    /// Whether reading must stop.
    pub(super) const fn is_at_its_end(&self) -> bool {
        self.exhausted.is_some()
    }

    /// Records a fault, with the earlier hints.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        let mut message = message.into();
        let hints = self.hints.collect(self.s.hints);
        match hints.as_slice() {
            [] => {}
            [hint] => message.push_str(&format!(" (hint: {hint})")),
            several => message.push_str(&format!(" (hints: {})", several.join(", "))),
        }
        self.s.hints = 0;
        let fault = Diagnostic::new(Code::Parse, message, span);
        self.faults.push(&mut self.s.faults, fault);
    }

    pub(super) fn error_here(&mut self, message: impl Into<String>) {
        self.error(self.token_span(), message);
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hints.push(&mut self.s.hints, hint.into());
    }

    pub(super) const fn has_hints(&self) -> bool {
        self.s.hints != 0
    }

    /// Records that the token is not allowed here; `note` says what is expected.
    pub(super) fn illegal(&mut self, note: &str) {
        if self.s.token == Token::Illegal {
            self.error_here("illegal token");
            return;
        }
        let name = self.s.token.name();
        let kind = if self.s.token.is_keyword() { "keyword" } else { "token" };
        let message = if note.is_empty() {
            format!("unexpected {name} {kind}")
        } else {
            format!("unexpected {name} {kind}: {note}")
        };
        self.error_here(message);
    }

    pub(super) fn illegal_token(&mut self) {
        self.illegal("");
    }

    // --- bounds

    /// Reads one level deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            self.too_deep();
            return None;
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Records the height of a new node; no node is higher than the bound.
    pub(super) fn made(&mut self, height: usize) -> Option<()> {
        self.height = height;
        if height > MAX_DEPTH {
            self.too_deep();
            return None;
        }
        Some(())
    }

    fn too_deep(&mut self) {
        self.error_here("max parsing recursion depth exceeded");
    }

    // --- keywords

    pub(super) fn is_allowed_ref_keyword(&self, token: Token) -> bool {
        let word = token.name();
        is_keyword_of(word, self.version) || self.s.keywords.is_keyword(word)
    }

    /// Treats a keyword as a name if a reference continues after it.
    pub(super) fn keyword_as_ref(&mut self) -> bool {
        let is_ref = self.is_allowed_ref_keyword(self.s.token)
            && matches!(self.peek(false), Token::Dot | Token::LBrack);
        if is_ref {
            self.s.token = Token::Ident;
        }
        is_ref
    }

    /// Whether a keyword must be imported in this version.
    pub(super) fn is_future_keyword(&self, keyword: Future) -> bool {
        match self.version {
            RegoVersion::V0 | RegoVersion::V0CompatV1 => keyword.is_in_v1(),
            RegoVersion::V1 => !keyword.is_in_v1(),
        }
    }

    /// Reads with all keywords enabled, to find out whether an import is missing, without a change
    /// of state.
    pub(super) fn try_with_all_keywords<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let state = self.s;
        let memo = std::mem::take(&mut self.memo);
        self.s.keywords = Keywords::all();
        self.is_trial = true;
        let result = read(self);
        self.is_trial = false;
        self.s = state;
        self.memo = memo;
        result
    }

    // --- names and variables

    pub(super) fn name(&mut self, text: &'a str) -> Name {
        Arc::clone(self.names.entry(text).or_insert_with(|| text.into()))
    }

    pub(super) fn wildcard(&mut self) -> Name {
        let name = format!("${}", self.s.wildcard).into();
        self.s.wildcard = self.s.wildcard.saturating_add(1);
        name
    }

    /// The token as a variable.
    pub(super) fn variable(&mut self) -> Term {
        let name = match self.word() {
            word if &*word == "_" => self.wildcard(),
            word => word,
        };
        self.height = 1;
        Term { value: TermValue::Var(name), span: self.token_span() }
    }

    /// The token's text as a name. OPA adds all bytes except the last of a following non-ASCII
    /// character to the word, and prints each as U+FFFD; such a word is never accepted as a name.
    pub(super) fn word(&mut self) -> Name {
        let text = self.literal();
        match self.text(self.s.end, self.lexer.text().len()).chars().next() {
            Some(next) if !next.is_ascii() => {
                let extra = char::REPLACEMENT_CHARACTER.to_string().repeat(next.len_utf8() - 1);
                format!("{text}{extra}").into()
            }
            _ => self.name(text),
        }
    }

    // --- attempts

    /// The recorded attempt to read a term here.
    fn known_term(&self) -> Option<Option<State>> {
        let start = self.s.start;
        self.memo
            .terms
            .iter(self.memo.last_term)
            .take_while(|(at, _)| *at >= start)
            .find(|(at, _)| *at == start)
            .map(|(_, after)| *after)
    }

    /// Reads a term, unless an earlier attempt here failed.
    pub(super) fn remembered(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<Term>,
    ) -> Option<Term> {
        if self.is_exhausted() {
            return None;
        }
        match self.known_term() {
            Some(Some(after)) => {
                self.s = after;
                None
            }
            Some(None) => {
                let known = self.memo.last_term;
                let term = read(self);
                self.memo.last_term = known;
                term
            }
            None => {
                let state = self.s;
                let start = state.start;
                let term = match self.memo.failures.get(&start) {
                    Some((before, after)) if *before == state => {
                        self.s = *after;
                        None
                    }
                    _ => read(self),
                };
                let after = term.is_none().then_some(self.s);
                if let Some(after) = after {
                    self.memo.failures.insert(start, (state, after));
                }
                let mut before = self.memo.last_term;
                while let Some((_, earlier)) = self.memo.terms.get(before, |(at, _)| *at >= start) {
                    before = earlier;
                }
                self.memo.terms.push(&mut before, (start, after));
                self.memo.last_term = before;
                term
            }
        }
    }

    /// Counts a term that is read.
    fn is_exhausted(&mut self) -> bool {
        match self.reads.checked_sub(1) {
            Some(left) => self.reads = left,
            None => self.exhausted = self.exhausted.or(Some(self.token_span())),
        }
        self.exhausted.is_some()
    }

    pub(super) const fn known_terms(&self) -> Entry {
        self.memo.last_term
    }

    pub(super) const fn restore_known_terms(&mut self, known: Entry) {
        self.memo.last_term = known;
    }
}
