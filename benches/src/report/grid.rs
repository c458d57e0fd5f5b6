//! Figures by row and subject.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measure::{Failure, Outcome, median};
use crate::subject::{self, Kind};

/// What one subject reached in one row, in each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell<R> {
    /// On what.
    pub row: R,
    /// Who.
    pub subject: subject::Name,
    /// The median of the rounds, or why there is none.
    pub figure: Outcome<f64>,
    /// The figures of all rounds.
    pub rounds: Vec<f64>,
}

/// Figures of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grid<R> {
    /// Every pair that was measured.
    pub cells: Vec<Cell<R>>,
}

/// The lowest and the highest figure of all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// The spread of a figure that was measured once, or is exact.
    #[must_use]
    pub const fn exact(figure: f64) -> Self {
        Self { low: figure, high: figure }
    }

    /// The spread of these figures; `None` if there are none.
    #[must_use]
    pub fn of(figures: &[f64]) -> Option<Self> {
        let low = figures.iter().copied().reduce(f64::min)?;
        Some(Self { low, high: figures.iter().copied().reduce(f64::max)? })
    }

    /// Whether some figure is in both: neither is better then.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// The spread of figures that are `factor` times as large.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor }
    }
}

impl<R> Default for Grid<R> {
    fn default() -> Self {
        Self { cells: Vec::new() }
    }
}

impl<R: Copy + Ord> Grid<R> {
    /// Notes the outcome of a round. A failure in one is the outcome of all.
    pub fn push(&mut self, row: R, subject: subject::Name, outcome: Outcome<f64>) {
        let index = self.cells.iter().position(|cell| cell.row == row && cell.subject == subject);
        let index = index.unwrap_or_else(|| {
            self.cells.push(Cell {
                row,
                subject,
                figure: Err(Failure::Unsupported),
                rounds: Vec::new(),
            });
            self.cells.len() - 1
        });
        let cell = &mut self.cells[index];
        match outcome {
            Ok(figure) => cell.rounds.push(figure),
            Err(_) => cell.rounds.clear(),
        }
        cell.figure = outcome.map(|figure| median(&cell.rounds).unwrap_or(figure));
    }

    /// The outcome of this pair, if it was measured.
    #[must_use]
    pub fn outcome(&self, row: R, subject: subject::Name) -> Option<&Outcome<f64>> {
        self.cells
            .iter()
            .find(|cell| cell.row == row && cell.subject == subject)
            .map(|cell| &cell.figure)
    }

    /// The figure of this pair, if there is one.
    #[must_use]
    pub fn figure(&self, row: R, subject: subject::Name) -> Option<f64> {
        self.outcome(row, subject).and_then(|outcome| outcome.as_ref().ok().copied())
    }

    /// The spread of this pair's rounds, if there is a figure.
    #[must_use]
    pub fn spread(&self, row: R, subject: subject::Name) -> Option<Spread> {
        let cell = self.cells.iter().find(|cell| cell.row == row && cell.subject == subject)?;
        Spread::of(&cell.rounds).filter(|_| cell.figure.is_ok())
    }

    /// Whether a figure is better than another, worse, or neither because their spreads overlap.
    #[must_use]
    pub fn verdict(
        &self,
        row: R,
        (one, other): (subject::Name, subject::Name),
        more_is_better: bool,
    ) -> Option<&'static str> {
        let (one, other) = (self.spread(row, one)?, self.spread(row, other)?);
        Some(match one.overlaps(other) {
            true => "alike",
            false if (one.low > other.high) == more_is_better => "better",
            false => "worse",
        })
    }

    /// The peer with the smallest figure, or with the largest if that is better.
    #[must_use]
    pub fn best_peer(&self, row: R, more_is_better: bool) -> Option<(subject::Name, f64)> {
        let sign = if more_is_better { -1.0 } else { 1.0 };
        self.subjects()
            .into_iter()
            .filter(|subject| subject.kind() == Kind::Peer)
            .filter_map(|subject| Some((subject, self.figure(row, subject)?)))
            .min_by(|one, other| (sign * one.1).total_cmp(&(sign * other.1)))
    }

    /// The rows measured, in the report's order.
    #[must_use]
    pub fn rows(&self) -> Vec<R> {
        sorted(self.cells.iter().map(|cell| cell.row))
    }

    /// The subjects measured, in the report's order.
    #[must_use]
    pub fn subjects(&self) -> Vec<subject::Name> {
        sorted(self.cells.iter().map(|cell| cell.subject))
    }
}

/// All different items, in their order.
pub fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}

