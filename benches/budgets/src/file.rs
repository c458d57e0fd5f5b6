//! The file of budgets, and the comparison of counts with it. Pure.

use std::collections::BTreeMap;
use std::fmt;

/// Maximum excess of a count over its budget, in percent.
const TOLERANCE: u64 = 3;

/// First lines of the file.
const HEAD: &str = "\
# Instructions of the allocator's common paths: of 20 operations, or of the beginning of a trace.
# `make test` fails if one grows by more than 3 %. `make budgets` writes the present counts: do so
# when a path has become shorter, or longer for a reason that the commit gives.
";

/// Budgets by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Budgets(BTreeMap<String, u64>);

/// Result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A count with a budget.
    Counted { count: u64, budget: u64 },
    /// A count without a budget in the file.
    New { count: u64 },
    /// A budget in the file without a count.
    Gone { budget: u64 },
}

impl Budgets {
    /// Returns the text of the file for these counts.
    pub fn text(counts: &[(String, u64)]) -> String {
        let lines = counts.iter().map(|(name, count)| format!("{count:>9}  {name}\n"));
        HEAD.to_owned() + &lines.collect::<String>()
    }

    /// Parses the text of the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut budgets = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let Some((number, name)) = line.split_once(' ') else {
                continue;
            };
            let number = number.parse().map_err(|error| format!("{line:?}: {error}"))?;
            budgets.insert(name.trim().to_owned(), number);
        }
        Ok(Self(budgets))
    }

    /// Compares each count with its budget.
    pub fn judge(&self, counts: &[(String, u64)]) -> Vec<(String, Verdict)> {
        let of = |name: &String, count| match self.0.get(name) {
            Some(&budget) => Verdict::Counted { count, budget },
            None => Verdict::New { count },
        };
        let counted = counts.iter().map(|(name, count)| (name.clone(), of(name, *count)));
        let gone = self
            .0
            .iter()
            .filter(|(name, _)| !counts.iter().any(|(counted, _)| counted == *name))
            .map(|(name, &budget)| (name.clone(), Verdict::Gone { budget }));
        counted.chain(gone).collect()
    }
}

impl Verdict {
    /// Returns whether the count keeps its budget.
    pub fn is_ok(self) -> bool {
        match self {
            Self::Counted { count, budget } => count * 100 <= budget * (100 + TOLERANCE),
            Self::New { .. } | Self::Gone { .. } => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { count, budget } => {
                let growth = (*count as f64 / *budget as f64 - 1.0) * 100.0;
                writeln!(
                    f,
                    "{count} instructions, {budget} in {}: {growth:+.1} %, at most {TOLERANCE} %",
                    crate::FILE
                )?;
            }
            Self::New { count } => {
                writeln!(f, "{count} instructions, and no number in {}", crate::FILE)?;
            }
            Self::Gone { budget } => {
                writeln!(f, "nothing of that name is counted; {budget} in {}", crate::FILE)?;
            }
        }
        write!(f, "if this is intended: `make budgets` writes the file anew")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(heap: u64) -> Vec<(String, u64)> {
        vec![("heap::allocate_64".into(), heap), ("heap::free_64".into(), 700)]
    }

    #[test]
    fn written_budgets_are_read_and_kept() {
        let budgets = Budgets::parse(&Budgets::text(&counts(1000))).unwrap();
        assert!(budgets.judge(&counts(1000)).iter().all(|(_, verdict)| verdict.is_ok()));
        assert!(budgets.judge(&counts(1030)).iter().all(|(_, verdict)| verdict.is_ok()));
        assert!(budgets.judge(&counts(1)).iter().all(|(_, verdict)| verdict.is_ok()));
    }

    #[test]
    fn a_budget_that_is_exceeded_fails_with_both_numbers_and_the_way_out() {
        let budgets = Budgets::parse(&Budgets::text(&counts(1000))).unwrap();
        let verdicts = budgets.judge(&counts(1031));
        let failed: Vec<_> = verdicts.iter().filter(|(_, verdict)| !verdict.is_ok()).collect();
        assert_eq!(failed.len(), 1);
        let text = failed[0].1.to_string();
        for part in ["1031 instructions", "1000 in benches/budgets.txt", "+3.1 %", "make budgets"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }

    #[test]
    fn a_name_that_only_one_side_has_fails() {
        let budgets = Budgets::parse("# a comment\n\n 5  heap::old\n").unwrap();
        let verdicts = budgets.judge(&[("heap::new".into(), 7)]);
        assert_eq!(verdicts[0].1, Verdict::New { count: 7 });
        assert_eq!(verdicts[1], ("heap::old".into(), Verdict::Gone { budget: 5 }));
        assert!(!verdicts.iter().any(|(_, verdict)| verdict.is_ok()));
        assert!(Budgets::parse("many  heap::old").is_err());
    }
}
