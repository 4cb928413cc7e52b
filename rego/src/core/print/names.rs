//! Names in the text.

use std::collections::HashMap;

use crate::core::Var;

/// The names of one function of the text.
///
/// regorus evaluates the statements of a body by their dependencies, and among the ready ones the
/// one whose variable's name is first. So names count up, and a value always comes from a call:
/// regorus takes an array of variables for a pattern as well. The order is then core's.
#[derive(Debug, Default)]
pub(super) struct Names {
    count: u32,
    variables: HashMap<Var, String>,
}

impl Names {
    /// A new name.
    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        Self::numbered(self.count)
    }

    /// The names that were made after one.
    pub(super) fn after(&self, name: &str) -> Vec<String> {
        (1..=self.count).map(Self::numbered).skip_while(|one| one != name).skip(1).collect()
    }

    fn numbered(number: u32) -> String {
        format!("v{number:08}")
    }

    /// The name of a variable that is bound here.
    pub(super) fn bind(&mut self, var: Var) -> String {
        let name = self.next();
        self.variables.insert(var, name.clone());
        name
    }

    /// A variable's name. A variable that is not bound here is a parameter.
    pub(super) fn of(&self, var: Var) -> String {
        self.variables.get(&var).cloned().unwrap_or_else(|| parameter(var))
    }
}

fn parameter(var: Var) -> String {
    format!("x{}", var.0)
}

/// A function's name and its parameters or arguments; a rule's name alone.
pub(super) fn call(name: &str, vars: impl IntoIterator<Item = Var>) -> String {
    let vars: Vec<String> = vars.into_iter().map(parameter).collect();
    applied(name, &vars)
}

/// The same, for known names.
pub(super) fn applied(name: &str, args: &[String]) -> String {
    if args.is_empty() { name.to_owned() } else { format!("{name}({})", args.join(", ")) }
}
