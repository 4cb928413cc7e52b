//! One tenant's policy engine, in its own process.
//!
//! A worker is synchronous and single-threaded. It holds one socket, loads exactly one bundle, and
//! ends when its supervisor does. Nothing in it knows of another tenant.

mod answer;
mod bundle;
mod clock;
mod decision;
mod diagnostics;
mod engine;
mod error;
mod gate;
mod inspect;
mod mask;
mod panics;
mod sandbox;
mod serve;
mod settings;
mod value;

use sandbox::Lockdown;

pub use error::WorkerError;
pub use sandbox::error::SandboxError;
pub use sandbox::{BoundedAllocator, Spec, give_back_large_memory};

#[doc(hidden)]
pub mod fuzzing {
    //! The functions that the fuzz targets call; not part of the crate's interface.
    use std::time::Duration;

    use enforcer_protocol::{MAX_RESULT, Namespace};
    use enforcer_rego::File;

    pub use crate::bundle::Assembly;
    use crate::bundle::Bundle;
    use crate::engine::Policy;

    /// Loads a bundle of these files; returns whether it can be used.
    pub fn load<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> bool {
        let Ok(tenant_id) = "tenant_a".parse() else { return false };
        let files =
            files.map(|(path, content)| File { path: path.to_owned(), content: content.to_vec() });
        let bundle = Bundle {
            tenant_id,
            namespace: Namespace::Strict,
            entrypoint: ["tenants", "tenant_a", "allow"].map(str::to_owned).to_vec(),
            evaluation_timeout: Duration::from_millis(100),
            bytecode: true,
            strict_builtin_errors: false,
            max_result: MAX_RESULT,
            tests: enforcer_protocol::TestGate::Ignored,
            files: files.collect(),
        };
        Policy::load(bundle).is_ok()
    }
}

#[doc(hidden)]
pub mod probing {
    //! The functions that a test program needs to be sealed exactly as a worker is; not part of the
    //! crate's interface.

    use std::fs::File;

    pub use crate::sandbox::{LeftOut, Report};
    use crate::sandbox::{Lockdown, lockdown_without};
    use crate::{Spec, WorkerError};

    /// Closes the sandbox; returns the supervisor's socket and the layers. A layer that is left out
    /// is listed nevertheless, as by a worker that lies.
    ///
    /// # Errors
    /// The errors of a worker.
    pub fn seal(spec: &Spec, left_out: LeftOut) -> Result<(File, Report), WorkerError> {
        match lockdown_without(spec, left_out)? {
            Lockdown::Sealed(sealed, socket) => Ok((socket, sealed.report().clone())),
            Lockdown::Reported(report, socket) => Ok((socket, report)),
        }
    }
}

/// Runs a worker on the socket that is its standard input, until the supervisor ends it.
///
/// # Errors
/// When it cannot start or cannot go on. A policy that is broken or fails is an answer, not an
/// error here.
pub fn run(spec: &Spec) -> Result<(), WorkerError> {
    panics::report_in_one_line();
    match sandbox::lockdown(spec)? {
        Lockdown::Sealed(sealed, socket) => serve::serve(&sealed, socket),
        Lockdown::Reported(report, socket) => serve::introduce(&report, socket),
    }
}
