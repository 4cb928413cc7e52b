//! A hostile bundle against the worker's loader: policies, data and metadata of any content.

#![no_main]

use std::sync::Once;

use enforcer_worker::fuzzing::load;
use libfuzzer_sys::fuzz_target;

/// Ends a file: a byte that never occurs in UTF-8.
const END: u8 = 0xff;

/// The files that the input is cut into; the rest belongs to the last.
const FILES: [&str; 5] =
    ["policy.rego", "data.json", "data.yaml", "metadata.json", "below/other.rego"];

/// The loader catches the engine's panics. Without this the fuzzer ends at each.
static PANICS_ARE_CAUGHT: Once = Once::new();

fuzz_target!(|input: &[u8]| {
    PANICS_ARE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let contents = input.splitn(FILES.len(), |byte| *byte == END);
    load(FILES.into_iter().zip(contents));
});
