//! The frames, as plain data.

use bincode::{BorrowDecode, Decode, Encode};

use crate::codec::Frame;
use crate::diagnostic::Diagnostic;
use crate::inspection::{Findings, Inspection};
use crate::limits::{
    MAX_BATCH, MAX_BATCH_KEY, MAX_DIAGNOSTIC_STRING, MAX_DIAGNOSTICS, MAX_SANDBOX_LAYERS,
};
use crate::mask::Mask;
use crate::outcome::{BatchItem, Evaluator, Outcome};
use crate::query::Query;
use crate::sandbox::{MissingLayer, SandboxLayer};

/// The supervisor's frames, in a fixed order: one `LoadBundle`, for every file one `BundleFile`
/// followed by its `BundleChunk`s, one `BundleEnd`; after the worker's `Loaded` any number of
/// `Evaluate`. Or, in the place of `BundleEnd`, one `Inspect`, and nothing after it. Closing the
/// socket tells the worker to end.
///
/// Bytes are borrowed from the frame that they came in: a request body is not copied to be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum ToWorker<'a> {
    /// Begins the one bundle of this worker's life.
    LoadBundle(LoadSettings<'a>),
    /// Begins a file of the bundle.
    BundleFile {
        /// Its path below the bundle's root, `/` between the parts.
        path: &'a str,
        /// Its length in bytes, over all the chunks that follow.
        length: u64,
    },
    /// The next bytes of the file that was begun last.
    BundleChunk(&'a [u8]),
    /// The bundle is whole: load it and answer with `Loaded` or `LoadFailed`.
    BundleEnd,
    /// The bundle is whole: answer this one question about it with `Inspected`, and serve nothing.
    Inspect {
        /// The question.
        inspection: Inspection,
        /// The deadline of the answer, as that of `Evaluate`.
        deadline_micros: u64,
        /// The body of the request, where the question is about one.
        body: &'a [u8],
    },
    /// Answer a request.
    Evaluate {
        /// Names this request in the answer. Ids grow by one from 0.
        id: u64,
        /// The question.
        query: Query,
        /// The deadline of the answer: microseconds of `CLOCK_MONOTONIC`, which all processes of a
        /// host share (`clock_gettime(2)`).
        deadline_micros: u64,
        /// Whether the answer is to have what the policy's mask leaves of the decision.
        wants_mask: bool,
        /// The request's body as it came from the client: any bytes at all.
        body: &'a [u8],
    },
}

/// How a worker loads its bundle and answers about it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct LoadSettings<'a> {
    /// The bundle's tenant; a [`TenantId`](crate::TenantId)'s text.
    pub tenant_id: &'a str,
    /// The packages that the bundle may define.
    pub namespace: Namespace,
    /// The rule that decides, as keys below `data`.
    pub entrypoint: Vec<&'a str>,
    /// How long the evaluation that warms up may take, in microseconds.
    pub evaluation_timeout_micros: u64,
    /// Whether the bytecode may answer; otherwise the interpreter does.
    pub bytecode: bool,
    /// Whether an error in a built-in fails the request. Otherwise its call is undefined, as in
    /// OPA.
    pub strict_builtin_errors: bool,
    /// Largest result, in bytes of its JSON; at most [`MAX_RESULT`](crate::MAX_RESULT).
    pub max_result: u64,
    /// Whether the bundle's own tests have to pass before it serves.
    pub tests: TestGate,
}

/// Whether a bundle's own tests decide whether it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TestGate {
    /// They are not loaded.
    Ignored,
    /// A bundle with a test that does not pass is refused.
    Required {
        /// How long one test may take, in microseconds.
        timeout_micros: u64,
    },
}

/// The packages that a bundle may define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Namespace {
    /// `tenants.<id>` and packages below it.
    Strict,
    /// Any package.
    Open,
}

/// The worker's frames. The supervisor treats every byte of them as hostile.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromWorker {
    /// The first frame, sent before any tenant byte was read.
    Hello {
        /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) of the worker.
        version: u16,
        /// The sandbox layers in force.
        layers: Vec<SandboxLayer>,
        /// The layers that are not in force, and why.
        missing: Vec<MissingLayer>,
    },
    /// The bundle was loaded, compiled and evaluated once.
    Loaded {
        /// `version` of the bundle's `metadata.json`, where it has one.
        version: Option<String>,
        /// `revision` of the bundle's `.manifest`, where it has one.
        bundle_revision: Option<String>,
        /// The evaluator that will answer requests.
        evaluator: Evaluator,
        /// Warnings about the bundle, at most
        /// [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
        warnings: Vec<Diagnostic>,
        /// Whether the policy has a mask. Then nothing is shown that the mask has not seen.
        has_mask: bool,
    },
    /// The bundle cannot be used.
    LoadFailed {
        /// Why: at least one, at most [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
        diagnostics: Vec<Diagnostic>,
    },
    /// The answer to an `Inspect`.
    Inspected(Findings),
    /// The answer to an `Evaluate` of a batch whose body could be read.
    BatchEvaluated {
        /// The id of the request.
        id: u64,
        /// The results, in the order of the inputs' names; at most [`MAX_BATCH`].
        items: Vec<BatchItem>,
        /// How long the worker took, from the request's body to the last result, in microseconds.
        micros: u64,
        /// Whether the bytecode and the interpreter had different answers about any of them.
        differed: bool,
    },
    /// The answer to any other `Evaluate`.
    Evaluated {
        /// The id of the request.
        id: u64,
        /// The result.
        outcome: Outcome,
        /// How long the worker took, from the request's body to the outcome, in microseconds. The
        /// mask's time is not in it.
        micros: u64,
        /// What the policy's mask leaves of the input and the result.
        mask: Mask,
        /// Whether the bytecode and the interpreter had different answers. Then this is neither's
        /// but an error.
        differed: bool,
    },
}

