//! The places of instructions in the policy's text.

use crate::core::RuleId;
use crate::source::Span;

/// The place where an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The rule or function.
    pub rule: RuleId,
    /// The text: of the statement, else of the rule.
    pub span: Option<Span>,
}

/// The places of a program's instructions. Calls have their own; other instructions have the last
/// statement's place before them in the rule, or the rule's.
#[derive(Debug, Default)]
pub struct Places {
    rules: Vec<RulePlace>,
    statements: Vec<(u32, Span)>,
}

#[derive(Debug)]
struct RulePlace {
    start: u32,
    rule: RuleId,
    span: Option<Span>,
}

impl Places {
    /// A rule's code begins here.
    pub(crate) fn begin_rule(&mut self, pc: usize, rule: RuleId, span: Option<Span>) {
        self.rules.push(RulePlace { start: number(pc), rule, span });
    }

    /// Sets the place of this instruction, which may end the evaluation.
    pub(super) fn mark(&mut self, pc: usize, span: Option<Span>) {
        let Some(span) = span else { return };
        let rule = self.rules.last().map_or(0, |rule| rule.start);
        let is_known = |(start, last): &(u32, Span)| *start >= rule && *last == span;
        if !self.statements.last().is_some_and(is_known) {
            self.statements.push((number(pc), span));
        }
    }

    pub(super) fn shrink(&mut self) {
        self.rules.shrink_to_fit();
        self.statements.shrink_to_fit();
    }

    /// The place of an instruction.
    #[must_use]
    pub fn of(&self, pc: usize) -> Option<Place> {
        let pc = number(pc);
        let after = self.rules.partition_point(|rule| rule.start <= pc);
        let rule = self.rules.get(after.checked_sub(1)?)?;
        let after = self.statements.partition_point(|(start, _)| *start <= pc);
        let statement = after.checked_sub(1).and_then(|last| self.statements.get(last));
        let span = statement.filter(|(start, _)| *start >= rule.start).map(|(_, span)| *span);
        Some(Place { rule: rule.rule, span: span.or(rule.span) })
    }
}

/// Programs are bounded far below.
fn number(pc: usize) -> u32 {
    u32::try_from(pc).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn span(start: u32) -> Option<Span> {
        Some(Span { file: FileId(0), start, end: start + 1 })
    }

    #[test]
    fn an_instruction_stands_where_the_statement_before_it_does() {
        let mut places = Places::default();
        places.begin_rule(0, RuleId(7), span(100));
        places.mark(2, span(110));
        places.mark(4, span(120));
        places.begin_rule(6, RuleId(3), span(200));
        let at = |pc| places.of(pc).unwrap();
        assert_eq!(at(0), Place { rule: RuleId(7), span: span(100) });
        assert_eq!(at(3), Place { rule: RuleId(7), span: span(110) });
        assert_eq!(at(5), Place { rule: RuleId(7), span: span(120) });
        assert_eq!(at(6), Place { rule: RuleId(3), span: span(200) });
        assert_eq!(Places::default().of(0), None);
    }
}
