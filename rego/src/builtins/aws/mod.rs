//! `providers.aws.sign_req`: AWS' signature version 4.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::value::Object;

use super::crypto::signature::Hash;
use super::go::{calendar, url};
use super::json::write::marshal;
use super::number::Number;
use super::operands::{argument, object, wrong, wrong_type};
use super::{Answer, Context, Failure, bytes, encoding, order, text};

/// The required fields of a configuration.
const CONFIGURATION: &[&str] =
    &["aws_access_key", "aws_region", "aws_secret_access_key", "aws_service"];

/// The fields that OPA's `http.send` allows in a request.
const REQUEST: &[&str] = &[
    "body",
    "cache",
    "cache_ignored_headers",
    "caching_mode",
    "enable_redirect",
    "force_cache",
    "force_cache_duration_seconds",
    "force_json_decode",
    "force_yaml_decode",
    "headers",
    "max_retry_attempts",
    "method",
    "raise_error",
    "raw_body",
    "timeout",
    "tls_ca_cert",
    "tls_ca_cert_env_variable",
    "tls_ca_cert_file",
    "tls_client_cert",
    "tls_client_cert_env_variable",
    "tls_client_cert_file",
    "tls_client_key",
    "tls_client_key_env_variable",
    "tls_client_key_file",
    "tls_insecure_skip_verify",
    "tls_server_name",
    "tls_use_system_certs",
    "url",
];

/// Headers that proxies change and that are therefore not signed.
const UNSIGNED: &[&str] = &["authorization", "user-agent", "x-amzn-trace-id"];

pub(super) fn sign_req(_: &mut Context, args: &[Value]) -> Answer {
    let request = object(args, 1)?;
    let Value::Object(configuration) = argument(args, 2) else {
        // OPA calls the second and the third the first.
        return Err(wrong_type(1, argument(args, 2), &["object"]));
    };
    check_configuration(configuration)?;
    let time = argument(args, 3);
    if !matches!(time, Value::Number(_)) {
        return Err(wrong_type(1, time, &["number"]));
    }
    let time = Number::of(time).and_then(|number| number.to_i64());
    let time =
        time.ok_or_else(|| wrong(3, "could not convert time_ns value into a unix timestamp"))?;
    check_request(request)?;

    let headers = match get(request, "headers") {
        None => Vec::new(),
        Some(Value::Object(headers)) => order::entries(headers),
        Some(other) => return Err(wrong_type(0, other, &["object"])),
    };
    let headers: BTreeMap<&str, &str> =
        headers.into_iter().map(|(name, value)| (plain(name), plain(value))).collect();
    let url = url::parse(get(request, "url").map_or("", plain))?;
    let body = body(request)?;
    let content = match get(configuration, "disable_payload_signing") {
        Some(Value::Bool(true)) => "UNSIGNED-PAYLOAD".to_owned(),
        None | Some(Value::Bool(false)) => encoding::hex(&Hash::Sha256.of(&bytes::of(&body))),
        Some(_) => {
            return Err(wrong(2, "invalid value for 'disable_payload_signing' in AWS config"));
        }
    };
    let own = |name: &str| get(configuration, name).map_or("", plain);
    let times = Times::of(time);
    let mut added =
        BTreeMap::from([("host", url.host.clone()), ("x-amz-date", times.to_the_second.clone())]);
    if matches!(own("aws_service"), "s3" | "glacier") {
        added.insert("x-amz-content-sha256", content.clone());
    }
    if !own("aws_session_token").is_empty() {
        added.insert("x-amz-security-token", own("aws_session_token").to_owned());
    }

    let mut signed: BTreeMap<String, String> =
        added.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for (name, value) in &headers {
        let name = name.to_lowercase();
        if !UNSIGNED.contains(&name.as_str()) {
            signed.insert(name, (*value).to_owned());
        }
    }
    let method = get(request, "method").map_or("", plain);
    let names = signed.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical =
        format!("{method}\n{}\n{}\n{lines}\n{names}\n{content}", url.escaped_path(), url.raw_query);
    let authorization = authorization(&own, &times, &names, &canonical);

    let mut all: BTreeMap<Value, Value> = BTreeMap::new();
    for (name, value) in &headers {
        all.insert(Value::from(*name), Value::from(*value));
    }
    all.insert(Value::from("Authorization"), Value::from(authorization));
    for (name, value) in added {
        all.insert(Value::from(name), Value::from(value));
    }
    let mut out: BTreeMap<Value, Value> =
        request.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    out.insert(Value::from("headers"), Value::from(all));
    Ok(Value::from(out))
}

