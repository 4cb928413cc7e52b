//! Any bytes of a client's against the worker's reader of request bodies.

#![no_main]

use enforcer_worker::fuzzing::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = Document::parse(input);
});
