//! OPA's compiler stages: names resolved, checks made, statements rewritten to a flat form in safe
//! order.
//!
//! A stage is a function over a [`Compiler`]; [`STAGES`] has all of them in OPA's order, under
//! OPA's names. Compilation ends after the first stage that reports an error that later stages
//! cannot work with. The tree after a stage equals OPA's, except for the numbers of generated
//! variables where OPA's order is random.

use std::collections::BTreeMap;

use regorus::Value;

use crate::ast::{Module, Name, TermValue};
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

pub(crate) mod arity;
pub(crate) mod builtins;
pub(crate) mod captures;
pub(crate) mod conflicts;
pub(crate) mod declare;
pub(crate) mod dynamic_terms;
pub(crate) mod equals;
pub(crate) mod errors;
pub(crate) mod flatten;
pub(crate) mod functions;
pub(crate) mod graph;
pub(crate) mod heads;
pub(crate) mod locals;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod order;
pub(crate) mod outputs;
pub(crate) mod prints;
pub(crate) mod recursion;
pub(crate) mod resolve;
pub(crate) mod safety;
pub(crate) mod scope;
pub(crate) mod suggest;
pub(crate) mod templates;
pub(crate) mod test_cases;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod unify;
pub(crate) mod vars;
pub(crate) mod visit;
pub(crate) mod with_values;

pub use tree::{Key, RuleRef, RuleTree};

/// The settings of the stages.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Built-ins that are refused, with the reason: they need the network or the host.
    pub refused_builtins: BTreeMap<String, String>,
    /// The type check, which runs between other checks: faults of all of them are reported
    /// together.
    pub check_types: Option<CheckTypes>,
    /// Whether tests are prepared to be run, as OPA's test runner prepares them.
    pub tests: bool,
}

/// A check of types of modules that have passed the stages before.
pub type CheckTypes = fn(&Sources, &Compiled) -> CheckedTypes;

/// The result of a check of types.
#[derive(Debug)]
pub struct CheckedTypes {
    /// All faults.
    pub faults: Vec<Diagnostic>,
    /// The types of the documents.
    pub paths: Box<dyn PathTypes>,
}

/// Says whether the types of documents allow a path.
pub trait PathTypes: std::fmt::Debug {
    /// Checks a path below `data`, as if it were a reference in a policy.
    ///
    /// # Errors
    /// OPA's message, where the path cannot have a value.
    fn check(&self, path: &[Value]) -> Result<(), String>;
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
    /// The term that messages show for each generated variable: the one that was taken out of a
    /// reference or of an operand, before its own parts were taken out.
    pub subjects: BTreeMap<Name, TermValue>,
    /// The uses between rules.
    pub(crate) graph: graph::Graph,
    /// The warnings.
    pub warnings: Vec<Diagnostic>,
    /// The types of the documents, once they are checked.
    pub path_types: Option<Box<dyn PathTypes>>,
}

/// The state of the stages.
pub(crate) struct Compiler<'a> {
    /// The texts.
    pub(crate) sources: &'a Sources,
    /// The caller's options.
    pub(crate) options: &'a Options,
    /// The modules in order of their paths.
    pub(crate) modules: Vec<Module>,
    /// Names for new variables.
    pub(crate) locals: locals::LocalGenerator,
    /// The names that generated variables have in the policy.
    pub(crate) rewritten: BTreeMap<Name, Name>,
    /// The terms that messages show for generated variables.
    pub(crate) subjects: BTreeMap<Name, TermValue>,
    /// The rules by path, once they are known.
    pub(crate) tree: RuleTree,
    /// The numbers of their parameters.
    pub(crate) parameters: arity::Parameters,
    /// The `# METADATA` blocks by their targets.
    pub(crate) annotations: metadata::AnnotationSet,
    /// The uses between rules.
    pub(crate) graph: graph::Graph,
    /// All rules, those that are used before those that use them; empty where rules are recursive.
    pub(crate) order: Vec<RuleRef>,
    /// The faults found so far.
    pub(crate) errors: errors::Errors,
    /// The warnings found so far.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The types of the documents, once they are checked.
    pub(crate) path_types: Option<Box<dyn PathTypes>>,
}

