//! Costs of the calls of real programs: a table, and the figures of its targets.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Target;
use super::grid::sorted;
use crate::measure::Outcome;
use crate::measure::traces::{Figures, Peak};
use crate::subject::{self, Name::Heap};

/// What one subject took for one trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfTrace {
    /// The trace.
    pub name: String,
    /// Who.
    pub subject: subject::Name,
    /// What it took.
    #[serde(flatten)]
    pub figures: Figures,
}

/// All traces and subjects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traces {
    /// Every pair that was measured.
    pub figures: Vec<OfTrace>,
}

/// Maximum number of instructions a call, on average; a good one; limits of the heap's peak, as a
/// multiple of the peak of live bytes, on average and of each trace.
const INSTRUCTIONS: f64 = 44.0;
const STRETCH: f64 = 38.0;
const PEAK: f64 = 1.10;
const WORST_PEAK: f64 = 1.20;

impl Traces {
    /// Returns the trace in which most bytes are zeroed for each call, if there are several: its
    /// instructions are those of `memset`.
    #[must_use]
    pub fn memset_bound(&self) -> Option<&str> {
        let zeroed = |of: &OfTrace| of.figures.peak.as_ref().map_or(0.0, |peak| peak.zeroed);
        let most = self.of(Heap).max_by(|one, other| zeroed(one).total_cmp(&zeroed(other)))?;
        (self.of(Heap).count() > 1 && zeroed(most) > 0.0).then_some(&most.name)
    }

    /// Adds the targets for which there are figures.
    pub(super) fn judge(&self, targets: &mut Vec<Target>) {
        let left_out = self.memset_bound();
        let counts = self.of(Heap).filter(|of| Some(of.name.as_str()) != left_out);
        let counts = counts.filter_map(|of| of.figures.instructions.clone().ok());
        if let Some(mean) = geomean(counts) {
            let without = left_out.map(|name| format!(", without {name}")).unwrap_or_default();
            let what = format!("traces: instructions a call{without}");
            let whose = format!(" (stretch {STRETCH})");
            targets.push(Target::at_most(what, mean, INSTRUCTIONS, &whose));
        }
        let peaks = || self.of(Heap).filter_map(|of| Some((&of.name, ratio(&of.figures.peak)?)));
        if let Some(mean) = geomean(peaks().map(|(_, ratio)| ratio)) {
            targets.push(Target::at_most("traces: peak over live bytes", mean, PEAK, ""));
        }
        if let Some((name, worst)) = peaks().max_by(|one, other| one.1.total_cmp(&other.1)) {
            let what = format!("traces: worst peak ({name})");
            targets.push(Target::at_most(what, worst, WORST_PEAK, ""));
        }
    }

    fn of(&self, subject: subject::Name) -> impl Iterator<Item = &OfTrace> {
        self.figures.iter().filter(move |of| of.subject == subject)
    }

    fn table(
        &self,
        f: &mut fmt::Formatter<'_>,
        figure: impl Fn(&Figures) -> Outcome<f64>,
    ) -> fmt::Result {
        let subjects = sorted(self.figures.iter().map(|of| of.subject));
        write!(f, "{:22}", "")?;
        subjects.iter().try_for_each(|subject| write!(f, "{:>14}", subject.title()))?;
        for name in sorted(self.figures.iter().map(|of| &of.name)) {
            write!(f, "\n{name:22}")?;
            for &subject in &subjects {
                match self.of(subject).find(|of| of.name == *name).map(|of| figure(&of.figures)) {
                    Some(Ok(figure)) if figure < 10.0 => write!(f, "{figure:14.3}")?,
                    Some(Ok(figure)) => write!(f, "{figure:14.1}")?,
                    Some(Err(failure)) => write!(f, "{failure:>14}")?,
                    None => write!(f, "{:>14}", "")?,
                }
            }
        }
        write!(f, "\n{:22}", "geometric mean")?;
        for &subject in &subjects {
            match geomean(self.of(subject).filter_map(|of| figure(&of.figures).ok())) {
                Some(mean) if mean < 10.0 => write!(f, "{mean:14.3}")?,
                Some(mean) => write!(f, "{mean:14.1}")?,
                None => write!(f, "{:>14}", "-")?,
            }
        }
        writeln!(f)
    }
}

