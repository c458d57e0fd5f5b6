//! The picture.
//!
//! ```text
//!   title, caption, legend
//!                       +0x0      +0x400     +0x800     +0xc00
//!   0xffff908000000000  ███████░░░████░░██████████░░░░░░░██████
//!   0xffff908000001000  ░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
//!                       262142 rows inside a hole are left out
//!   0xffff9080a0000000  ▒▒▒▒▒▒▒▒███████
//! ```

use std::fmt::{self, Write as _};

use crate::cell::{Bytes, NAMES, State};
use crate::legend;
use crate::parse::Walk;
use crate::rows::{PIXELS, Piece, Row, Rows};
use crate::style::STYLE;
use crate::summary::Summary;

/// Where the band begins: left of it are addresses.
const LEFT: usize = 140;
const WIDTH: usize = LEFT + PIXELS as usize + 20;

/// Height of a row, and from one row to the next.
const BAND: usize = 18;
const STEP: usize = 23;

/// From this width on, a piece has an edge.
const WIDE: f64 = 4.0;

const SLAB: usize = State::Slab { block: 1, live: 0, total: 1 }.kind();

/// Draws a walk.
#[must_use]
pub fn draw(walk: &Walk, title: &str) -> String {
    picture(walk, title).expect("a string takes all that is written")
}

fn picture(walk: &Walk, title: &str) -> Result<String, fmt::Error> {
    let (rows, summary, title) =
        (Rows::new(walk.cells()), Summary::of(walk.cells()), escaped(title));
    let caption = legend::caption(walk, &rows, &summary);
    let mut body = String::new();
    writeln!(body, r#"<text class="title" x="20" y="28">{title}</text>"#)?;
    let mut y = 28;
    for line in caption.iter().filter(|line| !line.is_empty()) {
        y += 18;
        writeln!(body, r#"<text class="caption" x="20" y="{y}">{line}</text>"#)?;
    }
    y = legend::draw(&summary, y + 16, &mut body)? + 24;
    for quarter in 0..4 {
        let (x, offset) =
            (LEFT + PIXELS as usize * quarter / 4, rows.row_len() / 4 * quarter as u64);
        writeln!(body, r#"<path class="tick" d="M{x} {}v5"/>"#, y - 6)?;
        writeln!(body, r#"<text class="address" x="{x}" y="{}">+{offset:#x}</text>"#, y - 9)?;
    }
    for row in rows.rows() {
        if row.left_out > 0 {
            let note = format!(
                "rows inside a hole, left out: {} ({})",
                row.left_out,
                size_of_rows(&rows, row.left_out)
            );
            writeln!(body, r#"<text class="address" x="{LEFT}" y="{}">⋮ {note}</text>"#, y + 12)?;
            y += STEP;
        }
        draw_row(&rows, row, y, &mut body)?;
        y += STEP;
    }
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>{title}</title>
<desc>{desc}</desc>
<style>{STYLE}</style>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse"><path class="hatch" d="M0 6L6 0"/></pattern></defs>
<rect class="ground" width="100%" height="100%"/>
{body}</svg>
"#,
        height = y + 12,
        desc = caption.join(" ").trim_end(),
    ))
}

/// Draws a row with its upper edge at `top`.
fn draw_row(rows: &Rows, row: &Row, top: usize, svg: &mut String) -> fmt::Result {
    writeln!(svg, r#"<g class="row" transform="translate({LEFT} {top})">"#)?;
    writeln!(
        svg,
        r#"<text class="address" x="-10" y="13" text-anchor="end">{:#x}</text>"#,
        row.start
    )?;
    writeln!(svg, r#"<rect class="band" width="{PIXELS}" height="{BAND}"/>"#)?;
    // The thin ones last, so that their edges, which make them visible, lie above their neighbours.
    let is_thin = |piece: &&Piece| rows.pixels(piece.size()) < 1.0;
    for piece in
        row.pieces.iter().filter(|piece| !is_thin(piece)).chain(row.pieces.iter().filter(is_thin))
    {
        draw_piece(rows, row, piece, svg)?;
    }
    writeln!(svg, "</g>")
}

fn draw_piece(rows: &Rows, row: &Row, piece: &Piece, svg: &mut String) -> fmt::Result {
    let (from, to) =
        (rows.pixels(piece.range.0 - row.start), rows.pixels(piece.range.1 - row.start));
    let (kind, x, width) = (piece.parts.most(), Length(from), Length(to - from));
    let edge = match to - from {
        thin if thin < 1.0 => " thin",
        wide if wide >= WIDE => " wide",
        _ => "",
    };
    let name = NAMES[kind];
    let tip = Tip(piece);
    writeln!(
        svg,
        r#"<rect class="{name} piece{edge}" x="{x}" width="{width}" height="{BAND}"><title>{tip}</title></rect>"#
    )?;
    if let (SLAB, Some(share)) = (kind, piece.parts.occupancy()) {
        let height = BAND as f64 * share;
        let y = Length(BAND as f64 - height);
        writeln!(
            svg,
            r#"<rect class="live" x="{x}" y="{y}" width="{width}" height="{}" pointer-events="none"/>"#,
            Length(height)
        )?;
    }
    Ok(())
}

/// What is said of a piece that somebody points at.
struct Tip<'piece>(&'piece Piece);

impl fmt::Display for Tip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Piece { cell, parts, range: (start, end) }) = self;
        if self.0.cells() == 1 {
            write!(f, "{:#x}: {} B, {}", cell.address, cell.size, cell.state)?;
            return parts
                .occupancy()
                .map_or(Ok(()), |share| write!(f, " ({:.0} %)", 100.0 * share));
        }
        write!(f, "{start:#x} to {end:#x}: {} cells", self.0.cells())?;
        let kinds = (0..State::KINDS).filter(|&kind| parts.cells[kind] > 0);
        kinds
            .into_iter()
            .try_for_each(|kind| write!(f, ", {} {} B", NAMES[kind], parts.bytes[kind]))
    }
}

/// How many bytes so many rows are.
fn size_of_rows(rows: &Rows, number: u64) -> Bytes {
    Bytes(number.saturating_mul(rows.row_len()))
}

/// A length in pixels: to a thousandth, without what need not be said.
struct Length(f64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 1000.0).round() / 1000.0)
    }
}

/// A text as it stands in XML. Characters that XML does not have become `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            control if control.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
