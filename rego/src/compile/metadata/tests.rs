use serde_json::json;

use crate::ast::{Annotations, Scope};
use crate::compile::testing::parsed;
use crate::compile::{Options, compile_until, text};
use crate::source::{FileId, Span};

/// A block at a row of a file, with these fields, about a rule or the package.
fn block(
    scope: Scope,
    target: Option<usize>,
    start: u32,
    fields: &serde_json::Value,
) -> Annotations {
    let span = Span { file: FileId(0), start, end: start };
    Annotations { scope, fields: fields.as_object().unwrap().clone(), target, span }
}

/// The body of the last rule, or the errors, where the file has these blocks.
fn with_blocks(file: &str, blocks: Vec<Annotations>) -> Result<String, Vec<String>> {
    let (sources, mut modules) = parsed(&[file]);
    modules[0].annotations = blocks;
    let stage = "RewriteRegoMetadataCalls";
    compile_until(&sources, modules, &Options::default(), stage)
        .map(|modules| {
            let body = &modules[0].rules.last().unwrap().body;
            body.iter().map(text::of_expr).collect::<Vec<_>>().join("; ")
        })
        .map_err(|errors| errors.into_iter().map(|error| error.message).collect())
}

#[test]
fn two_blocks_are_not_about_one_document() {
    let file = "package t\np := 1\np := 1";
    let first = block(Scope::Document, Some(0), 10, &json!({}));
    let second = block(Scope::Document, Some(1), 17, &json!({}));
    assert_eq!(
        with_blocks(file, vec![first, second]),
        Err(vec!["document annotation redeclared: a.rego:2".to_owned()])
    );
}

#[test]
fn a_rule_sees_its_metadata() {
    let fields = json!({"scope": "rule", "title": "T", "description": "", "custom": {"level": 1}});
    let own = block(Scope::Rule, Some(0), 10, &fields);
    assert_eq!(
        with_blocks("package t\np := rego.metadata.rule()", vec![own]).unwrap(),
        "__local1__ = {\"custom\": {\"level\": 1}, \"scope\": \"rule\", \"title\": \"T\"}; \
         __local0__ = __local1__"
    );
}

#[test]
fn a_rule_without_metadata_sees_none() {
    assert_eq!(
        with_blocks("package t\np if rego.metadata.rule()", Vec::new()).unwrap(),
        "__local0__ = {}; __local0__"
    );
}

#[test]
fn a_rule_sees_the_metadata_around_it_from_the_inside_out() {
    let schemas =
        json!({"schemas": [{"path": [{"type": "var", "value": "input"}], "schema": ["s"]}]});
    let blocks = vec![
        block(Scope::Subpackages, None, 0, &json!({"authors": [{"name": "A", "email": ""}]})),
        block(Scope::Package, None, 1, &json!({"title": "P"})),
        block(Scope::Document, Some(0), 20, &schemas),
        block(Scope::Rule, Some(0), 25, &json!({"entrypoint": false, "title": "near"})),
        block(Scope::Rule, Some(0), 22, &json!({"title": "far"})),
    ];
    let link = |annotations: &str, path: &str| {
        format!("{{\"annotations\": {{{annotations}}}, \"path\": [{path}]}}")
    };
    let expected = [
        link("\"scope\": \"rule\", \"title\": \"near\"", "\"t\", \"p\""),
        link("\"scope\": \"rule\", \"title\": \"far\"", "\"t\", \"p\""),
        link(
            "\"schemas\": [{\"path\": [\"input\"], \"schema\": [\"s\"]}], \"scope\": \"document\"",
            "\"t\", \"p\"",
        ),
        link("\"scope\": \"package\", \"title\": \"P\"", "\"t\""),
        link("\"authors\": [{\"name\": \"A\"}], \"scope\": \"subpackages\"", "\"t\""),
    ];
    assert_eq!(
        with_blocks("package t\np if count(rego.metadata.chain()) > 1", blocks).unwrap(),
        format!(
            "__local2__ = [{}]; __local0__ = __local2__; count(__local0__, __local1__); \
             gt(__local1__, 1)",
            expected.join(", ")
        )
    );
}