impl Traces {
    /// The tables, each with this line below its title.
    #[must_use]
    pub fn titled<'a>(&'a self, caption: &'a str) -> impl fmt::Display + 'a {
        Titled { traces: self, caption }
    }
}

struct Titled<'a> {
    traces: &'a Traces,
    caption: &'a str,
}

impl fmt::Display for Titled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { traces, caption } = self;
        if traces.figures.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nTraces: instructions a call, by the allocator alone\n({caption})")?;
        traces.table(f, |figures| figures.instructions.clone())?;
        writeln!(f, "\nTraces: nanoseconds a call\n({caption})")?;
        traces.table(f, |figures| figures.time.clone())?;
        writeln!(f, "\nTraces: peak of the heap over peak of live bytes\n({caption})")?;
        traces.table(f, |figures| {
            let of_peak = |peak: &Peak| peak.heap as f64 / peak.live as f64;
            figures.peak.as_ref().map(of_peak).map_err(Clone::clone)
        })
    }
}

/// Returns the peak of the heap as a multiple of that of live bytes.
fn ratio(peak: &Outcome<Peak>) -> Option<f64> {
    peak.as_ref().ok().map(|peak| peak.heap as f64 / peak.live as f64)
}

/// Returns the geometric mean; `None` if there are no figures.
fn geomean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) =
        figures.fold((0.0, 0), |(sum, count), figure| (sum + figure.ln(), count + 1));
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Failure;

    fn of(name: &str, instructions: f64, heap: usize, zeroed: f64) -> OfTrace {
        let peak = Peak { calls: 10, live: 100, zeroed, heap };
        let figures = Figures { instructions: Ok(instructions), time: Ok(5.0), peak: Ok(peak) };
        OfTrace { name: name.to_owned(), subject: Heap, figures }
    }

    fn verdicts(traces: &Traces) -> Vec<(String, f64, bool)> {
        let mut targets = Vec::new();
        traces.judge(&mut targets);
        targets.into_iter().map(|target| (target.what, target.reached, target.ok)).collect()
    }

    #[test]
    fn the_memset_bound_trace_does_not_count_for_instructions() {
        let figures =
            vec![of("a", 25.0, 100, 1.0), of("b", 64.0, 100, 0.0), of("c", 9e3, 121, 9.0)];
        let traces = Traces { figures };
        assert_eq!(traces.memset_bound(), Some("c"));
        let verdicts = verdicts(&traces);
        assert_eq!(verdicts[0].0, "traces: instructions a call, without c");
        assert!((verdicts[0].1 - 40.0).abs() < 1e-9 && verdicts[0].2, "{verdicts:?}");
        assert!((verdicts[1].1 - 1.21_f64.cbrt()).abs() < 1e-9 && verdicts[1].2, "{verdicts:?}");
        assert_eq!(verdicts[2], ("traces: worst peak (c)".to_owned(), 1.21, false));
    }

    #[test]
    fn a_single_trace_counts_and_missing_figures_do_not() {
        let mut traces = Traces { figures: vec![of("a", 45.0, 105, 9.0)] };
        assert_eq!(traces.memset_bound(), None);
        assert!(!verdicts(&traces)[0].2);
        traces.figures[0].figures.instructions = Err(Failure::TooSlow);
        assert_eq!(verdicts(&traces).len(), 2);
        assert!(traces.titled("x").to_string().contains("too slow"), "{traces:?}");
        assert_eq!(Traces::default().titled("x").to_string(), "");
    }
}
