//! Whether a chain has a policy that is valid for all of its certificates (RFC 5280, 6.1), by the
//! graph of RFC 9618.

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::Certificate;
use crate::builtins::crypto::der::LongOid;

/// A policy that is valid at some depth of the chain.
struct Node {
    policy: LongOid,
    expected: Vec<LongOid>,
    parents: BTreeSet<usize>,
    children: BTreeSet<usize>,
}

/// All nodes, and those of each depth by their policies.
struct Graph {
    nodes: Vec<Node>,
    strata: Vec<BTreeMap<LongOid, usize>>,
    /// The nodes of the depth above by the policies that they expect.
    expecting: BTreeMap<LongOid, Vec<usize>>,
}

fn any_policy() -> LongOid {
    LongOid(vec![0x55, 0x1d, 0x20, 0])
}

impl Graph {
    fn new() -> Self {
        let any = any_policy();
        let root = Node {
            policy: any.clone(),
            expected: vec![any.clone()],
            parents: BTreeSet::new(),
            children: BTreeSet::new(),
        };
        let strata = vec![BTreeMap::from([(any, 0)])];
        Self { nodes: vec![root], strata, expecting: BTreeMap::new() }
    }

    fn leaf(&self, policy: &LongOid) -> Option<usize> {
        self.strata.last().and_then(|leaves| leaves.get(policy)).copied()
    }

    fn above(&self) -> impl Iterator<Item = usize> {
        let above = self.strata.len().checked_sub(2).and_then(|depth| self.strata.get(depth));
        above.into_iter().flat_map(|nodes| nodes.values().copied())
    }

    fn is_any(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.policy == any_policy())
    }

    fn add(&mut self, policy: LongOid, expected: Vec<LongOid>, parents: &[usize]) {
        let id = self.nodes.len();
        for parent in parents {
            if let Some(parent) = self.nodes.get_mut(*parent) {
                parent.children.insert(id);
            }
        }
        if let Some(leaves) = self.strata.last_mut() {
            leaves.insert(policy.clone(), id);
        }
        let parents = parents.iter().copied().collect();
        self.nodes.push(Node { policy, expected, parents, children: BTreeSet::new() });
    }

    fn deepen(&mut self) {
        self.expecting.clear();
        for id in self.strata.last().into_iter().flat_map(BTreeMap::values) {
            for policy in self.nodes.get(*id).into_iter().flat_map(|node| &node.expected) {
                self.expecting.entry(policy.clone()).or_default().push(*id);
            }
        }
        self.strata.push(BTreeMap::new());
    }

    fn delete_leaf(&mut self, policy: &LongOid) {
        let Some(id) = self.strata.last_mut().and_then(|leaves| leaves.remove(policy)) else {
            return;
        };
        self.forget(id);
    }

    /// Removes a node from its neighbours.
    fn forget(&mut self, id: usize) {
        let Some(node) = self.nodes.get(id) else { return };
        let (parents, children) = (node.parents.clone(), node.children.clone());
        for parent in parents {
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.children.remove(&id);
            }
        }
        for child in children {
            if let Some(child) = self.nodes.get_mut(child) {
                child.parents.remove(&id);
            }
        }
    }

    /// Removes the nodes above the last depth that have no children, from the bottom up.
    fn prune(&mut self) {
        for depth in (1..self.strata.len().saturating_sub(1)).rev() {
            let childless: Vec<(LongOid, usize)> = self
                .strata
                .get(depth)
                .into_iter()
                .flatten()
                .filter(|(_, id)| self.nodes.get(**id).is_some_and(|n| n.children.is_empty()))
                .map(|(policy, id)| (policy.clone(), *id))
                .collect();
            for (policy, id) in childless {
                self.forget(id);
                if let Some(stratum) = self.strata.get_mut(depth) {
                    stratum.remove(&policy);
                }
            }
        }
    }

    /// Whether a policy is valid in the end.
    fn has_valid(&self) -> bool {
        let any_is_leaf = self.leaf(&any_policy()).is_some();
        any_is_leaf
            || self.strata.iter().flat_map(BTreeMap::values).any(|id| {
                let Some(node) = self.nodes.get(*id) else { return false };
                let mut parents = node.parents.iter();
                !self.is_any(*id)
                    && node.parents.len() == 1
                    && parents.next().is_some_and(|parent| self.is_any(*parent))
            })
    }
}

