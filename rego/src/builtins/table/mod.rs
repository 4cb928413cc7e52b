//! OPA's declarations of its built-ins: names, types and other facts for its compiler.
//!
//! The table is a constant: nothing is read or built when a worker starts. `declarations.rs` is
//! generated; the command for a new version of OPA is
//!
//! ```text
//! opa capabilities --current | cargo run -p enforcer-rego --example declare_builtins > declarations.rs
//! ```
//!
//! A declaration says nothing about whether the built-in can be evaluated here: that is
//! [`function`](super::function)'s answer.

mod capabilities;
mod declarations;
#[cfg(test)]
mod tests;

pub use capabilities::{REFUSED, capabilities, is_refused};
pub use declarations::{DECLARATIONS, FEATURES, FUTURE_KEYWORDS, OPA_VERSION};

/// A built-in as OPA declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// OPA's name (`plus`, `json.patch`, `internal.member_2`).
    pub name: &'static str,
    /// The operator that stands for it, such as `+`.
    pub infix: Option<&'static str>,
    /// The groups it is documented in. Empty where the name's first part is the group
    /// (`array.concat`).
    pub categories: &'static [&'static str],
    /// Its parameters, in order.
    pub parameters: &'static [Parameter],
    /// The type of any number of further arguments.
    pub variadic: Option<StaticType>,
    /// Its result; `None` for `print`, which is a statement, not a value.
    pub result: Option<Parameter>,
    /// Whether the same arguments may have a different result in another evaluation.
    pub nondeterministic: bool,
    /// Whether it has several results for the same arguments (`walk`), which are iterated over.
    pub relation: bool,
    /// Whether OPA refuses it in v1 modules and in strict mode.
    pub deprecated: bool,
}

/// An argument or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in OPA's documentation and error details.
    pub name: Option<&'static str>,
    /// Its type.
    pub of: StaticType,
}

/// A type in the table's form, from which the type checker's types are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// Any value.
    Any,
    /// One of several types, in the order of OPA's types.
    OneOf(&'static [StaticType]),
    /// An array of any length.
    Array(&'static StaticType),
    /// An array of these elements.
    Tuple(&'static [StaticType]),
    /// A set.
    Set(&'static StaticType),
    /// An object: properties by name, and the type of keys and values beyond these.
    Object(&'static [(&'static str, StaticType)], Option<&'static (StaticType, StaticType)>),
}

/// The base of every declaration in the generated table.
const PLAIN: Declaration = Declaration {
    name: "",
    infix: None,
    categories: &[],
    parameters: &[],
    variadic: None,
    result: None,
    nondeterministic: false,
    relation: false,
    deprecated: false,
};

impl Declaration {
    /// Whether the name is one that OPA's compiler writes in place of syntax: `in`, `print`,
    /// template strings, test cases. OPA also takes these names in the text of a policy, so they
    /// are not an error there, but documentation omits them.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("internal.")
    }

    /// The least number of arguments.
    #[must_use]
    pub const fn arity(&self) -> usize {
        self.parameters.len()
    }
}

/// The declaration of the built-in with this name.
#[must_use]
pub fn declaration(name: &str) -> Option<&'static Declaration> {
    DECLARATIONS
        .binary_search_by(|declaration| declaration.name.cmp(name))
        .ok()
        .and_then(|index| DECLARATIONS.get(index))
}
