//! The report as a picture: a dot for each figure, a whisker for its spread, a row for each
//! workload.

use std::fmt::{self, Write as _};

use super::{Grid, Report, Spread, grid};
use crate::measure::bounds::Operation;
use crate::measure::tightness::Question;
use crate::subject;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 20.0;
const ROW: f64 = 22.0;

/// Least distance between two labels of an axis.
const LABEL: f64 = 44.0;

/// Width of an entry of the legend, and entries in a line of it.
const ENTRY: f64 = 120.0;
const ENTRIES: usize = 8;

/// A figure of a subject, with the spread of its rounds.
type Dot = (subject::Name, f64, Spread);

/// Which end of an axis is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

/// Rows of dots over one axis.
struct Panel {
    title: &'static str,
    logarithmic: bool,
    better: Better,
    rows: Vec<(String, Vec<Dot>)>,
}

impl Panel {
    /// The rows of the grid that are to be kept.
    fn of<R: Copy + Ord + fmt::Display>(
        title: &'static str,
        better: Better,
        figures: &Grid<R>,
        keep: impl Fn(R) -> bool,
    ) -> Self {
        let dot = |row, subject| {
            let figure = figures.figure(row, subject)?;
            let spread = figures.spread(row, subject).unwrap_or(Spread::exact(figure));
            Some((subject, figure, spread))
        };
        let dots = |row| {
            let subjects = figures.subjects().into_iter();
            subjects.filter_map(|subject| dot(row, subject)).collect()
        };
        let rows = figures.rows().into_iter().filter(|&row| keep(row));
        let rows = rows.map(|row| (row.to_string(), dots(row))).collect();
        Self { title, logarithmic: better == Better::Less, better, rows }
    }

    /// The maxima of an operation, a row for each number of cells.
    fn bounds(report: &Report, operation: Operation, title: &'static str) -> Self {
        let subjects = grid::sorted(report.bounds.iter().map(|of| of.subject));
        let dot = |cells, subject| {
            let max = report.bound(subject, operation, cells)?.max as f64;
            Some((subject, max, Spread::exact(max)))
        };
        let dots = |cells| subjects.iter().filter_map(|&subject| dot(cells, subject)).collect();
        let cells = report.cells().into_iter();
        let rows = cells.map(|cells| (format!("{operation}, {cells} cells"), dots(cells)));
        Self { title, logarithmic: true, better: Better::Less, rows: rows.collect() }
    }

    fn dots(&self) -> impl Iterator<Item = &Dot> {
        self.rows.iter().flat_map(|(_, dots)| dots).filter(|(_, figure, _)| *figure > 0.0)
    }

    /// The lowest and the highest figure, widened so that no dot is on the edge.
    fn range(&self) -> (f64, f64) {
        let low = self.dots().map(|dot| dot.2.low).fold(f64::INFINITY, f64::min);
        let high = self.dots().map(|dot| dot.2.high).fold(f64::MIN_POSITIVE, f64::max);
        if self.logarithmic { (low / 1.2, high * 1.2) } else { (low - 0.02, high + 0.02) }
    }

    /// Where a figure is on the axis.
    fn x(&self, figure: f64) -> f64 {
        let (low, high) = self.range();
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        LEFT + (WIDTH - LEFT - RIGHT) * (scale(figure) - scale(low)) / (scale(high) - scale(low))
    }

