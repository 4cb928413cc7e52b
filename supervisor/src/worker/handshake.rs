//! The handshake before a worker serves: it introduces itself, gets its bundle, and reports that it
//! has loaded it.

use std::time::Duration;

use enforcer_protocol::{
    Diagnostic, EncodeError, Evaluator, Findings, FromWorker, Inspection, LoadSettings,
    PROTOCOL_VERSION, SandboxLayer, SandboxMode, TenantId, TestGate, ToWorker,
};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::clock::monotonic_micros;
use super::connection::{Breach, Connection, End};
use crate::bundles::Bundle;
use crate::config::{EvaluatorChoice, RunTests, TenantLimits};

/// Why a worker did not get to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The bundle cannot be used.
    #[error("the bundle was rejected")]
    Rejected(Vec<Diagnostic>),
    /// The connection ended.
    #[error("{end}")]
    Ended {
        /// How.
        end: End,
        /// The step that the worker had reached.
        stage: Stage,
    },
    /// The bundle does not fit into frames.
    #[error("the bundle cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}

/// A worker's step in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It closes its sandbox. Only our code runs in it, so its exit code tells of the host's
    /// faults.
    Sealing,
    /// It has introduced itself. Its tenant's code may run in it, and its statements about the host
    /// are as untrusted as its tenant.
    Introduced,
}

/// A worker's description of itself in the handshake.
#[derive(Debug)]
pub(crate) struct WorkerInfo {
    pub(crate) layers: Vec<SandboxLayer>,
    /// The bundle's version, from its metadata.
    pub(crate) version: Option<String>,
    /// The revision that the bundle's manifest gives.
    pub(crate) bundle_revision: Option<String>,
    /// The evaluator of its policy.
    pub(crate) evaluator: Evaluator,
    pub(crate) warnings: Vec<Diagnostic>,
    /// Whether its policy has a mask.
    pub(crate) has_mask: bool,
}

/// A connection to a worker that has loaded its bundle. Only [`accept_handshake`] makes one, and
/// only such a connection can serve.
#[derive(Debug)]
pub(crate) struct ReadyConnection(pub(super) Connection);

/// Has the worker introduce itself and load its bundle. Waits without a deadline: the caller sets
/// one.
///
/// # Errors
/// When the worker refuses the bundle, ends, or breaks the protocol.
pub(crate) async fn accept_handshake(
    mut connection: Connection,
    tenant_id: &TenantId,
    limits: &TenantLimits,
    mode: SandboxMode,
    bundle: &Bundle,
) -> Result<(ReadyConnection, WorkerInfo), HandshakeError> {
    let layers = introduce(&mut connection, mode).await?;
    send_bundle(&mut connection, tenant_id, limits, bundle).await?;
    connection.append(&ToWorker::BundleEnd)?;
    connection.write_all().await.map_err(introduced)?;
    match connection.next_frame().await.map_err(introduced)? {
        FromWorker::Loaded { version, bundle_revision, evaluator, warnings, has_mask } => {
            let info =
                WorkerInfo { layers, version, bundle_revision, evaluator, warnings, has_mask };
            Ok((ReadyConnection(connection), info))
        }
        FromWorker::LoadFailed { diagnostics } => Err(HandshakeError::Rejected(diagnostics)),
        _ => Err(introduced(Breach::Unexpected("Loaded").into())),
    }
}

/// A question about a bundle to a worker that will not serve.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) inspection: Inspection,
    pub(crate) deadline: Instant,
    pub(crate) body: &'a [u8],
}

/// Has the worker introduce itself and answer a question about its bundle. Waits without a
/// deadline: the caller sets one.
///
/// # Errors
/// When the worker ends or breaks the protocol.
pub(crate) async fn inspect(
    mut connection: Connection,
    tenant_id: &TenantId,
    limits: &TenantLimits,
    mode: SandboxMode,
    bundle: &Bundle,
    question: Question<'_>,
) -> Result<Findings, HandshakeError> {
    introduce(&mut connection, mode).await?;
    send_bundle(&mut connection, tenant_id, limits, bundle).await?;
    let Question { inspection, deadline, body } = question;
    let deadline_micros = monotonic_micros(deadline);
    connection.append(&ToWorker::Inspect { inspection, deadline_micros, body })?;
    connection.write_all().await.map_err(introduced)?;
    match connection.next_frame().await.map_err(introduced)? {
        FromWorker::Inspected(findings) => Ok(findings),
        _ => Err(introduced(Breach::Unexpected("Inspected").into())),
    }
}

const fn introduced(end: End) -> HandshakeError {
    HandshakeError::Ended { end, stage: Stage::Introduced }
}

/// Returns the layers that the worker is in.
async fn introduce(
    connection: &mut Connection,
    mode: SandboxMode,
) -> Result<Vec<SandboxLayer>, HandshakeError> {
    let sealing = |end| HandshakeError::Ended { end, stage: Stage::Sealing };
    let layers = match connection.next_frame().await.map_err(sealing)? {
        FromWorker::Hello { version: PROTOCOL_VERSION, layers, .. } => layers,
        FromWorker::Hello { version, .. } => return Err(sealing(Breach::Version(version).into())),
        _ => return Err(sealing(Breach::Unexpected("Hello").into())),
    };
    // The worker checks this itself, but is not trusted to have done so.
    if mode != SandboxMode::DebugOff
        && let Some(lacking) = SandboxLayer::lacking_in(&layers).first()
    {
        return Err(introduced(Breach::NotSealed(*lacking).into()));
    }
    Ok(layers)
}

