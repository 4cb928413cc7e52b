//! Rules that use themselves. OPA's `CheckRecursion`.

use std::collections::BTreeSet;

use crate::ast::{Rule, Term, TermValue};
use crate::builtins::table::{Declaration, StaticType};
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::errors::LIMIT;
use super::graph::{Definition, Origin, UndecidedUse, members, selects};
use super::names::{rewritten, written};
use super::order::equal;
use super::text;
use super::tree::{RuleRef, full_ref};
use super::visit::chain;

/// How many conditions of a use a message lists: OPA's `maxCauseConditions`.
const MAX_CONDITIONS: usize = 2;

/// How many values of a collection are listed: OPA's `maxOriginMembers`.
const MAX_MEMBERS: usize = 5;

/// Reports every rule and branch that uses itself, directly or through others. Where that depends
/// on a variable, the rule "may be" recursive, which is an error too.
pub(crate) fn check_recursion(compiler: &mut Compiler<'_>) {
    if compiler.graph.recursive.is_empty() {
        return;
    }
    let check = Check::new(compiler);
    let mut found = Vec::new();
    compiler.tree.depth_first(&mut |node| {
        for rule in &node.rules {
            if found.len() < LIMIT {
                found.extend(check.rule(*rule));
            }
        }
    });
    compiler.errors.report(found);
}

struct Check<'a> {
    compiler: &'a Compiler<'a>,
    positions: std::collections::BTreeMap<Definition, usize>,
    /// For each definition, the rules that it uses only for certain values of a variable.
    undecided: Vec<BTreeSet<RuleRef>>,
}

impl<'a> Check<'a> {
    fn new(compiler: &'a Compiler<'a>) -> Self {
        let rules = |uses: &Vec<UndecidedUse>| {
            uses.iter().flat_map(|one| one.rules.iter().copied()).collect()
        };
        Self {
            compiler,
            positions: compiler.graph.positions(),
            undecided: compiler.graph.undecided.iter().map(rules).collect(),
        }
    }

    fn rule(&self, rule: RuleRef) -> Vec<Diagnostic> {
        let definition =
            self.compiler.modules.get(rule.module).and_then(|module| module.rules.get(rule.rule));
        let branches = definition.into_iter().flat_map(chain).enumerate();
        branches.filter_map(|(branch, one)| self.branch(Definition { rule, branch }, one)).collect()
    }

    fn branch(&self, definition: Definition, rule: &Rule) -> Option<Diagnostic> {
        let start = *self.positions.get(&definition)?;
        if self.compiler.graph.recursive.get(start) != Some(&true) {
            return None;
        }
        let decided =
            self.compiler.graph.way_back(start, &mut |user, used| !self.is_undecided(user, used));
        let (way, is, cause) = match decided {
            Some(way) => (way, "is", String::new()),
            None => {
                let way = self.compiler.graph.way_back(start, &mut |_, _| true)?;
                let cause = self.cause(&way);
                (way, "may be", cause)
            }
        };
        let names: Vec<_> = way.iter().map(|position| self.name(*position)).collect();
        let message =
            format!("rule {} {is} recursive: {}{cause}", self.name(start), names.join(" -> "));
        Some(Diagnostic::new(Code::Recursion, message, rule.span))
    }

    fn used(&self, position: usize) -> Option<RuleRef> {
        self.compiler.graph.definitions.get(position).map(|definition| definition.rule)
    }

    fn is_undecided(&self, user: usize, used: usize) -> bool {
        self.used(used).is_some_and(|rule| {
            self.undecided.get(user).is_some_and(|undecided| undecided.contains(&rule))
        })
    }

    /// A definition's whole reference.
    fn path(&self, position: usize) -> Vec<Term> {
        let rule = self.used(position).and_then(|rule| {
            let module = self.compiler.modules.get(rule.module)?;
            Some(full_ref(module, module.rules.get(rule.rule)?))
        });
        rule.unwrap_or_default()
    }

    fn name(&self, position: usize) -> String {
        written(&self.compiler.rewritten, &self.path(position))
    }

    /// The first use on the path that depends on a variable: its reference, and the conditions.
    fn cause(&self, way: &[usize]) -> String {
        let mut steps = way.windows(2).enumerate();
        let cause = steps.find_map(|(index, step)| match step {
            [user, used] => Some((index, *user, *used, self.undecided_use(*user, *used)?)),
            _ => None,
        });
        let Some((index, user, used, one)) = cause else { return String::new() };
        let target = self.path(used);
        // Keys beyond the rule's path are read from its value.
        let length = one.reference.len().min(target.len());
        let reference = rewritten(
            &self.compiler.rewritten,
            one.reference.get(..length).unwrap_or(&one.reference),
        );
        let place = if index == 0 { String::new() } else { format!(" in {}", self.name(user)) };
        let subject = format!("{}{place}", text::of_ref(&reference));
        let mut open = Vec::new();
        selects(&one.narrowed, &target, &one.bound, Some(&mut open));
        let conditions = conditions(&reference, &target, &open)
            .filter(|conditions| !conditions.is_empty() && conditions.len() <= MAX_CONDITIONS)
            .filter(|conditions| conditions.iter().all(|condition| can_hold(one, condition)));
        let Some(conditions) = conditions else {
            return format!(" ({subject} could refer to {})", self.name(used));
        };
        let conditions: Vec<_> = conditions
            .iter()
            .map(|condition| {
                let (term, value) = (text::of_term(condition.term), text::of_term(condition.value));
                let note = self
                    .origin(one, condition, &term, user)
                    .map_or_else(String::new, |note| format!(" ({note})"));
                format!("{term} is {value}{note}")
            })
            .collect();
        format!(" ({subject} refers to {} if {})", self.name(used), conditions.join(" and "))
    }

