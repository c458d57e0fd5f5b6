//! What the picture says in words: totals, fragmentation, and which colour is what.

use std::fmt::{self, Write as _};

use crate::cell::{Bytes, NAMES, State};
use crate::parse::Walk;
use crate::rows::Rows;
use crate::summary::Summary;

const HOLE: usize = State::Hole.kind();

/// Keys in a line of the legend, and how far they are apart.
const COLUMNS: usize = 2;
const COLUMN: usize = 480;
const LINE: usize = 20;

/// The lines under the title.
pub(crate) fn caption(walk: &Walk, rows: &Rows, summary: &Summary) -> [String; 3] {
    let free = Bytes(summary.free_bytes());
    let fragmentation = match summary.fragmentation() {
        Some(share) => {
            let largest = Bytes(summary.largest_free);
            format!(
                "Free cells: {free}, the largest {largest}: fragmentation {:.1} % (1 − largest / free)",
                100.0 * share
            )
        }
        None => "No cell is free.".into(),
    };
    let in_slabs = summary.occupancy().map(|share| {
        let (live, all) = (Bytes(summary.live_in_slabs), Bytes(summary.blocks_in_slabs));
        format!(" Blocks in slabs: {all}, of which {live} ({:.1} %) are live.", 100.0 * share)
    });
    [
        format!(
            "{:#x} to {:#x}: {} in {} cells, headers included; {} a row",
            walk.start(),
            walk.end(),
            Bytes(summary.own_bytes()),
            summary.own_cells(),
            Bytes(rows.row_len())
        ),
        fragmentation,
        in_slabs.unwrap_or_default().trim_start().to_owned(),
    ]
}

/// What a kind of cells is, in a few words.
const MEANINGS: [&str; State::KINDS] = [
    "used",
    "slabs: small blocks (filled: live)",
    "free",
    "top: free, at the break",
    "the heap's own",
    "hole: somebody else's",
];

/// Draws the legend with its upper edge at `top`; returns its lower edge.
pub(crate) fn draw(summary: &Summary, top: usize, svg: &mut String) -> Result<usize, fmt::Error> {
    let kinds = (0..State::KINDS).filter(|&kind| summary.cells[kind] > 0);
    let mut lines = 0;
    for (index, kind) in kinds.enumerate() {
        let (x, y) = (20 + index % COLUMNS * COLUMN, top + index / COLUMNS * LINE);
        let (name, cells, bytes) = (NAMES[kind], summary.cells[kind], summary.bytes[kind]);
        let share = match kind {
            HOLE => String::new(),
            _ => format!(", {:.1} %", 100.0 * bytes as f64 / summary.own_bytes() as f64),
        };
        writeln!(
            svg,
            r#"<g class="key" data-state="{name}" data-cells="{cells}" data-bytes="{bytes}"><rect class="{name}" x="{x}" y="{y}" width="14" height="14"/><text x="{}" y="{}">{}: {}{share} ({cells})</text></g>"#,
            x + 20,
            y + 11,
            MEANINGS[kind],
            Bytes(bytes)
        )?;
        lines = index / COLUMNS + 1;
    }
    Ok(top + lines * LINE)
}
