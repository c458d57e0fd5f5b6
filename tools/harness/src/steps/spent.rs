//! What the steps took: a table, the longest first.

use std::fmt;
use std::time::Duration;

/// What a step took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    /// From beginning to end.
    pub(super) elapsed: Duration,
    /// Of all processors, compilers and emulators included.
    pub(super) processor: Duration,
    /// Crates that were compiled, checked or documented: 0 if the step was warm.
    pub(super) compiled: usize,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) spent: Spent,
    /// Tests that were not run, since nothing changed after they passed.
    pub(super) unchanged: usize,
}

/// What each step took, by title. Shown with the sum: steps run beside each other, so processor
/// time is what a faster machine divides.
pub(super) struct Table(pub(super) Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.0.clone();
        rows.sort_by_key(|row| std::cmp::Reverse(row.spent.elapsed));
        let all = Spent {
            elapsed: rows.iter().map(|row| row.spent.elapsed).sum(),
            processor: rows.iter().map(|row| row.spent.processor).sum(),
            compiled: rows.iter().map(|row| row.spent.compiled).sum(),
        };
        let unchanged = rows.iter().map(|row| row.unchanged).sum();
        rows.push(Row { title: "all", spent: all, unchanged });
        writeln!(
            f,
            "{:<46} {:>9} {:>13} {:>14} {:>16}",
            "step", "seconds", "of processors", "cold: crates", "unchanged tests"
        )?;
        for Row { title, spent, unchanged } in rows {
            writeln!(
                f,
                "  {title:<44} {:>9.1} {:>13.1} {:>14} {:>16}",
                spent.elapsed.as_secs_f32(),
                spent.processor.as_secs_f32(),
                Count(spent.compiled),
                Count(unchanged),
            )?;
        }
        Ok(())
    }
}

/// A number that is left out if it is 0.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.pad(""),
            number => f.pad(&number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_step_is_first_and_the_sum_last() {
        let row = |title, elapsed, processor, compiled, unchanged| Row {
            title,
            spent: Spent {
                elapsed: Duration::from_secs(elapsed),
                processor: Duration::from_secs(processor),
                compiled,
            },
            unchanged,
        };
        let table = Table(vec![row("short", 1, 9, 0, 0), row("long", 5, 2, 3, 7)]).to_string();
        let rows: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        let expected: [&[&str]; 3] = [
            &["long", "5.0", "2.0", "3", "7"],
            &["short", "1.0", "9.0"],
            &["all", "6.0", "11.0", "3", "7"],
        ];
        assert_eq!(rows, expected);
    }
}
