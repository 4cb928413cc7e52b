//! The supervisor with workers that misbehave: what the tests of a compromised worker run.
//!
//! What a worker does is its tenant's name: it introduces itself as an honest one, says that it has
//! loaded its bundle, and then does that.
#![allow(clippy::unwrap_used, reason = "a test program: what fails is to be seen")]

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use enforcer_protocol::{
    Decision, FrameBuffer, FromWorker, MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER, Outcome,
    PROTOCOL_VERSION, ToWorker, append_frame, decode,
};
use enforcer_supervisor::{Config, WORKER_SUBCOMMAND};

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(WORKER_SUBCOMMAND) {
        misbehave(&arguments.next().unwrap());
        return;
    }
    let config = Config::parse(|_| None, std::env::vars()).unwrap();
    let log = enforcer_supervisor::init_logging(&config.log);
    enforcer_supervisor::run(&config, &log).unwrap();
}

fn misbehave(manner: &str) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut socket = UnixStream::from(socket);
    if manner == "no-greeting" {
        socket.write_all(&[0; 1000]).unwrap();
    }
    say(&mut socket, &FromWorker::Hello { version: PROTOCOL_VERSION, layers: Vec::new() });
    let mut frames = FrameBuffer::new(MAX_FRAME_TO_WORKER);
    loop {
        while let Some(payload) = frames.next_frame().unwrap() {
            match decode(payload).unwrap() {
                ToWorker::BundleEnd => say(&mut socket, &FromWorker::Loaded { version: None }),
                ToWorker::Evaluate { id, .. } => answer(&mut socket, manner, id),
                _ => {}
            }
        }
        if frames.fill(&mut socket).unwrap() == 0 {
            return;
        }
    }
}

fn answer(socket: &mut UnixStream, manner: &str, id: u64) {
    let decision = Decision { allow: true, redact: Vec::new(), reason: None };
    let outcome = Outcome::Decision(decision);
    let honest = FromWorker::Evaluated { id, outcome: outcome.clone(), micros: 1 };
    match manner {
        "honest" => say(socket, &honest),
        "garbage" => write(socket, &[0x00, 0x00, 0x00, 0x05, 0xff, 0xff, 0xff, 0xff, 0xff]),
        "too-much" => loop {
            write(socket, &[0x7f; 65_536]);
        },
        "twice" => {
            say(socket, &honest);
            say(socket, &honest);
        }
        "ahead" => say(socket, &FromWorker::Evaluated { id: id + 1, outcome, micros: 1 }),
        "slowly" => {
            // One byte, and then nothing for ever.
            write(socket, &[0]);
            let _ = socket.read_to_end(&mut Vec::new());
        }
        "closes" => socket.shutdown(std::net::Shutdown::Both).unwrap(),
        "floods-stderr" => {
            say(socket, &honest);
            // Blocks when nobody reads it, and is killed then or when its supervisor ends.
            while std::io::stderr().write_all(&[b'x'; 4096]).is_ok() {}
        }
        // "never", among others.
        _ => {}
    }
}

fn say(socket: &mut UnixStream, frame: &FromWorker) {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, frame, MAX_FRAME_FROM_WORKER).unwrap();
    write(socket, &bytes);
}

fn write(socket: &mut UnixStream, bytes: &[u8]) {
    if socket.write_all(bytes).is_err() {
        // The supervisor has had enough.
        std::process::exit(0);
    }
}