    /// Round figures in the range, as many as can be read.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.range();
        let round: Vec<f64> = if self.logarithmic {
            let of_power = |power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power));
            (-3..9).flat_map(of_power).collect()
        } else {
            let fits = |step: &f64| (high - low) / step < 15.0;
            let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0].into_iter().find(fits);
            let step = step.unwrap_or(10.0);
            (0..16).map(|index| ((low / step).ceil() + f64::from(index)) * step).collect()
        };
        let inside = |tick: &f64| (low..=high).contains(tick);
        let mut last = f64::NEG_INFINITY;
        let mut has_room = |tick: &f64| {
            let x = self.x(*tick);
            let has_room = x - last >= LABEL;
            last = if has_room { x } else { last };
            has_room
        };
        round.into_iter().filter(inside).filter(|tick| has_room(tick)).collect()
    }

    /// Draws the panel with its upper edge at `top`; returns its lower edge.
    fn draw(&self, top: f64, svg: &mut String) -> Result<f64, fmt::Error> {
        let bottom = top + 30.0 + ROW * self.rows.len() as f64;
        let title = top + 16.0;
        writeln!(svg, r#"<text x="{LEFT}" y="{title}" font-weight="bold">{}</text>"#, self.title)?;
        let (x, anchor, mark) = match self.better {
            Better::Less => (LEFT - 10.0, "end", "◀ better"),
            Better::More => (WIDTH - RIGHT, "end", "better ▶"),
        };
        writeln!(
            svg,
            r##"<text x="{x}" y="{title}" text-anchor="{anchor}" fill="#080">{mark}</text>"##
        )?;
        for tick in self.ticks() {
            let (x, y) = (self.x(tick), top + 26.0);
            writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{y}" x2="{x:.1}" y2="{bottom}" stroke="#ddd"/>"##
            )?;
            let (y, label) = (bottom + 14.0, (tick * 1000.0).round() / 1000.0);
            writeln!(
                svg,
                r##"<text x="{x:.1}" y="{y}" text-anchor="middle" fill="#666">{label}</text>"##
            )?;
        }
        for (index, (label, dots)) in self.rows.iter().enumerate() {
            let y = top + 30.0 + ROW * (index as f64 + 0.5);
            let (x, base) = (LEFT - 10.0, y + 4.0);
            writeln!(svg, r#"<text x="{x}" y="{base}" text-anchor="end">{label}</text>"#)?;
            // Ours last, so that no other dot hides it.
            for (subject, figure, spread) in dots.iter().rev().filter(|dot| dot.1 > 0.0) {
                let (low, high) = (self.x(spread.low), self.x(spread.high));
                if low < high {
                    let (colour, _) = style(*subject);
                    writeln!(
                        svg,
                        r#"<line x1="{low:.1}" y1="{y}" x2="{high:.1}" y2="{y}" stroke="{colour}"/>"#
                    )?;
                }
                dot(svg, *subject, self.x(*figure), y)?;
            }
        }
        Ok(bottom + 30.0)
    }
}

/// The colour and the radius of a subject's dots.
const fn style(subject: subject::Name) -> (&'static str, f64) {
    use subject::Name::*;
    match subject {
        Heap => ("#d62728", 7.0),
        Plain => ("#ff7f0e", 4.5),
        Small => ("#ffbb78", 4.5),
        Checked => ("#7f7f7f", 4.5),
        Simple => ("#f7b6b6", 4.5),
        Talc => ("#1f77b4", 4.5),
        Rlsf => ("#17becf", 4.5),
        Dlmalloc => ("#2ca02c", 4.5),
        LinkedList => ("#bcbd22", 4.5),
        Buddy => ("#8c564b", 4.5),
        Floor => ("#000000", 4.5),
        Glibc => ("#aaaaaa", 4.5),
        Mimalloc => ("#9467bd", 4.5),
        Jemalloc => ("#e377c2", 4.5),
        BuddySlab => ("#9edae5", 4.5),
        RustyAlloc => ("#dbdb8d", 4.5),
    }
}

fn dot(svg: &mut String, subject: subject::Name, x: f64, y: f64) -> fmt::Result {
    let (colour, radius) = style(subject);
    let title = subject.title();
    writeln!(
        svg,
        r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"><title>{title}</title></circle>"#
    )
}

/// The picture with all panels.
#[must_use]
pub fn svg(report: &Report) -> String {
    let share = "Payload when a churn first fails, as a share of the heap";
    let multiple = "Heap, as a multiple of the peak of live bytes";
    let malloc = "Most instructions of one malloc, in the worst heaps";
    let free = "Most instructions of one free, in the worst heaps";
    let panels = vec![
        Panel::of("Nanoseconds an operation", Better::Less, &report.time, |_| true),
        Panel::of("Instructions an operation", Better::Less, &report.instructions, |_| true),
        Panel::of(share, Better::More, &report.tightness, Question::is_share),
        Panel::of(multiple, Better::Less, &report.tightness, |row| !row.is_share()),
        Panel::bounds(report, Operation::Malloc, malloc),
        Panel::bounds(report, Operation::Free, free),
    ];
    draw(report, "brkalloc beside its peers: time, instructions, memory, bounds", panels)
        .expect("a string takes all that is written")
}

