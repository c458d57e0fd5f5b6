//! What was to be reached, and whether it was.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Report;
use super::grid::Spread;
use super::small_target::{Profile, SmallTarget};
use super::system_side::Cost;
use crate::measure::bounds::Operation;
use crate::measure::bounds::single::Single;
use crate::measure::tightness::Question;
use crate::subject::Name::{Floor, Heap, LinkedList, Mimalloc, Plain, Rlsf, Talc};
use crate::{subject, workload};

/// One target of the project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What it is about.
    pub what: String,
    /// What was to be reached at most, or at least, and of whom that is.
    pub target: String,
    /// What was reached.
    pub reached: f64,
    /// What was reached, divided by what was to be reached.
    pub ratio: f64,
    /// Whether it was reached.
    pub ok: bool,
    /// Whether the spreads of what was reached and of the target overlap.
    #[serde(default)]
    pub alike: bool,
}

impl Target {
    /// `reached` is to be `limit` or less.
    pub(super) fn at_most(what: impl Into<String>, reached: f64, limit: f64, whose: &str) -> Self {
        let ratio = reached / limit;
        Self {
            what: what.into(),
            target: format!("≤ {}{whose}", Figure(limit)),
            reached,
            ratio,
            ok: ratio <= 1.0,
            alike: false,
        }
    }

    /// `reached` is to be `limit` or more.
    pub(super) fn at_least(what: impl Into<String>, reached: f64, limit: f64, whose: &str) -> Self {
        let ratio = reached / limit;
        Self {
            what: what.into(),
            target: format!("≥ {}{whose}", Figure(limit)),
            reached,
            ratio,
            ok: ratio >= 1.0,
            alike: false,
        }
    }

    /// The same, of figures with these spreads.
    fn with_spreads(self, reached: Option<Spread>, target: Option<Spread>) -> Self {
        let alike = reached.zip(target).is_some_and(|(one, other)| one.overlaps(other));
        Self { alike, ..self }
    }

    /// The line above the targets.
    #[must_use]
    pub fn heading() -> String {
        format!("{:44} {:34} {:>9} {:>7}", "what", "target", "reached", "ratio")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self {
            Self { ok: true, .. } => "ok",
            Self { alike: true, .. } => "within the spread",
            Self { .. } => "short",
        };
        let reached = Figure(self.reached).to_string();
        write!(f, "{:44} {:34} {reached:>9} {:7.3}  {verdict}", self.what, self.target, self.ratio)
    }
}

/// A figure with as many digits as tell something.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            whole if whole.fract() == 0.0 => write!(f, "{whole}"),
            small if small < 10.0 => write!(f, "{small:.3}"),
            large => write!(f, "{large:.1}"),
        }
    }
}

/// A small memory holds as much as with talc. linked_list_allocator, which has no headers, may hold
/// a little more of the smallest.
fn small_memory(
    row: Question,
    kib: u32,
    heap: f64,
    talc: Option<f64>,
    linked_list: Option<f64>,
    targets: &mut Vec<Target>,
) {
    const HEADERS: f64 = 0.03;
    if let Some(talc) = talc {
        targets.push(Target::at_least(format!("{row}: as talc"), heap, talc, ""));
    }
    if let Some(linked_list) = linked_list {
        let what = format!("{row}: as linked-list");
        targets.push(match kib {
            100.. => Target::at_least(what, heap, linked_list, ""),
            _ => Target::at_least(what, heap, linked_list - HEADERS, " (0.03 below it)"),
        });
    }
}

/// All targets for which there are figures.
pub fn judge(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    report.traces.judge(&mut targets);
    time(report, &mut targets);
    instructions(report, &mut targets);
    tightness(report, &mut targets);
    bounds(report, &mut targets);
    small_target(report, &mut targets);
    report.threads.judge(&mut targets);
    system_side(report, &mut targets);
    targets
}

