//! Bundles on disk: their list, their content, and their changes.

mod bundle;
pub(crate) mod entries;
pub(crate) mod health;
pub(crate) mod limits;
mod looks;
pub(crate) mod read;
pub(crate) mod reconciler;
pub(crate) mod walk;
mod watches;

pub(crate) use bundle::{Bundle, BundleError};