/// The header with the signature of a request's text, by a chain of derived keys.
fn authorization<'a>(
    own: &impl Fn(&str) -> &'a str,
    times: &Times,
    names: &str,
    canonical: &str,
) -> String {
    let (region, service, date) = (own("aws_region"), own("aws_service"), &times.date);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let hash = encoding::hex(&Hash::Sha256.of(&bytes::of(canonical)));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", times.to_the_second);
    let secret = format!("AWS4{}", own("aws_secret_access_key"));
    let steps = [date.as_str(), region, service, "aws4_request", text.as_str()];
    let signature = steps.iter().fold(bytes::of(&secret).into_owned(), |key, message| {
        Hash::Sha256.keyed(&key, &bytes::of(message))
    });
    let (access, signature) = (own("aws_access_key"), encoding::hex(&signature));
    format!(
        "AWS4-HMAC-SHA256 Credential={access}/{scope},SignedHeaders={names},Signature={signature}"
    )
}

/// A time in AWS' two forms.
struct Times {
    date: String,
    to_the_second: String,
}

impl Times {
    fn of(nanoseconds: i64) -> Self {
        let seconds = nanoseconds.div_euclid(1_000_000_000);
        let [year, month, day] = calendar::date(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let date = format!("{year:04}{month:02}{day:02}");
        let to_the_second = format!("{date}T{hour:02}{minute:02}{second:02}Z");
        Self { date, to_the_second }
    }
}

fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(&Value::from(name))
}

/// A text; other values give an empty one, as in OPA.
fn plain(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn body(request: &Object) -> Result<String, Failure> {
    match (get(request, "raw_body"), get(request, "body")) {
        (Some(raw), _) => Ok(plain(raw).to_owned()),
        (None, Some(body)) => marshal(body, None),
        (None, None) => Ok(String::new()),
    }
}

/// An error with names, where there are any.
fn about(position: usize, what: &str, names: BTreeSet<Value>) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let names = text::term(&Value::from(names))?;
    Err(wrong(position, &format!("{what} parameters(s): {names}")))
}

fn check_configuration(configuration: &Object) -> Result<(), Failure> {
    let those = |wrong: fn(Option<&Value>) -> bool| {
        let names = CONFIGURATION.iter().filter(|name| wrong(get(configuration, name)));
        names.map(|name| Value::from(*name)).collect()
    };
    about(2, "missing required AWS config", those(|value| value.is_none()))?;
    let no_text = |value: Option<&Value>| !matches!(value, Some(Value::String(_)));
    about(2, "invalid values for required AWS config", those(no_text))
}

fn check_request(request: &Object) -> Result<(), Failure> {
    let is_known = |key: &Value| matches!(key, Value::String(key) if REQUEST.contains(&&**key));
    let unknown = request.iter().map(|(key, _)| key).filter(|key| !is_known(key)).cloned();
    about(1, "invalid request", unknown.collect())?;
    let those = |wrong: fn(Option<&Value>) -> bool| {
        let names = ["method", "url"].into_iter().filter(|name| wrong(get(request, name)));
        names.map(Value::from).collect()
    };
    about(1, "missing required request", those(|value| value.is_none()))?;
    if let Some(headers) = get(request, "headers").filter(|v| !matches!(v, Value::Object(_))) {
        return Err(wrong_type(0, headers, &["object"]));
    }
    let no_text = |value: Option<&Value>| !matches!(value, Some(Value::String(_)));
    about(1, "invalid values for required request", those(no_text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn requests_are_signed_as_opa_signs_them() {
        crate::builtins::tests::table(include_str!("tests.jsonl"));
    }
}
