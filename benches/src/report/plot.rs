//! The report as a picture: one dot for each figure, a row for each workload.

use std::fmt::{self, Write as _};

use super::{Grid, Report, grid};
use crate::measure::bounds::Operation;
use crate::measure::tightness::Question;
use crate::subject;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 20.0;
const ROW: f64 = 22.0;

/// Rows of dots over one axis.
struct Panel {
    title: &'static str,
    logarithmic: bool,
    rows: Vec<(String, Vec<(subject::Name, f64)>)>,
}

impl Panel {
    /// The rows of the grid that are to be kept.
    fn of<R: Copy + Ord + fmt::Display>(
        title: &'static str,
        logarithmic: bool,
        figures: &Grid<R>,
        keep: impl Fn(R) -> bool,
    ) -> Self {
        let dots = |row| {
            let subjects = figures.subjects();
            subjects
                .iter()
                .filter_map(|&subject| Some((subject, figures.figure(row, subject)?)))
                .collect()
        };
        let rows = figures.rows().into_iter().filter(|&row| keep(row));
        Self { title, logarithmic, rows: rows.map(|row| (row.to_string(), dots(row))).collect() }
    }

    /// The maxima of an operation, a row for each number of cells.
    fn bounds(report: &Report, operation: Operation, title: &'static str) -> Self {
        let subjects = grid::sorted(report.bounds.iter().map(|of| of.subject));
        let dots = |cells| {
            let max = |subject| Some(report.bound(subject, operation, cells)?.max as f64);
            subjects.iter().filter_map(|&subject| Some((subject, max(subject)?))).collect()
        };
        let rows = report
            .cells()
            .into_iter()
            .map(|cells| (format!("{operation}, {cells} cells"), dots(cells)))
            .collect();
        Self { title, logarithmic: true, rows }
    }

    /// The smallest and the largest figure, widened so that no dot is on the edge.
    fn range(&self) -> (f64, f64) {
        let figures = || {
            self.rows
                .iter()
                .flat_map(|(_, dots)| dots)
                .map(|&(_, figure)| figure)
                .filter(|figure| *figure > 0.0)
        };
        let (low, high) =
            (figures().fold(f64::INFINITY, f64::min), figures().fold(f64::MIN_POSITIVE, f64::max));
        if self.logarithmic { (low / 1.2, high * 1.2) } else { (low - 0.02, high + 0.02) }
    }

    /// Where a figure is on the axis.
    fn x(&self, figure: f64) -> f64 {
        let (low, high) = self.range();
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        LEFT + (WIDTH - LEFT - RIGHT) * (scale(figure) - scale(low)) / (scale(high) - scale(low))
    }

    /// Round figures in the range.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.range();
        let inside = |tick: &f64| (low..=high).contains(tick);
        if self.logarithmic {
            return (-3..9)
                .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
                .filter(inside)
                .collect();
        }
        let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
            .into_iter()
            .find(|step| (high - low) / step < 15.0);
        let step = step.unwrap_or(10.0);
        (0..)
            .map(|index| (low / step).ceil() * step + f64::from(index) * step)
            .take_while(|tick| *tick <= high)
            .collect()
    }

    /// Draws the panel with its upper edge at `top`; returns its lower edge.
    fn draw(&self, top: f64, svg: &mut String) -> Result<f64, fmt::Error> {
        let bottom = top + 30.0 + ROW * self.rows.len() as f64;
        writeln!(
            svg,
            r#"<text x="{LEFT}" y="{}" font-weight="bold">{}</text>"#,
            top + 16.0,
            self.title
        )?;
        for tick in self.ticks() {
            let x = self.x(tick);
            writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{bottom}" stroke="#ddd"/>"##,
                top + 26.0
            )?;
            let label = (tick * 1000.0).round() / 1000.0;
            writeln!(
                svg,
                r##"<text x="{x:.1}" y="{}" text-anchor="middle" fill="#666">{label}</text>"##,
                bottom + 14.0
            )?;
        }
        for (index, (label, dots)) in self.rows.iter().enumerate() {
            let y = top + 30.0 + ROW * (index as f64 + 0.5);
            writeln!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="end">{label}</text>"#,
                LEFT - 10.0,
                y + 4.0
            )?;
            // Ours last, so that no other dot hides it.
            for (subject, figure) in dots.iter().rev().filter(|(_, figure)| *figure > 0.0) {
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
    writeln!(
        svg,
        r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"><title>{subject}</title></circle>"#
    )
}

/// The whole picture.
#[must_use]
pub fn svg(report: &Report) -> String {
    draw(report).expect("a string takes all that is written")
}

fn draw(report: &Report) -> Result<String, fmt::Error> {
    let panels = [
        Panel::of("Nanoseconds an operation", true, &report.time, |_| true),
        Panel::of("Instructions an operation", true, &report.instructions, |_| true),
        Panel::of(
            "Payload when a churn first fails, as a share of the heap",
            false,
            &report.tightness,
            Question::is_share,
        ),
        Panel::of(
            "Heap, as a multiple of the peak of live bytes",
            true,
            &report.tightness,
            |row| !row.is_share(),
        ),
        Panel::bounds(
            report,
            Operation::Malloc,
            "Most instructions of one malloc, in the worst heaps",
        ),
        Panel::bounds(report, Operation::Free, "Most instructions of one free, in the worst heaps"),
    ];
    let (mut body, mut y) = (String::new(), 40.0);
    let subjects =
        grid::sorted(report.time.subjects().into_iter().chain(report.tightness.subjects()));
    for (index, &subject) in subjects.iter().enumerate() {
        let x = 20.0 + index as f64 * 88.0;
        dot(&mut body, subject, x, 20.0)?;
        writeln!(body, r#"<text x="{}" y="24">{subject}</text>"#, x + 10.0)?;
    }
    for panel in panels.iter().filter(|panel| panel.rows.iter().any(|(_, dots)| !dots.is_empty())) {
        y = panel.draw(y, &mut body)?;
    }
    Ok(format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">"#,
            "\n",
            r#"<rect width="100%" height="100%" fill="white"/>"#,
            "\n{body}</svg>\n"
        ),
        width = WIDTH,
        height = y,
        body = body
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Name::{Heap, Talc};
    use crate::workload::Name::Pair;

    #[test]
    fn each_figure_is_a_dot_inside_the_picture() {
        let mut report = Report::default();
        report.time.push(Pair, Heap, Ok(3.0));
        report.time.push(Pair, Talc, Ok(30.0));
        let svg = svg(&report);
        // Two in the legend, two in the panel.
        assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
        let panel = Panel::of("", true, &report.time, |_| true);
        assert!(
            LEFT < panel.x(3.0) && panel.x(3.0) < panel.x(30.0) && panel.x(30.0) < WIDTH - RIGHT
        );
        assert_eq!(panel.ticks(), [5.0, 10.0, 20.0]);
    }

    #[test]
    fn an_empty_report_is_an_empty_picture() {
        assert!(!svg(&Report::default()).contains("circle"));
    }
}
