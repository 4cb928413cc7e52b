//! The commands for people who write policies. Each bundle is loaded in a sandboxed worker of its
//! own: nothing of a bundle or an input is parsed in this process.

mod bundle;
mod check;
mod completion;
mod diagnostic;
mod eval;
mod json;
mod terminal;
mod test;
mod token;

pub(crate) use check::check;
pub(crate) use completion::completion;
pub(crate) use eval::eval;
pub(crate) use test::test;
pub(crate) use token::token;

/// The answer of a command that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Positive,
    /// A bundle has mistakes, a test failed, or a result is missing that has to be there.
    Negative,
}
