//! `net.cidr_*`: Go's addresses and networks.

mod address;
mod merge;

use std::collections::BTreeSet;

use regorus::Value;
use regorus::value::Set;

use self::address::{Network, parse_ip, show};
use super::limits::{self, Clock};
use super::operands::{argument, string, wrong_type};
use super::{Answer, Context, Failure, order};

/// Whether a text is an address of IPv4 or IPv6.
pub(super) fn is_address(text: &str) -> bool {
    parse_ip(text).is_some()
}

fn network(text: &str) -> Result<Network, Failure> {
    Network::parse(text)
        .map(|(_, network)| network)
        .ok_or_else(|| Failure::Builtin(format!("invalid CIDR address: {text}")))
}

/// OPA's message names the first operand for either one.
fn text(value: &Value) -> Result<&str, Failure> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(1, other, &["string"])),
    }
}

pub(super) fn cidr_is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    Ok(Value::from(Network::parse(text).is_some()))
}

pub(super) fn cidr_intersects(_: &mut Context, args: &[Value]) -> Answer {
    let left = network(text(argument(args, 1))?)?;
    let right = network(text(argument(args, 2))?)?;
    Ok(Value::from(left.contains(right.first()) || right.contains(left.first())))
}

pub(super) fn cidr_contains(_: &mut Context, args: &[Value]) -> Answer {
    contains(argument(args, 1), argument(args, 2)).map(Value::from)
}

/// Whether a network contains an address or another network.
fn contains(outer: &Value, inner: &Value) -> Result<bool, Failure> {
    let outer = network(text(outer)?)?;
    let inner = text(inner)?;
    if let Some(address) = parse_ip(inner) {
        return Ok(outer.contains(&address));
    }
    let Some((_, inner)) = Network::parse(inner) else {
        return Err(Failure::Builtin(format!(
            "not a valid textual representation of an IP address or CIDR: {inner}"
        )));
    };
    if let (Some(outer), Some(inner)) = (outer.as_plain_v6(), inner.as_plain_v6()) {
        let mask = u128::MAX.checked_shl(128 - outer.prefix).unwrap_or(0);
        return Ok(outer.prefix <= inner.prefix && inner.first & mask == outer.first);
    }
    Ok(outer.contains(inner.first()) && outer.contains(&inner.last()))
}

pub(super) fn cidr_contains_matches(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let mut matches = Set::new();
    let inner = candidates(2, argument(args, 2));
    for outer in candidates(1, argument(args, 1)) {
        let (outer, outer_index) = outer?;
        for inner in &inner {
            clock.step()?;
            let (inner, inner_index) = inner.as_ref().map_err(Failure::clone)?;
            if contains(outer, inner)? {
                matches.insert(Value::from(vec![outer_index.clone(), inner_index.clone()]));
            }
            if matches.len() > limits::ELEMENTS {
                return Err(limits::exceeded("there are too many matches"));
            }
        }
    }
    Ok(matches.into_value())
}

/// A network's text, and its name in the result.
type Candidate<'a> = Result<(&'a Value, Value), Failure>;

fn candidates(position: usize, value: &Value) -> Vec<Candidate<'_>> {
    let named = |element: &Value, index: &Value| match element {
        Value::String(_) => Ok(index.clone()),
        Value::Array(array) if !array.is_empty() => Ok(index.clone()),
        _ => Err(Failure::Builtin(format!(
            "operand {position}: element must be string or non-empty array"
        ))),
    };
    let candidate = |element, index: &Value| {
        let index = named(element, index)?;
        let text = match element {
            Value::Array(array) => array.first().unwrap_or(element),
            other => other,
        };
        Ok((text, index))
    };
    match value {
        Value::String(_) => vec![Ok((value, value.clone()))],
        Value::Array(array) => array
            .iter()
            .enumerate()
            .map(|(i, element)| candidate(element, &Value::from(i)))
            .collect(),
        Value::Set(set) => {
            order::elements(set).into_iter().map(|element| candidate(element, element)).collect()
        }
        Value::Object(object) => order::entries(object)
            .into_iter()
            .map(|(key, element)| candidate(element, key))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => Vec::new(),
    }
}

pub(super) fn cidr_expand(context: &mut Context, args: &[Value]) -> Answer {
    let network = network(string(args, 1)?)?;
    let mut clock = Clock::new(context);
    let mut addresses = BTreeSet::new();
    let too_many = || limits::exceeded("the network has too many addresses");
    let count = network.size().ok_or_else(too_many)?;
    let mut address = network.first().to_vec();
    for _ in 0..count {
        clock.step()?;
        addresses.insert(Value::from(show(&address)));
        address::increment(&mut address);
    }
    Ok(Value::from(addresses))
}

pub(super) fn cidr_merge(_: &mut Context, args: &[Value]) -> Answer {
    let elements: Vec<&Value> = match argument(args, 1) {
        Value::Array(array) => array.iter().collect(),
        Value::Set(set) => order::elements(set),
        _ => return Err(Failure::Builtin("operand must be an array".to_owned())),
    };
    let mut networks = Vec::with_capacity(elements.len());
    for element in elements {
        let Value::String(text) = element else {
            return Err(Failure::Builtin("element must be string".to_owned()));
        };
        networks.push(match parse_ip(text) {
            None => network(text)?,
            Some(address) => Network::of_address(&address)
                .ok_or_else(|| Failure::Builtin("IPv6 invalid: needs prefix length".to_owned()))?,
        });
    }
    let merged: BTreeSet<_> =
        merge::merged(networks).iter().map(|network| Value::from(network.to_string())).collect();
    Ok(Value::from(merged))
}
