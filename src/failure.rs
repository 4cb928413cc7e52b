//! Every error that ends the program, and its exit code.

use enforcer_supervisor::{ConfigErrors, SupervisorError};
use enforcer_worker::WorkerError;

/// Every error that ends the program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("this host lacks layers of the sandbox that workers need")]
    NotStrict,
    /// A command cannot be carried out as it was given.
    #[error("{0}")]
    Usage(String),
    #[error("the operating system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Failure {
    /// The exit codes, which are stable: scripts and units may rely on them. 1 is also the code of a
    /// command whose answer is negative.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Supervisor(
                SupervisorError::Host { .. }
                | SupervisorError::BundleCache { .. }
                | SupervisorError::ServerEnded(_),
            )
            | Self::System(_) => 1,
            // As clap's own, for an unknown flag.
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Supervisor(SupervisorError::Listen { .. }) => 3,
            Self::Supervisor(SupervisorError::BundlesDir(_)) => 4,
            Self::Supervisor(SupervisorError::BundleCacheInUse { .. }) => 6,
            Self::Worker(WorkerError::NotStartedBySupervisor) => 64,
            Self::NotStrict
            | Self::Supervisor(
                SupervisorError::NotStrict { .. }
                | SupervisorError::Missing { .. }
                | SupervisorError::Clock(_),
            ) => 5,
            Self::Worker(WorkerError::Sandbox(error)) => error.exit_code(),
            Self::Worker(WorkerError::Socket(_)) => 66,
            Self::Worker(
                WorkerError::FrameTooLong(_)
                | WorkerError::Decode(_)
                | WorkerError::OutOfOrder(_)
                | WorkerError::Encode(_),
            ) => 67,
        }
    }
}