fn time(report: &Report, targets: &mut Vec<Target>) {
    for row in report.time.rows() {
        let Some(heap) = report.time.figure(row, Heap) else { continue };
        let spread = |subject| report.time.spread(row, subject);
        let best = report.time.best_peer(row, false).filter(|_| row.trace().is_none());
        if let Some((peer, best)) = best {
            let what = format!("{row}: as the best peer, ns");
            let target = Target::at_most(what, heap, best, &format!(" ({peer})"));
            targets.push(target.with_spreads(spread(Heap), spread(peer)));
        }
        if let (workload::Name::Vectors, Some(rlsf)) = (row, report.time.figure(row, Rlsf)) {
            let target = Target::at_most(format!("{row}: as rlsf, ns"), heap, rlsf, "");
            targets.push(target.with_spreads(spread(Heap), spread(Rlsf)));
        }
        if let Some(mimalloc) = report.time.figure(row, Mimalloc) {
            let share = match row {
                workload::Name::Random4K | workload::Name::Random128K => 0.9,
                _ => 1.0,
            };
            let of = |share| spread(Mimalloc).map(|spread| spread.times(share));
            let target = of_another(format!("{row}: ns"), heap, share, mimalloc, Mimalloc);
            targets.push(target.with_spreads(spread(Heap), of(share)));
            if row == workload::Name::Pair {
                let what = format!("{row}: 3 ns where mimalloc takes 5");
                let target = Target::at_most(what, heap, 0.6 * mimalloc, " (0.6 × mimalloc)");
                targets.push(target.with_spreads(spread(Heap), of(0.6)));
            }
        }
        if let (workload::Name::Random256, Some(floor)) = (row, report.time.figure(row, Floor)) {
            let what = format!("{row}: 1.5 of a bare list, ns");
            let target = Target::at_most(what, heap, 1.5 * floor, " (1.5 × floor)");
            let limit = spread(Floor).map(|spread| spread.times(1.5));
            targets.push(target.with_spreads(spread(Heap), limit));
        }
    }
}

/// `reached` is to be at most `share` of what another reached.
fn of_another(what: String, reached: f64, share: f64, other: f64, who: subject::Name) -> Target {
    Target::at_most(what, reached, share * other, &format!(" ({share} × {who})"))
}

/// Workloads whose instructions count.
fn instructions(report: &Report, targets: &mut Vec<Target>) {
    use workload::Name::{Actions200, Actions1000, Actions10000, Full64, Full512};
    for (row, share, who) in [
        (Actions200, 0.9, Talc),
        (Actions1000, 0.9, Talc),
        (Actions10000, 0.9, Talc),
        (Full64, 1.0, Mimalloc),
        (Full512, 1.0, Mimalloc),
    ] {
        let figure = |who| report.instructions.figure(row, who);
        if let (Some(heap), Some(other)) = (figure(Heap), figure(who)) {
            targets.push(of_another(format!("{row}: instructions"), heap, share, other, who));
        }
    }
}

fn tightness(report: &Report, targets: &mut Vec<Target>) {
    for row in report.tightness.rows() {
        let figure = |who| report.tightness.figure(row, who);
        if let (Question::PayloadTo16K, Some(plain)) = (row, figure(Plain)) {
            targets.push(Target::at_least(format!("{row}: plain"), plain, 0.981, ""));
        }
        let Some(heap) = figure(Heap) else { continue };
        match row {
            Question::PayloadTo256 => {
                targets.push(Target::at_least(row.to_string(), heap, 0.9, ""));
            }
            Question::PayloadTo16K => {
                targets.push(Target::at_least(row.to_string(), heap, 0.97, ""));
            }
            Question::Pages => {
                targets.push(Target::at_least(row.to_string(), heap, 0.95, ""));
                continue;
            }
            Question::SmallMemory(kib) => {
                small_memory(row, kib, heap, figure(Talc), figure(LinkedList), targets);
                continue;
            }
            Question::RatchetRealloc | Question::RatchetMove => {
                targets.push(Target::at_most(row.to_string(), heap, 2.0, ""));
                continue;
            }
            Question::HighWater(_) | Question::Smallest(_) => {}
        }
        if let Some((peer, best)) = report.tightness.best_peer(row, row.is_share()) {
            let (what, whose) = (format!("{row}: as the best peer"), format!(" ({peer})"));
            targets.push(match row.is_share() {
                true => Target::at_least(what, heap, best, &whose),
                false => Target::at_most(what, heap, best, &whose),
            });
        }
    }
    if report.state_bytes > 0 {
        targets.push(Target::at_most(
            "state of an empty heap, bytes",
            report.state_bytes as f64,
            4096.0,
            "",
        ));
    }
}

