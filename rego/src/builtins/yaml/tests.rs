//! Values from OPA.

use crate::builtins::tests::agree;

#[test]
fn scalars_are_what_go_takes_them_for() {
    agree(&[
        (
            "yaml.unmarshal",
            &[
                r#""[yes, on, true, TRUE, ~, '', 010, 0o7, 0x1F, 0b11, 1_000, 1e3, .5, 12345678901234567890, 2020-01-01, 1:30, <<, '1', !!str 1, !!float 1, ! 2]""#,
            ],
            r#"["yes", "on", true, true, null, "", 8, 7, 31, 3, 1000, 1000, 0.5, 12345678901234567890, "2020-01-01", "1:30", "<<", "1", "1", 1, 2]"#,
        ),
        ("yaml.unmarshal", &[r#""!!int x""#], "error: yaml: cannot decode !!str `x` as a !!int"),
        ("yaml.unmarshal", &[r#""!!binary aGk=""#], r#""hi""#),
        ("yaml.unmarshal", &[r#""!!timestamp 2020-01-01""#], r#""2020-01-01T00:00:00Z""#),
        ("yaml.unmarshal", &[r#"".nan""#], "error: json: unsupported value: NaN"),
        (
            "yaml.unmarshal",
            &[r#""[1e400, 0777, 08, +1, -0, 1., ._1]""#],
            r#"["1e400", 511, 8, 1, 0, 1, "._1"]"#,
        ),
    ]);
}

#[test]
fn merge_keys_are_merged_and_the_last_of_equal_keys_counts() {
    agree(&[
        (
            "yaml.unmarshal",
            &[r#""b: &b {p: true, q: 1}\ns:\n  <<: *b\n  q: 2\n""#],
            r#"{"b": {"p": true, "q": 1}, "s": {"p": true, "q": 2}}"#,
        ),
        (
            "yaml.unmarshal",
            &[r#""<<: [{a: 1}, {a: 2, b: 3}]\nc: 4\n""#],
            r#"{"a": 1, "b": 3, "c": 4}"#,
        ),
        ("yaml.unmarshal", &[r#""a: 1\na: 2\n""#], r#"{"a": 2}"#),
        ("yaml.unmarshal", &[r#""1: x\n'1': y\n""#], r#"{"1": "y"}"#),
        (
            "yaml.unmarshal",
            &[r#""<<: 1""#],
            "error: yaml: map merge requires map or sequence of maps as the value",
        ),
        (
            "yaml.unmarshal",
            &[r#""a: &a {b: *a}""#],
            "error: yaml: anchor 'a' value contains itself",
        ),
        ("yaml.unmarshal", &[r#""a: *b""#], "error: yaml: unknown anchor 'b' referenced"),
        ("yaml.unmarshal", &[r#""? [1]\n: 2""#], "error: yaml: invalid map key: []interface {}{1}"),
        (
            "yaml.unmarshal",
            &[r#""~: 1\nb: 2""#],
            "error: unsupported map key of type: %!s(<nil>), key: <nil>, value: 1",
        ),
    ]);
}

#[test]
fn scalars_are_folded_and_blocks_chomped() {
    agree(&[
        (
            "yaml.unmarshal",
            &[r#""a: |\n  x\n   y\n\nb: >-\n  x\n  y\n\n  z\nc: |+\n  k\n\n""#],
            r#"{"a": "x\n y\n", "b": "x y\nz", "c": "k\n\n"}"#,
        ),
        ("yaml.unmarshal", &[r#""a\n b\n\n c""#], r#""a b\nc""#),
        ("yaml.unmarshal", &[r#""\"a\n  b\\n\\u00e9\\\n  c\"""#], r#""a b\néc""#),
        ("yaml.unmarshal", &[r#""'it''s'""#], r#""it's""#),
        ("yaml.unmarshal", &[r#""a: |1\n x\n""#], r#"{"a": "x\n"}"#),
    ]);
}

#[test]
fn faults_have_go_s_words_and_lines() {
    agree(&[
        (
            "yaml.unmarshal",
            &[r#""a: [1, 2\nb: 3""#],
            "error: yaml: line 1: did not find expected ',' or ']'",
        ),
        (
            "yaml.unmarshal",
            &[r#""a: b: c""#],
            "error: yaml: mapping values are not allowed in this context",
        ),
        (
            "yaml.unmarshal",
            &[r#""a: 1\n\tb: 2""#],
            "error: yaml: line 2: found a tab character that violates indentation",
        ),
        ("yaml.unmarshal", &[r#""x\n- y""#], r#""x - y""#),
        ("yaml.unmarshal", &[r#""@""#], "error: yaml: found character that cannot start any token"),
        ("yaml.unmarshal", &[r#""a: \"\\q\"""#], "error: yaml: found unknown escape character"),
        (
            "yaml.unmarshal",
            &[r#""%YAML 2.0\n---\na""#],
            "error: yaml: found incompatible YAML document",
        ),
        (
            "yaml.unmarshal",
            &[r#""a: {b""#],
            "error: yaml: line 1: did not find expected ',' or '}'",
        ),
        ("yaml.unmarshal", &[r#""\u0007""#], "error: yaml: control characters are not allowed"),
    ]);
}

#[test]
fn all_documents_must_be_yaml_and_the_first_counts() {
    agree(&[
        ("yaml.unmarshal", &[r#""a: 1\n---\nb: 2\n""#], r#"{"a": 1}"#),
        (
            "yaml.unmarshal",
            &[r#""a: 1\n---\n\tb: 2\n""#],
            "error: yaml: line 3: found character that cannot start any token",
        ),
        ("yaml.unmarshal", &[r#""""#], "null"),
        ("yaml.unmarshal", &[r##""# c\n""##], "null"),
        ("yaml.unmarshal", &[r#""--- a\n...\n--- b""#], r#""a""#),
        ("yaml.is_valid", &[r#""  test:\ntest1: hello\n""#], "false"),
        ("yaml.is_valid", &[r#""a: 1\n---\nb: 2\n""#], "true"),
        ("yaml.is_valid", &["1"], "false"),
    ]);
}

#[test]
fn texts_are_quoted_where_they_would_be_something_else() {
    agree(&[
        (
            "yaml.marshal",
            &[
                r##"["yes", "true", "1", "1.5", "~", "", "a: b", "#", "- a", "it's", "'", "a\tb", "é", "😀", "1:30", "2020-01-01", "null", "=", "<<", " a", "﻿x"]"##,
            ],
            r#""- \"yes\"\n- \"true\"\n- \"1\"\n- \"1.5\"\n- \"~\"\n- \"\"\n- 'a: b'\n- '#'\n- '- a'\n- it's\n- ''''\n- \"a\\tb\"\n- é\n- \"\\U0001F600\"\n- \"1:30\"\n- \"2020-01-01\"\n- \"null\"\n- =\n- <<\n- ' a'\n- \"\\uFEFF\\x78\"\n""#,
        ),
        ("yaml.marshal", &[r#""a\nb\n""#], r#""|\n  a\n  b\n""#),
        ("yaml.marshal", &[r#""a\n\n""#], r#""|+\n  a\n\n""#),
        ("yaml.marshal", &[r#"" a\nb""#], r#""|2-\n   a\n  b\n""#),
        ("yaml.marshal", &[r#""a \nb""#], r#""\"a \\nb\"\n""#),
        ("yaml.marshal", &[r#""""#], "error: yaml: control characters are not allowed"),
    ]);
}

#[test]
fn collections_are_blocks_and_keys_in_their_natural_order() {
    agree(&[
        (
            "yaml.marshal",
            &[r#"{"b": 1, "a10": [], "a9": {}, "B": [1, [2, {"x": null}]], "_": true}"#],
            r#""_: true\nB:\n  - 1\n  - - 2\n    - x: null\na9: {}\na10: []\nb: 1\n""#,
        ),
        ("yaml.marshal", &["[]"], r#""[]\n""#),
        ("yaml.marshal", &[r#"{"k\nl": "v"}"#], r#""? |-\n  k\n  l\n: v\n""#),
        (
            "yaml.marshal",
            &[
                r#"{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": [1]}"#,
            ],
            r#""? xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n: - 1\n""#,
        ),
        (
            "yaml.marshal",
            &["[1e+21, 1.5, 12345678901234567890, 1e-06]"],
            r#""- 1e+21\n- 1.5\n- 12345678901234567890\n- 1e-06\n""#,
        ),
        ("yaml.marshal", &[r#"{"a": "x\ny"}"#], r#""a: |-\n  x\n  y\n""#),
    ]);
}
