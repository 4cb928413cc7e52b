//! Parsers of single values. Each error states the expected form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use enforcer_protocol::{Namespace, SandboxMode};
use tracing::level_filters::LevelFilter;

use super::limits::{Activation, Entrypoint, EvaluatorChoice, RunTests, StreamInputs};
use super::log::LogFormat;
use super::origin;
use super::sandbox::{FIRST_WORKER_USER, UNUSED_USERS, WorkerUsers};
use super::settings::{ENTRYPOINT, STREAM_ORIGINS};

/// Maximum number of origins. Each is compared with the origin of a page that opens the stream.
const MAX_STREAM_ORIGINS: usize = 64;

pub(super) fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| "expected an IP address, such as 127.0.0.1 or ::1".to_owned())
}

pub(super) fn number<T>(text: &str, bounds: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
        format!("expected a whole number from {} to {}", bounds.start(), bounds.end())
    })
}

pub(super) fn millis(text: &str, bounds: RangeInclusive<u64>) -> Result<Duration, String> {
    number(text, bounds).map(Duration::from_millis)
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

pub(super) fn activation(text: &str) -> Result<Activation, String> {
    match text {
        "eager" => Ok(Activation::Eager),
        "lazy" => Ok(Activation::Lazy),
        _ => Err("expected eager or lazy".to_owned()),
    }
}

/// Keys of an entrypoint, and bytes of its path.
const MAX_ENTRYPOINT_KEYS: usize = 32;
const MAX_ENTRYPOINT: usize = 1024;

pub(super) fn run_tests(text: &str) -> Result<RunTests, String> {
    match text {
        "ignore" => Ok(RunTests::Ignore),
        "require" => Ok(RunTests::Require),
        _ => Err("expected ignore or require".to_owned()),
    }
}

pub(super) fn stream_inputs(text: &str) -> Result<StreamInputs, String> {
    match text {
        "show" => Ok(StreamInputs::Show),
        "omit" => Ok(StreamInputs::Omit),
        _ => Err("expected show or omit".to_owned()),
    }
}

pub(super) fn namespace(text: &str) -> Result<Namespace, String> {
    match text {
        "strict" => Ok(Namespace::Strict),
        "open" => Ok(Namespace::Open),
        _ => Err("expected strict or open".to_owned()),
    }
}

pub(super) fn entrypoint(text: &str) -> Result<Option<Entrypoint>, String> {
    if text == ENTRYPOINT.default {
        return Ok(None);
    }
    let keys: Vec<String> = text.trim_matches('/').split('/').map(str::to_owned).collect();
    let is_valid = text.len() <= MAX_ENTRYPOINT
        && keys.len() <= MAX_ENTRYPOINT_KEYS
        && keys.iter().all(|key| {
            let is_odd = |character: char| character.is_whitespace() || character.is_control();
            !key.is_empty() && !key.contains(['"', '%', '.']) && !key.contains(is_odd)
        });
    if is_valid {
        Ok(Some(Entrypoint(keys.into())))
    } else {
        Err("expected the path of a rule, such as envoy/authz/allow, or none".to_owned())
    }
}

pub(super) fn evaluator(text: &str) -> Result<EvaluatorChoice, String> {
    match text {
        "auto" => Ok(EvaluatorChoice::Auto),
        "interpreter" => Ok(EvaluatorChoice::Interpreter),
        _ => Err("expected auto or interpreter".to_owned()),
    }
}

pub(super) fn sandbox_mode(text: &str) -> Result<SandboxMode, String> {
    match text.parse() {
        Ok(mode @ (SandboxMode::Strict | SandboxMode::DebugOff)) => Ok(mode),
        _ => Err("expected strict or debug-off".to_owned()),
    }
}

pub(super) fn worker_users(text: &str) -> Result<WorkerUsers, String> {
    let expected = || {
        format!(
            "expected none, auto, or first-last, two user ids from {FIRST_WORKER_USER} to {}",
            u32::MAX - 1
        )
    };
    match text {
        "none" => Ok(WorkerUsers::None),
        "auto" => Ok(WorkerUsers::Auto(UNUSED_USERS)),
        range => {
            let (first, last) = range.split_once('-').ok_or_else(expected)?;
            // setresuid(2) reads the last id of all as "leave it as it is".
            let bounds = FIRST_WORKER_USER..=u32::MAX - 1;
            let first = number(first, bounds.clone()).map_err(|_| expected())?;
            let last = number(last, bounds).map_err(|_| expected())?;
            if first > last { Err(expected()) } else { Ok(WorkerUsers::Range(first..=last)) }
        }
    }
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    if text == STREAM_ORIGINS.default {
        return Ok(Vec::new());
    }
    let parsed: Option<Vec<String>> =
        text.split(',').map(|part| origin::parse(part.trim())).collect();
    parsed.filter(|origins| origins.len() <= MAX_STREAM_ORIGINS).ok_or_else(|| {
        format!(
            "expected none, or up to {MAX_STREAM_ORIGINS} origins, each a scheme, a host and perhaps a port, such as https://ops.example.com"
        )
    })
}

pub(super) fn idle_timeout(text: &str) -> Result<Duration, String> {
    duration(text, 100..=86_400_000)
        .map_err(|_| "expected a time from 100ms to 24h, such as 500ms, 30s, 5m or 1h".to_owned())
}

/// A time within `bounds`, which are in milliseconds. A number without a unit is in seconds.
pub(super) fn duration(text: &str, bounds: RangeInclusive<u64>) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let millis = number.parse().ok().and_then(|number: u64| number.checked_mul(millis_per_unit));
    let is_time = millis_per_unit > 0;
    millis
        .filter(|millis| is_time && bounds.contains(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end() / 1000);
            format!("expected a time from {least}ms to {most}s, such as 500ms, 30s, 5m or 1h")
        })
}

pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    let named = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let expected = || "expected off, error, warn, info, debug or trace".to_owned();
    text.parse().ok().filter(|_| named).ok_or_else(expected)
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected auto, text or json".to_owned()),
    }
}

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match path.metadata() {
        // Absolute, because the file system's events name absolute paths.
        Ok(metadata) if metadata.is_dir() => std::path::absolute(path)
            .map_err(|error| format!("expected a directory that can be found: {error}")),
        Ok(_) => Err("expected a directory, but this is not one".to_owned()),
        Err(error) => Err(format!("expected a directory that can be read: {error}")),
    }
}
