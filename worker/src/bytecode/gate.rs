//! stub
use regorus::Engine;
pub(crate) fn refused(_engine: &Engine) -> Option<String> {
    None
}
