//! OPA's declarations of its built-ins: names, types and what else its compiler has to know.
//!
//! The table is a constant: nothing is read or built when a worker starts. `declarations.rs` is
//! generated; the way to take a new version of OPA is
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
    /// The groups it is documented in. Empty where the name's first part says it (`array.concat`).
    pub categories: &'static [&'static str],
    /// What it takes, in order.
    pub parameters: &'static [Parameter],
    /// The type of any number of further arguments.
    pub variadic: Option<StaticType>,
    /// What it returns; nothing for `print`, which is a statement and no value.
    pub result: Option<Parameter>,
    /// Whether the same arguments may have another result in another evaluation.
    pub nondeterministic: bool,
    /// Whether it has several results for the same arguments (`walk`), which are gone through.
    pub relation: bool,
    /// Whether OPA refuses it in v1 modules and in strict mode.
    pub deprecated: bool,
}

/// An argument or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// What OPA's documentation and error details call it.
    pub name: Option<&'static str>,
    /// Its type.
    pub of: StaticType,
}

/// A type as the table writes it. What the type checker computes with is made from it.
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
    /// Whatever there is.
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

/// What every declaration of the generated table begins with.
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
    /// Whether the name is one that OPA's compiler writes in place of syntax: `in`, `print`, template
    /// strings, test cases. OPA also takes these names in the text of a policy, so they are no
    /// error there, but no documentation offers them.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("internal.")
    }

    /// How many arguments it takes at least.
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
