//! The bounds of the wire: one place, so that both sides use the same numbers.

use std::ops::RangeInclusive;

/// Version of this protocol, in the first frame. Supervisor and worker are one binary, so a
/// mismatch means that the other end is a different program.
pub const PROTOCOL_VERSION: u16 = 8;

/// Bytes of the length that precedes every frame, most significant byte first.
pub const FRAME_HEADER_LENGTH: usize = 4;

/// Largest request body that can be configured, in bytes. It bounds what one request can make a
/// worker hold, and with it the frame that carries it.
pub const MAX_REQUEST_BODY: usize = 16 * 1024 * 1024;

/// Largest frame to a worker, in bytes: a request body and the fields around it.
pub const MAX_FRAME_TO_WORKER: usize = MAX_REQUEST_BODY + 4 * 1024;

/// Largest result of the Data API that can be configured, in bytes of its JSON.
pub const MAX_RESULT: usize = 16 * 1024 * 1024;

/// Bytes of all that the masks of one frame leave: inputs, texts of decisions and paths. Few inputs
/// are larger, and a hostile worker can make the supervisor keep no more.
pub const MAX_MASKED: usize = 256 * 1024;

/// Paths that a mask may erase and replace in one decision.
pub const MAX_MASK_PATHS: usize = 4096;

/// Bytes of a frame from a worker besides a result: the other fields of an answer, its masks, and
/// the frames that have no result.
pub const FRAME_FROM_WORKER_MARGIN: usize = MAX_MASKED + 64 * 1024;

/// Largest frame from a worker whose tenant may have the largest results, in bytes. A hostile
/// worker can make the supervisor allocate as much as its tenant's setting allows.
pub const MAX_FRAME_FROM_WORKER: usize = MAX_RESULT + FRAME_FROM_WORKER_MARGIN;

/// Levels of a result: more than a value of the engine can have.
pub const MAX_JSON_DEPTH: usize = 1024;

/// Inputs of one batch.
pub const MAX_BATCH: usize = 1000;

/// Bytes of the name of an input in a batch.
pub const MAX_BATCH_KEY: usize = 1024;

/// Bytes of a bundle file in one `BundleChunk` frame: large enough to be cheap, small enough that
/// loading a large bundle needs no large buffer on either side.
pub const BUNDLE_CHUNK: usize = 256 * 1024;

/// Strings that `redact` may name in one decision.
pub const MAX_REDACTIONS: usize = 4096;

/// Bytes of a decision's `reason`, and of one name in `redact`.
pub const MAX_DECISION_STRING: usize = 16 * 1024;

/// Faults reported for one bundle, and warnings; the first ones are enough to start the repair.
pub const MAX_DIAGNOSTICS: usize = 16;

/// Bytes of each text of a diagnostic, of a bundle's version and revision, and of why it is interpreted.
pub const MAX_DIAGNOSTIC_STRING: usize = 1024;

/// Lines that an evaluation printed in one report about it.
pub const MAX_PRINTED_LINES: usize = 1000;

/// Sandbox layers that one `Hello` may list.
pub const MAX_SANDBOX_LAYERS: usize = 64;

/// Exit codes of a worker whose sandbox could not be closed, one for each of its steps: the host's
/// fault, not the tenant's. They have this meaning only until the worker has introduced itself.
pub const EXIT_NOT_SEALED: RangeInclusive<u8> = 80..=99;

/// Exit code of a worker that exceeded its tenant's memory limit.
pub const EXIT_MEMORY_LIMIT: u8 = 68;

/// Exit code of a worker whose allocation failed within its limit.
pub const EXIT_NO_MEMORY: u8 = 69;