    fn undecided_use(&self, user: usize, used: usize) -> Option<&'a UndecidedUse> {
        let rule = self.used(used)?;
        let uses = self.compiler.graph.undecided.get(user)?;
        uses.iter().find(|one| one.rules.contains(&rule))
    }

    /// The origin of the term of a condition.
    fn origin(
        &self,
        one: &UndecidedUse,
        condition: &Condition<'_>,
        term: &str,
        user: usize,
    ) -> Option<String> {
        let name = match &one.reference.get(condition.position)?.value {
            TermValue::Ref(keys) => {
                let is_data =
                    matches!(keys.first()?.value, TermValue::Var(ref root) if &**root == "data");
                return is_data.then(|| "rule values aren't known at compile time".to_owned());
            }
            TermValue::Var(name) => name,
            _ => return None,
        };
        Some(match one.origins.get(name)? {
            Origin::Input(path) => {
                format!("{term} comes from {}", written(&self.compiler.rewritten, path))
            }
            Origin::Data(path) => format!(
                "{term} comes from rule {}, whose value isn't known at compile time",
                text::of_ref(path)
            ),
            Origin::Collection(collection) => {
                match members(collection).map_or(0, |members| members.len()) {
                    count if count > MAX_MEMBERS => format!("{term} is one of {count} values"),
                    _ => format!("{term} is one of {}", text::of_term(collection)),
                }
            }
            Origin::Builtin(builtin) => format!("{term} is computed by {}", builtin.name),
            Origin::HeadKey => format!("{term} is a key of {}", self.name(user)),
            Origin::HeadArgument => format!("{term} is an argument of {}", self.name(user)),
        })
    }
}

/// The value that a key of a reference must have for the reference to use a rule.
struct Condition<'a> {
    position: usize,
    term: &'a Term,
    value: &'a Term,
}

/// The conditions at these positions, one for each term; `None` where a term would need two values.
fn conditions<'a>(
    reference: &'a [Term],
    target: &'a [Term],
    positions: &[usize],
) -> Option<Vec<Condition<'a>>> {
    let mut conditions: Vec<Condition<'a>> = Vec::new();
    for &position in positions {
        let (term, value) = (reference.get(position)?, target.get(position)?);
        match conditions.iter().find(|condition| equal(condition.term, term)) {
            None => conditions.push(Condition { position, term, value }),
            Some(condition) if !equal(condition.value, value) => return None,
            Some(_) => {}
        }
    }
    Some(conditions)
}

/// Whether a variable may have the value, as far as its collection or the result's type says.
fn can_hold(one: &UndecidedUse, condition: &Condition<'_>) -> bool {
    let Some(Term { value: TermValue::Var(name), .. }) = one.reference.get(condition.position)
    else {
        return true;
    };
    match one.origins.get(name) {
        Some(Origin::Collection(collection)) => members(collection)
            .is_some_and(|members| members.iter().any(|member| equal(member, condition.value))),
        Some(Origin::Builtin(builtin)) => may_return(builtin, &condition.value.value),
        Some(Origin::Input(_) | Origin::Data(_) | Origin::HeadKey | Origin::HeadArgument)
        | None => true,
    }
}

fn may_return(builtin: &Declaration, value: &TermValue) -> bool {
    let kind = match value {
        TermValue::Null => StaticType::Null,
        TermValue::Bool(_) => StaticType::Boolean,
        TermValue::Number(_) => StaticType::Number,
        TermValue::String(_) => StaticType::String,
        _ => return true,
    };
    match builtin.result {
        None => true,
        Some(result) => match result.of {
            StaticType::Any => true,
            StaticType::OneOf(kinds) => kinds.contains(&kind),
            result => result == kind,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::errors;

    #[test]
    fn a_way_back_is_reported_for_every_rule_on_it() {
        assert_eq!(
            errors(&["package t\np if q\nq if p"]),
            [
                "a.rego:2:1 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p",
                "a.rego:3:1 rego_recursion_error: rule data.t.q is recursive: data.t.q -> data.t.p -> data.t.q"
            ]
        );
        assert_eq!(
            errors(&["package t\nf(x) := f(x)"]),
            ["a.rego:2:1 rego_recursion_error: rule data.t.f is recursive: data.t.f -> data.t.f"]
        );
    }

    #[test]
    fn what_decides_whether_a_rule_is_recursive_is_said() {
        assert_eq!(
            errors(&["package t\np if data[input.x].p"]),
            [
                "a.rego:2:1 rego_recursion_error: rule data.t.p may be recursive: data.t.p -> data.t.p (data[input.x].p refers to data.t.p if input.x is \"t\")"
            ]
        );
    }

    #[test]
    fn a_chain_of_rules_may_be_as_long_as_the_policy() {
        let mut text = String::from("package t\n");
        for number in 0..20_000 {
            text.push_str(&format!("p{number} if p{}\n", number + 1));
        }
        assert_eq!(errors(&[&format!("{text}p20000 := 1")]), [""; 0]);
        let circle = errors(&[&format!("{text}p20000 if p0")]);
        assert_eq!(circle.len(), 11);
        assert!(circle.iter().take(10).all(|error| error.contains("is recursive: data.t.p")));
    }
}
