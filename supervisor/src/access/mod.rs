//! Access: credentials, and the rights of each of them.
//!
//! A request is authenticated once (`gate.rs`), before anything about a tenant is looked up. Whoever
//! has no right to a tenant gets the answer that an unknown tenant has.

pub(crate) mod certificate;
pub(crate) mod credentials;
pub(crate) mod gate;
pub(crate) mod grant;
pub(crate) mod jwt;
pub(crate) mod license;
pub(crate) mod principal;
pub(crate) mod proof;
pub(crate) mod sessions;
pub(crate) mod token;

pub(crate) use certificate::ClientCertificate;
pub(crate) use gate::{Access, Rules};
pub(crate) use grant::{Right, Role};
pub(crate) use license::{License, Scope};
pub(crate) use principal::{Caller, Refusal};
pub(crate) use proof::{Connection, PeerIds, Proof, Shown};
