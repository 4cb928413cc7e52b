//! Reduces a case that shows a difference.

use regorus::Value;

use super::random::Case;
use super::{Block, Expr, Operand, Program, StatementKind};

/// The smallest case found that still shows it.
pub fn shrink(mut case: Case, shows: impl Fn(&Case) -> bool) -> Case {
    loop {
        let smaller = edits(&case).find(|smaller| shows(smaller));
        match smaller {
            Some(smaller) => case = smaller,
            None => return case,
        }
    }
}

/// All slightly smaller cases.
fn edits(case: &Case) -> impl Iterator<Item = Case> {
    let inputs = (0..case.inputs.len()).filter(|_| case.inputs.len() > 1).map(|index| {
        let mut smaller = case.clone();
        smaller.inputs = case.inputs.get(index).cloned().into_iter().collect();
        smaller
    });
    let documents = smaller_values(&case.data).map(|data| Case { data, ..case.clone() });
    let input = case.inputs.first().cloned().flatten();
    let questions = input.into_iter().flat_map(|input| smaller_values(&input).collect::<Vec<_>>());
    let questions = questions
        .filter(|_| case.inputs.len() == 1)
        .map(|input| Case { inputs: vec![Some(input)], ..case.clone() });
    let programs = (0..).map_while(|number| {
        let mut edit = Edit { left: number, is_done: false };
        let mut program = case.program.clone();
        edit.program(&mut program);
        edit.is_done.then(|| Case { program, ..case.clone() })
    });
    inputs.chain(programs).chain(documents).chain(questions)
}

/// An object without one of its keys.
fn smaller_values(value: &Value) -> impl Iterator<Item = Value> {
    let keys: Vec<Value> = match value {
        Value::Object(object) => object.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let value = value.clone();
    keys.into_iter().filter_map(move |key| {
        let mut smaller = value.clone();
        smaller.as_object_mut().ok()?.remove(&key);
        Some(smaller)
    })
}

/// Applies the edit with this number.
struct Edit {
    left: usize,
    is_done: bool,
}

impl Edit {
    /// Whether to apply this edit.
    const fn is_this(&mut self) -> bool {
        if self.is_done {
            return false;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.is_done = true,
        }
        self.is_done
    }

    fn program(&mut self, program: &mut Program) {
        for rule in &mut program.rules {
            if rule.default.is_some() && self.is_this() {
                rule.default = None;
            }
            self.shorten(&mut rule.definitions, 0);
            for definition in &mut rule.definitions {
                self.shorten(&mut definition.bodies, 1);
                for body in &mut definition.bodies {
                    self.block(&mut body.block);
                    self.operand(&mut body.value);
                    if let Some(key) = &mut body.key {
                        self.operand(key);
                    }
                }
            }
        }
    }

    fn shorten<T>(&mut self, all: &mut Vec<T>, least: usize) {
        let mut index = 0;
        while index < all.len() && all.len() > least {
            if self.is_this() {
                all.remove(index);
                return;
            }
            index += 1;
        }
    }

    fn block(&mut self, block: &mut Block) {
        self.shorten(block, 0);
        for statement in block {
            match &mut statement.kind {
                StatementKind::Let(_, expr) | StatementKind::Test(expr) => self.expr(expr),
                StatementKind::Not(inner) => self.block(inner),
                StatementKind::Each { key, collection, block, .. }
                | StatementKind::Every { key, collection, block, .. } => {
                    if key.is_some() && self.is_this() {
                        *key = None;
                    }
                    self.operand(collection);
                    self.block(block);
                }
                StatementKind::Collect { block, key, value, .. } => {
                    self.block(block);
                    key.iter_mut().chain([value]).for_each(|operand| self.operand(operand));
                }
            }
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        if !matches!(expr, Expr::Operand(_)) && self.is_this() {
            *expr = Expr::Operand(Operand::Const(Value::from(1)));
            return;
        }
        match expr {
            Expr::Operand(operand) => self.operand(operand),
            Expr::Path(_, operands) | Expr::Array(operands) | Expr::Set(operands) => {
                self.shorten(operands, 0);
                operands.iter_mut().for_each(|operand| self.operand(operand));
            }
            Expr::Builtin(_, operands) | Expr::Call(_, operands) => {
                operands.iter_mut().for_each(|operand| self.operand(operand));
            }
            Expr::Object(fields) => {
                self.shorten(fields, 0);
                for (key, value) in fields {
                    self.operand(key);
                    self.operand(value);
                }
            }
            Expr::Rule(_) | Expr::Replaced(_) => {}
            Expr::With { args, replacements, .. } => {
                args.iter_mut().for_each(|operand| self.operand(operand));
                self.shorten(replacements, 0);
            }
        }
    }

    fn operand(&mut self, operand: &mut Operand) {
        let one = Value::from(1);
        let is_simple = matches!(operand, Operand::Const(value) if *value == one);
        if !is_simple && self.is_this() {
            *operand = Operand::Const(one);
        }
    }
}
