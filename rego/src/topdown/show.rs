//! A [`Why`] as lines for a terminal: plain text in parts, each with a style that the command line
//! may show as a colour.

use super::why::{Attempt, Named, RuleOutcome, RuleWhy, StatementOutcome, StatementWhy, Why};

/// How many lines are made.
pub const MAX_LINES: usize = 400;

/// How many characters of a statement are shown on its line.
const MAX_STATEMENT: usize = 100;

/// The kind of a part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Ordinary text.
    Plain,
    /// The question and its answer.
    Heading,
    /// Something that held.
    Held,
    /// Something that failed.
    Failed,
    /// Something that was not evaluated.
    Skipped,
    /// A place in a file.
    Place,
    /// Text of the policy.
    Source,
    /// A value.
    Value,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub style: Style,
    /// Its text, without control characters.
    pub text: String,
}

/// A line: its parts, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(pub Vec<Part>);

impl Line {
    fn new(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    fn with(mut self, style: Style, text: &str) -> Self {
        // A value or a file's name may hold anything; a terminal must not obey it.
        let text = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        self.0.push(Part { style, text });
        self
    }

    /// Its text without styles.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().map(|part| part.text.as_str()).collect()
    }
}

impl Why {
    /// The explanation as lines, at most [`MAX_LINES`].
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Lines(Vec::new());
        let answer = match (&self.error, &self.value) {
            (Some(error), _) => format!("failed: {error}"),
            (None, Some(value)) => format!("is {value}"),
            (None, None) => "is undefined".to_owned(),
        };
        lines.add(
            Line::new(Style::Heading, &self.document)
                .with(Style::Plain, " ")
                .with(Style::Heading, &answer),
        );
        for rule in &self.rules {
            lines.rule(rule);
        }
        if self.is_truncated {
            lines.add(Line::new(Style::Skipped, "… more was left out"));
        }
        lines.0
    }
}

struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, line: Line) {
        if self.0.len() + 1 < MAX_LINES {
            self.0.push(line);
        } else if self.0.len() + 1 == MAX_LINES {
            self.0.push(Line::new(Style::Skipped, "… more lines were left out"));
        }
    }

    fn rule(&mut self, rule: &RuleWhy) {
        let (style, word) = match rule.outcome {
            RuleOutcome::Held => (Style::Held, "held    "),
            RuleOutcome::Failed => (Style::Failed, "failed  "),
            RuleOutcome::NotReached => (Style::Skipped, "skipped "),
        };
        let kind = match (rule.is_default, rule.is_else) {
            (true, _) => "default ",
            (false, true) => "else of ",
            (false, false) => "",
        };
        let mut line = Line::new(style, word)
            .with(Style::Plain, kind)
            .with(Style::Source, &rule.name)
            .with(Style::Place, &format!("  {}:{}", rule.place.file, rule.place.row));
        if let Some(value) = &rule.value {
            line = line.with(Style::Value, &format!("  = {value}"));
        }
        if rule.evaluations > 1 {
            line = line.with(Style::Plain, &format!("  ({} evaluations)", rule.evaluations));
        }
        if rule.outcome == RuleOutcome::NotReached {
            line = line.with(Style::Plain, "  another definition decided");
        }
        self.add(Line::default());
        self.add(line);
        if matches!(rule.outcome, RuleOutcome::Held | RuleOutcome::Failed) {
            rule.statements.iter().for_each(|statement| self.statement(statement, 2));
        }
    }

    fn statement(&mut self, statement: &StatementWhy, indent: usize) {
        // A part of a rule's head that the compiler made a statement of.
        if statement.source.trim().is_empty() {
            return;
        }
        let (style, word) = match statement.outcome {
            StatementOutcome::Held => (Style::Held, "held    "),
            StatementOutcome::Failed => (Style::Failed, "failed  "),
            StatementOutcome::NotReached => (Style::Skipped, "        "),
        };
        let source = statement.source.split_whitespace().collect::<Vec<_>>().join(" ");
        let source = super::why::cut(&source, MAX_STATEMENT).0;
        let mut line = Line::new(Style::Plain, &" ".repeat(indent))
            .with(Style::Place, &format!("{:>4} ", statement.place.row))
            .with(style, word)
            .with(Style::Source, &source);
        let attempts = statement.held + statement.failed;
        if statement.held > 0 && statement.failed > 0 {
            let counts = format!("  ({} of {attempts} times)", statement.held);
            line = line.with(Style::Plain, &counts);
        }
        self.add(line);
        // It prints its values itself.
        if source.starts_with("print(") {
            return;
        }
        let mut attempts: Vec<&Attempt> = statement.attempts.iter().collect();
        attempts.dedup();
        let is_mixed = statement.held > 0 && statement.failed > 0;
        for attempt in attempts {
            let word = match (is_mixed, attempt.held) {
                (false, _) => None,
                (true, true) => Some((Style::Held, "held with ")),
                (true, false) => Some((Style::Failed, "failed with ")),
            };
            self.values(word, &attempt.values, indent + 14);
        }
        if statement.outcome != StatementOutcome::NotReached {
            statement.inside.iter().for_each(|inner| self.statement(inner, indent + 2));
        }
    }

    fn values(&mut self, word: Option<(Style, &str)>, values: &[Named], indent: usize) {
        // The statement shows its constants already.
        let is_constant = |named: &Named| named.name.starts_with(['{', '[', '"', '`']);
        let values: Vec<&Named> = values.iter().filter(|named| !is_constant(named)).collect();
        if values.is_empty() {
            return;
        }
        let mut line = Line::new(Style::Plain, &" ".repeat(indent));
        if let Some((style, word)) = word {
            line = line.with(style, word);
        }
        for (position, named) in values.iter().enumerate() {
            if position > 0 {
                line = line.with(Style::Plain, ", ");
            }
            let value = named.value.as_deref();

            line = line
                .with(Style::Source, &named.name)
                .with(Style::Plain, " is ")
                .with(Style::Value, value.unwrap_or("undefined"));
        }
        self.add(line);
    }
}
