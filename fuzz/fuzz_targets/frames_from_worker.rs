//! A hostile worker against the supervisor's frame reader.

#![no_main]

use enforcer_protocol::{FRAME_HEADER_LENGTH, FromWorker, MAX_FRAME_TO_WORKER, append_frame, decode};
use enforcer_supervisor::fuzzing::frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte says in what pieces the rest arrives.
    let Some((size, stream)) = input.split_first() else { return };
    let whole = frames(std::iter::once(stream));
    let pieces = frames(stream.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "how a stream is split changes what is in it");

    // Without a header of its own the fuzzer's input is tried as a frame's payload.
    for frame in whole.into_iter().chain(decode(stream)) {
        let mut wire = Vec::new();
        append_frame(&mut wire, &frame, MAX_FRAME_TO_WORKER).expect("what was decoded encodes");
        let again: FromWorker = decode(&wire[FRAME_HEADER_LENGTH..]).expect("and decodes");
        assert_eq!(again, frame);
    }
});