/// Whether the chain, whose first certificate is the last one signed, is valid by its policies,
/// without required policies.
pub(super) fn hold(chain: &[&Certificate]) -> bool {
    let Some(length) = chain.len().checked_sub(1).filter(|length| *length > 0) else {
        return true;
    };
    let start = i64::try_from(length).unwrap_or(i64::MAX).saturating_add(1);
    let (mut inhibit_any, mut explicit, mut mapping) = (start, start, start);
    let mut graph = Some(Graph::new());
    for (i, certificate) in chain.iter().enumerate().take(length).rev() {
        let parsed = &certificate.parsed;
        let policies = parsed.policies.as_deref().unwrap_or_default();
        let self_signed = certificate.raw_issuer == certificate.raw_subject;
        if policies.is_empty() {
            graph = None;
        }
        if explicit == 0 && graph.is_none() {
            return false;
        }
        if let Some(graph) = &mut graph {
            graph.deepen();
            // The root is excluded, so a self-signed certificate is never the last here.
            let may_be_any = inhibit_any > 0 || i > 0 && self_signed;
            add_policies(graph, policies, may_be_any);
            graph.prune();
            if i > 0 && !map_policies(graph, &parsed.policy_mappings, mapping > 0) {
                return false;
            }
        }
        if i > 0 {
            let step = i64::from(!self_signed);
            let lower = |now: i64, bound: Option<i64>| {
                let next = (now - step).max(0);
                bound.filter(|bound| *bound >= 0 && *bound < next).unwrap_or(next)
            };
            explicit = lower(explicit, parsed.require_explicit_policy);
            mapping = lower(mapping, parsed.inhibit_policy_mapping);
            inhibit_any = lower(inhibit_any, parsed.inhibit_any_policy);
        }
    }
    explicit = (explicit - 1).max(0);
    let last = chain.first().and_then(|last| last.parsed.require_explicit_policy);
    if last == Some(0) {
        explicit = 0;
    }
    explicit > 0 || graph.is_some_and(|graph| graph.has_valid())
}

fn add_policies(graph: &mut Graph, policies: &[LongOid], may_be_any: bool) {
    let any = any_policy();
    for policy in policies.iter().filter(|policy| **policy != any) {
        let mut parents = graph.expecting.get(policy).cloned().unwrap_or_default();
        if parents.is_empty() {
            parents = graph.above().find(|node| graph.is_any(*node)).into_iter().collect();
        }
        if !parents.is_empty() {
            graph.add(policy.clone(), vec![policy.clone()], &parents);
        }
    }
    if !may_be_any || !policies.contains(&any) {
        return;
    }
    let mut missing: BTreeMap<LongOid, Vec<usize>> = BTreeMap::new();
    for parent in graph.above() {
        for expected in graph.nodes.get(parent).into_iter().flat_map(|node| &node.expected) {
            if graph.leaf(expected).is_none() {
                missing.entry(expected.clone()).or_default().push(parent);
            }
        }
    }
    for (policy, parents) in missing {
        graph.add(policy.clone(), vec![policy], &parents);
    }
}

/// False for a mapping that certificates must not have.
fn map_policies(graph: &mut Graph, mappings: &[(LongOid, LongOid)], allowed: bool) -> bool {
    if mappings.is_empty() {
        return true;
    }
    let any = any_policy();
    let mut by_issuer: BTreeMap<LongOid, Vec<LongOid>> = BTreeMap::new();
    for (issuer, subject) in mappings {
        if !allowed {
            graph.delete_leaf(issuer);
            continue;
        }
        if *issuer == any || *subject == any {
            return false;
        }
        by_issuer.entry(issuer.clone()).or_default().push(subject.clone());
    }
    graph.prune();
    for (issuer, subjects) in by_issuer {
        if let Some(node) = graph.leaf(&issuer).and_then(|id| graph.nodes.get_mut(id)) {
            node.expected = subjects;
        } else if let Some(parent) = graph.leaf(&any) {
            graph.add(issuer, subjects, &[parent]);
        }
    }
    true
}
