//! Any stream of bytes against the worker's frame reader and its bundle assembly.

#![no_main]

use enforcer_protocol::{
    FRAME_HEADER_LENGTH, FrameBuffer, MAX_FRAME_TO_WORKER, ToWorker, append_frame, decode,
};
use enforcer_worker::fuzzing::Assembly;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let mut assembly = Assembly::default();
    let mut buffer = FrameBuffer::new(MAX_FRAME_TO_WORKER);
    for mut piece in stream.chunks(usize::from(*size).max(1)) {
        while !piece.is_empty() {
            buffer.fill(&mut piece).expect("memory can be read");
            loop {
                match buffer.next_frame() {
                    Ok(Some(payload)) => check(payload, &mut assembly),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
    check(stream, &mut assembly);
});

fn check(payload: &[u8], assembly: &mut Assembly) {
    let Ok(frame) = decode::<ToWorker<'_>>(payload) else { return };
    let mut wire = Vec::new();
    append_frame(&mut wire, &frame, MAX_FRAME_TO_WORKER).expect("a decoded frame can be encoded");
    let again: ToWorker<'_> = decode(&wire[FRAME_HEADER_LENGTH..]).expect("and decoded again");
    assert_eq!(again, frame);
    let _ = assembly.accepts(&frame);
}
