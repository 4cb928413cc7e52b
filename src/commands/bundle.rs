//! The bundle that a command is about, and questions about it.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use enforcer_protocol::{Diagnostic, Findings, Inspection, TenantId};
use enforcer_supervisor::{BundleInspector, BundleSubject, Loading, NoFindings};

use super::diagnostic::{Renderer, Severity};
use crate::arguments::config_for_bundles;
use crate::failure::Failure;

/// Faults that a bundle's answer names at most.
pub(super) use enforcer_protocol::MAX_DIAGNOSTICS;

/// Asks workers about bundles.
pub(super) struct Session {
    inspector: BundleInspector,
    loading: Loading,
}

impl Session {
    /// Prepares the sandbox as the command line and the environment say.
    ///
    /// # Errors
    /// When the configuration is invalid, or the host cannot sandbox workers.
    pub(super) fn start(arguments: &ArgMatches) -> Result<Self, Failure> {
        enforcer_supervisor::prepare_process()?;
        enforcer_supervisor::protect_supervisor()?;
        let tenant = arguments.get_one::<TenantId>("tenant").cloned();
        let loading = match (tenant, arguments.get_flag("open")) {
            (Some(tenant_id), _) => Loading::Tenant(tenant_id),
            (None, true) => Loading::Open,
            (None, false) => Loading::ByPlace,
        };
        Ok(Self { inspector: BundleInspector::new(&config_for_bundles(arguments)?)?, loading })
    }

    pub(super) fn subject(&self, path: &Path) -> BundleSubject {
        self.inspector.subject(path, &self.loading)
    }

    /// Asks about a bundle.
    ///
    /// # Errors
    /// When the host cannot start a worker. Mistakes in the bundle are findings and not errors.
    pub(super) fn ask(
        &self,
        subject: &BundleSubject,
        inspection: Inspection,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        match self.inspector.inspect(subject, inspection, body) {
            Ok(Findings::Unusable(diagnostics)) => Ok(Answer::Unusable(diagnostics)),
            Ok(findings) => Ok(Answer::Found(findings)),
            Err(error @ NoFindings::Host(_)) => {
                Err(Failure::System(std::io::Error::other(error.to_string())))
            }
            Err(error @ NoFindings::TooLong(_)) => Err(Failure::Usage(error.to_string())),
            Err(error) => Ok(Answer::Ended(error.to_string())),
        }
    }
}

/// The answer to a question about a bundle.
pub(super) enum Answer {
    Found(Findings),
    /// The bundle has mistakes, at most [`MAX_DIAGNOSTICS`].
    Unusable(Vec<Diagnostic>),
    /// It cannot be read, or its worker was ended; the reason.
    Ended(String),
}

/// Why a bundle cannot be used, for a terminal.
pub(super) fn unusable(renderer: &Renderer<'_>, diagnostics: &[Diagnostic]) -> String {
    let shown = diagnostics.iter().map(|it| renderer.diagnostic(Severity::Error, it) + "\n");
    shown.collect()
}

/// Why there is no answer, for a terminal.
pub(super) fn ended(renderer: &Renderer<'_>, reason: &str) -> String {
    let message = format!("{}: {reason}", renderer.bundle.display());
    renderer.message(Severity::Error, "error", &message)
}

/// The command's one bundle.
pub(super) fn path(arguments: &ArgMatches) -> PathBuf {
    arguments.get_one::<PathBuf>("bundle").cloned().unwrap_or_default()
}
