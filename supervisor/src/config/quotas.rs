//! `[quotas]`, for every tenant, and `[tenants.<id>.quotas]`, for one: how much a tenant may ask for.

use std::num::{NonZeroU32, NonZeroU64};

use enforcer_protocol::MAX_SHARED_RATE;
use toml::Value as Toml;

use super::errors::ConfigError;
use super::fields::Fields;
use super::file::{ConfigFile, QUOTAS_KEY};
use super::limits::{DecisionQuota, TenantQuotas};
use super::values::number;

/// Most decisions a second, and at once.
const MOST_DECISIONS: u64 = 1_000_000;

/// Most requests in progress, and most consumers of a tenant's stream.
const MOST_AT_ONCE: u32 = 65_536;

/// The numbers of a table, as they are written.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    decisions_per_second: Option<u64>,
    burst: Option<u64>,
    concurrent_requests: Option<u32>,
    body_bytes_per_second: Option<u64>,
    stream_consumers: Option<u32>,
}

const KEYS: [&str; 5] = [
    "decisions_per_second",
    "burst",
    "concurrent_requests",
    "body_bytes_per_second",
    "stream_consumers",
];

/// The quotas of a tenant; `None` is every tenant without quotas of its own. A number that a
/// tenant's table lacks is that of all tenants. The faults are those of this tenant's table, or of
/// the table for all.
pub(super) fn quotas(
    file: &ConfigFile,
    tenant_id: Option<&str>,
) -> (TenantQuotas, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let shared = file.section(QUOTAS_KEY).map(|(_, table)| table);
    let shared = numbers(file, QUOTAS_KEY.to_owned(), shared, Numbers::default(), &mut faults);
    let Some(id) = tenant_id else { return (of(shared), faults) };
    // They were reported with those of the table for all.
    faults.clear();
    let own = file.tenants().and_then(|tenants| tenants.get(id)?.get(QUOTAS_KEY));
    let numbers = numbers(file, format!("tenants.{id}.{QUOTAS_KEY}"), own, shared, &mut faults);
    (of(numbers), faults)
}

fn numbers(
    file: &ConfigFile,
    name: String,
    value: Option<&Toml>,
    shared: Numbers,
    faults: &mut Vec<ConfigError>,
) -> Numbers {
    let table = match value {
        None => return shared,
        Some(Toml::Table(table)) => table,
        Some(other) => {
            faults.push(file.fault(&name, other, "expected a table"));
            return shared;
        }
    };
    let mut fields = Fields::new(file, name, table, faults);
    fields.known(&KEYS);
    let decisions_per_second =
        fields.text("decisions_per_second", |text| number(text, 0..=MOST_DECISIONS));
    let numbers = Numbers {
        decisions_per_second: decisions_per_second.or(shared.decisions_per_second),
        burst: fields.text("burst", |text| number(text, 1..=MOST_DECISIONS)).or(shared.burst),
        concurrent_requests: fields
            .text("concurrent_requests", |text| number(text, 0..=MOST_AT_ONCE))
            .or(shared.concurrent_requests),
        body_bytes_per_second: fields
            .text("body_bytes_per_second", |text| number(text, 0..=MAX_SHARED_RATE))
            .or(shared.body_bytes_per_second),
        stream_consumers: fields
            .text("stream_consumers", |text| number(text, 0..=MOST_AT_ONCE))
            .or(shared.stream_consumers),
    };
    let is_without_rate = numbers.decisions_per_second.unwrap_or(0) == 0;
    if let Some(burst) = table.get("burst").filter(|_| is_without_rate) {
        fields.fault("burst", burst, "expected decisions_per_second beside it");
    }
    numbers
}

fn of(numbers: Numbers) -> TenantQuotas {
    let per_second = numbers.decisions_per_second.and_then(NonZeroU64::new);
    let decisions = per_second.map(|per_second| DecisionQuota {
        per_second,
        burst: numbers.burst.and_then(NonZeroU64::new).unwrap_or(per_second),
    });
    TenantQuotas {
        decisions,
        concurrent_requests: numbers.concurrent_requests.and_then(NonZeroU32::new),
        body_bytes_per_second: numbers.body_bytes_per_second.and_then(NonZeroU64::new),
        stream_consumers: numbers.stream_consumers.and_then(NonZeroU32::new),
    }
}
