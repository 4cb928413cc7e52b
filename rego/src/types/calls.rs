//! Calls: equations, `in`, and functions.

use crate::ast::{Expr, Term, TermValue};

use super::env::Env;
use super::fault::Fault;
use super::infer::Inference;
use super::model::{Known, Type};
use super::unify::unifies;

/// A built-in whose operands' types depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    /// `=`
    Equality,
    /// `in`, with or without a key; the number of operands.
    Member { arity: usize },
}

fn special(operator: &[Term]) -> Option<Special> {
    match operator {
        [Term { value: TermValue::Var(name), .. }] if &**name == "eq" => Some(Special::Equality),
        [
            Term { value: TermValue::Var(internal), .. },
            Term { value: TermValue::String(name), .. },
        ] if &**internal == "internal" => match &**name {
            "member_2" => Some(Special::Member { arity: 2 }),
            "member_3" => Some(Special::Member { arity: 3 }),
            _ => None,
        },
        _ => None,
    }
}

impl Env<'_> {
    /// Checks a call.
    pub(super) fn check_call(
        &self,
        expr: &Expr,
        operator: &[Term],
        operands: &[Term],
    ) -> Option<Fault> {
        match special(operator) {
            Some(Special::Equality) => return self.check_equality(expr, operator, operands),
            Some(Special::Member { arity }) => {
                if let Some(fault) = self.check_member(expr, operands, arity) {
                    return Some(fault);
                }
            }
            None => {}
        }
        self.check_function(expr, operator, operands)
    }

    fn of_operands(&self, operands: &[Term]) -> Vec<Known> {
        operands.iter().map(|operand| self.of(&operand.value)).collect()
    }

    fn check_function(&self, expr: &Expr, operator: &[Term], operands: &[Term]) -> Option<Fault> {
        let of = self.of_ref(operator);
        let function = match &of {
            // A rule with faults, or an unknown function.
            Some(Type::Any) => return None,
            Some(Type::Function(function)) => function,
            _ => return Some(Fault::undefined_function(expr.span, operator)),
        };
        let have = self.of_operands(operands);
        let fault = |what, have: &[Known]| {
            Some(Fault::arguments(expr.span, operator, what, have, function))
        };
        if function.max_operands().is_some_and(|max| operands.len() > max) {
            return fault("too many arguments", &have);
        }
        if operands.len() < function.parameters.len() {
            return fault("too few arguments", &have);
        }
        for (position, (operand, known)) in operands.iter().zip(&have).enumerate() {
            let wanted = function.operand(position);
            let is_known = known.as_ref().is_some_and(Type::is_complete);
            if is_known && !unifies(&self.checker.work, known.as_ref(), wanted) {
                return fault("invalid argument(s)", &have);
            }
            if !self.unify_term(operand, wanted, Inference::Exact) {
                return fault("invalid argument(s)", &self.of_operands(operands));
            }
        }
        None
    }

    fn check_equality(&self, expr: &Expr, operator: &[Term], operands: &[Term]) -> Option<Fault> {
        let [left, right] = operands else {
            // The function's check reports wrong numbers of operands.
            return self.check_function(expr, operator, operands);
        };
        let (of_left, of_right) = (self.of(&left.value), self.of(&right.value));
        let equal = self.unify_known(left, of_left.clone(), right, of_right.clone());
        (!equal).then(|| Fault::mismatch(expr.span, of_left.as_ref(), of_right.as_ref()))
    }

    /// The left operand of `in` must have a type of the collection's members. OPA's declaration
    /// does not express this.
    fn check_member(&self, expr: &Expr, operands: &[Term], arity: usize) -> Option<Fault> {
        let operands = operands.get(..arity)?;
        let (collection, searched) = operands.split_last()?;
        // A value without members never contains the operand, which is not a fault.
        let collection = self.of(&collection.value)?;
        let values = collection.values()?;
        if let [key, _] = searched
            && let Some(fault) = self.check_member_operand(expr, key, collection.keys())
        {
            return Some(fault);
        }
        self.check_member_operand(expr, searched.last()?, Some(values))
    }

    fn check_member_operand(&self, expr: &Expr, operand: &Term, wanted: Known) -> Option<Fault> {
        let wanted = wanted.filter(Type::is_complete)?;
        let have = self.of(&operand.value);
        let is_known = have.as_ref().is_some_and(Type::is_complete);
        let fits = (!is_known || unifies(&self.checker.work, have.as_ref(), Some(&wanted)))
            && self.unify_term(operand, Some(&wanted), Inference::Exact);
        (!fits).then(|| Fault::mismatch(expr.span, have.as_ref(), Some(&wanted)))
    }
}
