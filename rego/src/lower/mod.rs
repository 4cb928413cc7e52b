//! Lowers compiled modules to core.
//!
//! Every rule, function and document becomes a rule of core; so does every other part that is
//! evaluated separately: a statement with `with`, a package's document, the entry of a document at
//! one key. Each is requested ([`requests`]) where it is used, made once, and shared.
//!
//! - [`nodes`]: the rule tree, and the kind of each node
//! - [`rules`]: rules and functions; [`documents`]: packages; [`lookups`]: paths that are known at
//!   run time
//! - [`bodies`]: statements; [`guards`]: which statements are first; [`calls`]; [`unify`]: `=` and
//!   patterns; [`references`]; [`with`]
//! - [`scope`]: variables and open blocks of the current rule; [`constants`]; [`operators`]
//!
//! Recursion is over the syntax tree, whose depth the parser bounds.
//!
//! Values equal those of OPA's evaluator, and so do the evaluated solutions, since each may raise a
//! conflict: a document is evaluated at one key where the key is bound.

mod bodies;
mod calls;
pub(crate) mod constants;
mod documents;
mod guards;
mod lookups;
mod nodes;
mod operators;
mod references;
mod requests;
mod rules;
mod scope;
mod targets;
mod tidy;
mod unify;
mod with;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::compile::Compiled;
use crate::core::{Document, Program, Rule, RuleId, RuleKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Sources;

use nodes::{NodeId, Nodes, Shape};
use requests::{Asked, Request};
use targets::Targets;

/// How deep loops and closures of a rule may nest, those of its statements with `with` included.
/// Later stages walk blocks by recursion.
const MAX_BLOCK_DEPTH: usize = 200;

/// How many statements a policy may become. Every part of a policy becomes a few, so a bundle's
/// size allows far fewer, except for references that traverse a large rule tree in many different
/// ways.
const MAX_STATEMENTS: usize = 2_000_000;

/// The most parameters of a function that lowering makes: the engine passes eight. Those with more
/// get one array.
const MAX_PARAMETERS: usize = 6;

/// Lowers compiled modules.
///
/// # Errors
/// The part that core cannot express, with its place.
pub fn lower(_sources: &Sources, compiled: &Compiled) -> Result<Program, Vec<Diagnostic>> {
    let nodes = Nodes::new(compiled).map_err(|fault| vec![fault])?;
    let mut lowering = Lowering {
        compiled,
        nodes,
        targets: Targets::default(),
        rules: Vec::new(),
        ids: BTreeMap::new(),
        pending: Vec::new(),
        diagnostics: Vec::new(),
        statements: 0,
    };
    lowering.run();
    lowering.finish()
}

/// The lowering of one policy.
struct Lowering<'a> {
    compiled: &'a Compiled,
    nodes: Nodes,
    targets: Targets,
    /// By number; `None` until they are made.
    rules: Vec<Option<Rule>>,
    ids: BTreeMap<Request, RuleId>,
    pending: Vec<(RuleId, Request)>,
    diagnostics: Vec<Diagnostic>,
    statements: usize,
}

