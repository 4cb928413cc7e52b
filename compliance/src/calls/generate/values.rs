//! Arguments of `time.*`, schemas, YAML and templates, which are built from parts.

use enforcer_rego::Value;

use super::Generator;
use super::graphql::{LIBRARY, QUERIES, SCHEMAS, WORDS};
use super::modules::MODULES;
use super::schemas::{DOCUMENTS, JSON_SCHEMAS, KEYWORDS};
use super::texts::{SCALARS, TEMPLATES, YAML};
use super::times::{COUNTS, DURATIONS, LAYOUTS, PIECES, TIMES, ZONES};

/// An argument of a built-in that has its own grammar.
pub(super) fn made(generator: &mut Generator<'_>, position: usize) -> Option<Value> {
    let name = generator.declaration.name;
    if generator.below(14) == 0 {
        return None;
    }
    let text = match (name, position) {
        ("time.parse_rfc3339_ns", _) => time(generator, false),
        ("time.parse_ns", 0) => {
            let layout = if generator.below(3) == 0 {
                joined(generator, PIECES, 6)
            } else {
                generator.pick(LAYOUTS).copied().unwrap_or_default().to_owned()
            };
            generator.layout.clone_from(&layout);
            layout
        }
        ("time.parse_ns", _) => time(generator, true),
        ("time.parse_duration_ns", _) => duration(generator),
        (
            "time.add_date" | "time.diff" | "time.format" | "time.clock" | "time.date"
            | "time.weekday",
            0,
        )
        | ("time.diff", 1) => return Some(moment(generator)),
        ("time.add_date", _) => {
            let count = if generator.below(6) == 0 {
                generator.pick(COUNTS).copied().unwrap_or(0)
            } else {
                i64::try_from(generator.below(100)).unwrap_or(0) - 50
            };
            return Some(Value::from(count));
        }
        ("json.match_schema", 1) | ("json.verify_schema", 0) => {
            return schema(generator);
        }
        ("json.match_schema", 0) => return Some(document(generator)),
        ("yaml.unmarshal" | "yaml.is_valid", 0) => yaml(generator),
        ("yaml.marshal", 0) => return Some(written(generator, 3)),
        ("strings.render_template", 0) => template(generator),
        ("strings.render_template", 1) => {
            return Some(json(
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", 3.5, null, true], "d": {"e": {"f": "deep"}, "z": 0}, "empty": [], "no": false, "none": null, "big": 12345678901234567890, "m": {"b": 1, "a": [2]}, "s": ""}"#,
            ));
        }
        (
            "graphql.is_valid"
            | "graphql.parse"
            | "graphql.parse_and_verify"
            | "graphql.parse_query",
            0,
        ) => changed(generator, QUERIES),
        ("graphql.is_valid" | "graphql.parse" | "graphql.parse_and_verify", 1) => {
            if generator.below(8) == 0 { changed(generator, SCHEMAS) } else { LIBRARY.to_owned() }
        }
        ("rego.parse_module", 1) => changed(generator, MODULES),
        ("graphql.parse_schema" | "graphql.schema_is_valid", 0) => changed(generator, SCHEMAS),
        _ => return None,
    };
    Some(Value::from(text))
}

fn json(text: &str) -> Value {
    enforcer_rego::json::parse(text.as_bytes()).unwrap_or(Value::Null)
}

/// A text with a word left out, moved or replaced, or as it is.
fn changed(generator: &mut Generator<'_>, texts: &[&str]) -> String {
    let text = generator.pick(texts).copied().unwrap_or_default();
    let mut words: Vec<&str> = text.split_inclusive([' ', '{', '}', '(', ')', ':']).collect();
    for _ in 0..generator.below(3) {
        let (at, other) = (generator.below(words.len()), generator.below(words.len()));
        match generator.below(4) {
            0 if at < words.len() => {
                words.remove(at);
            }
            1 if at < words.len() && other < words.len() => words.swap(at, other),
            2 => {
                let word = generator.pick(WORDS).copied().unwrap_or_default();
                words.insert(at, word);
            }
            _ => {
                let word = generator.pick(WORDS).copied().unwrap_or_default();
                if let Some(place) = words.get_mut(at) {
                    *place = word;
                }
            }
        }
    }
    words.concat()
}

/// Some of the pieces, one after the other.
fn joined(generator: &mut Generator<'_>, pieces: &[&str], most: usize) -> String {
    (0..generator.below(most) + 1)
        .map(|_| generator.pick(pieces).copied().unwrap_or_default())
        .collect()
}

fn moment(generator: &mut Generator<'_>) -> Value {
    let nanoseconds = if generator.below(3) == 0 {
        generator.number()
    } else {
        // Within a century and a half around now, often near a change of the clocks.
        let year = i64::try_from(generator.below(150)).unwrap_or(0) + 1890;
        let day = i64::try_from(generator.below(366)).unwrap_or(0);
        let second = i64::try_from(generator.below(86_400)).unwrap_or(0);
        let seconds = (year - 1970) * 31_556_952 + day * 86_400 + second;
        Value::from(
            seconds * 1_000_000_000 + i64::try_from(generator.below(1_000_000)).unwrap_or(0),
        )
    };
    let mut parts = vec![nanoseconds];
    match generator.below(8) {
        0 => return parts.swap_remove(0),
        1 => {}
        _ => {
            parts.push(generator.pick(ZONES).map_or(Value::Null, |zone| Value::from(*zone)));
            if generator.below(2) == 0 || generator.declaration.name == "time.format" {
                let layout = if generator.below(3) == 0 {
                    joined(generator, PIECES, 8)
                } else {
                    generator.pick(LAYOUTS).copied().unwrap_or_default().to_owned()
                };
                parts.push(Value::from(layout));
            }
        }
    }
    Value::from(parts)
}