fn bounds(report: &Report, targets: &mut Vec<Target>) {
    for (path, limit) in [(Single::Allocate, 15.0), (Single::Deallocate, 16.0)] {
        if let Some(count) = report.singles.figure(path, Heap) {
            targets.push(Target::at_most(format!("{path}, instructions"), count, limit, ""));
        }
    }
    let cells = report.cells();
    for (operation, limit) in [
        (Operation::Malloc, Some(500.0)),
        (Operation::Free, Some(400.0)),
        (Operation::Realloc, None),
    ] {
        let max_of = |cells: &[usize]| {
            let counted = cells.iter().filter_map(|&cells| report.bound(Heap, operation, cells));
            counted
                .filter(|bound| bound.samples > 0)
                .max_by_key(|bound| bound.max)
                .map(|bound| (bound.max as f64, bound.worst))
        };
        if let (Some(limit), Some((max, shape))) = (limit, max_of(&cells)) {
            let shape = shape.map(|shape| format!(" ({shape})")).unwrap_or_default();
            let what = format!("{operation}: worst case{shape}");
            targets.push(Target::at_most(what, max, limit, " instructions"));
        }
        // Whatever a heap of a thousand cells can be like, one of a million can be like; it must be
        // no worse.
        let (few, many): (Vec<_>, Vec<_>) = cells.iter().partition(|&&cells| cells <= 1000);
        if let (Some((few, _)), Some((many, _))) = (max_of(&few), max_of(&many)) {
            let what = format!("{operation}: worst of many cells");
            targets.push(Target::at_most(what, many, 1.25 * few, " (1.25 × worst of ≤ 1000)"));
        }
    }
}

fn small_target(report: &Report, targets: &mut Vec<Target>) {
    let Some(SmallTarget { target, profiles }) = &report.small_target else { return };
    for Profile { name, bytes, limits } in profiles {
        let Some(limits) = limits else { continue };
        for (what, reached, limit) in
            [("state", bytes.state, limits.state), ("code", bytes.code, limits.code)]
        {
            let what = format!("{name}: {what} on {target}, bytes");
            targets.push(Target::at_most(what, reached.into(), limit.into(), ""));
        }
    }
}

