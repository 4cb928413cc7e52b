//! The supervisor's end of a worker's socket: bytes in and out, and the frames among them.
//!
//! Every received byte is hostile. A frame is bounded before it is held, and checked when it is
//! decoded. A frame that is unexpected in its place is a breach, and a breach ends the worker.

use std::io;

use enforcer_protocol::{
    DecodeError, EncodeError, FRAME_FROM_WORKER_MARGIN, FrameBuffer, FrameTooLong, FromWorker,
    MAX_FRAME_TO_WORKER, PROTOCOL_VERSION, SandboxLayer, ToWorker, append_frame, decode,
};

use super::socket::WorkerSocket;

/// Bytes that wait to be written to a worker, beyond which no further request is encoded.
pub(super) const OUTBOX_TARGET: usize = 256 * 1024;

/// Why a connection stopped serving.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// It was told to take no more requests, and has answered all those it had.
    #[error("it was told to end")]
    Drained,
    /// It had no request for the idle timeout.
    #[error("it had nothing to do")]
    Idle,
    /// An evaluation did not end.
    #[error("an evaluation was stuck beyond its deadline")]
    Stuck,
    /// The worker closed its socket: it ended, or is about to.
    #[error("it closed its socket")]
    Closed,
    /// The worker broke the protocol.
    #[error("it broke the protocol: {0}")]
    Breach(#[from] Breach),
    /// The socket failed.
    #[error("its socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// How a worker broke the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Breach {
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("its protocol version is {0}, and ours {PROTOCOL_VERSION}")]
    Version(u16),
    #[error("a frame of the wrong kind arrived where {0} was expected")]
    Unexpected(&'static str),
    #[error("the next request was {asked}, but {answered} was answered")]
    WrongId { asked: u64, answered: u64 },
    #[error("its sandbox lacks {0}")]
    NotSealed(SandboxLayer),
}

/// The bytes received from a worker, and the frames among them.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) frames: FrameBuffer,
}

impl Inbox {
    /// `max_result` is the largest result that the worker may send, in bytes.
    pub(crate) const fn new(max_result: usize) -> Self {
        Self { frames: FrameBuffer::new(max_result + FRAME_FROM_WORKER_MARGIN) }
    }

    /// Takes the next whole frame out of the received bytes.
    pub(crate) fn next_frame(&mut self) -> Result<Option<FromWorker>, Breach> {
        let Some(payload) = self.frames.next_frame()? else {
            return Ok(None);
        };
        Ok(Some(decode(payload)?))
    }
}

pub(crate) mod fuzzing {
    //! The entry point of the fuzz target of frames; not part of the crate's interface.

    use enforcer_protocol::{FromWorker, MAX_RESULT};

    use super::Inbox;

    /// The frames in a stream that arrives in pieces, up to the first breach.
    #[must_use]
    pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<FromWorker> {
        let mut inbox = Inbox::new(MAX_RESULT);
        let mut frames = Vec::new();
        for mut piece in pieces {
            while matches!(inbox.frames.fill(&mut piece), Ok(1..)) {
                loop {
                    match inbox.next_frame() {
                        Ok(Some(frame)) => frames.push(frame),
                        Ok(None) => break,
                        Err(_) => return frames,
                    }
                }
            }
        }
        frames
    }
}

/// The supervisor's end of a worker's socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WorkerSocket,
    pub(super) inbox: Inbox,
    outbox: Vec<u8>,
    /// The offset in `outbox` of the first byte that is not written yet.
    written: usize,
    /// Bytes that were ever written while serving.
    pub(super) total_written: u64,
}

impl Connection {
    /// `max_result` is the largest result that the worker may send, in bytes.
    pub(crate) fn new(socket: WorkerSocket, max_result: usize) -> Self {
        let inbox = Inbox::new(max_result);
        Self { socket, inbox, outbox: Vec::new(), written: 0, total_written: 0 }
    }

    pub(super) fn append(&mut self, frame: &ToWorker<'_>) -> Result<(), EncodeError> {
        append_frame(&mut self.outbox, frame, MAX_FRAME_TO_WORKER)
    }

    pub(super) async fn write_all(&mut self) -> Result<(), End> {
        loop {
            self.write()?;
            if self.unwritten() == 0 {
                return Ok(());
            }
            self.socket.room().await?;
        }
    }

    /// Waits for the next frame without a deadline: the caller sets one.
    pub(crate) async fn next_frame(&mut self) -> Result<FromWorker, End> {
        loop {
            if let Some(frame) = self.inbox.next_frame()? {
                return Ok(frame);
            }
            self.wait().await?;
        }
    }

    /// Waits until the worker has sent something, and reads once; or until there is room for the
    /// bytes in `outbox`. It is cancel safe: dropping the future loses nothing.
    pub(super) async fn wait(&mut self) -> Result<(), End> {
        let has_unwritten = self.unwritten() > 0;
        let read = self.socket.wait(has_unwritten, &mut self.inbox.frames).await?;
        has_read(read).map(drop)
    }

    /// Reads once from the socket. Returns whether it had any bytes.
    pub(super) fn try_read(&mut self) -> Result<bool, End> {
        has_read(self.socket.try_read(&mut self.inbox.frames)?)
    }

    /// Writes as much as the socket accepts now.
    pub(super) fn write(&mut self) -> Result<(), End> {
        while let Some(rest @ [_, ..]) = self.outbox.get(self.written..) {
            let Some(count) = self.socket.try_write(rest)? else { return Ok(()) };
            self.written += count;
            self.total_written += u64::try_from(count).unwrap_or(u64::MAX);
        }
        self.written = 0;
        self.outbox.clear();
        self.outbox.shrink_to(OUTBOX_TARGET);
        Ok(())
    }

    pub(super) fn unwritten(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// The value of `total_written` once all appended bytes are written.
    pub(super) fn end_of_outbox(&self) -> u64 {
        self.total_written + u64::try_from(self.unwritten()).unwrap_or(u64::MAX)
    }
}

/// Whether there was anything to read; the socket's end is an error.
const fn has_read(read: Option<usize>) -> Result<bool, End> {
    match read {
        Some(0) => Err(End::Closed),
        read => Ok(read.is_some()),
    }
}
