//! Any bytes of a client against the reader of request bodies.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = enforcer_rego::json::parse(input);
});
