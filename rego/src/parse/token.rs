//! The tokens and keywords of Rego.

use crate::ast::RegoVersion;

/// A token's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Illegal,
    Eof,
    Whitespace,
    Ident,
    Comment,

    Package,
    Import,
    As,
    Default,
    Else,
    Not,
    Some,
    With,
    Null,
    True,
    False,

    Number,
    String,
    /// From `$"` or `}` to `{`.
    TemplatePart,
    /// From `$"` or `}` to `"`.
    TemplateEnd,
    /// The same within back quotes.
    RawTemplatePart,
    RawTemplateEnd,

    LBrack,
    RBrack,
    LBrace,
    RBrace,
    LParen,
    RParen,
    Comma,
    Colon,

    Add,
    Sub,
    Mul,
    Quo,
    Rem,
    /// `&`
    And,
    /// `|`
    Or,
    /// `=`
    Unify,
    /// `==`
    Equal,
    /// `:=`
    Assign,
    In,
    Neq,
    Gt,
    Lt,
    Gte,
    Lte,
    Dot,
    Semicolon,

    Every,
    Contains,
    If,
    /// The keyword `and`.
    LogicalAnd,
    /// The keyword `or`.
    LogicalOr,
}

impl Token {
    /// OPA's name of it: a word of its messages, and the name of an operator's built-in.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Illegal => "illegal",
            Self::Eof => "eof",
            Self::Whitespace => "whitespace",
            Self::Ident => "identifier",
            Self::Comment => "comment",
            Self::Package => "package",
            Self::Import => "import",
            Self::As => "as",
            Self::Default => "default",
            Self::Else => "else",
            Self::Not => "not",
            Self::Some => "some",
            Self::With => "with",
            Self::Null => "null",
            Self::True => "true",
            Self::False => "false",
            Self::Number => "number",
            Self::String => "string",
            Self::TemplatePart => "template-string-part",
            Self::TemplateEnd => "template-string-end",
            Self::RawTemplatePart => "raw-template-string-part",
            Self::RawTemplateEnd => "raw-template-string-end",
            Self::LBrack => "[",
            Self::RBrack => "]",
            Self::LBrace => "{",
            Self::RBrace => "}",
            Self::LParen => "(",
            Self::RParen => ")",
            Self::Comma => ",",
            Self::Colon => ":",
            Self::Add => "plus",
            Self::Sub => "minus",
            Self::Mul => "mul",
            Self::Quo => "div",
            Self::Rem => "rem",
            Self::And | Self::LogicalAnd => "and",
            Self::Or | Self::LogicalOr => "or",
            Self::Unify => "eq",
            Self::Equal => "equal",
            Self::Assign => "assign",
            Self::In => "in",
            Self::Neq => "neq",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Gte => "gte",
            Self::Lte => "lte",
            Self::Dot => ".",
            Self::Semicolon => ";",
            Self::Every => "every",
            Self::Contains => "contains",
            Self::If => "if",
        }
    }

    /// Whether OPA's messages call it a keyword.
    pub(super) const fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Package
                | Self::Import
                | Self::As
                | Self::Default
                | Self::Else
                | Self::Not
                | Self::Some
                | Self::With
                | Self::Null
                | Self::True
                | Self::False
                | Self::In
                | Self::Every
                | Self::Contains
                | Self::If
                | Self::LogicalAnd
                | Self::LogicalOr
        )
    }
}

/// A keyword that must be imported in some version of Rego.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Future {
    And,
    Contains,
    Every,
    If,
    In,
    Not,
    Or,
}

impl Future {
    /// In the order of their names.
    pub(super) const ALL: [Self; 7] =
        [Self::And, Self::Contains, Self::Every, Self::If, Self::In, Self::Not, Self::Or];

    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == word)
    }

    pub(super) const fn name(self) -> &'static str {
        self.token().name()
    }

    pub(super) const fn token(self) -> Token {
        match self {
            Self::And => Token::LogicalAnd,
            Self::Contains => Token::Contains,
            Self::Every => Token::Every,
            Self::If => Token::If,
            Self::In => Token::In,
            Self::Not => Token::Not,
            Self::Or => Token::LogicalOr,
        }
    }

    /// Whether it is a keyword of every module since OPA 1.0.
    pub(super) const fn is_in_v1(self) -> bool {
        match self {
            Self::Contains | Self::Every | Self::If | Self::In => true,
            Self::And | Self::Not | Self::Or => false,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::And => 1,
            Self::Contains => 2,
            Self::Every => 4,
            Self::If => 8,
            Self::In => 16,
            Self::Not => 32,
            Self::Or => 64,
        }
    }
}

/// The enabled [`Future`] keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keywords(u8);

impl Keywords {
    /// Not even `not`, which is a keyword everywhere except in the path of an import.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn all() -> Self {
        let mut all = Self::NONE;
        Future::ALL.into_iter().for_each(|keyword| all.add(keyword));
        all
    }

    /// Those that need no import.
    pub(super) fn of_version(version: RegoVersion) -> Self {
        let mut keywords = Self(Future::Not.bit());
        match version {
            RegoVersion::V0 | RegoVersion::V0CompatV1 => {}
            RegoVersion::V1 => keywords.add_v1(),
        }
        keywords
    }

    /// `every` brings `in`.
    pub(super) fn add(&mut self, keyword: Future) {
        self.0 |= keyword.bit();
        if keyword == Future::Every {
            self.0 |= Future::In.bit();
        }
    }

    pub(super) fn add_v1(&mut self) {
        Future::ALL
            .into_iter()
            .filter(|keyword| keyword.is_in_v1())
            .for_each(|keyword| self.add(keyword));
    }

    pub(super) const fn has(self, keyword: Future) -> bool {
        self.0 & keyword.bit() != 0
    }

    /// Whether `and` or `or` is enabled.
    pub(super) const fn has_logical(self) -> bool {
        self.has(Future::And) || self.has(Future::Or)
    }

    /// The kind of a word.
    pub(super) fn token(self, word: &str) -> Token {
        match word {
            "package" => Token::Package,
            "import" => Token::Import,
            "as" => Token::As,
            "default" => Token::Default,
            "else" => Token::Else,
            "some" => Token::Some,
            "with" => Token::With,
            "null" => Token::Null,
            "true" => Token::True,
            "false" => Token::False,
            "and" | "contains" | "every" | "if" | "in" | "not" | "or" => Future::of(word)
                .filter(|keyword| self.has(*keyword))
                .map_or(Token::Ident, Future::token),
            _ => Token::Ident,
        }
    }

    /// Whether a word is a keyword here.
    pub(super) fn is_keyword(self, word: &str) -> bool {
        self.token(word) != Token::Ident
    }
}

/// Whether a word is a keyword of a version with any imports.
pub(super) fn is_keyword_of(word: &str, version: RegoVersion) -> bool {
    let syntax = match version {
        RegoVersion::V0 => RegoVersion::V0,
        RegoVersion::V0CompatV1 | RegoVersion::V1 => RegoVersion::V1,
    };
    Keywords::of_version(syntax).is_keyword(word)
}