/// A stage's name in OPA, and its function.
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
    ("RewriteComprehensionTerms", captures::rewrite_comprehension_terms),
    ("RewriteRefsInHead", captures::rewrite_refs_in_head),
    ("RewriteWithValues", with_values::rewrite_with_values),
    ("CheckRuleConflicts", conflicts::check_rule_conflicts),
    ("CheckUndefinedFuncs", functions::check_undefined_funcs),
    ("CheckSafetyRuleHeads", safety::check_safety_rule_heads),
    ("CheckSafetyRuleBodies", safety::check_safety_rule_bodies),
    ("RewriteEquals", equals::rewrite_equals),
    ("RewriteDynamicTerms", dynamic_terms::rewrite_dynamic_terms),
    ("CheckRecursion", recursion::check_recursion),
    ("CheckTypes", check_types),
    ("CheckUnsafeBuiltins", builtins::check_unsafe_builtins),
    ("CheckDeprecatedBuiltins", builtins::check_deprecated_builtins),
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
    let mut compiler = run(sources, modules, options, None);
    let compiled = compiler.take();
    let errors = compiler.errors.into_sorted(sources);
    if errors.is_empty() { Ok(compiled) } else { Err(errors) }
}

/// Checks the types of the modules from the stages before. OPA's `CheckTypes`.
fn check_types(compiler: &mut Compiler<'_>) {
    if let Some(check) = compiler.options.check_types {
        let compiled = compiler.take();
        let CheckedTypes { faults, paths } = check(compiler.sources, &compiled);
        compiler.put(compiled);
        compiler.path_types = Some(paths);
        compiler.errors.report_recoverable(faults);
    }
}

/// The modules as they are after the stage of this name, in order of their paths: for comparisons
/// with OPA.
///
/// # Errors
/// The faults of the stages that have run, where one of them does not let others follow.
pub fn compile_until(
    sources: &Sources,
    modules: Vec<Module>,
    options: &Options,
    last: &str,
) -> Result<Vec<Module>, Vec<Diagnostic>> {
    let compiler = run(sources, modules, options, Some(last));
    if compiler.errors.must_stop() {
        return Err(compiler.errors.into_sorted(sources));
    }
    Ok(compiler.modules)
}

/// The names of the stages, in order.
pub fn stages() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|(name, _)| *name)
}

fn run<'a>(
    sources: &'a Sources,
    mut modules: Vec<Module>,
    options: &'a Options,
    last: Option<&str>,
) -> Compiler<'a> {
    let path = |module: &Module| sources.file(module.file).map(|file| file.path.clone());
    modules.sort_by_key(path);
    modules.iter_mut().for_each(order::sort_collections);
    let mut compiler = Compiler::new(sources, modules, options);
    for (name, stage) in STAGES {
        stage(&mut compiler);
        if options.tests && !compiler.errors.must_stop() {
            test_cases::after(name, &mut compiler);
        }
        if compiler.errors.must_stop() || last == Some(name) {
            break;
        }
    }
    compiler
}

impl<'a> Compiler<'a> {
    /// Before the first stage.
    pub(crate) fn new(sources: &'a Sources, modules: Vec<Module>, options: &'a Options) -> Self {
        Self {
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
            path_types: None,
        }
    }
    /// The result of the stages so far.
    fn take(&mut self) -> Compiled {
        Compiled {
            modules: std::mem::take(&mut self.modules),
            tree: std::mem::take(&mut self.tree),
            order: std::mem::take(&mut self.order),
            rewritten: std::mem::take(&mut self.rewritten),
            subjects: std::mem::take(&mut self.subjects),
            graph: std::mem::take(&mut self.graph),
            warnings: std::mem::take(&mut self.warnings),
            path_types: self.path_types.take(),
        }
    }

    fn put(&mut self, compiled: Compiled) {
        let Compiled { modules, tree, order, rewritten, subjects, graph, warnings, path_types } =
            compiled;
        self.modules = modules;
        self.tree = tree;
        self.order = order;
        self.rewritten = rewritten;
        self.subjects = subjects;
        self.graph = graph;
        self.warnings = warnings;
        self.path_types = path_types;
    }
}
