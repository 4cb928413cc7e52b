//! OPA's compiler stages: names resolved, checks made, statements rewritten to a flat form in safe
//! order.
//!
//! A stage is a function over a [`Compiler`]; [`STAGES`] has all of them in OPA's order, under OPA's
//! names. Compilation ends after the first stage that reports an error that later stages cannot
//! work with. The tree after a stage is the one that OPA has after it, but for the numbers of
//! generated variables where OPA's order is random.

use std::collections::BTreeMap;

use crate::ast::{Module, Name, TermValue};
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

pub(crate) mod arity;
pub(crate) mod declare;
pub(crate) mod errors;
pub(crate) mod flatten;
pub(crate) mod graph;
pub(crate) mod heads;
pub(crate) mod locals;
pub(crate) mod metadata;
pub(crate) mod order;
pub(crate) mod outputs;
pub(crate) mod prints;
pub(crate) mod resolve;
pub(crate) mod scope;
pub(crate) mod templates;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod unify;
pub(crate) mod vars;
pub(crate) mod visit;

pub use tree::{Key, RuleRef, RuleTree};

/// What the stages need to know.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Built-ins that are refused, with the reason: they need the network or the host.
    pub refused_builtins: BTreeMap<String, String>,
}

/// Modules after all stages: references are fully qualified (`data.a.b`, `input.x`), locals have
/// unique names, no import, `some`, `:=`, `==` sugar or nested call is left, and every body stands in
/// safe order.
#[derive(Debug)]
pub struct Compiled {
    /// The modules.
    pub modules: Vec<Module>,
    /// The rules by path.
    pub tree: RuleTree,
    /// All rules, those that are used before those that use them.
    pub order: Vec<RuleRef>,
    /// The names that renamed variables have in the policy, for messages.
    pub rewritten: BTreeMap<Name, Name>,
    /// What generated variables stand for, for messages: the term that was taken out of a reference
    /// or of an operand, as it was before what is in it was taken out too.
    pub subjects: BTreeMap<Name, TermValue>,
    /// What is suspicious and no error.
    pub warnings: Vec<Diagnostic>,
}

/// What the stages work on and hand on to later ones.
pub(crate) struct Compiler<'a> {
    /// The texts.
    pub(crate) sources: &'a Sources,
    /// What the caller asked for.
    pub(crate) options: &'a Options,
    /// The modules in order of their paths.
    pub(crate) modules: Vec<Module>,
    /// Names for new variables.
    pub(crate) locals: locals::LocalGenerator,
    /// The names that generated variables have in the policy.
    pub(crate) rewritten: BTreeMap<Name, Name>,
    /// What generated variables stand for in messages.
    pub(crate) subjects: BTreeMap<Name, TermValue>,
    /// The rules by path, once they are known.
    pub(crate) tree: RuleTree,
    /// How many parameters they have.
    pub(crate) parameters: arity::Parameters,
    /// The `# METADATA` blocks by what they are about.
    pub(crate) annotations: metadata::AnnotationSet,
    /// Which rules use which.
    pub(crate) graph: graph::Graph,
    /// All rules, those that are used before those that use them; empty where rules are recursive.
    pub(crate) order: Vec<RuleRef>,
    /// What has been found wrong.
    pub(crate) errors: errors::Errors,
    /// What is suspicious.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// A stage's name in OPA, and what it does.
type Stage = (&'static str, fn(&mut Compiler<'_>));

/// All stages, in order. Stages of OPA that only index or measure are left out.
const STAGES: &[Stage] = &[
    ("ResolveRefs", resolve::resolve_refs),
    ("InitLocalVarGen", heads::init_locals),
    ("RewriteRuleHeadRefs", heads::rewrite_head_refs),
    ("CheckKeywordOverrides", heads::check_keyword_overrides),
    ("CheckDuplicateImports", heads::check_imports),
    ("RemoveImports", heads::remove_imports),
    ("SetRuleTree", heads::set_rule_tree),
    ("RewriteLocalVars", declare::rewrite_local_vars),
    ("RewriteTemplateStrings", templates::rewrite_template_strings),
    ("CheckVoidCalls", prints::check_void_calls),
    ("RewritePrintCalls", prints::rewrite_print_calls),
    ("RewriteExprTerms", flatten::rewrite_expr_terms),
    ("SetAnnotationSet", metadata::set_annotation_set),
    ("RewriteRegoMetadataCalls", metadata::rewrite_metadata_calls),
    ("SetGraph", graph::set_graph),
];

/// Checks and rewrites modules.
///
/// # Errors
/// The faults of the first stage that finds any, as OPA does, up to a bound.
pub fn compile(
    sources: &Sources,
    modules: Vec<Module>,
    options: &Options,
) -> Result<Compiled, Vec<Diagnostic>> {
    run(sources, modules, options, None)
}

/// The same up to and including the stage of this name: for comparisons with OPA.
///
/// # Errors
/// The faults of the stages that have run.
pub fn compile_until(
    sources: &Sources,
    modules: Vec<Module>,
    options: &Options,
    last: &str,
) -> Result<Vec<Module>, Vec<Diagnostic>> {
    run(sources, modules, options, Some(last)).map(|compiled| compiled.modules)
}

fn run(
    sources: &Sources,
    mut modules: Vec<Module>,
    options: &Options,
    last: Option<&str>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let path = |module: &Module| sources.file(module.file).map(|file| file.path.clone());
    modules.sort_by_key(path);
    modules.iter_mut().for_each(order::sort_collections);
    let mut compiler = Compiler {
        sources,
        options,
        modules,
        locals: locals::LocalGenerator::default(),
        rewritten: BTreeMap::new(),
        subjects: BTreeMap::new(),
        tree: RuleTree::default(),
        parameters: arity::Parameters::default(),
        annotations: metadata::AnnotationSet::default(),
        graph: graph::Graph::default(),
        order: Vec::new(),
        errors: errors::Errors::default(),
        warnings: Vec::new(),
    };
    for (name, stage) in STAGES {
        stage(&mut compiler);
        if compiler.errors.must_stop() || last == Some(name) {
            break;
        }
    }
    let errors = compiler.errors.into_sorted(sources);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Compiled {
        modules: compiler.modules,
        tree: compiler.tree,
        order: compiler.order,
        rewritten: compiler.rewritten,
        subjects: compiler.subjects,
        warnings: compiler.warnings,
    })
}
