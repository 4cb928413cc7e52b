//! A connection with a worker that the test scripts.

use enforcer_protocol::{
    Decision, Evaluator, FromWorker, MAX_FRAME_FROM_WORKER, MAX_RESULT, Mask, Outcome,
    SandboxLayer, ToWorker, append_frame, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::connection::Connection;
use super::socket::WorkerSocket;

/// The other end of a connection, which the test scripts.
pub(super) struct FakeWorker {
    pub(super) socket: UnixStream,
}

impl FakeWorker {
    pub(super) async fn say(&mut self, frame: &FromWorker) {
        let mut wire = Vec::new();
        append_frame(&mut wire, frame, MAX_FRAME_FROM_WORKER).unwrap();
        self.say_bytes(&wire).await;
    }

    pub(super) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads a whole frame's payload.
    pub(super) async fn hear(&mut self) -> Vec<u8> {
        let length = self.socket.read_u32().await.unwrap();
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.socket.read_exact(&mut payload).await.unwrap();
        payload
    }

    /// Reads an `Evaluate`, and returns its id.
    pub(super) async fn hear_question(&mut self) -> u64 {
        let payload = self.hear().await;
        let ToWorker::Evaluate { id, .. } = decode(&payload).unwrap() else {
            panic!("no question: {payload:?}")
        };
        id
    }
}

pub(super) fn pair() -> (Connection, FakeWorker) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ours = WorkerSocket::new(ours.into_std().unwrap()).unwrap();
    (Connection::new(ours, MAX_RESULT), FakeWorker { socket: theirs })
}

pub(super) fn answer(id: u64, micros: u64) -> FromWorker {
    FromWorker::Evaluated {
        id,
        outcome: Outcome::Decision(Decision::default()),
        micros,
        mask: Mask::Absent,
        differed: false,
    }
}

pub(super) fn loaded(version: Option<&str>) -> FromWorker {
    FromWorker::Loaded {
        version: version.map(str::to_owned),
        bundle_revision: None,
        evaluator: Evaluator::Bytecode,
        warnings: Vec::new(),
        has_mask: false,
    }
}

pub(super) fn greeting(version: u16, layers: Vec<SandboxLayer>) -> FromWorker {
    FromWorker::Hello { version, layers, missing: Vec::new() }
}
