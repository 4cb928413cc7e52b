//! The only encode/decode pair, and the buffer that finds frames in a byte stream.
//!
//! On the wire a frame is its length in four bytes, most significant first, and then its payload:
//! the default of tokio-util's `LengthDelimitedCodec`. The payload is bincode 2 in its standard
//! configuration, with a limit.

use std::io::{self, Read};
use std::ops::Range;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::limits::{FRAME_HEADER_LENGTH, MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER};

// The limit counts what decoding would allocate, so a false length inside a frame is bounded by the
// longest frame. bincode takes it as a constant; the frame's own length is bounded before.
type Config = Configuration<LittleEndian, Varint, Limit<MAX_FRAME>>;
const CONFIG: Config = bincode::config::standard().with_limit::<MAX_FRAME>();

/// The longest frame in either direction, in bytes.
const MAX_FRAME: usize = if MAX_FRAME_TO_WORKER > MAX_FRAME_FROM_WORKER {
    MAX_FRAME_TO_WORKER
} else {
    MAX_FRAME_FROM_WORKER
};

/// Why a frame could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The value is longer than a frame may be.
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    /// bincode refused the value.
    #[error("the frame cannot be encoded: {0}")]
    Bincode(#[from] bincode::error::EncodeError),
}

/// Why the payload of a frame was refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The payload is not a value of the expected type.
    #[error("the frame cannot be decoded: {0}")]
    Bincode(#[from] bincode::error::DecodeError),
    /// Bytes follow the value. An honest peer never sends them.
    #[error("{0} bytes follow the frame's value")]
    TrailingBytes(usize),
    /// A list or a text in the frame is longer than its kind of frame allows.
    #[error("a list or a text in a frame is over its limit")]
    OverLimits,
}

/// A kind of frame, which knows the limits of the lists and texts in it.
pub trait Frame<'a>: BorrowDecode<'a, ()> {
    /// Whether every list and every text in the frame is within its limit.
    fn is_within_limits(&self) -> bool;
}

/// A frame is longer than the receiver allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is over the limit of {limit}")]
pub struct FrameTooLong {
    /// Length that was announced or needed, in bytes.
    pub length: usize,
    /// The most that is allowed, in bytes.
    pub limit: usize,
}

/// Appends `value` to `out` as one whole frame of at most `limit` bytes of payload.
///
/// # Errors
/// `out` is as it was before when the value does not fit or cannot be encoded.
pub fn append_frame<T: Encode>(
    out: &mut Vec<u8>,
    value: &T,
    limit: usize,
) -> Result<(), EncodeError> {
    let start = out.len();
    let result = append_unchecked(out, value, limit);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn append_unchecked<T: Encode>(
    out: &mut Vec<u8>,
    value: &T,
    limit: usize,
) -> Result<(), EncodeError> {
    let header = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_LENGTH]);
    let length = bincode::encode_into_std_write(value, out, CONFIG)?;
    let announced = u32::try_from(length)
        .ok()
        .filter(|_| length <= limit)
        .ok_or(FrameTooLong { length, limit })?;
    if let Some(field) = out.get_mut(header..header + FRAME_HEADER_LENGTH) {
        field.copy_from_slice(&announced.to_be_bytes());
    }
    Ok(())
}

/// Decodes the payload of one frame, all of it, and checks it against the limits of its kind: a
/// frame that was not checked does not exist as a value.
///
/// # Errors
/// When the payload is not a value of the type, is followed by further bytes, or holds a list or a
/// text over its limit.
pub fn decode<'a, T: Frame<'a>>(payload: &'a [u8]) -> Result<T, DecodeError> {
    let (value, used): (T, usize) = bincode::borrow_decode_from_slice(payload, CONFIG)?;
    match payload.len() - used {
        0 if value.is_within_limits() => Ok(value),
        0 => Err(DecodeError::OverLimits),
        left => Err(DecodeError::TrailingBytes(left)),
    }
}

/// Collects bytes of a stream and hands out the whole frames among them.
///
/// Both sides use it. It holds at most one incomplete frame and the bytes of one `read`, and grows
/// with the bytes that arrive, not with the length that a header announces.
#[derive(Debug)]
pub struct FrameBuffer {
    /// All of it is initialised, so that a read need not clear it.
    storage: Vec<u8>,
    /// The range in `storage` of the bytes that were not yet handed out.
    unread: Range<usize>,
    limit: usize,
}

/// Bytes that a fresh buffer can take at once: several small requests, so that load batches by
/// itself, in few enough pages that an idle worker stays small.
const INITIAL_CAPACITY: usize = 16 * 1024;

/// The capacity that an empty buffer keeps: the memory of one large request is given back.
const IDLE_CAPACITY: usize = 4 * INITIAL_CAPACITY;