fn time(generator: &mut Generator<'_>, any: bool) -> String {
    if !any || generator.below(3) == 0 {
        let mut text = generator.pick(TIMES).copied().unwrap_or_default().to_owned();
        if generator.below(4) == 0 && !text.is_empty() {
            let at = generator.below(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                let with = generator.pick(&["0", "9", "", " ", ":", "T", "x"]).copied();
                text.replace_range(at..=at, with.unwrap_or_default());
            }
        }
        return text;
    }
    if generator.below(4) == 0 {
        return generator.pick(TIMES).copied().unwrap_or_default().to_owned();
    }
    // A text of the layout, mostly.
    let mut parts =
        vec![moment(generator), Value::from(""), Value::from(generator.layout.as_str())];
    if let Some(Value::Array(inner)) = parts.first().cloned()
        && let Some(nanoseconds) = inner.first()
    {
        parts = vec![
            nanoseconds.clone(),
            Value::from("Europe/Berlin"),
            Value::from(generator.layout.as_str()),
        ];
    }
    let written = enforcer_rego::builtins::function("time.format")
        .and_then(|format| format(&mut crate::calls::context(), &[Value::from(parts)]).ok());
    match written {
        Some(Value::String(text)) => (*text).to_owned(),
        _ => String::new(),
    }
}

fn duration(generator: &mut Generator<'_>) -> String {
    if generator.below(2) == 0 {
        return generator.pick(DURATIONS).copied().unwrap_or_default().to_owned();
    }
    joined(
        generator,
        &[
            "1h", "2m", "3s", "4ms", "5us", "6µs", "7ns", "1.5h", ".5s", "2d", "1w", "1y", "0.5d",
            "-", "1", "h", "100000h", "1000d", "10y", "..1d", "3x",
        ],
        4,
    )
}

fn schema(generator: &mut Generator<'_>) -> Option<Value> {
    if generator.below(2) == 0 {
        let text = generator.pick(JSON_SCHEMAS).copied()?;
        return Some(if generator.below(6) == 0 { Value::from(text) } else { json(text) });
    }
    Some(random_schema(generator, 2))
}

/// A schema of some keywords.
fn random_schema(generator: &mut Generator<'_>, depth: usize) -> Value {
    let mut entries = std::collections::BTreeMap::new();
    for _ in 0..generator.below(4) + 1 {
        if depth > 0 && generator.below(3) == 0 {
            let inner = random_schema(generator, depth - 1);
            let (key, value) = match generator.below(11) {
                0 => ("not", inner),
                1 => ("items", inner),
                2 => ("additionalProperties", inner),
                3 => ("contains", inner),
                4 => ("propertyNames", inner),
                5 => ("if", inner),
                6 => ("then", inner),
                7 => ("anyOf", Value::from(vec![inner, random_schema(generator, depth - 1)])),
                8 => ("oneOf", Value::from(vec![inner, random_schema(generator, depth - 1)])),
                9 => ("allOf", Value::from(vec![inner, random_schema(generator, depth - 1)])),
                _ => {
                    let key = generator.pick(&["a", "b", "c"]).copied().unwrap_or("a");
                    let object: std::collections::BTreeMap<_, _> =
                        [(Value::from(key), inner)].into();
                    ("properties", Value::from(object))
                }
            };
            entries.insert(Value::from(key), value);
            continue;
        }
        let Some((key, value)) = generator.pick(KEYWORDS).copied() else { continue };
        entries.insert(Value::from(key), json(value));
    }
    Value::from(entries)
}

fn document(generator: &mut Generator<'_>) -> Value {
    let text = generator.pick(DOCUMENTS).copied().unwrap_or("null");
    if generator.below(3) == 0 { Value::from(text) } else { json(text) }
}

fn yaml(generator: &mut Generator<'_>) -> String {
    if generator.below(2) == 0 {
        return generator.pick(YAML).copied().unwrap_or_default().to_owned();
    }
    let scalar = |g: &mut Generator| g.pick(SCALARS).copied().unwrap_or_default();
    match generator.below(4) {
        0 => scalar(generator).to_owned(),
        1 => format!("a: {}\nb: {}\n", scalar(generator), scalar(generator)),
        2 => format!("- {}\n- {}\n", scalar(generator), scalar(generator)),
        _ => {
            format!("{{{}: {}, x: [{}]}}", scalar(generator), scalar(generator), scalar(generator))
        }
    }
}

/// A value whose texts may need quotation marks in YAML.
fn written(generator: &mut Generator<'_>, depth: usize) -> Value {
    let text = |g: &mut Generator| Value::from(g.pick(SCALARS).copied().unwrap_or_default());
    if depth == 0 || generator.below(3) == 0 {
        return match generator.below(4) {
            0 => generator.number(),
            1 => generator.any(0),
            _ => text(generator),
        };
    }
    if generator.below(2) == 0 {
        return Value::from(generator.some(|g| written(g, depth - 1)));
    }
    let entries = generator.some(|g| (text(g), written(g, depth - 1)));
    Value::from(entries.into_iter().collect::<std::collections::BTreeMap<_, _>>())
}

fn template(generator: &mut Generator<'_>) -> String {
    if generator.below(2) == 0 {
        return generator.pick(TEMPLATES).copied().unwrap_or_default().to_owned();
    }
    joined(generator, TEMPLATES, 3)
}