impl<'a> Frame<'a> for ToWorker<'a> {
    /// The supervisor is trusted; its frames have no limit but their length.
    fn is_within_limits(&self) -> bool {
        true
    }
}

impl Frame<'_> for FromWorker {
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Hello { layers, missing, .. } => {
                layers.len() + missing.len() <= MAX_SANDBOX_LAYERS
                    && missing.iter().all(|layer| layer.reason.len() <= MAX_DIAGNOSTIC_STRING)
            }
            Self::Loaded { version, bundle_revision, evaluator, warnings, has_mask: _ } => {
                let texts = [version.as_deref(), bundle_revision.as_deref()];
                let mut texts =
                    texts.into_iter().chain([evaluator.interpreted_because()]).flatten();
                texts.all(|text| text.len() <= MAX_DIAGNOSTIC_STRING)
                    && warnings.len() <= MAX_DIAGNOSTICS
                    && warnings.iter().all(Diagnostic::is_within_limits)
            }
            Self::LoadFailed { diagnostics } => {
                (1..=MAX_DIAGNOSTICS).contains(&diagnostics.len())
                    && diagnostics.iter().all(Diagnostic::is_within_limits)
            }
            Self::Inspected(findings) => findings.is_within_limits(),
            Self::Evaluated { outcome, mask, .. } => {
                outcome.is_within_limits() && mask.is_within_limits()
            }
            Self::BatchEvaluated { items, .. } => {
                items.len() <= MAX_BATCH
                    && items.iter().all(|BatchItem { key, outcome, micros: _, mask }| {
                        key.len() <= MAX_BATCH_KEY
                            && outcome.is_within_limits()
                            && mask.is_within_limits()
                    })
                    // Each name is there once.
                    && items.is_sorted_by(|item, next| item.key < next.key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Decision;
    use crate::diagnostic::{DiagnosticCode, Location};
    use crate::json::JsonText;
    use crate::limits::{MAX_DECISION_STRING, MAX_MASK_PATHS, MAX_MASKED, MAX_REDACTIONS};
    use crate::mask::MaskedDecision;
    use crate::outcome::{DocumentAnswer, Given};

    fn evaluated(outcome: Outcome) -> FromWorker {
        FromWorker::Evaluated { id: 0, outcome, micros: 0, mask: Mask::Absent, differed: false }
    }

    fn diagnostic(message: usize, file: usize) -> Diagnostic {
        let location = Some(Location { file: "x".repeat(file), row: 1, col: 1 });
        let whole = Diagnostic::new(DiagnosticCode::Parse, "x".repeat(message));
        Diagnostic { location, ..whole }
    }

    fn decision(redactions: usize, redaction: usize, reason: usize) -> FromWorker {
        evaluated(Outcome::Decision(Decision {
            allow: true,
            redact: vec!["x".repeat(redaction); redactions],
            reason: Some("x".repeat(reason)),
        }))
    }

    fn document(value: &str) -> FromWorker {
        evaluated(Outcome::Document(DocumentAnswer {
            value: Some(JsonText::new(value.to_owned())),
            has_rules: true,
            input: Given::Input,
            decision: None,
            parse_nanos: 0,
            evaluation_nanos: 0,
        }))
    }

    /// An answer whose mask leaves an input of so many bytes and so many paths.
    fn masked(input: &str, paths: usize, path: usize) -> FromWorker {
        let masked = MaskedDecision {
            input: Some(JsonText::new(input.to_owned())),
            decision: Decision::default(),
            erased: vec!["x".repeat(path); paths],
            masked: Vec::new(),
        };
        masked_by(Mask::Applied(Box::new(masked)))
    }

    fn masked_by(mask: Mask) -> FromWorker {
        let outcome = Outcome::Decision(Decision::default());
        FromWorker::Evaluated { id: 0, outcome, micros: 0, mask, differed: false }
    }

    fn masked_in_batch(input: &str) -> FromWorker {
        let FromWorker::Evaluated { outcome, mask, .. } = masked(input, 0, 0) else { panic!() };
        let items = vec![BatchItem { key: "a".to_owned(), outcome, micros: 0, mask }];
        FromWorker::BatchEvaluated { id: 0, items, micros: 0, differed: false }
    }

    fn refused(length: usize) -> FromWorker {
        evaluated(Outcome::PathRefused("x".repeat(length)))
    }

    fn batch(count: usize, key: usize) -> FromWorker {
        let item = |index| BatchItem {
            key: format!("{index:0key$}"),
            outcome: Outcome::TimedOut,
            micros: 0,
            mask: Mask::Absent,
        };
        let items = (0..count).map(item).collect();
        FromWorker::BatchEvaluated { id: 0, items, micros: 0, differed: false }
    }

    /// A batch in which a name comes twice.
    fn twice() -> FromWorker {
        let key = "a".to_owned();
        let item = BatchItem { key, outcome: Outcome::TimedOut, micros: 0, mask: Mask::Absent };
        let items = vec![item.clone(), item];
        FromWorker::BatchEvaluated { id: 0, items, micros: 0, differed: false }
    }

    #[test]
    fn every_bound_is_kept_to_the_last_byte() {
        let hello = |layers, missing, reason: usize| FromWorker::Hello {
            version: 1,
            layers: vec![SandboxLayer::ResourceLimits; layers],
            missing: vec![
                MissingLayer {
                    layer: SandboxLayer::ResourceLimits,
                    reason: "x".repeat(reason)
                };
                missing
            ],
        };
        let text = MAX_DIAGNOSTIC_STRING;
        let loaded = |length| FromWorker::Loaded {
            version: Some("x".repeat(length)),
            bundle_revision: None,
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
            has_mask: false,
        };
        let built = |length| FromWorker::Loaded {
            version: None,
            bundle_revision: Some("x".repeat(length)),
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
            has_mask: false,
        };
        let warned = |count| FromWorker::Loaded {
            version: None,
            bundle_revision: None,
            evaluator: Evaluator::Bytecode,
            warnings: vec![diagnostic(1, 1); count],
            has_mask: false,
        };
        let helped = |line: usize, help: usize| {
            let (line, help) = (Some("x".repeat(line)), Some("x".repeat(help)));
            evaluated(Outcome::Failed(Diagnostic { line, help, ..diagnostic(1, 1) }))
        };
        let interpreted = |length| FromWorker::Loaded {
            version: None,
            bundle_revision: None,
            evaluator: Evaluator::Interpreter("x".repeat(length)),
            warnings: Vec::new(),
            has_mask: false,
        };
        let failed = |count| FromWorker::LoadFailed { diagnostics: vec![diagnostic(1, 1); count] };
        let broken = |message, file| evaluated(Outcome::Failed(diagnostic(message, file)));
        let invalid = |length| evaluated(Outcome::InvalidRequest("x".repeat(length)));
        for (within, beyond) in [
            (hello(MAX_SANDBOX_LAYERS, 0, 0), hello(MAX_SANDBOX_LAYERS + 1, 0, 0)),
            (hello(0, MAX_SANDBOX_LAYERS, 0), hello(1, MAX_SANDBOX_LAYERS, 0)),
            (hello(0, 1, text), hello(0, 1, text + 1)),
            (loaded(text), loaded(text + 1)),
            (built(text), built(text + 1)),
            (interpreted(text), interpreted(text + 1)),
            (failed(MAX_DIAGNOSTICS), failed(MAX_DIAGNOSTICS + 1)),
            (failed(1), failed(0)),
            (warned(0), warned(MAX_DIAGNOSTICS + 1)),
            (warned(MAX_DIAGNOSTICS), warned(MAX_DIAGNOSTICS + 1)),
            (helped(text, 1), helped(text + 1, 1)),
            (helped(1, text), helped(1, text + 1)),
            (broken(text, 1), broken(text + 1, 1)),
            (broken(1, text), broken(1, text + 1)),
            (invalid(text), invalid(text + 1)),
            (decision(MAX_REDACTIONS, 1, 1), decision(MAX_REDACTIONS + 1, 1, 1)),
            (decision(1, MAX_DECISION_STRING, 1), decision(1, MAX_DECISION_STRING + 1, 1)),
            (decision(1, 1, MAX_DECISION_STRING), decision(1, 1, MAX_DECISION_STRING + 1)),
            (document("1"), document("1 ")),
            (refused(MAX_DECISION_STRING), refused(MAX_DECISION_STRING + 1)),
            (batch(MAX_BATCH, 4), batch(MAX_BATCH + 1, 4)),
            (batch(1, MAX_BATCH_KEY), batch(1, MAX_BATCH_KEY + 1)),
            (batch(2, 1), twice()),
            (masked("1", MAX_MASK_PATHS, 1), masked("1", MAX_MASK_PATHS + 1, 1)),
            (masked("1", 1, MAX_MASKED - 5), masked("1", 1, MAX_MASKED - 4)),
            (masked(r#"{"a":1,"b":2}"#, 1, 1), masked(r#"{"a":1,"a":2}"#, 1, 1)),
            (masked("1", 1, 1), masked("1,2", 1, 1)),
            (masked_in_batch("1"), masked_in_batch("1 ")),
            (
                masked_by(Mask::Failed("x".repeat(text))),
                masked_by(Mask::Failed("x".repeat(text + 1))),
            ),
        ] {
            assert!(within.is_within_limits(), "{within:?}");
            assert!(!beyond.is_within_limits(), "{beyond:?}");
        }
    }
}
