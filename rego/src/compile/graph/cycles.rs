//! Definitions that use themselves through others, and the path.

use std::collections::VecDeque;

use super::Graph;

/// Marks the definitions from which a way leads back to them.
pub(super) fn recursive(graph: &Graph) -> Vec<bool> {
    let definitions = graph.definitions.len();
    let count = definitions + graph.sets.len();
    let mut search = Search {
        graph,
        next: 0,
        numbers: vec![None; count],
        lowest: vec![0; count],
        waiting: Vec::new(),
        is_waiting: vec![false; count],
        recursive: vec![false; count],
    };
    for start in 0..definitions {
        search.from(start);
    }
    search.recursive.truncate(definitions);
    search.recursive
}

/// Tarjan's search for strongly connected components, with an explicit stack: a chain of uses may
/// be as long as the policy. Sets of definitions are numbered after the definitions: each
/// definition leads to the sets that it uses, and these to their members.
struct Search<'a> {
    graph: &'a Graph,
    next: usize,
    /// The order in which definitions were reached.
    numbers: Vec<Option<usize>>,
    /// The least number that a definition leads back to.
    lowest: Vec<usize>,
    /// Definitions whose component is not complete.
    waiting: Vec<usize>,
    is_waiting: Vec<bool>,
    recursive: Vec<bool>,
}

impl Search<'_> {
    fn from(&mut self, start: usize) {
        if self.number(start).is_some() {
            return;
        }
        self.enter(start);
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.pop() {
            match self.leads_to(at, next) {
                Some(used) => {
                    path.push((at, next + 1));
                    match self.number(used) {
                        None => {
                            self.enter(used);
                            path.push((used, 0));
                        }
                        Some(number) if self.is_waiting.get(used) == Some(&true) => {
                            self.lower(at, number);
                        }
                        Some(_) => {}
                    }
                }
                None => {
                    let lowest = self.lowest.get(at).copied().unwrap_or_default();
                    if self.number(at) == Some(lowest) {
                        self.complete(at);
                    }
                    if let Some((parent, _)) = path.last() {
                        self.lower(*parent, lowest);
                    }
                }
            }
        }
    }

    fn leads_to(&self, at: usize, next: usize) -> Option<usize> {
        let definitions = self.graph.definitions.len();
        match at.checked_sub(definitions) {
            Some(set) => self.graph.sets.get(set)?.get(next).copied(),
            None => self.graph.uses.get(at)?.get(next).map(|set| definitions + set),
        }
    }

    fn number(&self, at: usize) -> Option<usize> {
        self.numbers.get(at).copied().flatten()
    }

    fn enter(&mut self, at: usize) {
        if let Some(number) = self.numbers.get_mut(at) {
            *number = Some(self.next);
        }
        if let Some(lowest) = self.lowest.get_mut(at) {
            *lowest = self.next;
        }
        if let Some(waiting) = self.is_waiting.get_mut(at) {
            *waiting = true;
        }
        self.waiting.push(at);
        self.next += 1;
    }

    fn lower(&mut self, at: usize, number: usize) {
        if let Some(lowest) = self.lowest.get_mut(at) {
            *lowest = number.min(*lowest);
        }
    }

    fn complete(&mut self, root: usize) {
        // A definition that uses itself has a set beside it.
        let is_single = self.waiting.last() == Some(&root);
        while let Some(member) = self.waiting.pop() {
            if let Some(waiting) = self.is_waiting.get_mut(member) {
                *waiting = false;
            }
            if let Some(recursive) = self.recursive.get_mut(member) {
                *recursive = !is_single;
            }
            if member == root {
                break;
            }
        }
    }
}

impl Graph {
    /// A shortest way from a definition back to it, beginning and ending with it, over the uses that
    /// `is_open` lets through.
    pub(crate) fn way_back(
        &self,
        start: usize,
        is_open: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Option<Vec<usize>> {
        let mut reached_from: Vec<Option<usize>> = vec![None; self.uses.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for &used in self.used_by(at).iter() {
                if !is_open(at, used) {
                    continue;
                }
                if used == start {
                    let before = |at: &usize| reached_from.get(*at).copied().flatten();
                    let back = std::iter::successors(Some(at), before);
                    let mut way: Vec<_> = std::iter::once(start).chain(back).collect();
                    way.reverse();
                    return Some(way);
                }
                if let Some(from @ None) = reached_from.get_mut(used) {
                    *from = Some(at);
                    queue.push_back(used);
                }
            }
        }
        None
    }
}