/// How long one of a bundle's own tests may take, at most: as `opa test` has it.
const TEST_TIME: Duration = Duration::from_secs(5);

/// All tests together have the load timeout.
fn test_gate(limits: &TenantLimits) -> TestGate {
    match limits.run_tests {
        RunTests::Ignore => TestGate::Ignored,
        RunTests::Require => {
            let timeout = TEST_TIME.min(limits.load_timeout / 2);
            let timeout_micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            TestGate::Required { timeout_micros }
        }
    }
}

/// Sends everything but the end.
async fn send_bundle(
    connection: &mut Connection,
    tenant_id: &TenantId,
    limits: &TenantLimits,
    bundle: &Bundle,
) -> Result<(), HandshakeError> {
    // The warm-up must leave time for the loading.
    let timeout = limits.evaluation_timeout.min(limits.load_timeout / 2);
    let evaluation_timeout_micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    connection.append(&ToWorker::LoadBundle(LoadSettings {
        tenant_id: tenant_id.as_str(),
        namespace: limits.namespace,
        entrypoint: limits.entrypoint(tenant_id),
        evaluation_timeout_micros,
        bytecode: limits.evaluator == EvaluatorChoice::Auto,
        strict_builtin_errors: limits.strict_builtin_errors,
        max_result: u64::try_from(limits.max_result).unwrap_or(u64::MAX),
        tests: test_gate(limits),
    }))?;
    for file in &bundle.files {
        connection.append(&ToWorker::BundleFile { path: &file.path, length: file.length() })?;
        for piece in &file.content {
            connection.append(&ToWorker::BundleChunk(piece))?;
            connection.write_all().await.map_err(introduced)?;
            // Requests are answered by the same threads, and a socket may take hundreds of chunks
            // without a pause.
            yield_now().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use enforcer_protocol::{DiagnosticCode, MAX_DIAGNOSTICS, MAX_SANDBOX_LAYERS, Revision};
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::tenant::testing::tenant;
    use crate::worker::testing::{answer, greeting, loaded, pair};

    #[tokio::test]
    async fn only_a_worker_that_introduces_itself_properly_gets_to_serve() {
        let sealed = SandboxLayer::ALL.to_vec();
        let repeated = vec![SandboxLayer::EmptyRoot; MAX_SANDBOX_LAYERS + 1];
        let unfiltered: Vec<_> = SandboxLayer::ALL
            .iter()
            .copied()
            .filter(|layer| *layer != SandboxLayer::Seccomp)
            .collect();
        let another = greeting(PROTOCOL_VERSION + 1, sealed.clone());
        let greeting = |layers| greeting(PROTOCOL_VERSION, layers);
        let (repeated, unfiltered) = (greeting(repeated), greeting(unfiltered));
        let greeting = greeting(sealed);
        let fault = Diagnostic::new(DiagnosticCode::Parse, "");
        let failed = |count| FromWorker::LoadFailed { diagnostics: vec![fault.clone(); count] };
        let loaded = loaded(Some("1"));
        for (name, said, expected) in [
            ("another version", vec![another], "breach"),
            ("too many layers", vec![repeated], "breach"),
            ("a mandatory layer too few", vec![unfiltered, loaded.clone()], "breach"),
            ("no greeting", vec![loaded.clone()], "breach"),
            ("two greetings", vec![greeting.clone(), greeting.clone()], "breach"),
            ("an answer first", vec![greeting.clone(), answer(0, 0)], "breach"),
            ("refused for no reason", vec![greeting.clone(), failed(0)], "breach"),
            ("too many reasons", vec![greeting.clone(), failed(MAX_DIAGNOSTICS + 1)], "breach"),
            ("refused", vec![greeting.clone(), failed(1)], "rejected"),
            ("gone", vec![greeting.clone()], "closed"),
            ("well", vec![greeting, loaded], "introduced"),
        ] {
            let (connection, mut worker) = pair();
            for frame in said {
                worker.say(&frame).await;
            }
            worker.socket.shutdown().await.unwrap();
            let bundle = Bundle {
                revision: Revision::from_digest([0; 32]),
                files: Vec::new(),
                ignored_files: Vec::new(),
            };
            let (tenant, _) = tenant();
            let mode = SandboxMode::Strict;
            let result =
                accept_handshake(connection, &tenant.id, &tenant.limits, mode, &bundle).await;
            let got = match result {
                Ok((_, info)) => {
                    assert_eq!(info.version.as_deref(), Some("1"));
                    "introduced"
                }
                Err(HandshakeError::Rejected(_)) => "rejected",
                Err(HandshakeError::Ended { end: End::Breach(_), .. }) => "breach",
                Err(HandshakeError::Ended { end: End::Closed, .. }) => "closed",
                Err(other) => panic!("{name}: {other}"),
            };
            assert_eq!(got, expected, "{name}");
        }
    }
}
