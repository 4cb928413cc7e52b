//! A glob pattern as an expression that matches whole texts.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::lexer::{Lexer, Offence, Token};
use crate::builtins::{Failure, limits};

/// The highest nesting of braces. The compiler of the automaton recurses to this depth.
const MAX_DEPTH: usize = 100;

/// The highest number of bytes in a pattern.
const PATTERN_BYTES: usize = 1 << 18;

impl From<Offence> for Failure {
    fn from(offence: Offence) -> Self {
        Self::Builtin(format!("glob: syntax error at {}: {}", offence.offset, offence.reason))
    }
}

/// Braces that are open, or the pattern itself.
#[derive(Debug, Default)]
struct Group {
    alternatives: Vec<Hir>,
    sequence: Vec<Hir>,
}

impl Group {
    fn end_alternative(&mut self) {
        self.alternatives.push(Hir::concat(std::mem::take(&mut self.sequence)));
    }
}

/// Reads a pattern. Delimiters are not matched by `*` and `?`.
pub(super) fn parse(pattern: &str, delimiters: &[char]) -> Result<Hir, Failure> {
    if pattern.len() > PATTERN_BYTES {
        return Err(limits::exceeded("a glob pattern is too long"));
    }
    let all = class(ClassUnicode::empty(), true);
    let within = class(set(delimiters.iter().copied()), true);
    let mut lexer = Lexer::new(pattern);
    let mut outer: Vec<Group> = Vec::new();
    let mut group = Group::default();
    while let Some(token) = lexer.next()? {
        let hir = match token {
            Token::Text(text) => Hir::literal(text.into_bytes()),
            Token::Star => any(within.clone()),
            Token::DoubleStar => any(all.clone()),
            Token::Single => within.clone(),
            Token::Set { negated, characters } => class(set(characters.chars()), negated),
            Token::Range { negated, first, last } => {
                class(ClassUnicode::new([ClassUnicodeRange::new(first, last)]), negated)
            }
            Token::Open => {
                if outer.len() >= MAX_DEPTH {
                    return Err(limits::exceeded("a glob pattern is too deep"));
                }
                outer.push(std::mem::take(&mut group));
                continue;
            }
            Token::Comma => {
                group.end_alternative();
                continue;
            }
            Token::Close => {
                group.end_alternative();
                let around = outer.pop().unwrap_or_default();
                let inner = std::mem::replace(&mut group, around);
                Hir::alternation(inner.alternatives)
            }
        };
        group.sequence.push(hir);
    }
    if !outer.is_empty() {
        let offset = lexer.offset();
        return Err(Offence { offset, reason: "unclosed `{`".to_owned() }.into());
    }
    let mut whole = vec![Hir::look(Look::Start)];
    whole.append(&mut group.sequence);
    whole.push(Hir::look(Look::End));
    Ok(Hir::concat(whole))
}

fn set(characters: impl Iterator<Item = char>) -> ClassUnicode {
    ClassUnicode::new(characters.map(|c| ClassUnicodeRange::new(c, c)))
}

fn class(mut class: ClassUnicode, negated: bool) -> Hir {
    if negated {
        class.negate();
    }
    Hir::class(Class::Unicode(class))
}

fn any(class: Hir) -> Hir {
    Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(class) })
}
