//! The first steps of loading, up to compiled modules: the same for a policy that serves and for
//! one that is explained.

use regorus::Value;

use super::{Settings, entry, reports};
use crate::ast::Module;
use crate::builtins::table;
use crate::bundle::{self, Bundle, File, Tests};
use crate::compile::{self, Compiled};
use crate::parse;
use crate::policy::Namespace;
use crate::report::Report;
use crate::source::Sources;
use crate::types;

/// A bundle whose modules are read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) sources: Sources,
    pub(crate) modules: Vec<Module>,
    pub(crate) data: Value,
    pub(crate) version: Option<String>,
    /// `revision` of the bundle's manifest.
    pub(crate) bundle_revision: Option<String>,
    pub(crate) ignored_files: Vec<String>,
}

/// Reads a bundle's files, and checks where they define something.
///
/// # Errors
/// The faults of the first step with any.
pub(crate) fn parse(files: Vec<File>, settings: &Settings) -> Result<Parsed, Vec<Report>> {
    let Bundle { modules, data, version, manifest, ignored_files } =
        bundle::read(files, settings.tests)?;
    let mut sources = Sources::default();
    let mut parsed = Vec::with_capacity(modules.len());
    let mut faults = Vec::new();
    for (path, text) in modules {
        let file = sources.add(&path, &text);
        let rego_version = manifest.version_for(&path).map_err(|report| vec![report])?;
        match parse::parse_module(&sources, file, rego_version) {
            Ok(module) => parsed.push(module),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        faults.extend(entry::outside(&settings.namespace, settings.tests, &parsed));
        faults.extend(manifest.modules_outside(&parsed, &sources));
    }
    if !faults.is_empty() {
        return Err(reports(faults, &sources));
    }
    entry::check_data(&settings.namespace, &data).map_err(|report| vec![report])?;
    if parsed.is_empty() && settings.namespace != Namespace::Open {
        return Err(vec![Report::of_bundle("the bundle holds no *.rego file")]);
    }
    let bundle_revision = manifest.revision;
    Ok(Parsed { sources, modules: parsed, data, version, bundle_revision, ignored_files })
}

/// Compiles modules with the built-ins that policies may call.
///
/// # Errors
/// The faults of the first stage with any.
pub(crate) fn compile(
    sources: &Sources,
    modules: Vec<Module>,
    tests: Tests,
) -> Result<Compiled, Vec<Report>> {
    let options = compile::Options {
        refused_builtins: table::REFUSED
            .iter()
            .map(|(name, why)| ((*name).to_owned(), (*why).to_owned()))
            .collect(),
        check_types: Some(types::check),
        tests: tests == Tests::Included,
    };
    compile::compile(sources, modules, &options).map_err(|faults| reports(faults, sources))
}
