//! A hostile bundle against the worker's loader: policies, data and metadata of any content.

#![no_main]

use std::sync::Once;

use enforcer_worker::fuzzing::load;
use libfuzzer_sys::fuzz_target;

/// What ends a file: no byte of a text in UTF-8.
const END: u8 = 0xff;

/// The files that the input is cut into; whatever is left over belongs to the last.
const FILES: [&str; 4] = ["policy.rego", "data.json", "metadata.json", "below/other.rego"];

/// Brackets in brackets that the engine's parser takes no more than moments for. It tries each of
/// them in two ways, so its time doubles with every level: known, and bounded by the deadline for
/// loading.
const DEPTH: usize = 10;

/// The loader answers for the engine's panics. Without this the fuzzer ends at each.
static PANICS_ARE_CAUGHT: Once = Once::new();

fuzz_target!(|input: &[u8]| {
    PANICS_ARE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    if depth(input) > DEPTH {
        return;
    }
    let contents = input.splitn(FILES.len(), |byte| *byte == END);
    load(FILES.into_iter().zip(contents));
});

fn depth(input: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in input {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