impl Lowering<'_> {
    fn run(&mut self) {
        if let Err(fault) = self.collect_targets() {
            self.diagnostics.push(fault);
            return;
        }
        for node in self.nodes.all() {
            self.request(match self.nodes.get(node).shape {
                Shape::Package => Request::Extent(node),
                Shape::Function(_)
                | Shape::Complete
                | Shape::Set
                | Shape::Object
                | Shape::General => Request::Rule(node),
            });
            for request in self.keyed(node) {
                self.request(request);
            }
        }
        while let Some((id, request)) = self.pending.pop() {
            match self.make(&request) {
                Ok(rule) => self.set(id, rule),
                Err(fault) => self.diagnostics.push(fault),
            }
            if self.statements > MAX_STATEMENTS {
                self.diagnostics.push(Diagnostic {
                    code: Code::Bundle,
                    message: format!("the policy becomes more than {MAX_STATEMENTS} statements"),
                    span: None,
                    help: Some(
                        "references that begin with variables below `data` are expensive"
                            .to_owned(),
                    ),
                });
                break;
            }
        }
    }

    fn finish(mut self) -> Result<Program, Vec<Diagnostic>> {
        if !self.diagnostics.is_empty() {
            self.diagnostics.sort_by_key(|fault| fault.span);
            self.diagnostics.dedup();
            return Err(self.diagnostics);
        }
        let documents = self.documents();
        let slots = self.targets.into_slots();
        let rules = self.rules.into_iter().flatten().collect();
        Ok(Program { rules, slots, documents })
    }

    /// The rule for a request; a new one is made later.
    fn request(&mut self, request: Request) -> RuleId {
        if let Some(id) = self.ids.get(&request) {
            return *id;
        }
        let id = self.reserve();
        self.ids.insert(request.clone(), id);
        self.pending.push((id, request));
        id
    }

    /// Reserves a number for a rule.
    fn reserve(&mut self) -> RuleId {
        let id = RuleId(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        self.rules.push(None);
        id
    }

    /// Stores a rule under its number.
    fn set(&mut self, id: RuleId, mut rule: Rule) {
        tidy::tidy(&mut rule);
        if let Some(place) = self.rules.get_mut(id.index()) {
            *place = Some(rule);
        }
    }

    fn make(&mut self, request: &Request) -> Result<Rule, Diagnostic> {
        match request {
            Request::Rule(node) => self.rule(*node),
            Request::Own(node) => self.own_rule(*node),
            Request::Found(node) => self.found_rule(*node),
            Request::Known(node) => self.known_value(*node),
            Request::Entry(node, keys) => self.entry(*node, keys),
            Request::OwnEntry(node, keys) => self.own_entry(*node, keys),
            Request::Entries { node, keys, first, count } => {
                self.entries(*node, keys, *first, *count)
            }
            Request::Extent(node) => self.extent(*node),
            Request::Virtual { node, first, count } => self.virtual_part(*node, *first, *count),
            Request::Lookup(lookup) => self.lookup(lookup),
            Request::LookupPart { lookup, first, count } => {
                self.lookup_part(lookup, *first, *count)
            }
            Request::Builtin(name) => self.builtin(name),
        }
    }

    /// The functions for a document's entry at its first key, for one known key, for two, and so
    /// on.
    fn keyed(&self, node: NodeId) -> Vec<Request> {
        let keys = match self.nodes.get(node).shape {
            Shape::Object | Shape::General => self.asked_keys(node),
            Shape::Package | Shape::Function(_) | Shape::Complete | Shape::Set => 0,
        };
        (1..=keys).map(|count| Request::Entry(node, vec![Asked::Given; count])).collect()
    }

    /// The tree of documents, with the rule of each.
    fn documents(&self) -> Document {
        let mut documents: HashMap<NodeId, Document> = HashMap::new();
        // Parents have smaller numbers than their children.
        let all: Vec<NodeId> = self.nodes.all().collect();
        for node in all.into_iter().rev() {
            let request = match self.nodes.get(node).shape {
                Shape::Package => Some(Request::Extent(node)),
                Shape::Function(_) => None,
                Shape::Complete | Shape::Set | Shape::Object | Shape::General => {
                    Some(Request::Rule(node))
                }
            };
            let rule = request.and_then(|request| self.ids.get(&request)).copied();
            let of_rules = self.nodes.get(node).shape != Shape::Package;
            let keyed =
                self.keyed(node).iter().filter_map(|one| self.ids.get(one)).copied().collect();
            let mut document = Document { rule, keyed, of_rules, ..Document::default() };
            for (key, child) in &self.nodes.get(node).children {
                let below = documents.remove(child).unwrap_or_default();
                if let Ok(name) = key.as_string() {
                    document.children.insert(name.to_string(), below);
                }
            }
            documents.insert(node, document);
        }
        documents.remove(&Nodes::ROOT).unwrap_or_default()
    }
}

/// A rule generated by lowering: one definition, or several that exclude each other.
fn helper(name: String, kind: RuleKind) -> Rule {
    Rule {
        name,
        kind,
        default: None,
        definitions: Vec::new(),
        variables: 0,
        slot: None,
        span: None,
    }
}
