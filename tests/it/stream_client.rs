//! Consumers of the decision stream: by WebSocket, and by server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{ClientRequestBuilder, Error, Message, WebSocket};

use crate::enforcer::{DEADLINE, Enforcer};
use crate::http_client::Response;

/// The query behind the stream's path.
pub(crate) const PATH: &str = "/v1/stream/decisions";

/// A consumer by WebSocket. It reads only when a method is called.
pub(crate) struct Consumer {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Consumer {
    /// Connects, and reads the greeting.
    pub(crate) fn open(enforcer: &Enforcer, query: &str) -> Self {
        let mut consumer = Self::connect(enforcer.address, query, &[]).unwrap();
        let greeting = consumer.text();
        assert_eq!(greeting, r#"{"type":"connected","message":"Decision stream ready"}"#);
        consumer
    }

    /// Connects, or returns the refusal.
    pub(crate) fn connect(
        address: SocketAddr,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let uri = format!("ws://{address}{PATH}{query}").parse().unwrap();
        let request =
            headers.iter().fold(ClientRequestBuilder::new(uri), |request, (name, value)| {
                request.with_header(*name, *value)
            });
        match tungstenite::client(request, stream) {
            Ok((socket, response)) => {
                assert_eq!(response.status(), 101);
                Ok(Self { socket })
            }
            Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message, which must be text.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The data of the next message, which must be a decision.
    pub(crate) fn decision(&mut self) -> Value {
        let mut message = self.next();
        assert_eq!(message["type"], "decision", "{message}");
        message["data"].take()
    }

    /// Waits for a tenant's event of this change; returns its data.
    pub(crate) fn change(&mut self, change: &str) -> Value {
        loop {
            let mut message = self.next();
            if message["type"] == "tenant" && message["data"]["change"] == change {
                return message["data"].take();
            }
        }
    }

    /// Why the server closes the connection; earlier messages are skipped.
    pub(crate) fn close(&mut self) -> (u16, String) {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(CloseFrame { code, reason }))) => {
                    let reason = reason.as_str().to_owned();
                    // As a client does: it answers, and waits for the connection to end.
                    while self.socket.read().is_ok() {}
                    return (code.into(), reason);
                }
                Ok(Message::Close(None)) => panic!("closed without a reason"),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Closes the connection as a client does.
    pub(crate) fn leave(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.socket.close(Some(frame)).unwrap();
        loop {
            match self.socket.read() {
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends bytes that need not follow the protocol.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }
}

/// A consumer by server-sent events.
pub(crate) struct EventSource {
    reader: BufReader<TcpStream>,
    /// The rest of the chunk that is being read.
    chunk: Vec<u8>,
    /// The position after the last event.
    pub(crate) last_id: Option<String>,
    pub(crate) head: Response,
}

impl EventSource {
    /// Connects, and reads the greeting.
    pub(crate) fn open(enforcer: &Enforcer, query: &str, last_id: Option<&str>) -> Self {
        let headers = last_id.map(|id| ("Last-Event-ID", id));
        let mut source = Self::connect(enforcer.address, query, headers.as_slice());
        assert_eq!(source.head.status, 200, "{:?}", source.head);
        assert_eq!(source.next()["type"], "connected");
        source
    }

    pub(crate) fn connect(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut request = format!(
            "GET {PATH}{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let head = Response::read_head(&mut reader).unwrap();
        Self { reader, chunk: Vec::new(), last_id: last_id(headers), head }
    }

    /// The next event's data; comments are skipped. `None` where the stream has ended properly.
    pub(crate) fn next_if_any(&mut self) -> Option<Value> {
        let mut data = None;
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("data", text)) => {
                    assert!(data.is_none(), "an event of two lines: {line}");
                    data = Some(serde_json::from_str(text).unwrap());
                }
                Some(("id", id)) => self.last_id = Some(id.to_owned()),
                _ if line == ":" => {}
                _ if line.is_empty() => {
                    if data.is_some() {
                        return data;
                    }
                }
                _ => panic!("{line:?}"),
            }
        }
    }

    pub(crate) fn next(&mut self) -> Value {
        self.next_if_any().unwrap()
    }

    /// The data of the next event, which must be a decision.
    pub(crate) fn decision(&mut self) -> Value {
        let mut message = self.next();
        assert_eq!(message["type"], "decision", "{message}");
        message["data"].take()
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.chunk.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                return None;
            }
            self.chunk.extend_from_slice(&chunk[..size]);
        }
    }
}

fn last_id(headers: &[(&str, &str)]) -> Option<String> {
    let mut ids = headers.iter().filter(|(name, _)| *name == "Last-Event-ID");
    ids.next().map(|(_, id)| (*id).to_owned())
}
