//! What many threads reached: tables, and targets.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::targets::Target;
use crate::measure::{Outcome, median};
use crate::threads::{Figure, Load, Who};

/// All figures of many threads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Threads {
    /// A figure for each round.
    pub figures: Vec<Measured>,
}

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// What the threads did.
    pub load: Load,
    /// How many they were.
    pub threads: usize,
    /// Who was measured.
    pub who: Who,
    /// What was measured.
    pub figure: Outcome<Figure>,
}

impl Threads {
    /// Loads and numbers of threads, in the order in which they were measured first.
    fn rows(&self) -> Vec<(Load, usize)> {
        let mut rows = Vec::new();
        for row in self.figures.iter().map(|measured| (measured.load, measured.threads)) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    }

    fn columns(&self) -> Vec<Who> {
        super::grid::sorted(self.figures.iter().map(|measured| measured.who))
    }

    fn middle(
        &self,
        load: Load,
        threads: usize,
        who: Who,
        part: fn(&Figure) -> f64,
    ) -> Option<f64> {
        let of_row = self
            .figures
            .iter()
            .filter(|found| (found.load, found.threads, found.who) == (load, threads, who));
        let figures: Vec<_> =
            of_row.filter_map(|found| found.figure.as_ref().ok()).map(part).collect();
        median(&figures)
    }

    fn rate(&self, load: Load, threads: usize, who: Who) -> Option<f64> {
        self.middle(load, threads, who, |figure| figure.rate)
    }

    /// The targets for which there are figures.
    pub(super) fn judge(&self, targets: &mut Vec<Target>) {
        for (load, threads) in self.rows() {
            let Some(reached) = self.rate(load, threads, Who::Arenas) else { continue };
            let what = format!("{load}, {threads} threads");
            if !load.is_shared() {
                if let Some(heap) = self.rate(load, threads, Who::Heap) {
                    let whose = " (heap without a lock / 1.15)";
                    targets.push(Target::at_least(
                        format!("{what}: as one alone, M/s"),
                        reached,
                        heap / 1.15,
                        whose,
                    ));
                }
                if let (2, Some(one)) = (threads, self.rate(load, 1, Who::Arenas)) {
                    targets.push(Target::at_least(
                        format!("{what}: twice one, M/s"),
                        reached,
                        1.9 * one,
                        " (1.9 × one)",
                    ));
                }
                if let Some(mimalloc) = self.rate(load, threads, Who::Mimalloc) {
                    targets.push(Target::at_least(
                        format!("{what}: as mimalloc, M/s"),
                        reached,
                        mimalloc,
                        "",
                    ));
                }
            } else if matches!(load, Load::Remote | Load::Ring) {
                let libraries = [Who::Glibc, Who::Mimalloc, Who::Jemalloc];
                let rates = libraries
                    .into_iter()
                    .filter_map(|who| Some((self.rate(load, threads, who)?, who)));
                if let Some((best, who)) = rates.max_by(|one, other| one.0.total_cmp(&other.0)) {
                    let whose = format!(" ({who})");
                    targets.push(Target::at_least(
                        format!("{what}: as the best, M/s"),
                        reached,
                        best,
                        &whose,
                    ));
                }
            }
        }
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, part: fn(&Figure) -> f64) -> fmt::Result {
        write!(f, "{:22}", "")?;
        self.columns().iter().try_for_each(|who| write!(f, "{who:>10}"))?;
        for (load, threads) in self.rows() {
            write!(f, "\n{:22}", format!("{load}, {threads}"))?;
            for who in self.columns() {
                match self.middle(load, threads, who, part) {
                    Some(figure) => write!(f, "{figure:>10.1}")?,
                    None => {
                        let why = |found: &&Measured| {
                            (found.load, found.threads, found.who) == (load, threads, who)
                        };
                        match self.figures.iter().find(why) {
                            Some(Measured { figure: Err(failure), .. }) => {
                                write!(f, "{:>10}", failure.to_string())?
                            }
                            _ => write!(f, "{:>10}", "")?,
                        }
                    }
                }
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.figures.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nMillions of blocks a second that threads allocate and free")?;
        self.table(f, |figure| figure.rate)?;
        writeln!(f, "\nThe most memory meanwhile, MiB")?;
        self.table(f, |figure| figure.peak as f64 / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_many_threads_are_the_issues() {
        let mut all = Threads::default();
        let mut push = |load, threads, who, rate| {
            all.figures.push(Measured {
                load,
                threads,
                who,
                figure: Ok(Figure { rate, peak: 1024 }),
            });
        };
        push(Load::ChurnSmall, 1, Who::Arenas, 9.0);
        push(Load::ChurnSmall, 1, Who::Heap, 10.0);
        push(Load::ChurnSmall, 2, Who::Arenas, 17.0);
        push(Load::ChurnSmall, 2, Who::Mimalloc, 16.0);
        push(Load::Remote, 2, Who::Arenas, 5.0);
        push(Load::Remote, 2, Who::Glibc, 4.0);
        push(Load::Remote, 2, Who::Jemalloc, 6.0);
        push(Load::Larson, 2, Who::Arenas, 1.0);
        let mut targets = Vec::new();
        all.judge(&mut targets);
        let verdicts: Vec<_> =
            targets.iter().map(|target| (target.what.as_str(), target.ok)).collect();
        let expected = [
            ("churn-small, 1 threads: as one alone, M/s", true),
            ("churn-small, 2 threads: twice one, M/s", false),
            ("churn-small, 2 threads: as mimalloc, M/s", true),
            ("remote, 2 threads: as the best, M/s", false),
        ];
        assert_eq!(verdicts, expected);
        assert!(all.to_string().contains("larson, 2"));
    }
}
