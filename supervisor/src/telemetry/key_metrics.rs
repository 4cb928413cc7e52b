//! The metrics of the keys that tokens are verified by. Their label is the issuer, of which the
//! operator has named a few.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::access::Access;
use crate::access::jwt::source::KeyStatus;
use crate::clock::unix_seconds;

/// Of all issuers.
#[derive(Debug)]
pub(super) struct KeysCollector(pub(super) Arc<Access>);

impl Collector for KeysCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let statuses = self.0.keys();
        let help = "Keys of the issuer that tokens can be verified by";
        let mut family = encoder.encode_descriptor("jwt_keys", help, None, MetricType::Gauge)?;
        for status in &statuses {
            let keys = u64::try_from(status.keys).unwrap_or(u64::MAX);
            family.encode_family(&[("issuer", status.issuer.as_str())])?.encode_gauge(&keys)?;
        }
        let help = "Attempts to read the keys of the issuer, by their results";
        let name = "jwt_key_reads";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for status in &statuses {
            for (result, count) in [("success", status.successes), ("failure", status.failures)] {
                let labels = [("issuer", status.issuer.as_str()), ("result", result)];
                let mut series = family.encode_family(&labels)?;
                series.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        times(
            &mut encoder,
            &statuses,
            "jwt_keys_last_success_timestamp_seconds",
            "When the keys of the issuer were last read, in seconds since 1970; absent before that",
            |status| status.last_success,
        )?;
        times(
            &mut encoder,
            &statuses,
            "jwt_keys_failing_since_timestamp_seconds",
            "Since when the keys of the issuer cannot be read, in seconds since 1970; absent while they can",
            |status| status.failing_since,
        )
    }
}

fn times(
    encoder: &mut DescriptorEncoder<'_>,
    statuses: &[KeyStatus],
    name: &str,
    help: &str,
    time: impl Fn(&KeyStatus) -> Option<DateTime<Utc>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for status in statuses {
        if let Some(at) = time(status) {
            let labels = [("issuer", status.issuer.as_str())];
            family.encode_family(&labels)?.encode_gauge(&unix_seconds(at))?;
        }
    }
    Ok(())
}
