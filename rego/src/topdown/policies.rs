//! The modules of a bundle as OPA's Policy API shows them.

use super::explainer::Explainer;
use crate::opa_json::write::{self, Form};

/// A module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its path below the bundle's root.
    pub id: String,
    /// Its text.
    pub raw: String,
    /// Its compiled tree, as OPA's JSON.
    pub ast: String,
}

impl Explainer {
    /// The modules, by path.
    #[must_use]
    pub fn policies(&self) -> Vec<Policy> {
        let mut policies: Vec<Policy> = self
            .compiled
            .modules
            .iter()
            .filter_map(|module| {
                let file = self.sources.file(module.file)?;
                Some(Policy {
                    id: file.path.to_string(),
                    raw: file.text.to_string(),
                    ast: write::module(&self.sources, module, Form::Plain { comments: &[] }),
                })
            })
            .collect();
        policies.sort_by(|policy, other| policy.id.cmp(&other.id));
        policies
    }
}
