//! Takes a request's query apart.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// The parameters of a query, decoded; the value is `None` for a parameter without one.
pub(crate) fn parameters(
    query: &str,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Option<Cow<'_, str>>), ApiError>> {
    query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        match parameter.split_once('=') {
            Some((name, value)) => Ok((decoded(name)?, Some(decoded(value)?))),
            None => Ok((decoded(parameter)?, None)),
        }
    })
}

fn decoded(text: &str) -> Result<Cow<'_, str>, ApiError> {
    let not_utf8 = |_| ApiError::InvalidParameter("the query is not UTF-8 once decoded".to_owned());
    percent_decode_str(text).decode_utf8().map_err(not_utf8)
}
