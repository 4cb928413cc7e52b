//! Puts a bundle together from the frames that carry it.

use std::time::Duration;

use enforcer_protocol::{LoadSettings, MAX_RESULT, Namespace, TenantId, TestGate, ToWorker};
use enforcer_rego::File;

/// Everything that one worker will ever know of its tenant.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) tenant_id: TenantId,
    pub(crate) namespace: Namespace,
    /// The keys below `data` of the rule that decides.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) evaluation_timeout: Duration,
    /// Whether the bytecode may evaluate it.
    pub(crate) bytecode: bool,
    /// Whether a built-in that fails is the request's error.
    pub(crate) strict_builtin_errors: bool,
    /// Largest result, in bytes of its JSON.
    pub(crate) max_result: usize,
    /// Whether its own tests have to pass.
    pub(crate) tests: TestGate,
    pub(crate) files: Vec<File>,
}

/// A bundle that is being received. Its state determines which frames are allowed next.
#[derive(Debug, Default)]
pub enum Assembly {
    /// No frame has arrived yet.
    #[default]
    Empty,
    /// Files are arriving; the last one is complete when `missing` is 0.
    #[doc(hidden)]
    Open(OpenAssembly),
}

#[doc(hidden)]
#[derive(Debug)]
pub struct OpenAssembly {
    bundle: Bundle,
    missing: u64,
}

impl Assembly {
    /// Takes the next frame; returns the bundle when it was the last.
    ///
    /// # Errors
    /// When the frame is not allowed here; says why.
    pub(crate) fn take(&mut self, frame: &ToWorker<'_>) -> Result<Option<Bundle>, &'static str> {
        match (std::mem::take(self), frame) {
            (Self::Empty, ToWorker::LoadBundle(settings)) => {
                *self = Self::Open(OpenAssembly { bundle: begun(settings)?, missing: 0 });
                Ok(None)
            }
            (Self::Open(open), frame) if open.missing == 0 => match frame {
                ToWorker::BundleFile { path, length } => {
                    let mut open = open;
                    open.begin_file(path, *length);
                    *self = Self::Open(open);
                    Ok(None)
                }
                ToWorker::BundleEnd | ToWorker::Inspect { .. } => Ok(Some(open.bundle)),
                _ => Err("a bundle's next frame is a file or its end"),
            },
            (Self::Open(mut open), ToWorker::BundleChunk(bytes)) => {
                open.append(bytes)?;
                *self = Self::Open(open);
                Ok(None)
            }
            (Self::Open(_), _) => Err("a file of the bundle is incomplete"),
            (Self::Empty, _) => Err("a bundle begins with LoadBundle"),
        }
    }

    /// [`Assembly::take`] for the fuzz targets: only whether the frame was allowed.
    #[doc(hidden)]
    pub fn accepts(&mut self, frame: &ToWorker<'_>) -> bool {
        self.take(frame).is_ok()
    }
}

/// A bundle without files.
fn begun(settings: &LoadSettings<'_>) -> Result<Bundle, &'static str> {
    let LoadSettings {
        tenant_id,
        namespace,
        entrypoint,
        evaluation_timeout_micros,
        bytecode,
        strict_builtin_errors,
        max_result,
        tests,
    } = settings;
    Ok(Bundle {
        tenant_id: tenant_id.parse().map_err(|_| "the bundle's tenant id is invalid")?,
        namespace: *namespace,
        entrypoint: entrypoint.iter().map(|&key| key.to_owned()).collect(),
        evaluation_timeout: Duration::from_micros(*evaluation_timeout_micros),
        bytecode: *bytecode,
        strict_builtin_errors: *strict_builtin_errors,
        max_result: usize::try_from(*max_result).unwrap_or(usize::MAX).min(MAX_RESULT),
        tests: *tests,
        files: Vec::new(),
    })
}

impl OpenAssembly {
    fn begin_file(&mut self, path: &str, length: u64) {
        // No capacity is reserved by the announced length: memory grows with the bytes that arrive.
        self.bundle.files.push(File { path: path.to_owned(), content: Vec::new() });
        self.missing = length;
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.missing = self.missing.checked_sub(length).ok_or("a chunk is longer than its file")?;
        let file = self.bundle.files.last_mut().ok_or("a chunk without a file")?;
        file.content.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: ToWorker<'_> = ToWorker::LoadBundle(LoadSettings {
        tenant_id: "a",
        namespace: Namespace::Strict,
        entrypoint: Vec::new(),
        evaluation_timeout_micros: 100,
        bytecode: true,
        strict_builtin_errors: false,
        max_result: 1024,
        tests: TestGate::Ignored,
    });

    #[test]
    fn a_bundle_comes_together_from_its_chunks() {
        let mut assembly = Assembly::default();
        for frame in [
            BEGIN,
            ToWorker::BundleFile { path: "policy.rego", length: 5 },
            ToWorker::BundleChunk(b"abc"),
            ToWorker::BundleChunk(b"de"),
            ToWorker::BundleFile { path: "empty.rego", length: 0 },
        ] {
            assert!(assembly.take(&frame).unwrap().is_none());
        }
        let bundle = assembly.take(&ToWorker::BundleEnd).unwrap().unwrap();
        let files: Vec<_> =
            bundle.files.iter().map(|file| (file.path.as_str(), &file.content[..])).collect();
        assert_eq!(files, [("policy.rego", &b"abcde"[..]), ("empty.rego", b"")]);
    }

    #[test]
    fn frames_out_of_place_are_refused() {
        let file = ToWorker::BundleFile { path: "x", length: 3 };
        let cases: [&[ToWorker<'_>]; 7] = [
            &[ToWorker::BundleEnd],
            std::slice::from_ref(&file),
            &[BEGIN, BEGIN],
            &[BEGIN, ToWorker::BundleChunk(b"abc")],
            &[BEGIN, file.clone(), ToWorker::BundleEnd],
            &[BEGIN, file.clone(), file.clone()],
            &[BEGIN, file.clone(), ToWorker::BundleChunk(b"abcd")],
        ];
        for frames in cases {
            let mut assembly = Assembly::default();
            let (last, before) = frames.split_last().unwrap();
            for frame in before {
                assert!(assembly.take(frame).unwrap().is_none(), "{frames:?}");
            }
            assert!(assembly.take(last).is_err(), "{frames:?}");
        }
    }
}