impl<R> Grid<R> {
    /// The figures as a table: the median of the rounds, and half of their spread in per cent. Its
    /// last columns are what brkalloc reached, divided by what the best peer did, and if that is
    /// better or worse, or the spreads overlap; of rows that are a share more is better.
    pub fn table(&self, is_share: fn(R) -> bool) -> Table<'_, R> {
        Table { grid: self, is_share }
    }
}

/// A [`Grid`] as text.
pub struct Table<'a, R> {
    grid: &'a Grid<R>,
    is_share: fn(R) -> bool,
}

impl<R: Copy + Ord + fmt::Display> fmt::Display for Table<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grid, is_share } = self;
        let rows = grid.rows().into_iter().map(|row| row.to_string().chars().count());
        let width = rows.max().unwrap_or(0).max(22);
        write!(f, "{:width$}", "")?;
        let subjects = grid.subjects();
        for subject in &subjects {
            write!(f, "{:>14}", subject.title())?;
        }
        write!(f, "{:>12}", "to best peer")?;
        for row in grid.rows() {
            write!(f, "\n{row:width$}")?;
            for &subject in &subjects {
                match grid.outcome(row, subject) {
                    Some(Ok(figure)) => {
                        let text = with_spread(*figure, grid.spread(row, subject));
                        write!(f, "{text:>14}")?;
                    }
                    Some(Err(failure)) => write!(f, "{failure:>14}")?,
                    None => write!(f, "{:>14}", "")?,
                }
            }
            let heap = subject::Name::Heap;
            if let (Some(reached), Some((peer, best))) =
                (grid.figure(row, heap), grid.best_peer(row, is_share(row)))
            {
                let verdict = grid.verdict(row, (heap, peer), is_share(row)).unwrap_or_default();
                write!(f, "{:12.3} {verdict}", reached / best)?;
            }
        }
        writeln!(f)
    }
}

/// A figure, and half of the spread of its rounds in per cent if there were several.
fn with_spread(figure: f64, spread: Option<Spread>) -> String {
    let digits = if figure < 10.0 { 3 } else { 1 };
    match spread {
        Some(Spread { low, high }) if low < high => {
            format!("{figure:.digits$} ±{:.0}%", (high - low) / (2.0 * figure) * 100.0)
        }
        _ => format!("{figure:.digits$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Name::{Floor, Heap, Rlsf, Talc};
    use crate::workload::Name::{Churn, Pair};

    fn grid() -> Grid<crate::workload::Name> {
        let mut grid = Grid::default();
        grid.push(Pair, Floor, Ok(0.5));
        grid.push(Pair, Heap, Ok(1.0));
        for figure in [9.0, 5.0, 7.0] {
            grid.push(Pair, Talc, Ok(figure));
        }
        grid
    }

    #[test]
    fn the_best_peer_is_neither_ours_nor_one_that_failed() {
        let mut grid = grid();
        grid.push(Pair, Rlsf, Err(Failure::TooSlow));
        assert_eq!(grid.best_peer(Pair, false), Some((Talc, 7.0)));
        grid.push(Pair, subject::Name::Buddy, Ok(8.0));
        assert_eq!(grid.best_peer(Pair, false), Some((Talc, 7.0)));
        assert_eq!(grid.best_peer(Pair, true), Some((subject::Name::Buddy, 8.0)));
        assert_eq!(grid.best_peer(Churn, false), None);
    }

    #[test]
    fn nobody_is_better_while_spreads_overlap() {
        let mut grid = grid();
        assert_eq!(grid.verdict(Pair, (Heap, Talc), false), Some("better"));
        assert_eq!(grid.verdict(Pair, (Heap, Talc), true), Some("worse"));
        grid.push(Pair, Heap, Ok(5.5));
        assert_eq!(grid.verdict(Pair, (Heap, Talc), false), Some("alike"));
        assert_eq!(grid.verdict(Pair, (Heap, Rlsf), false), None);
    }

    #[test]
    fn a_failure_in_one_round_is_the_outcome() {
        let mut grid = grid();
        grid.push(Pair, Talc, Err(Failure::OutOfMemory));
        assert_eq!(grid.outcome(Pair, Talc), Some(&Err(Failure::OutOfMemory)));
    }

    #[test]
    fn every_figure_is_in_the_table_and_in_the_json() {
        let grid = grid();
        let table = grid.table(|_| false).to_string();
        assert!(
            ["pair", "brkalloc", "talc", "1.000", "7.000 ±29%", "0.143 better"]
                .iter()
                .all(|part| table.contains(part)),
            "{table}"
        );
        let json = serde_json::to_string(&grid).unwrap();
        let again: Grid<crate::workload::Name> = serde_json::from_str(&json).unwrap();
        assert_eq!(again.figure(Pair, Talc), Some(7.0));
        assert_eq!(again.rows(), [Pair]);
    }
}
