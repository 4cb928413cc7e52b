//! gzip of bodies, in pieces between which other requests have their turn.

use std::io::{self, Read, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tokio::task::yield_now;

/// Bytes of text between two pauses: some 100 microseconds of work.
const PIECE: usize = 32 * 1024;

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InflateError {
    /// The body is not gzip. In Go's words.
    #[error("{0}")]
    Invalid(&'static str),
    /// The text is longer than the body may be.
    #[error("the text is over its limit")]
    TooLong,
}

/// The text of a body in gzip, at most `limit` bytes long.
///
/// # Errors
/// When it is longer, or the body is not gzip.
pub(super) async fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = MultiGzDecoder::new(body);
    let mut text = Vec::new();
    loop {
        let piece = u64::try_from(PIECE).unwrap_or(u64::MAX);
        let read = decoder.by_ref().take(piece).read_to_end(&mut text);
        let read = read.map_err(|error| InflateError::Invalid(in_go_s_words(&error, body)))?;
        if text.len() > limit {
            return Err(InflateError::TooLong);
        }
        if read == 0 {
            return Ok(text);
        }
        yield_now().await;
    }
}

/// Bytes of gzip's shortest header (RFC 1952, section 2.3).
const HEADER: usize = 10;

fn in_go_s_words(error: &io::Error, body: &[u8]) -> &'static str {
    match error.kind() {
        _ if body.is_empty() => "EOF",
        _ if body.len() < HEADER => "unexpected EOF",
        _ if !body.starts_with(b"\x1f\x8b") => "gzip: invalid header",
        io::ErrorKind::UnexpectedEof => "unexpected EOF",
        _ => "gzip: invalid checksum",
    }
}

/// A text in gzip. It is compressed quickly rather than well: the processors decide.
///
/// # Errors
/// Never, as it is written to memory.
pub(super) async fn deflate(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    for piece in text.chunks(PIECE) {
        encoder.write_all(piece)?;
        yield_now().await;
    }
    encoder.finish()
}

/// Whether a client takes answers in gzip: its name with a quality above zero (RFC 9110, section
/// 12.5.3). `*` does not count, as in OPA.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && is_wanted(parameters)
    })
}

fn is_wanted(parameters: &str) -> bool {
    let Some((name, quality)) = parameters.split_once('=') else { return true };
    !name.trim().eq_ignore_ascii_case("q")
        || quality.trim().parse::<f32>().is_ok_and(|quality| quality > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_text_survives_and_is_bounded() {
        let text = "a text ".repeat(20_000);
        let body = deflate(text.as_bytes()).await.unwrap();
        assert!(body.len() < text.len() / 10);
        assert_eq!(inflate(&body, text.len()).await.unwrap(), text.as_bytes());
        let shorter = inflate(&body, text.len() - 1).await;
        assert!(matches!(shorter, Err(InflateError::TooLong)));
        // Members follow one another (RFC 1952, section 2.2).
        let twice = inflate(&[body.clone(), body.clone()].concat(), 2 * text.len()).await.unwrap();
        assert_eq!(twice.len(), 2 * text.len());
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let bomb = deflate(&vec![0; 64 * 1024 * 1024]).await.unwrap();
        assert!(matches!(inflate(&bomb, 1024).await, Err(InflateError::TooLong)));
    }

    #[tokio::test]
    async fn a_body_that_is_not_gzip_is_refused() {
        let whole = deflate(b"text").await.unwrap();
        let cut = &whole[..whole.len() - 1];
        for body in [&b""[..], b"text", b"\x1f\x8b", cut] {
            assert!(matches!(inflate(body, 1024).await, Err(InflateError::Invalid(_))), "{body:?}");
        }
    }

    #[test]
    fn a_client_says_whether_it_takes_gzip() {
        let accepted = |value: &str| {
            let headers = [(ACCEPT_ENCODING, value.parse().unwrap())];
            is_accepted(&headers.into_iter().collect())
        };
        for value in ["gzip", "br, GZIP", "gzip;q=0.5, identity", "gzip; q=1"] {
            assert!(accepted(value), "{value}");
        }
        for value in ["", "*", "x-gzip", "gzip;q=0", "gzip; q=0.0", "gzip;Q=0", "gzip;q=x", "br"] {
            assert!(!accepted(value), "{value}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