fn system_side(report: &Report, targets: &mut Vec<Target>) {
    for Cost { what, instructions, least, .. } in
        report.system_side.iter().flat_map(|figures| &figures.costs)
    {
        targets.push(Target::at_most(what, *instructions, 2.0 * *least as f64, " (2 × the least)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bounds::Bound;
    use crate::report::BoundsOf;
    use crate::workload::Name::{
        Actions1000, Full64, Pair, Random4K, Random256, TraceCompiler, Vectors,
    };

    fn verdicts(report: &Report) -> Vec<(String, bool)> {
        judge(report).into_iter().map(|target| (target.what, target.ok)).collect()
    }

    #[test]
    fn the_pair_is_held_against_the_best_peer_and_mimalloc() {
        let mut report = Report::default();
        for (subject, figure) in [(Heap, 4.0), (Talc, 5.0), (Rlsf, 9.0), (Mimalloc, 5.0)] {
            report.time.push(Pair, subject, Ok(figure));
        }
        let expected = [
            ("pair: as the best peer, ns", true),
            ("pair: ns", true),
            ("pair: 3 ns where mimalloc takes 5", false),
        ];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn a_target_that_is_missed_within_the_spread_is_not_short() {
        let mut report = Report::default();
        for (heap, talc) in [(5.1, 5.0), (5.3, 5.4), (5.2, 4.9)] {
            report.time.push(Pair, Heap, Ok(heap));
            report.time.push(Pair, Talc, Ok(talc));
        }
        let line = |report: &Report| judge(report)[0].to_string();
        assert!(line(&report).ends_with("  within the spread"), "{}", line(&report));
        for _ in 0..3 {
            report.time.push(Pair, Talc, Ok(4.0));
        }
        report.time.cells[1].rounds = vec![4.0; 3];
        assert!(line(&report).ends_with("  short"), "{}", line(&report));
    }

    #[test]
    fn random_blocks_are_held_against_the_floor_or_nine_tenths_of_mimalloc() {
        let mut report = Report::default();
        for (subject, figure) in [(Heap, 8.0), (Talc, 10.0), (Floor, 6.0)] {
            report.time.push(Random256, subject, Ok(figure));
        }
        for (subject, figure) in [(Heap, 9.5), (Talc, 12.0), (Mimalloc, 10.0)] {
            report.time.push(Random4K, subject, Ok(figure));
        }
        let expected = [
            ("random-256: as the best peer, ns", true),
            ("random-256: 1.5 of a bare list, ns", true),
            ("random-4k: as the best peer, ns", true),
            ("random-4k: ns", false),
        ];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn vectors_are_held_against_rlsf_and_traces_against_no_peer() {
        let mut report = Report::default();
        for (subject, figure) in [(Heap, 20.0), (Talc, 10.0), (Rlsf, 21.0)] {
            report.time.push(Vectors, subject, Ok(figure));
            report.time.push(TraceCompiler, subject, Ok(figure));
        }
        let expected = [("vectors: as the best peer, ns", false), ("vectors: as rlsf, ns", true)];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn actions_are_held_against_talc_and_full_slabs_against_mimalloc_by_instructions() {
        let mut report = Report::default();
        for (subject, figure) in [(Heap, 95.0), (Talc, 100.0), (Mimalloc, 96.0)] {
            report.instructions.push(Actions1000, subject, Ok(figure));
            report.instructions.push(Full64, subject, Ok(figure));
        }
        let expected = [("actions-1000: instructions", false), ("full-64: instructions", true)];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn small_memories_may_hold_a_little_less_than_a_heap_without_headers() {
        let mut report = Report::default();
        for kib in [24, 100] {
            let row = Question::SmallMemory(kib);
            for (subject, figure) in [(Heap, 0.78), (Talc, 0.70), (LinkedList, 0.80)] {
                report.tightness.push(row, subject, Ok(figure));
            }
        }
        report.tightness.push(Question::PayloadTo16K, Plain, Ok(0.98));
        report.tightness.push(Question::Pages, Heap, Ok(0.96));
        let expected = [
            ("payload, ≤ 16 KiB: plain", false),
            ("payload of 24 KiB: as talc", true),
            ("payload of 24 KiB: as linked-list", true),
            ("payload of 100 KiB: as talc", true),
            ("payload of 100 KiB: as linked-list", false),
            ("pages, of 4 MiB", true),
        ];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn shares_are_to_be_large_and_multiples_small() {
        let mut report = Report::default();
        for (subject, figure) in [(Heap, 0.91), (Talc, 0.92)] {
            report.tightness.push(Question::PayloadTo256, subject, Ok(figure));
        }
        report.tightness.push(Question::RatchetMove, Heap, Ok(2.1));
        assert_eq!(
            verdicts(&report).iter().map(|(_, ok)| *ok).collect::<Vec<_>>(),
            [true, false, false]
        );
    }

    #[test]
    fn a_small_target_has_limits_for_the_profile_that_is_meant_for_it() {
        let json = r#"{"target": "some", "profiles": [
            {"name": "ordinary", "state_bytes": 900, "code_bytes": 9000, "functions": [], "limits": null},
            {"name": "tiny", "state_bytes": 128, "code_bytes": 3073, "limits": {"state_bytes": 128, "code_bytes": 3072}}]}"#;
        let report =
            Report { small_target: Some(serde_json::from_str(json).unwrap()), ..Report::default() };
        let expected = [("tiny: state on some, bytes", true), ("tiny: code on some, bytes", false)];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
    }

    #[test]
    fn the_systems_side_has_a_target_for_each_operation() {
        let json = r#"{"costs": [
            {"what": "null system call", "instructions": 120.5, "least": 60, "most": 200},
            {"what": "brk up", "instructions": 200.0, "least": 100, "most": 150}]}"#;
        let report =
            Report { system_side: Some(serde_json::from_str(json).unwrap()), ..Report::default() };
        let expected = [("null system call", false), ("brk up", true)];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
        assert!(report.to_string().contains("null system call"), "{report}");
    }

    #[test]
    fn the_common_path_has_a_limit_and_the_refused_request_none() {
        let mut report = Report::default();
        for (single, count) in
            [(Single::Allocate, 15.0), (Single::Deallocate, 17.0), (Single::Refused(1000), 1e6)]
        {
            report.singles.push(single, Heap, Ok(count));
        }
        let expected = [
            ("common path: allocate, instructions", true),
            ("common path: deallocate, instructions", false),
        ];
        assert_eq!(verdicts(&report), expected.map(|(what, ok)| (what.to_owned(), ok)));
        assert!(report.to_string().contains("first refused request, 1000 blocks"), "{report}");
    }

    #[test]
    fn bounds_are_absolute_and_do_not_grow() {
        let of = |cells, max| BoundsOf {
            subject: Heap,
            cells,
            bounds: Ok(vec![Bound {
                operation: Operation::Malloc,
                samples: 1,
                p50: 1,
                p99: max,
                max,
                worst: None,
            }]),
        };
        let report = Report {
            bounds: vec![of(10, 100), of(1000, 200), of(1_000_000, 300)],
            ..Report::default()
        };
        assert_eq!(verdicts(&report).iter().map(|(_, ok)| *ok).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_resize_has_no_limit_but_must_not_grow_and_what_was_not_counted_is_no_bound() {
        let of = |cells, samples, max| BoundsOf {
            subject: Heap,
            cells,
            bounds: Ok(vec![Bound {
                operation: Operation::Realloc,
                samples,
                p50: 1,
                p99: max,
                max,
                worst: None,
            }]),
        };
        let mut report = Report {
            bounds: vec![of(10, 1, 100), of(1000, 1, 200), of(100_000, 1, 251)],
            ..Report::default()
        };
        assert_eq!(verdicts(&report), [("realloc: worst of many cells".to_owned(), false)]);
        report.bounds[2] = of(100_000, 0, 0);
        assert_eq!(verdicts(&report), []);
    }
}
