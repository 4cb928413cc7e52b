//! A bundle's own tests, as `opa test` runs them, and what they cover.
//!
//! A test is evaluated by the policy that would serve, because that is what is tested. The evaluator
//! that explains evaluates it again where it fails, for the reason, and for coverage; where the two
//! disagree, the test has an error.

mod cases;
mod coverage;
mod run;

pub use cases::SubResult;
pub use coverage::{Coverage, FileCoverage, Kind, Position, Range};
pub use run::{Failure, Options, Outcome, Suite, SuiteResult, TestResult};

#[cfg(test)]
mod tests;
