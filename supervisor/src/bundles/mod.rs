//! Bundles on disk: their list, their content, and their changes.

mod archive;
mod bundle;
pub(crate) mod entries;
pub(crate) mod fuzzing;
pub(crate) mod health;
pub(crate) mod limits;
mod looks;
mod names;
pub(crate) mod read;
pub(crate) mod reconciler;
pub(crate) mod remote;
mod signed;
pub(crate) mod source;
mod walk;
mod watches;

pub(crate) use bundle::{Bundle, BundleError};
