//! Values from OPA.

use crate::builtins::tests::agree;

#[test]
fn a_document_has_no_problems_or_all_of_them() {
    agree(&[
        ("json.match_schema", &[r#"{"id": 1}"#, r#"{"required": ["id"]}"#], "[true, []]"),
        (
            "json.match_schema",
            &["{}", r#"{"required": ["id", "n"]}"#],
            r#"[false, [{"desc": "id is required", "error": "(Root): id is required", "field": "(Root)", "type": "required"}, {"desc": "n is required", "error": "(Root): n is required", "field": "(Root)", "type": "required"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"id": "x"}"#, r#"{"properties": {"id": {"type": ["integer", "null"]}}}"#],
            r#"[false, [{"desc": "Invalid type. Expected: [integer,null], given: string", "error": "id: Invalid type. Expected: [integer,null], given: string", "field": "id", "type": "invalid_type"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1, "b": 2}"#, r#"{"properties": {"a": {}}, "additionalProperties": false}"#],
            r#"[false, [{"desc": "Additional property b is not allowed", "error": "(Root): Additional property b is not allowed", "field": "(Root)", "type": "additional_property_not_allowed"}]]"#,
        ),
        (
            "json.match_schema",
            &[
                r#"{"a": [1, 1, "x"]}"#,
                r#"{"properties": {"a": {"uniqueItems": true, "maxItems": 2, "items": {"type": "integer"}}}}"#,
            ],
            r#"[false, [{"desc": "Invalid type. Expected: integer, given: string", "error": "a.2: Invalid type. Expected: integer, given: string", "field": "a.2", "type": "invalid_type"}, {"desc": "Array must have at most 2 items", "error": "a: Array must have at most 2 items", "field": "a", "type": "array_max_items"}, {"desc": "array items[0,1] must be unique", "error": "a: array items[0,1] must be unique", "field": "a", "type": "unique"}]]"#,
        ),
    ]);
}

#[test]
fn texts_are_json_and_nothing_else_is_a_document() {
    agree(&[
        (
            "json.match_schema",
            &[r#""{\"id\": 1}""#, r#"{"type": "string"}"#],
            r#"[false, [{"desc": "Invalid type. Expected: string, given: object", "error": "(Root): Invalid type. Expected: string, given: object", "field": "(Root)", "type": "invalid_type"}]]"#,
        ),
        ("json.match_schema", &[r#""[1]""#, r#""{\"type\": \"array\"}""#], "[true, []]"),
        ("json.match_schema", &[r#""not json""#, "{}"], "error: invalid JSON string"),
        ("json.match_schema", &["1", "{}"], "error: wrong type, expected string or object"),
        ("json.match_schema", &["{}", r#""nothing""#], "error: invalid JSON string"),
        ("json.verify_schema", &[r#""nothing""#], r#"[false, "jsonschema: invalid JSON string"]"#),
        (
            "json.verify_schema",
            &["1"],
            r#"[false, "jsonschema: wrong type, expected string or object"]"#,
        ),
        ("json.verify_schema", &[r#""true""#], "[true, null]"),
    ]);
}

#[test]
fn numbers_are_exact() {
    agree(&[
        ("json.match_schema", &["[0.3]", r#"{"items": {"multipleOf": 0.1}}"#], "[true, []]"),
        (
            "json.match_schema",
            &["[1000000]", r#"{"items": {"maximum": 999999.5}}"#],
            r#"[false, [{"desc": "Must be less than or equal to 999999.5", "error": "0: Must be less than or equal to 999999.5", "field": "0", "type": "number_lte"}]]"#,
        ),
        (
            "json.match_schema",
            &["[12345678901234567890]", r#"{"items": {"maximum": 12345678901234567889}}"#],
            r#"[false, [{"desc": "Must be less than or equal to 1.2345678901234567889e+19", "error": "0: Must be less than or equal to 1.2345678901234567889e+19", "field": "0", "type": "number_lte"}]]"#,
        ),
        (
            "json.match_schema",
            &["[2]", r#"{"items": {"exclusiveMinimum": 2}}"#],
            r#"[false, [{"desc": "Must be greater than 2", "error": "0: Must be greater than 2", "field": "0", "type": "number_gt"}]]"#,
        ),
        (
            "json.match_schema",
            &["[3]", r#"{"items": {"minimum": 3, "exclusiveMinimum": true}}"#],
            r#"[false, [{"desc": "Must be greater than 3", "error": "0: Must be greater than 3", "field": "0", "type": "number_gt"}]]"#,
        ),
        (
            "json.match_schema",
            &["[1e-07]", r#"{"items": {"minimum": 1e-05}}"#],
            r#"[false, [{"desc": "Must be greater than or equal to 1e-05", "error": "0: Must be greater than or equal to 1e-05", "field": "0", "type": "number_gte"}]]"#,
        ),
    ]);
}

#[test]
fn of_many_schemas_the_nearest_one_is_explained() {
    agree(&[
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"anyOf": [{"type": "string"}, {"required": ["b"]}]}"#],
            r#"[false, [{"desc": "Must validate at least one schema (anyOf)", "error": "(Root): Must validate at least one schema (anyOf)", "field": "(Root)", "type": "number_any_of"}, {"desc": "b is required", "error": "(Root): b is required", "field": "(Root)", "type": "required"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"oneOf": [{"type": "object"}, {"required": ["a"]}]}"#],
            r#"[false, [{"desc": "Must validate one and only one schema (oneOf)", "error": "(Root): Must validate one and only one schema (oneOf)", "field": "(Root)", "type": "number_one_of"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"allOf": [{"maxProperties": 0}, {"required": ["c"]}]}"#],
            r#"[false, [{"desc": "Must have at most 0 properties", "error": "(Root): Must have at most 0 properties", "field": "(Root)", "type": "array_max_properties"}, {"desc": "c is required", "error": "(Root): c is required", "field": "(Root)", "type": "required"}, {"desc": "Must validate all the schemas (allOf)", "error": "(Root): Must validate all the schemas (allOf)", "field": "(Root)", "type": "number_all_of"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"not": {"required": ["a"]}}"#],
            r#"[false, [{"desc": "Must not validate the schema (not)", "error": "(Root): Must not validate the schema (not)", "field": "(Root)", "type": "number_not"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"if": {"required": ["a"]}, "then": {"required": ["b"]}}"#],
            r#"[false, [{"desc": "Must validate \"then\" as \"if\" was valid", "error": "(Root): Must validate \"then\" as \"if\" was valid", "field": "(Root)", "type": "condition_then"}, {"desc": "b is required", "error": "(Root): b is required", "field": "(Root)", "type": "required"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": 1}"#, r#"{"dependencies": {"a": ["b"]}}"#],
            r#"[false, [{"desc": "Has a dependency on b", "error": "(Root): Has a dependency on b", "field": "(Root)", "type": "missing_dependency"}]]"#,
        ),
    ]);
}

#[test]
fn formats_are_checked() {
    agree(&[
        (
            "json.match_schema",
            &[r#"["127.0.0.1", "::1", "300.1.1.1"]"#, r#"{"items": {"format": "ipv4"}}"#],
            r#"[false, [{"desc": "Does not match format 'ipv4'", "error": "1: Does not match format 'ipv4'", "field": "1", "type": "format"}, {"desc": "Does not match format 'ipv4'", "error": "2: Does not match format 'ipv4'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[
                r#"["a@b.c", "Name <a@b>", "a b", "\"q\"@x", "a@[127.0.0.1]", "a@b (c)"]"#,
                r#"{"items": {"format": "email"}}"#,
            ],
            r#"[false, [{"desc": "Does not match format 'email'", "error": "2: Does not match format 'email'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[
                r#"["2020-01-01T00:00:00Z", "10:00:00", "x"]"#,
                r#"{"items": {"format": "date-time"}}"#,
            ],
            r#"[false, [{"desc": "Does not match format 'date-time'", "error": "2: Does not match format 'date-time'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["http://a/b", "a/b", "x:\\"]"#, r#"{"items": {"format": "uri"}}"#],
            r#"[false, [{"desc": "Does not match format 'uri'", "error": "1: Does not match format 'uri'", "field": "1", "type": "format"}, {"desc": "Does not match format 'uri'", "error": "2: Does not match format 'uri'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["a.b-c", "-a", "a..b"]"#, r#"{"items": {"format": "hostname"}}"#],
            r#"[false, [{"desc": "Does not match format 'hostname'", "error": "1: Does not match format 'hostname'", "field": "1", "type": "format"}, {"desc": "Does not match format 'hostname'", "error": "2: Does not match format 'hostname'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[
                r#"["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae"]"#,
                r#"{"items": {"format": "uuid"}}"#,
            ],
            r#"[false, [{"desc": "Does not match format 'uuid'", "error": "1: Does not match format 'uuid'", "field": "1", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["/a~0b", "/a~2", "a"]"#, r#"{"items": {"format": "json-pointer"}}"#],
            r#"[false, [{"desc": "Does not match format 'json-pointer'", "error": "1: Does not match format 'json-pointer'", "field": "1", "type": "format"}, {"desc": "Does not match format 'json-pointer'", "error": "2: Does not match format 'json-pointer'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["0#", "1/a", "01/a"]"#, r#"{"items": {"format": "relative-json-pointer"}}"#],
            r#"[false, [{"desc": "Does not match format 'relative-json-pointer'", "error": "2: Does not match format 'relative-json-pointer'", "field": "2", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["a+", "("]"#, r#"{"items": {"format": "regex"}}"#],
            r#"[false, [{"desc": "Does not match format 'regex'", "error": "1: Does not match format 'regex'", "field": "1", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["a/{b}", "a/{b"]"#, r#"{"items": {"format": "uri-template"}}"#],
            r#"[false, [{"desc": "Does not match format 'uri-template'", "error": "1: Does not match format 'uri-template'", "field": "1", "type": "format"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"["x"]"#, r#"{"items": {"format": "unheard-of"}}"#],
            "[true, []]",
        ),
    ]);
}

#[test]
fn references_lead_into_the_schema_or_to_a_draft() {
    agree(&[
        (
            "json.match_schema",
            &[
                r#"{"a": "x"}"#,
                r##"{"properties": {"a": {"$ref": "#/definitions/n"}}, "definitions": {"n": {"type": "number"}}}"##,
            ],
            r#"[false, [{"desc": "Invalid type. Expected: number, given: string", "error": "a: Invalid type. Expected: number, given: string", "field": "a", "type": "invalid_type"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"a": {"a": 1}}"#, r##"{"type": "object", "properties": {"a": {"$ref": "#"}}}"##],
            r#"[false, [{"desc": "Invalid type. Expected: object, given: integer", "error": "a.a: Invalid type. Expected: object, given: integer", "field": "a.a", "type": "invalid_type"}]]"#,
        ),
        (
            "json.match_schema",
            &[
                r#"{"a": "x"}"#,
                r##"{"properties": {"a": {"$ref": "#n"}}, "definitions": {"n": {"$id": "#n", "type": "number"}}}"##,
            ],
            r#"[false, [{"desc": "Invalid type. Expected: number, given: string", "error": "a: Invalid type. Expected: number, given: string", "field": "a", "type": "invalid_type"}]]"#,
        ),
        (
            "json.match_schema",
            &[r#"{"type": 1}"#, r#"{"$ref": "http://json-schema.org/draft-07/schema#"}"#],
            r#"[false, [{"desc": "Must validate at least one schema (anyOf)", "error": "type: Must validate at least one schema (anyOf)", "field": "type", "type": "number_any_of"}, {"desc": "type must be one of the following: \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\"", "error": "type: type must be one of the following: \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\"", "field": "type", "type": "enum"}]]"#,
        ),
        (
            "json.verify_schema",
            &[r##"{"$ref": "#/definitions/none"}"##],
            r#"[false, "jsonschema: Object has no key 'definitions'"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"$ref": "other.json"}"#],
            r#"[false, "jsonschema: Reference /other.json must be canonical"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"$id": "http://x/a", "properties": {"p": {"$id": "b"}, "q": {"$id": "b"}}}"#],
            r#"[false, "jsonschema: Reference already exists: \"http://x/b\""]"#,
        ),
    ]);
}

#[test]
fn keywords_of_later_drafts_mean_nothing() {
    agree(&[
        (
            "json.match_schema",
            &[
                r#"{"a": 1, "b": 2}"#,
                r#"{"properties": {"a": {}}, "unevaluatedProperties": false}"#,
            ],
            "[true, []]",
        ),
        (
            "json.match_schema",
            &[
                r#"{"a": 1}"#,
                r#"{"$schema": "http://json-schema.org/draft-04/schema#", "const": 2, "propertyNames": {"maxLength": 0}}"#,
            ],
            "[true, []]",
        ),
        (
            "json.match_schema",
            &[
                r#"{"a": 1}"#,
                r#"{"$schema": "http://json-schema.org/draft-06/schema#", "if": true, "then": false}"#,
            ],
            "[true, []]",
        ),
    ]);
}

#[test]
fn a_schema_that_is_none_is_refused() {
    agree(&[
        (
            "json.verify_schema",
            &[r#"{"type": "text"}"#],
            r#"[false, "jsonschema: has a primitive type that is NOT VALID -- given: /text/ Expected valid values are:[array boolean integer number null object string]"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"type": ["string", "string"]}"#],
            r#"[false, "jsonschema: string type is duplicated"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"enum": [1, 1.0]}"#],
            r#"[false, "jsonschema: enum items must be unique"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"minLength": -1}"#],
            r#"[false, "jsonschema: minLength must be greater than or equal to 0"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"minLength": 3, "maxLength": 2}"#],
            r#"[false, "jsonschema: minLength cannot be greater than maxLength"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"pattern": "("}"#],
            r#"[false, "jsonschema: pattern must be a valid regex"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"items": 1}"#],
            r#"[false, "jsonschema: Invalid type. Expected: Valid Schema/Array Of Schemas, given: items"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"required": "a"}"#],
            r#"[false, "jsonschema: required must be of an array"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"$schema": 1}"#],
            r#"[false, "jsonschema: $schema must be of type string"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"multipleOf": 0}"#],
            r#"[false, "jsonschema: multipleOf must be strictly greater than 0"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"properties": {"a": 1}}"#],
            r#"[false, "jsonschema: Expected: Valid Schema, given: Invalid JSON"]"#,
        ),
        (
            "json.verify_schema",
            &[r#"{"exclusiveMinimum": true}"#],
            r#"[false, "jsonschema: exclusiveMinimum cannot be used without minimum"]"#,
        ),
        ("json.verify_schema", &["[]"], r#"[false, "jsonschema: schema is invalid"]"#),
    ]);
}

#[test]
fn what_leads_to_itself_without_end_is_a_limit() {
    use crate::builtins::Failure;
    use crate::builtins::tests::call;
    for schema in [r##"{"$ref": "#"}"##, r##"{"not": {"$ref": "#"}}"##] {
        assert!(matches!(call("json.match_schema", &["{}", schema]), Err(Failure::Halt(_))));
    }
    let deep = format!("{}{}{}", r#"{"not": "#.repeat(400), "{}", "}".repeat(400));
    let deep = serde_json::to_string(&deep).unwrap();
    assert!(matches!(call("json.verify_schema", &[&deep]), Err(Failure::Halt(_))));
    // A reference that would be fetched.
    for schema in [r#"{"$ref": "file:///etc/passwd"}"#, r#"{"$ref": "http://localhost/x"}"#] {
        let words = call("json.match_schema", &["{}", schema]).unwrap_err().to_string();
        assert!(words.starts_with("remote reference loading disabled"), "{words}");
    }
}

#[test]
fn schemas_nest_as_deep_as_they_may() {
    use crate::builtins::tests::call;
    let deep = format!("{}{}{}", r#"{"not": "#.repeat(180), "{}", "}".repeat(180));
    let deep = serde_json::to_string(&deep).unwrap();
    assert!(call("json.match_schema", &["{}", &deep]).is_ok());
}
