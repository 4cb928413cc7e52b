//! A client of HTTP/2 that can misbehave: it sends the frames that it is given.

use std::io::{self, Read, Write};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// An answer, as far as these tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_ok: bool,
    pub(crate) body: String,
}

pub(crate) struct Http2<S> {
    stream: S,
    next: u32,
}

impl<S: Read + Write> Http2<S> {
    /// Begins a connection, with a window of this size for each answer.
    pub(crate) fn begin(mut stream: S, window: u32) -> io::Result<Self> {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut connection = Self { stream, next: 1 };
        let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
        connection.send(SETTINGS, 0, 0, &setting)?;
        Ok(connection)
    }

    pub(crate) fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame)?;
        self.stream.flush()
    }

    /// Sends a request; returns its stream.
    pub(crate) fn request(&mut self, method: u8, path: &str, body: &str) -> io::Result<u32> {
        self.request_with(method, path, &[], body)
    }

    /// The same with more fields. `method` is an entry of HPACK's static table: 2 is GET, 3 POST.
    pub(crate) fn request_with(
        &mut self,
        method: u8,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> io::Result<u32> {
        let end = if body.is_empty() { END_STREAM } else { 0 };
        let stream = self.head(method, path, fields, end)?;
        if !body.is_empty() {
            self.send(DATA, END_STREAM, stream, body.as_bytes())?;
        }
        Ok(stream)
    }

    /// Begins a request whose body does not come.
    pub(crate) fn begin_request(&mut self, method: u8, path: &str) -> io::Result<u32> {
        self.head(method, path, &[], 0)
    }

    fn head(
        &mut self,
        method: u8,
        path: &str,
        fields: &[(&str, &str)],
        end: u8,
    ) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        let mut block = vec![0x80 | method, 0x87];
        // Literals without indexing: `:path` and `:authority` by their index.
        literal(&mut block, 4, path);
        literal(&mut block, 1, "localhost");
        for (name, value) in fields {
            block.push(0);
            text(&mut block, name);
            text(&mut block, value);
        }
        self.send(HEADERS, END_HEADERS | end, stream, &block)?;
        Ok(stream)
    }

    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.send(SETTINGS, ACK, 0, &[])?;
        }
        if frame.kind == PING && frame.flags & ACK == 0 {
            self.send(PING, ACK, 0, &frame.payload)?;
        }
        Ok(frame)
    }

    /// The next frame of this kind; others are dropped.
    pub(crate) fn next(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.frame()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Waits for the answers to this many requests.
    pub(crate) fn answers(&mut self, count: usize) -> io::Result<Vec<(u32, Answer)>> {
        let mut open: Vec<(u32, Answer)> = Vec::new();
        let mut ended = Vec::new();
        while ended.len() < count {
            let frame = self.frame()?;
            match frame.kind {
                HEADERS => {
                    // `:status: 200` is the entry 8 of the static table.
                    let is_ok = frame.payload.first() == Some(&0x88);
                    open.push((frame.stream, Answer { is_ok, body: String::new() }));
                }
                DATA => {
                    let (_, answer) =
                        open.iter_mut().find(|(stream, _)| *stream == frame.stream).unwrap();
                    answer.body += &String::from_utf8(frame.payload).unwrap();
                }
                RST_STREAM | GOAWAY => return Err(io::Error::other(format!("{frame:?}"))),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                let at = open.iter().position(|(stream, _)| *stream == frame.stream).unwrap();
                ended.push(open.remove(at));
            }
        }
        Ok(ended)
    }

    /// Sends until the server has ended the connection; returns how often `send` was called.
    pub(crate) fn flood(&mut self, mut send: impl FnMut(&mut Self) -> io::Result<()>) -> usize {
        let mut sent = 0;
        while send(self).is_ok() {
            sent += 1;
            assert!(sent < 10_000_000, "the server lets it go on");
        }
        sent
    }

    /// Whether the server ends the connection; frames before that are dropped.
    pub(crate) fn is_ended(&mut self) -> bool {
        loop {
            if let Err(error) = self.frame() {
                return error.kind() != io::ErrorKind::WouldBlock;
            }
        }
    }
}

fn literal(block: &mut Vec<u8>, index: u8, value: &str) {
    block.push(index);
    text(block, value);
}

/// A text without Huffman's code. Its length has one byte if it is short.
fn text(block: &mut Vec<u8>, value: &str) {
    match u8::try_from(value.len()) {
        Ok(length @ 0..127) => block.push(length),
        _ => {
            block.push(127);
            let mut rest = value.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 0x80);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(value.as_bytes());
}
