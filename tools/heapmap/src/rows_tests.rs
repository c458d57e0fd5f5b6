//! Where cells come to lie.

use super::*;

/// Cells of these sizes, from an address on.
fn tile(mut address: u64, sizes: impl IntoIterator<Item = (u64, State)>) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (size, state) in sizes {
        cells.push(Cell { address, size, state });
        address += size;
    }
    cells
}

/// What any rows must keep: they are in order, pieces tile them, nothing but hole is left out, and
/// everything is bounded.
fn verify(cells: &[Cell]) -> Rows {
    let rows = Rows::new(cells);
    assert!((1..=MAX_ROWS).contains(&rows.rows().len()), "{} rows", rows.rows().len());
    let (mut shown, mut before) = (Summary::default(), None);
    for row in rows.rows() {
        assert_eq!(row.start % rows.row_len(), 0);
        if let Some(before) = before {
            assert_eq!(row.start, before + (row.left_out + 1) * rows.row_len());
        }
        before = Some(row.start);
        assert!(row.pieces.len() <= 2 * PIXELS as usize + 1);
        for pair in row.pieces.windows(2) {
            assert_eq!(pair[0].range.1, pair[1].range.0);
            assert!(
                pair.iter().any(|piece| rows.pixels(piece.size()) >= 1.0),
                "both are thinner than a pixel"
            );
        }
        for piece in &row.pieces {
            assert_eq!(piece.parts.bytes.iter().sum::<u64>(), piece.size());
            assert!(row.start <= piece.range.0 && piece.range.1 - 1 - row.start < rows.row_len());
            shown.merge(&piece.parts);
        }
    }
    let hole = State::Hole.kind();
    let all = Summary::of(cells);
    assert_eq!(
        shown.bytes[..hole],
        all.bytes[..hole],
        "nothing is missing, nothing is shown twice"
    );
    assert!(shown.bytes[hole] <= all.bytes[hole]);
    rows
}

#[test]
fn a_few_cells_are_one_row() {
    let rows =
        verify(&tile(0x1008, [(64, State::Used), (32, State::Free), (4000 - 112, State::Top)]));
    assert_eq!((rows.rows().len(), rows.row_len()), (1, 4096));
    assert_eq!(rows.rows()[0].pieces.len(), 3);
}

#[test]
fn a_single_cell_anywhere_is_drawn() {
    for address in [0, 1, 0xffff_9080_0000_0008, u64::MAX - 1] {
        verify(&tile(address, [(1, State::Used)]));
    }
    verify(&tile(0, [(u64::MAX, State::Free)]));
    verify(&tile(5, [(100, State::Hole)]));
}

#[test]
fn rows_inside_a_hole_are_left_out() {
    let rows = verify(&tile(
        0x1000,
        [(4096, State::Used), ((1 << 40) + 4096, State::Hole), (4096, State::Top)],
    ));
    let left_out: Vec<_> = rows.rows().iter().map(|row| row.left_out).collect();
    assert_eq!(rows.row_len(), 8192);
    assert_eq!(left_out, [0, (1 << 40) / 8192]);
    // What is left of the hole in the rows at its ends is drawn to scale.
    assert_eq!(rows.rows()[1].pieces[0].cell.state, State::Hole);
    assert_eq!(rows.rows()[1].pieces[0].size(), 4096);
}

#[test]
fn however_many_holes_there_are_the_rows_are_not_too_many() {
    let region = [(64, State::Used), ((1 << 30) - 64, State::Hole)];
    verify(&tile(0, std::iter::repeat_n(region, 1_000).flatten()));
    verify(&tile(1 << 29, [(1 << 30, State::Hole), (64, State::Used), (1 << 50, State::Hole)]));
}

#[test]
fn what_is_thinner_than_a_pixel_is_merged_with_its_like() {
    let thin = [(16, State::Used), (16, State::Free)];
    let cells = tile(
        1 << 20,
        std::iter::once((1 << 20, State::Top)).chain(std::iter::repeat_n(thin, 1000).flatten()),
    );
    let rows = verify(&cells);
    let pieces = || rows.rows().iter().flat_map(|row| &row.pieces);
    let many = pieces().find(|piece| piece.cells() > 1).unwrap();
    assert!(rows.pixels(many.size()) >= 1.0 && rows.pixels(many.size()) < 2.0);
    assert_eq!(many.parts.most(), State::Used.kind(), "of equal shares the used one");
    assert!(pieces().any(|piece| piece.cells() == 1 && piece.cell.state == State::Top));
}

#[test]
fn a_hundred_thousand_cells_are_laid_out() {
    let sizes = (0..100_000_u64).map(|index| {
        let state = if index % 3 == 0 { State::Free } else { State::Used };
        (16 * (1 + index * index % 37), state)
    });
    let rows = verify(&tile(0x7f00_0000_1238, sizes));
    assert!(rows.rows().len() > ROWS_FOR_CELLS / 2);
}
