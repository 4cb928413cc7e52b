//! Arguments of `time.*`, schemas, YAML and templates, which are made of parts.

use regorus::Value;

use super::Generator;

/// An argument of a built-in that has a grammar of its own.
pub(super) fn made(generator: &mut Generator, position: usize) -> Option<Value> {
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
        ("graphql.parse_schema" | "graphql.schema_is_valid", 0) => changed(generator, SCHEMAS),
        _ => return None,
    };
    Some(Value::from(text))
}

fn json(text: &str) -> Value {
    enforcer_rego::json::parse(text.as_bytes()).unwrap_or(Value::Null)
}

/// A text with a word left out, moved or replaced, or as it is.
fn changed(generator: &mut Generator, texts: &[&str]) -> String {
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
fn joined(generator: &mut Generator, pieces: &[&str], most: usize) -> String {
    (0..generator.below(most) + 1)
        .map(|_| generator.pick(pieces).copied().unwrap_or_default())
        .collect()
}

fn moment(generator: &mut Generator) -> Value {
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

fn time(generator: &mut Generator, any: bool) -> String {
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
        .and_then(|format| format(&mut crate::context(), &[Value::from(parts)]).ok());
    match written {
        Some(Value::String(text)) => (*text).to_owned(),
        _ => String::new(),
    }
}

fn duration(generator: &mut Generator) -> String {
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

fn schema(generator: &mut Generator) -> Option<Value> {
    if generator.below(2) == 0 {
        let text = generator.pick(JSON_SCHEMAS).copied()?;
        return Some(if generator.below(6) == 0 { Value::from(text) } else { json(text) });
    }
    Some(random_schema(generator, 2))
}

/// A schema of some keywords.
fn random_schema(generator: &mut Generator, depth: usize) -> Value {
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

fn document(generator: &mut Generator) -> Value {
    let text = generator.pick(DOCUMENTS).copied().unwrap_or("null");
    if generator.below(3) == 0 { Value::from(text) } else { json(text) }
}

fn yaml(generator: &mut Generator) -> String {
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
fn written(generator: &mut Generator, depth: usize) -> Value {
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

fn template(generator: &mut Generator) -> String {
    if generator.below(2) == 0 {
        return generator.pick(TEMPLATES).copied().unwrap_or_default().to_owned();
    }
    joined(generator, TEMPLATES, 3)
}

const COUNTS: &[i64] = &[
    0,
    1,
    -1,
    12,
    -12,
    400,
    100_000,
    -100_000,
    300,
    -300,
    1_000_000_000_000,
    i64::MAX,
    i64::MIN,
    292_277_022_400,
    3_650_000,
];

const ZONES: &[&str] = &[
    "",
    "UTC",
    "Local",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Pacific/Apia",
    "Asia/Tehran",
    "Asia/Gaza",
    "America/St_Johns",
    "Antarctica/Troll",
    "Etc/GMT+12",
    "EST",
    "MST7MDT",
    "America/Nuuk",
    "Pacific/Chatham",
    "Europe/Nowhere",
    "europe/berlin",
    "../etc",
    "/etc/localtime",
    "GMT",
    "Zulu",
    "Africa/Monrovia",
    "America/Argentina/ComodRivadavia",
];

const LAYOUTS: &[&str] = &[
    "",
    "ANSIC",
    "UnixDate",
    "RubyDate",
    "RFC822",
    "RFC822Z",
    "RFC850",
    "RFC1123",
    "RFC1123Z",
    "RFC3339",
    "RFC3339Nano",
    "Kitchen",
    "3:04PM",
    "2006-01-02",
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05.000 -0700",
    "2006-01-02 15:04 MST",
    "Jan _2 06 03:04pm",
    "2006-002",
    "2006 __2",
    "Monday, January 2",
    "02 Jan 06 15:04 MST",
    "15:04:05.999999",
    "20060102150405",
    "2006-01-02T15:04:05.000Z0700",
    "2006-01-02T15:04:05,999Z07",
    "1/2/06 3:4:5",
    "2006-01-02T15:04:05Z07:00:00",
    "-07 -0700 -070000 -07:00:00",
];

const PIECES: &[&str] = &[
    "2006",
    "06",
    "01",
    "1",
    "Jan",
    "January",
    "02",
    "2",
    "_2",
    "__2",
    "002",
    "Mon",
    "Monday",
    "15",
    "03",
    "3",
    "04",
    "4",
    "05",
    "5",
    "PM",
    "pm",
    "MST",
    "Z07:00",
    "-0700",
    "Z07",
    "-07:00:00",
    "Z070000",
    ".000",
    ".999",
    ",00",
    ".0000000000000",
    " ",
    "-",
    ":",
    "é",
    "x",
    "_2006",
    "Janx",
    "0",
];

const TIMES: &[&str] = &[
    "2020-01-01T00:00:00Z",
    "2020-02-29T23:59:59.999999999Z",
    "2021-02-29T00:00:00Z",
    "2020-01-01 00:00:00Z",
    "2020-01-01t00:00:00z",
    "2020-01-01T24:00:00Z",
    "2020-01-01T00:00:60Z",
    "2020-01-01T0:00:00Z",
    "2020-01-01T00:00:00,5Z",
    "2020-01-01T00:00:00+24:00",
    "2020-01-01T00:00:00-00:60",
    "2020-01-01T00:00:00+25:00",
    "2020-01-01T00:00:00.123456789123+05:30",
    "1677-09-21T00:12:43.145224192Z",
    "1677-09-21T00:12:43.145224191Z",
    "2262-04-11T23:47:16.854775807Z",
    "2262-04-11T23:47:16.854775808Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "Mon Jan  2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon, 02 Jan 2006 15:04:05 EST",
    "Mon, 02 Jan 2006 15:04:05 -0700",
    "Monday, 02-Jan-06 15:04:05 GMT+3",
    "02 Jan 69 15:04 CEST",
    "3:04PM",
    "12:00am",
    "13:04PM",
    "2020-01-01 00:00 EST",
    "2020-01-01 00:00 UTC",
    "2020-01-01 00:00 +03",
    "2020-01-01",
    "2020-1-1",
    "2020-13-01",
    "2020-060",
    "2020-366",
    "2021-366",
    "2020  60",
    "Friday, FEBRUARY 3",
    "20200101000000",
    "2020-01-01 12:00:00.5 +0100",
    "",
    "x",
    "2020-01-01T00:00:00Zx",
    "2020-01-01T00:00:00é",
];

const DURATIONS: &[&str] = &[
    "",
    "0",
    "+0",
    "-0",
    "1",
    "1h",
    "-1h30m",
    "1.5h",
    "1µs",
    "1μs",
    "1h1",
    "h",
    ".",
    ".s",
    "1.s",
    "9223372036854775807ns",
    "9223372036854775808ns",
    "-9223372036854775808ns",
    "-9223372036854775809ns",
    "2562047h47m16.854775807s",
    "106751d",
    "106752d",
    "292y",
    "293y",
    "1d12h",
    "1.5d",
    "1w2d",
    "1y1d",
    "d",
    "1.2.3d",
    "-1d",
    "1d-1h",
    "1dd",
    "1D",
    "0.0000000001d",
    "1x1d",
    "1 d",
    "1e3s",
    "0.3333333333333333333h",
    "3000000h",
    "1\u{ff}d",
    "+5s",
    "1m1ms",
];

const KEYWORDS: &[(&str, &str)] = &[
    ("type", r#""string""#),
    ("type", r#""object""#),
    ("type", r#""array""#),
    ("type", r#"["integer", "null"]"#),
    ("type", r#""number""#),
    ("type", r#""boolean""#),
    ("type", r#""text""#),
    ("type", r#"["string", "string"]"#),
    ("type", "1"),
    ("minimum", "3"),
    ("minimum", "0.5"),
    ("maximum", "1000000"),
    ("maximum", "2"),
    ("exclusiveMinimum", "true"),
    ("exclusiveMinimum", "2"),
    ("exclusiveMaximum", "1e3"),
    ("multipleOf", "2"),
    ("multipleOf", "0.1"),
    ("multipleOf", "0"),
    ("minLength", "2"),
    ("maxLength", "3"),
    ("maxLength", "-1"),
    ("pattern", r#""^a""#),
    ("pattern", r#""(""#),
    ("format", r#""ipv4""#),
    ("format", r#""ipv6""#),
    ("format", r#""email""#),
    ("format", r#""date-time""#),
    ("format", r#""date""#),
    ("format", r#""time""#),
    ("format", r#""uri""#),
    ("format", r#""uri-reference""#),
    ("format", r#""uri-template""#),
    ("format", r#""hostname""#),
    ("format", r#""uuid""#),
    ("format", r#""regex""#),
    ("format", r#""json-pointer""#),
    ("format", r#""relative-json-pointer""#),
    ("format", r#""unknown""#),
    ("enum", r#"[1, "a", null, {"a": 1}]"#),
    ("enum", "[]"),
    ("enum", "[1, 1.0]"),
    ("const", "1"),
    ("const", r#"{"a": [1, 2]}"#),
    ("required", r#"["a"]"#),
    ("required", r#"["a", "z"]"#),
    ("required", "true"),
    ("minProperties", "2"),
    ("maxProperties", "1"),
    ("minItems", "2"),
    ("maxItems", "1"),
    ("uniqueItems", "true"),
    ("additionalProperties", "false"),
    ("additionalItems", "false"),
    ("items", r#"[{"type": "string"}, true]"#),
    ("items", "1"),
    ("patternProperties", r#"{"^a": {"type": "string"}}"#),
    ("dependencies", r#"{"a": ["b"], "b": {"required": ["c"]}}"#),
    ("properties", r#"{"a": {"type": "string"}, "b": false}"#),
    ("$schema", r#""http://json-schema.org/draft-07/schema#""#),
    ("$schema", r#""http://json-schema.org/draft-04/schema#""#),
    ("$schema", r#""http://json-schema.org/draft-06/schema""#),
    ("$schema", r#""https://json-schema.org/draft/2020-12/schema""#),
    ("$id", r#""http://example.com/root.json""#),
    ("definitions", r#"{"s": {"type": "string"}}"#),
    ("title", "1"),
    ("unevaluatedProperties", "false"),
    ("else", "false"),
];

const DOCUMENTS: &[&str] = &[
    "{}",
    r#"{"a": 1}"#,
    r#"{"a": "x", "b": 2}"#,
    r#"{"a": null, "c": {"a": "b"}}"#,
    r#"{"a": {"a": {"a": 1}}, "b": [1, 2]}"#,
    "[]",
    "[1]",
    "[1, 1]",
    r#"["a", 2, "a"]"#,
    "[1, 1.5, null, true, {}]",
    r#"{"a": "127.0.0.1", "b": "::1", "c": "a@b.c"}"#,
    r#"{"a": "2020-01-01T00:00:00Z", "b": "2020-01-01", "c": "10:00:00Z"}"#,
    r#"{"a": "http://a/b?c#d", "b": "a/{b}", "c": "{"}"#,
    r#"{"a": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "b": "host.example", "c": "-x"}"#,
    r#"{"a": "/a~0b", "b": "1/a", "c": "(a"}"#,
    r#"{"x": 0.3, "y": 12345678901234567890}"#,
    "1",
    r#""text""#,
    "nothing",
];

const JSON_SCHEMAS: &[&str] = &[
    "true",
    "false",
    "1",
    "[]",
    "{",
    r##"{"properties": {"a": {"$ref": "#/definitions/x"}}, "definitions": {"x": {"type": "integer", "minimum": 2}}}"##,
    r##"{"properties": {"a": {"$ref": "#"}}, "type": "object"}"##,
    r##"{"properties": {"a": {"$ref": "#/definitions/none"}}}"##,
    r##"{"properties": {"a": {"$ref": "#foo"}}, "definitions": {"f": {"$id": "#foo", "type": "string"}}}"##,
    r#"{"$ref": "relative.json"}"#,
    r##"{"properties": {"a": {"$ref": "http://json-schema.org/draft-07/schema#"}}}"##,
    r##"{"$ref": "http://json-schema.org/draft-04/schema#/definitions/positiveInteger"}"##,
    r#"{"$id": "http://x/y.json", "properties": {"a": {"$ref": "z.json"}, "b": {"$id": "z.json", "type": "boolean"}}}"#,
    r#"{"definitions": {"a": {"$id": "http://x/a"}, "b": {"$id": "http://x/a"}}}"#,
    r#"{"$schema": 1}"#,
    r##"{"properties": {"a": {"$ref": "#/properties/b/0"}, "b": [{"type": "string"}]}}"##,
    r##"{"$ref": "%zz"}"##,
    r#"{"anyOf": [{"type": "string"}, {"type": "object", "required": ["q", "r"]}]}"#,
    r#"{"oneOf": [{"type": "object"}, {"required": ["a"]}, {"type": "array"}]}"#,
    r#"{"allOf": [{"minProperties": 1}, {"maxProperties": 0}]}"#,
    r#"{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}"#,
    r#"{"items": [{"type": "string"}], "additionalItems": {"type": "null"}}"#,
    r#"{"additionalProperties": {"format": "ipv4"}}"#,
    r#"{"additionalProperties": {"format": "email"}}"#,
    r#"{"additionalProperties": {"format": "date-time"}}"#,
    r#"{"additionalProperties": {"format": "time"}}"#,
    r#"{"additionalProperties": {"format": "uri"}}"#,
    r#"{"additionalProperties": {"format": "uri-template"}}"#,
    r#"{"additionalProperties": {"format": "hostname"}}"#,
    r#"{"additionalProperties": {"format": "uuid"}}"#,
    r#"{"additionalProperties": {"format": "json-pointer"}}"#,
    r#"{"additionalProperties": {"format": "relative-json-pointer"}}"#,
    r#"{"additionalProperties": {"format": "regex"}}"#,
    r#"{"contains": {"type": "object", "required": ["a"]}}"#,
    r#"{"propertyNames": {"maxLength": 0}}"#,
];

/// Scalars, and what looks like them.
const SCALARS: &[&str] = &[
    "a",
    "true",
    "True",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "N",
    "~",
    "null",
    "",
    "1",
    "-1",
    "+1",
    "01",
    "0o7",
    "0x1F",
    "0b11",
    "1_000",
    "1.5",
    ".5",
    "1.",
    "1e3",
    "1E+3",
    "1e",
    ".inf",
    "-.inf",
    ".nan",
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "12:30",
    "1:2:3",
    "'a'",
    "\"a\\n\\u00e9\"",
    "'it''s'",
    "a b",
    "a: b",
    "a #b",
    "#",
    "-",
    "- a",
    "?",
    ":",
    "a:",
    "[1, 2]",
    "{a: 1}",
    "*x",
    "&x a",
    "!!str 1",
    "!!int '1'",
    "!!float 1",
    "!t a",
    "!!binary aGk=",
    "<<",
    "|",
    ">",
    "%",
    "@",
    "`",
    "é",
    "日本",
    " a",
    "a ",
    "\ttab",
    "line\nbreak",
    "two\n\nlines\n",
    "\u{1}",
    "\u{85}",
    "\u{feff}",
    "12345678901234567890",
    "123456789012345678901",
    "9223372036854775808",
    "=",
    "0.1",
    "1e400",
    "0777",
    "08",
    "!!null x",
    "! 1",
    "\\",
    "'",
    "\"",
    "a,b",
    "a]b",
    "long text with many words that is longer than eighty columns so that it might be folded by a writer",
    "--- a",
    "...",
    "null ",
    "NULL",
    "Yes",
    "-0",
    "0",
    "1__0",
    "_1",
    "0x_1",
    "-0x1F",
    "1.0",
    "100",
    "1e21",
    ".",
    "..",
];

const YAML: &[&str] = &[
    "a: 1\nb: [x, 'y', \"z\"]\n",
    "base: &b {p: true, q: 1}\nspec:\n  <<: *b\n  q: 2\n",
    "a: &x [1]\nb: *x\n",
    "a: *nope\n",
    "a: 1\na: 2\n",
    "1: x\n'1': y\n",
    "true: 1\nnull: 2\n1.5: 3\n",
    "? [1]\n: 2\n",
    "? a\n: b\n",
    "- a\n-  - b\n   - c\n- {d: e}\n",
    "a: |\n  x\n   y\n\n  z\nb: >-\n  x\n  y\n\n  z\n",
    "a: |+\n  x\n\nb: >2\n    x\n  y\n",
    "a: |1\n x\n",
    "--- a\n--- b\n",
    "a: 1\n...\nb: [\n",
    "a: 1\n---\nb: [\n",
    "  a:\nb: 1",
    "a:\n- 1\n- 2\nb:\n  - 3\n",
    "a\n b\n\n c\n",
    "\"a\n  b\n\n  c\"",
    "'a\n  b'",
    "\"\\x41\\u00e9\\U0001F600\\t\\/\\_\"",
    "\"\\q\"",
    "\"\\ud800\"",
    "a: b: c\n",
    "a: [1, 2\n",
    "a: {b: 1, c}\n",
    "[a: b, c]",
    "[a, , b]",
    "{a: , b}",
    "{a, b: }",
    "{\"a\":1}",
    "[a,]",
    "\ta: 1",
    "a:\t1",
    "a: 1 # c\n# d\n",
    "a: 'b'c\n",
    "%YAML 1.1\n---\na",
    "%YAML 2.0\n---\na",
    "%TAG ! tag:x,2000:\n---\n!foo a",
    "%FOO\n---\na",
    "%YAML 1.1\na",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!map a",
    "!!str [a]",
    "a: !!binary |\n  aGVs\n  bG8=\n",
    "<<: {a: 1}\nb: 2\n",
    "<<: [{a: 1}, {a: 2, b: 3}]\n",
    "<<: 1\n",
    "- <<\n",
    "\u{feff}a: 1",
    "",
    "# only a comment\n",
    "---\n",
    "--- |\n a\n...\n",
    "a: >\n\n  x\n\n\n  y\n",
    "a: \"x\": y",
    "- - - a",
    "-\n- a\n-\n",
    "key with spaces: value with spaces\n",
    "'quoted key': 1\n\"other\": 2\n",
    "a: http://x/y:z\n",
    "a: b#c\n",
    "a: - b\n",
    "&a a: &b b\n*a : *b\n",
    "a: &x\nb: *x\n",
    "a: {<<: {x: 1}, x: 2}\n",
    "x: {a: 1, <<: {b: 2}, <<: {c: 3}}\n",
    "a\u{85}b",
    "a: \u{7}",
    "? a\n? b\n",
    "- ? a\n  : b\n",
    "a:\n  b:\n c: 1\n",
    "[1,\n2]: 3",
    "- [a,\n b]\n- {c:\n d}\n",
    "\"a\": 1\n'b':2\n",
    "{a:1, b:2, \"c\":3}",
    "a: &x {b: *x}",
    "2020-01-01: a\n",
    "a: 2001-12-14t21:59:43.10-05:00\n",
];

const TEMPLATES: &[&str] = &[
    "plain",
    "{{.a}}",
    "{{ .b }}",
    "{{.c}}",
    "{{.d}}",
    "{{.d.e.f}}",
    "{{.missing}}",
    "{{.missing.x}}",
    "{{.none}}",
    "{{.a.b}}",
    "{{if .a}}yes{{else}}no{{end}}",
    "{{if .no}}yes{{else if .b}}b{{else}}no{{end}}",
    "{{range .c}}[{{.}}]{{end}}",
    "{{range $i, $x := .c}}{{$i}}={{$x}},{{end}}",
    "{{range .empty}}x{{else}}none{{end}}",
    "{{range $k, $v := .m}}{{$k}}:{{$v}};{{end}}",
    "{{range .c}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{break}}{{end}}",
    "{{range 3}}{{.}}{{end}}",
    "{{with .d}}{{.z}}{{$.a}}{{end}}",
    "{{with .none}}x{{else}}y{{end}}",
    "{{with $x := .b}}{{$x}}{{end}}",
    "{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}",
    "{{- .a -}} x {{- .b}}",
    " {{- /* comment */ -}} ",
    "{{/* c */}}",
    "{{len .c}} {{len .b}} {{len .d}}",
    "{{index .c 1}} {{index .d \"e\" \"f\"}}",
    "{{index .c 9}}",
    "{{slice .b 1 2}}",
    "{{printf \"%v-%s-%d\" .a .b 3}}",
    "{{printf \"%q\" .b}}",
    "{{print .a .b 1 2}}",
    "{{println .a}}",
    "{{.b | printf \"%s!\" | len}}",
    "{{html .b}}{{js .b}}{{urlquery .b}}",
    "{{eq .a 1}} {{eq .b \"x<y>\"}} {{ne 1 2}} {{lt 1 2}} {{le 1.5 1.5}} {{gt \"b\" \"a\"}} {{ge 1 2}}",
    "{{and 1 0}} {{or 0 \"x\"}} {{not 0}} {{not .c}}",
    "{{true}} {{1.5}} {{0x10}} {{'a'}} {{\"s\"}} {{`raw`}} {{1e3}}",
    "{{nil}}",
    "{{.c | len}}",
    "{{define \"T\"}}<{{.}}>{{end}}{{template \"T\" .a}}",
    "{{template \"none\"}}",
    "{{block \"B\" .b}}[{{.}}]{{end}}",
    "{{.}}",
    "{{$}}",
    "{{(index .c 0)}} {{(.d).z}}",
    "{{call .a}}",
    "{{unknown .a}}",
    "{{.a",
    "{{end}}",
    "{{if}}x{{end}}",
    "{{if .a}}x",
    "{{else}}",
    "{{\"unterminated}}",
    "{{.a}}{{.big}}",
    "{{$undefined}}",
    "{{break}}",
    "}} x {{`}}`}}",
    "{{eq .c .c}}",
    "{{eq .a .b}}",
    "{{printf \"%d %v\" .big .c}}",
    "{{1 | 2}}",
    "{{.a .b}}",
];

const QUERIES: &[&str] = &[
    "query Q($i: ID!) { person(id: $i) { name friends { id } } }",
    "{ all { id ... on Dog { bark } ...P } } fragment P on Person { name }",
    "{ person(id: 1, f: {a: 2, b: [Y, X]}) { __typename } }",
    "{ a: hello b: hello @skip(if: true) }",
    "{ __schema { types { name } } }",
    "mutation { m }",
    "subscription { s }",
    "{ hello @skip(if: true) @include(if: false) }",
    "query ($f: Filter = {a: 1}, $n: Int) { person(id: 1, f: $f) { name } x: person(id: 2, f: {a: 3, b: null}) { id } }",
    "{ all { ... on Person { x: name } ... on Dog { x: bark } } }",
    "{ all { id } all { ... on Node { id } } pets { ... on Dog { bark } ... on Person { friends { name } } } }",
    "query ($o: One!) { one(o: $o) two: one(o: {a: 1}) }",
    r##"{ person(id: "x") { friends { friends { name } } friends { id } } }"##,
    "fragment A on Person { ...B name } fragment B on Person { id } query { person(id: 1) { ...A ...B } }",
    r##"{ __type(name: "Person") { fields { name type { name ofType { name } } } } }"##,
    "query A { hello } query B { list(n: [1, 2, null]) }",
    r##"{ list(n: 1) deep(m: [[1], [2, 3]]) scalar(s: {any: [1, "x"]}) }"##,
    "subscription S { s ...T } fragment T on Subscription { s }",
    "query ($x: Int = 3) { list(n: [$x]) }",
    "query ($b: Boolean! = true) { hello @include(if: $b) }",
    "{ a }",
    "query Q($x: Int = 1) { a(x: $x) b: a { c ...F ... on T @include(if: true) { d } } } fragment F on T { e }",
    "{",
    "",
    "mutation { m(i: {a: 1, b: [1.5, \"s\", null, true, E]}) }",
    "subscription S { s }",
    "{ a(x: \"\"\"block \n  text\"\"\") }",
    "{ a } { b }",
    "{ hello }",
    "query { hello @skip(if: false) }",
    "{ ...F }",
    "{ person(id: 1) { name friends { name } } }",
    "query ($id: ID!) { person(id: $id) { name } }",
    "{ person { nope } }",
    "{ a # comment\n }",
];

const WORDS: &[&str] = &[
    "name ",
    "id ",
    "hello ",
    "Person ",
    "Dog ",
    "Node ",
    "Int ",
    "String! ",
    "[Int!]! ",
    "$i ",
    "1 ",
    "\"x\" ",
    "null ",
    "true ",
    "X ",
    "{a: 1} ",
    "[1] ",
    "... on Person { id } ",
    "...P ",
    "@skip(if: true) ",
    "@oneOf ",
    "@deprecated ",
    "! ",
    "} ",
    "{ ",
    "interface ",
    "input ",
    "implements Node ",
    "| Dog ",
    "= 1 ",
    "extend ",
    "__typename ",
    "# c\n",
    "bark ",
    "f: ",
    "(n: 1) ",
];

/// A schema with something of everything.
const LIBRARY: &str = r#"schema { query: Query mutation: Mutation subscription: Subscription } type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! pets: [U] one(o: One): Int list(n: [Int]): Int deep(m: [[Int!]]): Int scalar(s: Any): Any } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] c: Filter } input One @oneOf { a: Int b: String } enum E { X Y } union U = Person | Dog scalar Any type Mutation { m: Int } type Subscription { s: Int t: Int }"#;

const SCHEMAS: &[&str] = &[
    LIBRARY,
    LIBRARY,
    LIBRARY,
    "type Query { hello: String }",
    "type Query { person(id: ID): Person } type Person { name: String! friends: [Person!] }",
    "schema { query: Q } type Q { a(x: Int = 1): Int b: T } type T implements I { c: String d: E } interface I { c: String } enum E { A B @deprecated(reason: \"x\") } union U = T input In { x: Int! } scalar Date directive @d(a: Int) repeatable on FIELD | OBJECT",
    "type Query {",
    "",
    "extend type Query { b: Int }",
    "type Query { a: Nope }",
    "\"\"\"description\"\"\" type Query { \"field\" a: Int }",
    "type Query { hello: String } type Query { b: Int }",
];
