//! The differences between OPA's answer and ours, by severity.

use std::fmt;

use crate::protocol::{Answer, Fault, Outcome};
use crate::value::Value;

/// How our answer differs, the most severe kind first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// We say a defined `true` where OPA does not.
    WrongAllow,
    /// Our process died.
    Crash,
    /// Our process did not answer in time.
    Late,
    /// Both have a value, but a different one.
    Value,
    /// We have a value where OPA has none.
    DefinedHere,
    /// OPA has a value where we have none.
    UndefinedHere,
    /// OPA's evaluation ends in an error, and ours does not.
    NoErrorHere,
    /// Our evaluation ends in an error, and OPA's does not.
    ErrorHere,
    /// Both evaluations end in errors, of different codes.
    ErrorCode,
    /// We load a bundle that OPA refuses.
    LoadsHere,
    /// We refuse a bundle that OPA loads.
    RefusedHere,
    /// Both refuse, with different codes.
    LoadCode,
}

impl Kind {
    /// A name for files and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongAllow => "wrong-allow",
            Self::Crash => "crash",
            Self::Late => "late",
            Self::Value => "value",
            Self::DefinedHere => "defined-here",
            Self::UndefinedHere => "undefined-here",
            Self::NoErrorHere => "no-error-here",
            Self::ErrorHere => "error-here",
            Self::ErrorCode => "error-code",
            Self::LoadsHere => "loads-here",
            Self::RefusedHere => "refused-here",
            Self::LoadCode => "load-code",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its kind.
    pub kind: Kind,
    /// The position among the outcomes, where it is one evaluation.
    pub evaluation: Option<usize>,
    /// OPA's answer.
    pub opa: String,
    /// Our answer.
    pub ours: String,
    /// Equal for differences of the same fault.
    pub signature: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n  OPA:  {}\n  ours: {}", self.kind.name(), self.opa, self.ours)
    }
}

/// The counts of compared answers.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Evaluations that both engines made.
    pub evaluations: u64,
    /// Evaluations that OPA ended by its own fault, so that they cannot be compared.
    pub opa_failed: u64,
    /// Those that have a value in OPA.
    pub defined: u64,
    /// Bundles that both engines refuse, with the same codes.
    pub refused: u64,
    /// Of these, those with the same messages and places.
    pub same_words: u64,
    /// The differences.
    pub differences: Vec<Difference>,
}

