//! A block's fields by type, as Go decodes them from YAML.

use crate::yaml::{self, Any, Mapping, YamlError};

/// A block before its fields are parsed.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) scope: String,
    pub(super) title: String,
    pub(super) entrypoint: bool,
    pub(super) description: String,
    pub(super) organizations: Vec<String>,
    pub(super) related_resources: Vec<Any>,
    pub(super) authors: Vec<Any>,
    /// Null is not a mapping.
    pub(super) schemas: Vec<Option<Mapping>>,
    pub(super) compile: Option<Mapping>,
    pub(super) custom: Option<Mapping>,
    pub(super) labels: Option<Mapping>,
}

/// Go's name of the type.
const RAW: &str = "ast.rawAnnotation";

const FIELDS: [&str; 11] = [
    "scope",
    "title",
    "entrypoint",
    "description",
    "organizations",
    "related_resources",
    "authors",
    "schemas",
    "compile",
    "custom",
    "labels",
];

/// Reads a block.
///
/// # Errors
/// Go's message, when the text is not YAML or a value does not fit its field.
pub(super) fn raw(text: &str) -> Result<Raw, YamlError> {
    yaml::decode(text, |decoder, root| {
        let mut raw = Raw::default();
        decoder.fields(root, RAW, &FIELDS, |decoder, name, value| {
            match name {
                "scope" => raw.scope = decoder.text(value)?.unwrap_or_default(),
                "title" => raw.title = decoder.text(value)?.unwrap_or_default(),
                "description" => raw.description = decoder.text(value)?.unwrap_or_default(),
                "entrypoint" => raw.entrypoint = decoder.boolean(value)?.unwrap_or_default(),
                "organizations" => {
                    let all = decoder.sequence(value, "[]string", yaml::Decoder::text)?;
                    raw.organizations = all.unwrap_or_default();
                }
                "related_resources" => {
                    let all = decoder.sequence(value, "[]interface {}", yaml::Decoder::any)?;
                    raw.related_resources = all.unwrap_or_default();
                }
                "authors" => {
                    let all = decoder.sequence(value, "[]interface {}", yaml::Decoder::any)?;
                    raw.authors = all.unwrap_or_default();
                }
                "schemas" => {
                    let kind = "[]map[string]interface {}";
                    let all = decoder.sequence(value, kind, yaml::Decoder::text_mapping)?;
                    raw.schemas = all.unwrap_or_default();
                }
                "compile" => raw.compile = decoder.text_mapping(value)?.flatten(),
                "custom" => raw.custom = decoder.text_mapping(value)?.flatten(),
                "labels" => raw.labels = decoder.text_mapping(value)?.flatten(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(raw)
    })
}
