//! Suggestions for misspelt names.

/// Longer names are not compared; handwritten names are shorter.
const MAX_LENGTH: usize = 64;

/// The candidate nearest to a name, where it is near enough: a third of its characters may differ,
/// and a swap of two neighbours counts as one difference. Of several equally near ones the first in
/// alphabetical order.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let name: Vec<char> = name.chars().take(MAX_LENGTH + 1).collect();
    if name.len() > MAX_LENGTH {
        return None;
    }
    let allowed = name.len().div_ceil(3).min(3);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = distance(&name, candidate, allowed)?;
            // The name itself is not a suggestion.
            (distance > 0).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The least number of insertions, deletions, replacements and swaps of neighbours (optimal string
/// alignment), where it is at most `allowed`.
fn distance(name: &[char], candidate: &str, allowed: usize) -> Option<usize> {
    let candidate: Vec<char> = candidate.chars().take(MAX_LENGTH + 1).collect();
    if name.len().abs_diff(candidate.len()) > allowed {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=candidate.len()).collect();
    for (row, char) in name.iter().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        for (column, other) in candidate.iter().enumerate() {
            let at =
                |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, column) + usize::from(char != other);
            let mut cost = replaced.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let previous = |chars: &[char], index: usize| {
                index.checked_sub(1).and_then(|index| chars.get(index).copied())
            };
            if previous(name, row) == Some(*other) && previous(&candidate, column) == Some(*char) {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().filter(|distance| *distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognised() {
        let names = ["startswith", "endswith", "contains", "count", "concat"];
        assert_eq!(nearest("startwith", names), Some("startswith"));
        assert_eq!(nearest("conut", names), Some("count"));
        assert_eq!(nearest("containss", names), Some("contains"));
    }

    #[test]
    fn a_name_that_is_like_no_other_has_no_suggestion() {
        assert_eq!(nearest("frobnicate", ["count", "sum"]), None);
        assert_eq!(nearest("x", ["count", "sum"]), None);
        assert_eq!(nearest(&"x".repeat(1000), ["x"]), None);
    }

    #[test]
    fn of_equally_near_names_the_first_is_suggested() {
        assert_eq!(nearest("bat", ["cat", "bar"]), Some("bar"));
    }
}