fn faults(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

fn codes(faults: &[Fault]) -> Vec<&str> {
    let mut codes: Vec<&str> = faults.iter().map(|fault| fault.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// A message without the parts that vary between modules: numbers, names in quotes, places.
fn gist(text: &str) -> String {
    let words = text.split_whitespace().take(9).map(|word| {
        let named = word.contains(['"', '`', '.', '\'', '[', '{', '_'])
            || word.chars().any(|mark| mark.is_ascii_digit());
        if named { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Compares our answer with OPA's.
#[must_use]
pub fn compare(opa: &Answer, ours: &Answer) -> Comparison {
    let mut comparison = Comparison::default();
    let whole = |kind: Kind, opa: String, ours: String, gist: &str| Difference {
        kind,
        evaluation: None,
        signature: format!("{} {gist}", kind.name()),
        opa,
        ours,
    };
    let difference = match (opa, ours) {
        (Answer::Crashed(_) | Answer::Late, _) => None,
        (Answer::Refused(theirs), Answer::Refused(our)) => {
            if codes(theirs) == codes(our) {
                comparison.refused = 1;
                comparison.same_words = u64::from(theirs == our);
                None
            } else {
                let first = theirs.first().map(|fault| gist(&fault.message)).unwrap_or_default();
                let signature = format!("{:?} {:?} {first}", codes(theirs), codes(our));
                Some(whole(Kind::LoadCode, faults(theirs), faults(our), &signature))
            }
        }
        (Answer::Refused(theirs), Answer::Loaded { .. }) => {
            let first = theirs.first().cloned().unwrap_or_else(|| Fault::new("", ""));
            let signature = format!("{} {}", first.code, gist(&first.message));
            Some(whole(Kind::LoadsHere, faults(theirs), "loads".into(), &signature))
        }
        (Answer::Loaded { .. }, Answer::Refused(our)) => {
            let first = our.first().cloned().unwrap_or_else(|| Fault::new("", ""));
            let signature = format!("{} {}", first.code, gist(&first.message));
            Some(whole(Kind::RefusedHere, "loads".into(), faults(our), &signature))
        }
        (Answer::Loaded { outcomes: theirs, .. }, Answer::Loaded { outcomes: our, .. }) => {
            for (index, (their, our)) in theirs.iter().zip(our).enumerate() {
                outcome(&mut comparison, index, their, our);
            }
            None
        }
        (_, Answer::Crashed(reason)) => {
            Some(whole(Kind::Crash, "answers".into(), reason.clone(), &gist(reason)))
        }
        (_, Answer::Late) => Some(whole(Kind::Late, "answers".into(), "late".into(), "")),
    };
    comparison.differences.extend(difference);
    comparison
}

/// Whether OPA failed because it moved a statement before the one that binds its variables.
fn is_opas_own(fault: &Fault) -> bool {
    fault.code == "eval_internal_error" && fault.message.contains("that requires evaluation")
}

fn outcome(comparison: &mut Comparison, index: usize, opa: &Outcome, ours: &Outcome) {
    // OPA compiles a query, and finds an unknown path then; our question names documents.
    if matches!(opa, Outcome::Error(fault) if fault.code.starts_with("rego_")) {
        return;
    }
    if matches!(opa, Outcome::Error(fault) if is_opas_own(fault)) {
        comparison.opa_failed += 1;
        return;
    }
    comparison.evaluations += 1;
    comparison.defined += u64::from(matches!(opa, Outcome::Value(_)));
    let allow = Outcome::Value(Value::Bool(true));
    let (kind, detail) = match (opa, ours) {
        (opa, ours) if *ours == allow && *opa != allow => (Kind::WrongAllow, String::new()),
        (Outcome::Value(opa), Outcome::Value(ours)) if opa == ours || opa.in_doubles() == *ours => {
            return;
        }
        (Outcome::Undefined, Outcome::Undefined) => return,
        (Outcome::Value(_), Outcome::Value(_)) => (Kind::Value, String::new()),
        (Outcome::Undefined, Outcome::Value(_)) => (Kind::DefinedHere, String::new()),
        (Outcome::Value(_), Outcome::Undefined) => (Kind::UndefinedHere, String::new()),
        (Outcome::Error(opa), Outcome::Error(ours)) if opa.code == ours.code => return,
        (Outcome::Error(opa), Outcome::Error(ours)) => {
            (Kind::ErrorCode, format!("{} {}", opa.code, ours.code))
        }
        (Outcome::Error(opa), _) => {
            (Kind::NoErrorHere, format!("{} {}", opa.code, gist(&opa.message)))
        }
        (_, Outcome::Error(ours)) => {
            (Kind::ErrorHere, format!("{} {}", ours.code, gist(&ours.message)))
        }
    };
    comparison.differences.push(Difference {
        kind,
        evaluation: Some(index),
        opa: opa.to_string(),
        ours: ours.to_string(),
        signature: format!("{} {detail}", kind.name()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(outcome: Outcome) -> Answer {
        Answer::Loaded { outcomes: vec![outcome], evaluator: None }
    }

    #[test]
    fn a_true_that_opa_does_not_say_is_a_wrong_allow() {
        let ours = loaded(Outcome::Value(Value::Bool(true)));
        let others = [
            Outcome::Undefined,
            Outcome::Value(Value::Bool(false)),
            Outcome::Error(Fault::new("eval_conflict_error", "")),
        ];
        for opa in others {
            let comparison = compare(&loaded(opa), &ours);
            assert_eq!(comparison.differences[0].kind, Kind::WrongAllow);
        }
        assert!(compare(&ours, &ours).differences.is_empty());
    }

    #[test]
    fn there_is_nothing_to_compare_with_where_opa_fails_by_a_fault_of_its_own() {
        let message = "built-in function lt called with operand 1 that requires evaluation: x";
        let opa = loaded(Outcome::Error(Fault::new("eval_internal_error", message)));
        let comparison = compare(&opa, &loaded(Outcome::Value(Value::Bool(true))));
        assert_eq!((comparison.differences.len(), comparison.opa_failed), (0, 1));
        let opa = loaded(Outcome::Error(Fault::new("eval_internal_error", "another")));
        let comparison = compare(&opa, &loaded(Outcome::Value(Value::Bool(true))));
        assert_eq!(comparison.differences[0].kind, Kind::WrongAllow);
    }

    #[test]
    fn refusals_with_the_same_codes_are_alike_and_words_are_counted() {
        let refused = |message| Answer::Refused(vec![Fault::new("rego_parse_error", message)]);
        let comparison = compare(&refused("a"), &refused("b"));
        assert_eq!((comparison.refused, comparison.same_words), (1, 0));
        let loads = loaded(Outcome::Undefined);
        assert_eq!(compare(&refused("a"), &loads).differences[0].kind, Kind::LoadsHere);
        assert_eq!(compare(&loads, &refused("a")).differences[0].kind, Kind::RefusedHere);
    }
}