impl FrameBuffer {
    /// An empty buffer that refuses frames of more than `limit` bytes of payload.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { storage: Vec::new(), unread: 0..0, limit }
    }

    /// Reads once from `stream` and keeps the bytes. Returns their number: 0 is the stream's end.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.make_space();
        let space = self.storage.get_mut(self.unread.end..).unwrap_or_default();
        let read = stream.read(space)?;
        self.unread.end += read;
        Ok(read)
    }

    /// Whether the last [`Self::fill`] had more room than bytes, so that its stream had no more.
    #[must_use]
    pub const fn has_space(&self) -> bool {
        self.unread.end < self.storage.len()
    }

    /// The payload of the next whole frame, if there is one.
    ///
    /// # Errors
    /// When the header announces more than the limit. The stream has no meaning after that.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameTooLong> {
        let unread = self.storage.get(self.unread.clone()).unwrap_or_default();
        let Some((header, rest)) = unread.split_first_chunk::<FRAME_HEADER_LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameTooLong { length, limit: self.limit });
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        self.unread.start += FRAME_HEADER_LENGTH + length;
        Ok(Some(payload))
    }

    /// Leaves room for at least one byte after the unread ones.
    fn make_space(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
            if self.storage.len() > IDLE_CAPACITY {
                self.storage = Vec::new();
            }
        }
        if self.unread.end < self.storage.len() {
            return;
        }
        if self.unread.start > 0 {
            self.storage.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.storage.len() {
            let larger = (self.storage.len() * 2).max(INITIAL_CAPACITY);
            self.storage.resize(larger, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Decision;
    use crate::diagnostic::{Diagnostic, DiagnosticCode, Location};
    use crate::frame::{FromWorker, LoadSettings, Namespace, TestGate, ToWorker};
    use crate::json::JsonText;
    use crate::mask::{Mask, MaskedDecision};
    use crate::outcome::{BatchItem, DocumentAnswer, Evaluator, Given, Outcome};
    use crate::query::{BatchQuery, DocumentQuery, InputSource, Query, TextFormat};
    use crate::sandbox::{MissingLayer, SandboxLayer};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    /// A [`ToWorker`] that owns what it lends, so that proptest can make one.
    #[derive(Clone, Debug)]
    enum Owned {
        LoadBundle(String, Vec<String>, u64, bool, bool),
        BundleFile(String, u64),
        BundleChunk(Vec<u8>),
        BundleEnd,
        Evaluate(u64, Query, u64, Vec<u8>),
    }

    impl Owned {
        fn lend(&self) -> ToWorker<'_> {
            match self {
                Self::LoadBundle(tenant_id, entrypoint, number, bytecode, strict) => {
                    ToWorker::LoadBundle(LoadSettings {
                        tenant_id,
                        namespace: if *strict { Namespace::Strict } else { Namespace::Open },
                        entrypoint: entrypoint.iter().map(String::as_str).collect(),
                        evaluation_timeout_micros: *number,
                        bytecode: *bytecode,
                        strict_builtin_errors: *strict,
                        max_result: *number,
                        tests: match bytecode {
                            true => TestGate::Ignored,
                            false => TestGate::Required { timeout_micros: *number },
                        },
                    })
                }
                Self::BundleFile(path, length) => ToWorker::BundleFile { path, length: *length },
                Self::BundleChunk(bytes) => ToWorker::BundleChunk(bytes),
                Self::BundleEnd => ToWorker::BundleEnd,
                Self::Evaluate(id, query, deadline, body) => ToWorker::Evaluate {
                    id: *id,
                    query: query.clone(),
                    deadline_micros: *deadline,
                    wants_mask: deadline % 2 == 0,
                    body,
                },
            }
        }
    }

    fn query() -> impl Strategy<Value = Query> {
        let document = || {
            (vec(".*", 0..4), any::<bool>()).prop_map(|(path, strict_builtin_errors)| {
                DocumentQuery { path, strict_builtin_errors }
            })
        };
        let format = || prop_oneof![Just(TextFormat::Json), Just(TextFormat::Yaml)];
        let source = prop_oneof![
            Just(InputSource::Absent),
            Just(InputSource::Parameter),
            format().prop_map(InputSource::Member),
            format().prop_map(InputSource::Body),
        ];
        prop_oneof![
            Just(Query::Decision),
            (document(), source).prop_map(|(document, source)| Query::Document(document, source)),
            any::<u32>().prop_map(|most| Query::Batch(BatchQuery::Decision, most)),
            (document(), any::<u32>())
                .prop_map(|(document, most)| Query::Batch(BatchQuery::Document(document), most)),
        ]
    }

    fn to_worker() -> impl Strategy<Value = Owned> {
        prop_oneof![
            (".*", vec(".*", 0..4), any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
                |(id, entrypoint, number, bytecode, strict)| {
                    Owned::LoadBundle(id, entrypoint, number, bytecode, strict)
                }
            ),
            (".*", any::<u64>()).prop_map(|(path, length)| Owned::BundleFile(path, length)),
            vec(any::<u8>(), 0..2000).prop_map(Owned::BundleChunk),
            Just(Owned::BundleEnd),
            (any::<u64>(), query(), any::<u64>(), vec(any::<u8>(), 0..2000))
                .prop_map(|(id, query, deadline, body)| Owned::Evaluate(id, query, deadline, body)),
        ]
    }

    fn diagnostic() -> impl Strategy<Value = Diagnostic> {
        let code = prop_oneof![
            Just(DiagnosticCode::Parse),
            Just(DiagnosticCode::Compile),
            Just(DiagnosticCode::StaticType),
            Just(DiagnosticCode::UnsafeVariable),
            Just(DiagnosticCode::Recursion),
            Just(DiagnosticCode::Bundle),
            Just(DiagnosticCode::Conflict),
            Just(DiagnosticCode::Builtin),
            Just(DiagnosticCode::Type),
            Just(DiagnosticCode::Internal),
        ];
        let location = (".*", any::<u32>(), any::<u32>()).prop_map(|(file, row, col)| Location {
            file,
            row,
            col,
        });
        (code, ".*", option::of(location), option::of(".*"), option::of(".*")).prop_map(
            |(code, message, location, line, help)| Diagnostic {
                code,
                message,
                location,
                line,
                help,
            },
        )
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            (any::<bool>(), vec(".*", 0..5), option::of(".*")).prop_map(
                |(allow, redact, reason)| Outcome::Decision(Decision { allow, redact, reason })
            ),
            ".*".prop_map(Outcome::InvalidRequest),
            Just(Outcome::TenantMismatch),
            (option::of("[0-9]"), any::<bool>(), any::<u64>()).prop_map(|(value, flag, nanos)| {
                Outcome::Document(DocumentAnswer {
                    value: value.map(JsonText::new),
                    has_rules: flag,
                    input: if flag { Given::Input } else { Given::Nothing },
                    decision: flag.then(Decision::default),
                    parse_nanos: nanos,
                    evaluation_nanos: nanos,
                })
            }),
            diagnostic().prop_map(Outcome::Failed),
            any::<u32>().prop_map(Outcome::TooManyInputs),
            Just(Outcome::TimedOut),
        ]
    }

    fn evaluator() -> impl Strategy<Value = Evaluator> {
        prop_oneof![Just(Evaluator::Bytecode), ".*".prop_map(Evaluator::Interpreter)]
    }

    fn from_worker() -> impl Strategy<Value = FromWorker> {
        prop_oneof![
            (any::<u16>(), ".*").prop_map(|(version, reason)| FromWorker::Hello {
                version,
                layers: SandboxLayer::ALL.to_vec(),
                missing: vec![MissingLayer { layer: SandboxLayer::EmptyRoot, reason }],
            }),
            (option::of(".*"), option::of(".*"), evaluator(), vec(diagnostic(), 0..4)).prop_map(
                |(version, bundle_revision, evaluator, warnings)| FromWorker::Loaded {
                    version,
                    bundle_revision,
                    evaluator,
                    warnings,
                    has_mask: false,
                }
            ),
            vec(diagnostic(), 1..4).prop_map(|diagnostics| FromWorker::LoadFailed { diagnostics }),
            (any::<u64>(), vec((outcome(), any::<u64>()), 0..4), any::<bool>()).prop_map(
                |(id, outcomes, differed)| FromWorker::BatchEvaluated {
                    id,
                    items: (0..)
                        .zip(outcomes)
                        .map(|(index, (outcome, micros))| BatchItem {
                            key: format!("{index}"),
                            outcome,
                            micros,
                            mask: Mask::Failed(format!("{micros}")),
                        })
                        .collect(),
                    micros: id,
                    differed,
                }
            ),
            (any::<u64>(), outcome(), any::<u64>(), any::<bool>()).prop_map(
                |(id, outcome, micros, differed)| FromWorker::Evaluated {
                    id,
                    outcome,
                    micros,
                    mask: Mask::Applied(Box::new(MaskedDecision {
                        input: differed.then(|| JsonText::new(format!("{micros}"))),
                        decision: Decision::default(),
                        erased: vec![format!("/{id}")],
                        masked: Vec::new(),
                    })),
                    differed,
                }
            ),
        ]
    }

    /// A stream that gives its bytes in pieces of these lengths, over and over.
    struct Pieces<'a> {
        bytes: &'a [u8],
        lengths: std::iter::Cycle<std::vec::IntoIter<usize>>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let length = self.lengths.next().unwrap().min(space.len()).min(self.bytes.len());
            let (now, later) = self.bytes.split_at(length);
            space[..length].copy_from_slice(now);
            self.bytes = later;
            Ok(length)
        }
    }

    proptest! {
        #[test]
        fn frames_to_a_worker_survive_the_trip_however_they_are_split(
            frames in vec(to_worker(), 0..8),
            lengths in vec(1usize..300, 1..10),
        ) {
            let mut wire = Vec::new();
            for frame in &frames {
                append_frame(&mut wire, &frame.lend(), MAX_FRAME_TO_WORKER).unwrap();
            }
            let mut stream = Pieces { bytes: &wire, lengths: lengths.into_iter().cycle() };
            let mut buffer = FrameBuffer::new(MAX_FRAME_TO_WORKER);
            let mut expected = frames.iter();
            while buffer.fill(&mut stream).unwrap() > 0 {
                while let Some(payload) = buffer.next_frame().unwrap() {
                    let frame: ToWorker<'_> = decode(payload).unwrap();
                    prop_assert_eq!(frame, expected.next().unwrap().lend());
                }
            }
            prop_assert!(expected.next().is_none());
        }

        #[test]
        fn frames_from_a_worker_survive_the_trip(frame in from_worker()) {
            let mut wire = Vec::new();
            append_frame(&mut wire, &frame, MAX_FRAME_FROM_WORKER).unwrap();
            let payload = &wire[FRAME_HEADER_LENGTH..];
            prop_assert_eq!(decode::<FromWorker>(payload).unwrap(), frame);
        }

        #[test]
        fn a_truncated_payload_is_refused(frame in from_worker(), cut in any::<prop::sample::Index>()) {
            let mut wire = Vec::new();
            append_frame(&mut wire, &frame, MAX_FRAME_FROM_WORKER).unwrap();
            let payload = &wire[FRAME_HEADER_LENGTH..];
            let shorter = &payload[..cut.index(payload.len())];
            prop_assert!(decode::<FromWorker>(shorter).is_err());
        }

        #[test]
        fn bytes_after_the_value_are_refused(frame in from_worker(), tail in vec(any::<u8>(), 1..20)) {
            let mut wire = Vec::new();
            append_frame(&mut wire, &frame, MAX_FRAME_FROM_WORKER).unwrap();
            wire.extend_from_slice(&tail);
            let refused = decode::<FromWorker>(&wire[FRAME_HEADER_LENGTH..]);
            prop_assert!(matches!(refused, Err(DecodeError::TrailingBytes(n)) if n == tail.len()));
        }

        #[test]
        fn garbage_never_panics(bytes in vec(any::<u8>(), 0..500)) {
            let _ = decode::<FromWorker>(&bytes);
            let _ = decode::<ToWorker<'_>>(&bytes);
            let mut buffer = FrameBuffer::new(1000);
            buffer.fill(&mut bytes.as_slice()).unwrap();
            while let Ok(Some(_)) = buffer.next_frame() {}
        }
    }

    #[test]
    fn a_header_over_the_limit_is_refused_before_its_payload_comes() {
        let mut buffer = FrameBuffer::new(1000);
        buffer.fill(&mut [0xff, 0xff, 0xff, 0xff].as_slice()).unwrap();
        let limit = FrameTooLong { length: 0xffff_ffff, limit: 1000 };
        assert_eq!(buffer.next_frame(), Err(limit));
    }

    #[test]
    fn a_length_inside_a_frame_cannot_make_the_decoder_allocate() {
        // LoadFailed with u64::MAX diagnostics: variant 2, then the varint marker for a u64.
        let mut payload = vec![2, 253];
        payload.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<FromWorker>(&payload).is_err());
    }

    #[test]
    fn a_value_over_the_limit_leaves_the_output_as_it_was() {
        let mut out = b"before".to_vec();
        let body = vec![0; 100];
        let refused = append_frame(&mut out, &ToWorker::BundleChunk(&body), 50);
        assert!(matches!(refused, Err(EncodeError::TooLong(_))));
        assert_eq!(out, b"before");
    }

    #[test]
    fn the_memory_of_one_large_frame_is_given_back() {
        let mut wire = Vec::new();
        let body = vec![7; 4 * 1024 * 1024];
        append_frame(&mut wire, &ToWorker::BundleChunk(&body), MAX_FRAME_TO_WORKER).unwrap();
        append_frame(&mut wire, &ToWorker::BundleEnd, MAX_FRAME_TO_WORKER).unwrap();
        let mut stream = wire.as_slice();
        let mut buffer = FrameBuffer::new(MAX_FRAME_TO_WORKER);
        let mut frames = 0;
        while buffer.fill(&mut stream).unwrap() > 0 {
            while buffer.next_frame().unwrap().is_some() {
                frames += 1;
            }
        }
        assert_eq!(frames, 2);
        assert!(buffer.storage.capacity() <= IDLE_CAPACITY, "{}", buffer.storage.capacity());
    }
}
