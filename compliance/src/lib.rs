//! Development tools that compare the policy engine with OPA. The product does not depend on them.
//!
//! | program | compares |
//! |---|---|
//! | `enforcer-compliance` | the cases of OPA's compliance suite with their expected results |
//! | `differential` | random modules and inputs, with the real OPA |
//! | `builtins` | generated calls of every built-in, with the real OPA's functions |
//! | `corpus` | real-world policies and their tests, with the real OPA |
//! | `cases` | folders of a policy, an input and the expected result |
//! | `engine` | nothing: our engine as a process for the others |

pub mod calls;
pub mod cases;
pub mod compare;
pub mod corpus;
pub mod documented;
pub mod files;
pub mod generate;
pub mod json;
pub mod ours;
pub mod process;
pub mod protocol;
pub mod random;
pub mod shrink;
pub mod suite;
pub mod tool;
pub mod value;
