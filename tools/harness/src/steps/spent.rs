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
}

/// What each step took, by title. Shown with the sum: steps run beside each other, so that of the
/// processors is what a faster machine divides.
pub(super) struct Table(pub(super) Vec<(&'static str, Spent)>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.0.clone();
        rows.sort_by_key(|(_, spent)| std::cmp::Reverse(spent.elapsed));
        writeln!(f, "{:<50} {:>10} {:>14}", "what took how long", "seconds", "of processors")?;
        let sum = |part: fn(&Spent) -> Duration| rows.iter().map(|(_, spent)| part(spent)).sum();
        let all =
            Spent { elapsed: sum(|spent| spent.elapsed), processor: sum(|spent| spent.processor) };
        rows.push(("all", all));
        for (title, Spent { elapsed, processor }) in rows {
            writeln!(
                f,
                "  {title:<48} {:>10.1} {:>14.1}",
                elapsed.as_secs_f32(),
                processor.as_secs_f32()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_step_is_first_and_the_sum_last() {
        let spent = |elapsed, processor| Spent {
            elapsed: Duration::from_secs(elapsed),
            processor: Duration::from_secs(processor),
        };
        let table = Table(vec![("short", spent(1, 9)), ("long", spent(5, 2))]).to_string();
        let rows: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["long", "5.0", "2.0"], ["short", "1.0", "9.0"], ["all", "6.0", "11.0"]]);
    }
}
