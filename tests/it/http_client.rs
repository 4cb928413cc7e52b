//! An HTTP client that can misbehave: it sends the bytes that it is given.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long the server may send no byte. Only a broken server takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server's response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Response {
    /// Reads the status line and the headers.
    pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Self> {
        let status_line = line(reader)?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = line(reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { status, headers, text: String::new() })
    }

    /// A header's value, where it occurs exactly once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "two headers {name}");
        Some(value)
    }

    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that this is an error of the contract, and that it allows nothing.
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{self:?}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert!(self.text.ends_with("}\n"), "{self:?}");
        assert!(body.get("result").is_none(), "{self:?}");
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, target: &str, body: &[u8]) -> Response {
        let mut bytes = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes).unwrap();
        self.response().unwrap()
    }

    /// Sends a request without a body, with only these headers and its host's.
    pub(crate) fn get_with(&mut self, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.send(format!("{request}\r\n").as_bytes()).unwrap();
        self.response().unwrap()
    }

    /// Asks for a tenant's decision.
    pub(crate) fn decide(&mut self, tenant_id: &str, body: &[u8]) -> Response {
        self.request("POST", &format!("/v1/data/tenants/{tenant_id}/allow"), body)
    }

    /// Sends a request for a tenant's decision, and does not wait for its answer.
    pub(crate) fn begin_to_decide(&mut self, tenant_id: &str, body: &str) {
        let length = body.len();
        let request = format!(
            "POST /v1/data/tenants/{tenant_id}/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.send(request.as_bytes()).unwrap();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Makes `send` fail when the server accepts no data for this long.
    pub(crate) fn give_up_sending_after(&mut self, time: Duration) {
        self.reader.get_ref().set_write_timeout(Some(time)).unwrap();
    }

    /// Closes the sending direction.
    pub(crate) fn finish_sending(&mut self) {
        self.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads one response.
    pub(crate) fn response(&mut self) -> io::Result<Response> {
        let (mut response, body) = self.response_bytes()?;
        response.text = String::from_utf8(body).unwrap();
        Ok(response)
    }

    /// Reads one response, whose body need not be text.
    pub(crate) fn response_bytes(&mut self) -> io::Result<(Response, Vec<u8>)> {
        let response = Response::read_head(&mut self.reader)?;
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok((response, body))
    }

    /// Reads until these bytes have arrived; returns everything read.
    pub(crate) fn bytes_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).unwrap();
            bytes.extend_from_slice(&byte);
        }
        bytes
    }

    /// Waits for the server to close the connection.
    pub(crate) fn is_closed_by_server(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = self.reader.read_to_end(&mut rest);
        rest.is_empty() && !end.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the server sends nothing and keeps the connection open for this long.
    pub(crate) fn is_left_in_peace_for(&mut self, time: Duration) -> bool {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(time)).unwrap();
        let heard = stream.peek(&mut [0]);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let silent = heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        silent && self.reader.buffer().is_empty()
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
