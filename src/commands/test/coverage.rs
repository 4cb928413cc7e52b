//! The coverage of tests: as OPA's JSON, as a table, and the message if it is too low.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use enforcer_rego::tester::{Coverage, FileCoverage, Range};

use super::super::diagnostic::path_of;
use super::super::terminal::{Style, Terminal, printable};

/// The coverage as `opa test --coverage` prints it.
///
/// # Errors
/// Never: there is no key that is not a string.
pub(super) fn json(coverage: &Coverage, bundle: &Path) -> io::Result<String> {
    let files = coverage.files.iter();
    let named = |(file, found): (&String, &FileCoverage)| {
        (path_of(bundle, file).display().to_string(), found.clone())
    };
    let files: BTreeMap<String, FileCoverage> = files.map(named).collect();
    let text = serde_json::to_string_pretty(&Coverage { files, ..coverage.clone() })?;
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        // Go writes a whole number without decimals. Only numbers stand behind this key.
        let (number, end) = line.strip_suffix(',').map_or((line, ""), |number| (number, ","));
        let whole =
            number.strip_suffix(".0").filter(|_| line.trim_start().starts_with("\"coverage\": "));
        match whole {
            Some(whole) => shown.extend([whole, end, "\n"]),
            None => shown.extend([line, "\n"]),
        }
    }
    Ok(shown)
}

/// A row for each file.
pub(super) fn table(coverage: &Coverage, bundle: &Path, terminal: Terminal) -> String {
    let name = |file: &str| printable(&path_of(bundle, file).display().to_string());
    let names = coverage.files.keys().map(|file| name(file).chars().count());
    let width = names.max().unwrap_or(0).max("all files".len());
    let mut shown = String::new();
    let head = format!("{:width$}  covered     lines  not covered", "file");
    let _ = writeln!(shown, "{}", terminal.paint(Style::Bold, &head));
    let mut row = |name: &str, percent: f64, covered: usize, missing: usize, lines: &str| {
        let style = if missing == 0 { Style::Good } else { Style::Warning };
        let total = covered + missing;
        let padding = " ".repeat(width.saturating_sub(name.chars().count()));
        let percent = terminal.paint(style, &format!("{percent:6.2} %"));
        let counts = format!("{covered}/{total}");
        let line = format!("{name}{padding} {percent} {counts:>9}  {lines}");
        let _ = writeln!(shown, "{}", line.trim_end());
    };
    for (file, found) in &coverage.files {
        let FileCoverage { not_covered, covered_lines, not_covered_lines, coverage, .. } = found;
        let lines = line_ranges(not_covered).join(", ");
        row(&name(file), *coverage, *covered_lines, *not_covered_lines, &lines);
    }
    let Coverage { covered_lines, not_covered_lines, coverage, .. } = coverage;
    row("all files", *coverage, *covered_lines, *not_covered_lines, "");
    shown
}

/// The message if the coverage is below the threshold, in OPA's words.
pub(super) fn not_met(coverage: &Coverage, bundle: &Path, least: f64) -> String {
    let mut told = format!(
        "Code coverage threshold not met: got {:.2} instead of {least:.2}\nLines not covered:\n",
        coverage.coverage
    );
    for (file, found) in &coverage.files {
        let file = printable(&path_of(bundle, file).display().to_string());
        for lines in line_ranges(&found.not_covered) {
            let _ = writeln!(told, "\t{file}:{lines}");
        }
    }
    told
}

/// The lines of ranges, those that follow each other as one: `7-10`.
fn line_ranges(ranges: &[Range]) -> Vec<String> {
    let rows = ranges.iter().flat_map(|range| range.start.row..=range.end.row);
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for row in rows.collect::<BTreeSet<_>>() {
        match merged.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => merged.push((row, row)),
        }
    }
    let shown = |(first, last): (usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    merged.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use enforcer_rego::tester::Position;

    use super::*;

    fn range(first: usize, last: usize) -> Range {
        let position = |row| Position { row, col: 1 };
        Range { start: position(first), end: position(last), kinds: Vec::new() }
    }

    #[test]
    fn lines_that_follow_each_other_are_one_range() {
        let ranges = [range(7, 7), range(8, 8), range(9, 10), range(13, 13)];
        assert_eq!(line_ranges(&ranges), ["7-10", "13"]);
    }

    #[test]
    fn whole_percents_have_no_decimals() {
        let file = FileCoverage { coverage: 50.5, ..FileCoverage::default() };
        let files = BTreeMap::from([("coverage: 1.0".to_owned(), file)]);
        let coverage = Coverage { files, coverage: 100.0, ..Coverage::default() };
        let shown = json(&coverage, Path::new(".")).unwrap();
        assert!(shown.contains("\"coverage\": 100\n") && shown.contains("\"coverage\": 50.5\n"));
        assert!(shown.contains("\"coverage: 1.0\": {"), "{shown}");
    }
}
