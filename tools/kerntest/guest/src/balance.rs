//! Counts that a case must leave as it found them.

use core::fmt::{self, Display};

/// Maximum number of counts in a balance.
pub const MOST_COUNTS: usize = 8;

/// A count of something that is taken and given back: frames, handles, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// What is lost if the count grows: `frame`.
    pub leaks: &'static str,
    /// What is counted: `frames in use`.
    pub what: &'static str,
    /// How many there are.
    pub number: usize,
}

/// What a kernel counts, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance([Option<Count>; MOST_COUNTS]);

impl Balance {
    /// These counts.
    ///
    /// # Panics
    ///
    /// There are more than [`MOST_COUNTS`].
    pub fn new(counts: &[Count]) -> Self {
        let mut balance = Self::default();
        counts.iter().enumerate().for_each(|(index, &count)| balance.0[index] = Some(count));
        balance
    }

    /// Prints a line for each count that differs from `before`: the details of a leak.
    pub fn leaks(self, before: Self) -> impl Display {
        Leaks { before, after: self }
    }
}

struct Leaks {
    before: Balance,
    after: Balance,
}

impl Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.before.0.iter().zip(&self.after.0);
        for (before, after) in pairs.filter(|(before, after)| before != after) {
            let Count { leaks, what, .. } = before.or(*after).unwrap_or_default();
            let number = |count: &Option<Count>| count.map_or(0, |count| count.number);
            let (before, after) = (number(before), number(after));
            let more = after.cast_signed() - before.cast_signed();
            writeln!(f, "  {leaks} leak: {more} {what} (before: {before}, after: {after})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_that_differs_has_a_line() {
        let balance = |frames, handles| {
            let count = |leaks, what, number| Count { leaks, what, number };
            Balance::new(&[
                count("frame", "frames in use", frames),
                count("handle", "handles open", handles),
            ])
        };
        let before = balance(100, 3);
        assert_eq!(
            balance(103, 3).leaks(before).to_string(),
            "  frame leak: 3 frames in use (before: 100, after: 103)\n"
        );
        assert_eq!(
            balance(100, 2).leaks(before).to_string(),
            "  handle leak: -1 handles open (before: 3, after: 2)\n"
        );
        assert_eq!(before.leaks(before).to_string(), "");
    }
}
