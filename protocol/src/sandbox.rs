//! The layers of the worker's sandbox, by name.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::Serialize;

macro_rules! layers {
    ($($(#[$doc:meta])* $layer:ident = $name:literal, $is_mandatory:literal;)*) => {
        /// A layer of the worker's sandbox.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
        pub enum SandboxLayer {
            $($(#[$doc])* $layer),*
        }

        impl SandboxLayer {
            /// Every layer, in the order in which they are put in force.
            pub const ALL: &[Self] = &[$(Self::$layer),*];

            /// The layer as users see it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$layer => $name),* }
            }

            /// Whether a worker refuses to start without it. The others are used where the host
            /// allows them.
            #[must_use]
            pub const fn is_mandatory(self) -> bool {
                match self { $(Self::$layer => $is_mandatory),* }
            }
        }
    };
}

layers! {
    /// A control group (version 2) of its own bounds its memory, processes and processor time.
    Cgroup = "cgroup", false;
    /// Only the worker's own file descriptors are open.
    OwnDescriptorsOnly = "own_descriptors_only", true;
    /// The environment is empty.
    EmptyEnvironment = "empty_environment", true;
    /// The highest OOM score: a host that runs out of memory kills the worker first
    /// (`oom_score_adj`).
    OomScore = "oom_score", false;
    /// It runs as a user that is its tenant's alone.
    TenantUser = "tenant_user", false;
    /// A user namespace of its own: privileges gained in it are worth nothing outside.
    UserNamespace = "user_namespace", false;
    /// A network namespace without interfaces.
    NetworkNamespace = "network_namespace", false;
    /// A namespace of its own for System V IPC and POSIX message queues.
    IpcNamespace = "ipc_namespace", false;
    /// A namespace of its own for the host's name.
    UtsNamespace = "uts_namespace", false;
    /// Its root directory was deleted, so it is empty and stays so.
    EmptyRoot = "empty_root", false;
    /// It has no capability in any effective set, and cannot regain one.
    NoCapabilities = "no_capabilities", true;
    /// The kernel kills the worker when its supervisor dies (`PR_SET_PDEATHSIG`).
    ParentDeathSignal = "parent_death_signal", true;
    /// No other process of its user can look into it, and it leaves no core (`PR_SET_DUMPABLE`).
    NotDumpable = "not_dumpable", true;
    /// Memory that was writable cannot become executable (`PR_SET_MDWE`).
    NoExecutableMemory = "no_executable_memory", false;
    /// No exec can gain privileges (`PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges = "no_new_privileges", true;
    /// Landlock handles every right to files, and grants none.
    LandlockFiles = "landlock_files", true;
    /// Landlock handles every right to the network that it knows, which is TCP's, and grants none.
    LandlockNetwork = "landlock_network", false;
    /// Landlock keeps signals and abstract sockets inside.
    LandlockScopes = "landlock_scopes", false;
    /// Memory is bounded; files, processes, core dumps and locks are forbidden (`setrlimit(2)`).
    ResourceLimits = "resource_limits", true;
    /// The seccomp filter: a system call that is not on its list ends the process.
    Seccomp = "seccomp", true;
}

impl SandboxLayer {
    /// The mandatory layers that `layers` lack. Empty where a tenant's code may run behind them.
    ///
    /// TCP has to be out of reach by a layer besides the filter: an empty namespace, which keeps
    /// everything else out of reach too, or Landlock.
    #[must_use]
    pub fn lacking_in(layers: &[Self]) -> Vec<Self> {
        let is_lacking = |layer: &Self| {
            let counts = match layer {
                Self::NetworkNamespace => !layers.contains(&Self::LandlockNetwork),
                layer => layer.is_mandatory(),
            };
            counts && !layers.contains(layer)
        };
        Self::ALL.iter().copied().filter(is_lacking).collect()
    }
}

impl fmt::Display for SandboxLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for SandboxLayer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A layer that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct MissingLayer {
    /// Which.
    pub layer: SandboxLayer,
    /// The reason, as a message for an operator.
    pub reason: String,
}

/// The required strength of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// Every mandatory layer, or the worker ends; the others where the host allows them.
    Strict,
    /// Only the layers that end the worker with its supervisor and bound its memory. For debugging
    /// on your own machine: a tenant's code can reach everything that its user can.
    DebugOff,
    /// As `Strict`, but the worker continues after a layer that it cannot get, reports those, and
    /// ends without serving.
    Report,
}

impl SandboxMode {
    /// The mode as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::DebugOff => "debug-off",
            Self::Report => "report",
        }
    }
}

/// The text is not the name of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected strict, debug-off or report")]
pub struct InvalidSandboxMode;

impl FromStr for SandboxMode {
    type Err = InvalidSandboxMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Strict, Self::DebugOff, Self::Report]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(InvalidSandboxMode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mandatory_layer_may_be_left_out() {
        assert_eq!(SandboxLayer::lacking_in(SandboxLayer::ALL), []);
        for left_out in SandboxLayer::ALL {
            let layers: Vec<_> =
                SandboxLayer::ALL.iter().copied().filter(|layer| layer != left_out).collect();
            let expected: &[_] = if left_out.is_mandatory() { &[*left_out] } else { &[] };
            assert_eq!(SandboxLayer::lacking_in(&layers), expected);
        }
    }

    #[test]
    fn the_network_is_out_of_reach_by_one_layer_or_the_other() {
        let mandatory: Vec<_> =
            SandboxLayer::ALL.iter().copied().filter(|layer| layer.is_mandatory()).collect();
        let network = [SandboxLayer::NetworkNamespace];
        assert_eq!(SandboxLayer::lacking_in(&mandatory), network);
        for layer in [SandboxLayer::NetworkNamespace, SandboxLayer::LandlockNetwork] {
            let layers = [&mandatory[..], &[layer]].concat();
            assert_eq!(SandboxLayer::lacking_in(&layers), []);
        }
    }

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in [SandboxMode::Strict, SandboxMode::DebugOff, SandboxMode::Report] {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert_eq!("off".parse::<SandboxMode>(), Err(InvalidSandboxMode));
    }
}
