//! One fault in a case that would load: typing mistakes, and texts that are hard to parse.

use std::collections::BTreeMap;

use crate::random::Random;

/// Pairs of texts: the first is replaced by the second somewhere.
const SLIPS: &[(&str, &str)] = &[
    (" if ", " "),
    (" := ", " = "),
    (" = ", " := "),
    (" == ", " := "),
    (" in ", " of "),
    ("some ", ""),
    ("input.", "inptu."),
    ("count(", "cuont("),
    (")", ""),
    ("(", "(1, "),
    ("]", ""),
    ("}", ""),
    ("{", ""),
    ("\"", ""),
    (", ", " "),
    (" contains ", " := "),
    ("not ", "not not "),
    ("1", "\"1\""),
    ("x", "y"),
    ("data.", "data..."),
    ("import ", "import input as "),
    ("default ", "default default "),
    ("every ", "some "),
    ("else ", ""),
    ("_", "w"),
    ("\n", "\n\n;"),
    ("allow", "import"),
    ("$\"", "$\"{"),
    ("with ", "with input as 1 with "),
];

/// Breaks one module in one place.
pub(crate) fn damage(random: &mut Random, files: &mut BTreeMap<String, String>) {
    let paths: Vec<String> = files.keys().cloned().collect();
    let Some(text) = random.choose(&paths).and_then(|path| files.get_mut(path)) else { return };
    for _ in 0..20 {
        let Some((from, to)) = random.choose(SLIPS) else { return };
        let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
        let Some(at) = random.choose(&places).copied() else { continue };
        let (before, after) = text.split_at(at);
        *text = format!("{before}{to}{}", after.strip_prefix(from).unwrap_or(after));
        return;
    }
}