/// The picture with one panel: time.
#[must_use]
pub fn panel(report: &Report) -> String {
    let panels = vec![Panel::of("Nanoseconds an operation", Better::Less, &report.time, |_| true)];
    draw(report, "brkalloc beside its peers: time", panels)
        .expect("a string takes all that is written")
}

fn draw(report: &Report, title: &str, mut panels: Vec<Panel>) -> Result<String, fmt::Error> {
    panels.retain(|panel| panel.dots().next().is_some());
    let mut body = String::new();
    let quick = if report.quick { " (a short run, not for publication)" } else { "" };
    writeln!(
        body,
        r#"<text x="20" y="26" font-size="17" font-weight="bold">{title}{quick}</text>"#
    )?;
    let subjects = grid::sorted(panels.iter().flat_map(Panel::dots).map(|dot| dot.0));
    for (index, &subject) in subjects.iter().enumerate() {
        let x = 20.0 + (index % ENTRIES) as f64 * ENTRY;
        let y = 48.0 + (index / ENTRIES) as f64 * 20.0;
        dot(&mut body, subject, x, y)?;
        writeln!(body, r#"<text x="{}" y="{}">{}</text>"#, x + 10.0, y + 4.0, subject.title())?;
    }
    let mut y = 64.0 + subjects.len().div_ceil(ENTRIES) as f64 * 20.0;
    for panel in &panels {
        y = panel.draw(y, &mut body)?;
    }
    let versions = report.machine.versions.iter().filter(|(package, _)| *package != "brkalloc");
    let versions: Vec<_> =
        versions.map(|(package, version)| format!("{package} {version}")).collect();
    let spread = "A dot is the median, a line the lowest to the highest of all rounds.";
    let (first, rest) = versions.split_at(versions.len().div_ceil(2));
    for line in [&report.machine.caption(), &first.join(", "), &rest.join(", "), spread] {
        writeln!(body, r##"<text x="20" y="{}" fill="#666">{line}</text>"##, y + 12.0)?;
        y += 16.0;
    }
    Ok(format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">"#,
            "\n",
            r#"<rect width="100%" height="100%" fill="white"/>"#,
            "\n{body}</svg>\n"
        ),
        width = WIDTH,
        height = y + 10.0,
        body = body
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Name::{Heap, Talc};
    use crate::workload::Name::{Churn, Pair};

    fn report() -> Report {
        let mut report = Report::default();
        for figure in [3.0, 4.0, 3.5] {
            report.time.push(Pair, Heap, Ok(figure));
        }
        report.time.push(Pair, Talc, Ok(30.0));
        report.machine.date = "2026-11-30".to_owned();
        report
    }

    #[test]
    fn each_figure_is_a_dot_inside_the_picture() {
        let report = report();
        let svg = svg(&report);
        // Two in the legend, two in the panel.
        assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
        let panel = Panel::of("", Better::Less, &report.time, |_| true);
        let figures = [LEFT, panel.x(3.0), panel.x(30.0), WIDTH - RIGHT];
        assert!(figures.is_sorted_by(|one, next| one < next), "{figures:?}");
        assert_eq!(panel.ticks(), [5.0, 10.0, 20.0]);
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let svg = panel(&report());
        for part in ["brkalloc beside", ">brkalloc<", "◀ better", "2026-11-30", "median"] {
            assert!(svg.contains(part), "no {part:?} in {svg}");
        }
        assert_eq!(svg.matches(r##"stroke="#d62728""##).count(), 1, "one whisker: {svg}");
        assert!(!svg.contains(">heap<"));
    }

    #[test]
    fn labels_of_an_axis_have_room() {
        let mut report = report();
        report.time.push(Churn, Talc, Ok(5e6));
        let panel = Panel::of("", Better::Less, &report.time, |_| true);
        let ticks = panel.ticks();
        let distance = |pair: &[f64]| panel.x(pair[1]) - panel.x(pair[0]);
        assert!(
            ticks.len() > 4 && ticks.windows(2).all(|pair| distance(pair) >= LABEL),
            "{ticks:?}"
        );
    }

    #[test]
    fn an_empty_report_is_an_empty_picture() {
        assert!(!svg(&Report::default()).contains("circle"));
    }
}
