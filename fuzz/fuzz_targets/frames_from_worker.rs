//! A hostile worker against the supervisor's frame reader.

#![no_main]

use enforcer_protocol::{
    FRAME_HEADER_LENGTH, FromWorker, MAX_FRAME_TO_WORKER, append_frame, decode,
};
use enforcer_supervisor::fuzzing::frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte is the size of the pieces that the rest arrives in.
    let Some((size, stream)) = input.split_first() else { return };
    let whole = frames(std::iter::once(stream));
    let pieces = frames(stream.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "the frames depend on how the stream is split");

    // The input is also tried as the payload of a frame, without a header.
    for frame in whole.into_iter().chain(decode(stream)) {
        let mut wire = Vec::new();
        append_frame(&mut wire, &frame, MAX_FRAME_TO_WORKER)
            .expect("a decoded frame can be encoded");
        let again: FromWorker = decode(&wire[FRAME_HEADER_LENGTH..]).expect("and decoded again");
        assert_eq!(again, frame);
    }
});
