//! An uninterpreted extension of a certificate or of a request for one.

use crate::builtins::Failure;
use crate::builtins::crypto::der::{self, Der, Oid};
use crate::builtins::crypto::failed;

/// An extension with its raw value.
#[derive(Debug, Clone)]
pub(super) struct Extension {
    pub(super) id: Oid,
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
}

/// Reads the content of an `Extension`.
pub(super) fn parse(mut one: Der<'_>) -> Result<Extension, Failure> {
    let id = one.oid().ok_or_else(|| failed("x509: malformed extension OID field"))?;
    let critical = if one.peek(der::BOOLEAN) {
        one.boolean().ok_or_else(|| failed("x509: malformed extension critical field"))?
    } else {
        false
    };
    let value = one.read(der::OCTET_STRING);
    let value = value.ok_or_else(|| failed("x509: malformed extension value field"))?;
    Ok(Extension { id, critical, value: value.bytes().to_vec() })
}
