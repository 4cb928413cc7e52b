//! The output of the bench: tables for people, and the same with every value as JSON.

use std::fmt;

use serde::Serialize;

/// The values of one figure in all rounds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The median; 0 where there are no values.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or_default()
    }

    /// This divided by that, round by round: effects on both in a round cancel out.
    pub(crate) fn over(&self, other: &Self) -> Self {
        self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The median, and in brackets the least and the most.
impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => write!(out, "-"),
            1 => write!(out, "{}", number(self.median())),
            _ => write!(
                out,
                "{} ({}–{})",
                number(self.median()),
                number(self.min()),
                number(self.max())
            ),
        }
    }
}

/// With the significant digits only.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(|text| (*text).to_owned()).collect();
        Self { title: title.into(), head, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.title)?;
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        for row in [&self.head].into_iter().chain(&self.rows) {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                // The first column names, the others count.
                match column {
                    0 => write!(out, "  {cell:<width$}")?,
                    _ => write!(out, "  {cell:>width$}")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// The target for a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A target and the measured value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// The name of the figure, with its unit.
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) values: Spread,
    /// Whether the median is within the target.
    pub(crate) is_met: bool,
}

impl Check {
    pub(crate) fn new(what: impl Into<String>, bound: Bound, values: Spread) -> Self {
        let median = values.median();
        let (target, is_met) = match bound {
            Bound::AtLeast(least) => (format!("≥ {least}"), median >= least),
            Bound::AtMost(most) => (format!("≤ {most}"), median <= most),
        };
        Self { what: what.into(), target, values, is_met }
    }
}

/// The results of one scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Section {
    pub(crate) scenario: &'static str,
    pub(crate) tables: Vec<Table>,
    pub(crate) checks: Vec<Check>,
    pub(crate) curves: Vec<Curves>,
}

/// Curves of one plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Curves {
    /// The file's name without its extension.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// The labels of the axes.
    pub(crate) axes: [String; 2],
    pub(crate) curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// All results.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    /// All targets in one table.
    pub(crate) fn summary(&self) -> Table {
        let title =
            format!("Targets ({} rounds of {} s; {})", self.rounds, self.seconds, self.machine);
        let mut table = Table::new(title, &["what", "target", "measured", ""]);
        for check in self.sections.iter().flat_map(|section| &section.checks) {
            let verdict = if check.is_met { "met" } else { "MISSED" };
            table.row([
                check.what.clone(),
                check.target.clone(),
                check.values.to_string(),
                verdict.to_owned(),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_made_round_by_round() {
        let one: Spread = [10.0, 40.0, 90.0].into_iter().collect();
        let other: Spread = [10.0, 20.0, 30.0].into_iter().collect();
        assert_eq!(one.over(&other).to_string(), "2.00 (1.00–3.00)");
    }

    #[test]
    fn a_target_is_judged_by_the_median() {
        let values: Spread = [0.5, 2.0, 2.5].into_iter().collect();
        assert!(Check::new("x", Bound::AtLeast(2.0), values.clone()).is_met);
        assert!(!Check::new("x", Bound::AtLeast(2.1), values.clone()).is_met);
        assert!(!Check::new("x", Bound::AtMost(1.9), values).is_met);
    }

    #[test]
    fn a_table_s_columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("title", &["a", "b"]);
        table.row(["long".to_owned(), "1".to_owned()]);
        assert_eq!(table.to_string(), "title\n  a     b\n  long  1\n");
    }
}
