//! What is taken of a text, and what is refused.

use super::*;

fn only(text: &str) -> Result<Vec<Cell>, Error> {
    walk(text, Which::Only).map(|walk| walk.cells)
}

const fn cell(address: u64, size: u64, state: State) -> Cell {
    Cell { address, size, state }
}

#[test]
fn every_state_is_read() {
    let text = "0x1000 64 used\n0x1040 64 free\n0x1080 4096 slab of 64: 17 of 63\n0x2080 32 internal\n0x20a0 80 hole\n0x20f0 16 top";
    let slab = State::Slab { block: 64, live: 17, total: 63 };
    let expected = [
        cell(0x1000, 64, State::Used),
        cell(0x1040, 64, State::Free),
        cell(0x1080, 4096, slab),
        cell(0x2080, 32, State::Internal),
        cell(0x20a0, 80, State::Hole),
        cell(0x20f0, 16, State::Top),
    ];
    assert_eq!(only(text).unwrap(), expected);
    let again: Vec<String> = expected
        .iter()
        .map(|Cell { address, size, state }| format!("{address:#x} {size:>8} {state}"))
        .collect();
    assert_eq!(only(&again.join("\n")).unwrap(), expected, "the names are those of the text");
}

#[test]
fn cells_stand_anywhere_in_a_log() {
    let text = "
        booting\r
        \u{fffd}[ 1.250] 0x1000       64 used\r
        71  fault   read 0x1040 in scratch 1\r
        70  break   scratch 1 0x1040 -> 0x2000 (+4032)
        the break is at 0x1040 64 bytes up
        0x1040 64 used by nobody
        0x1040 64
        x0x1040 64 used
        [ 1.251] 0x1040       32 top  \r
        |##__|";
    assert_eq!(only(text).unwrap(), [cell(0x1000, 64, State::Used), cell(0x1040, 32, State::Top)]);
}

#[test]
fn a_shortened_address_has_the_high_half_of_the_cell_before() {
    let text = "  0xffff908000000008     1008 used\n         0x…000003f8     3072 top";
    let expected = [
        cell(0xffff_9080_0000_0008, 1008, State::Used),
        cell(0xffff_9080_0000_03f8, 3072, State::Top),
    ];
    assert_eq!(only(text).unwrap(), expected);
    let long = only("0xffff908000000008 8 used\n0x…100000010 8 used");
    assert_eq!(long, Err(Error::BadCell { line: 2, why: "the address is too large" }));
}

#[test]
fn a_text_without_cells_is_refused() {
    for text in [
        "",
        "\n\n",
        "nothing of that kind",
        "0x 1 used",
        "1000 64 used",
        "0x1000 -4 used",
        "0x1000 64 slab of 64: 3",
    ] {
        assert_eq!(only(text), Err(Error::NoCells), "{text}");
    }
}

#[test]
fn cells_that_cannot_be_are_refused_with_their_line() {
    let bad = |text: &str| match only(&format!("first\n{text}")) {
        Err(Error::BadCell { line: 2, why }) => why,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(bad("0x1000 0 used"), "a cell has at least one byte");
    assert_eq!(bad("0x10000000000000000 16 used"), "the address is too large");
    assert_eq!(bad("0x1000 99999999999999999999 used"), "a number is too large");
    assert_eq!(bad("0xfffffffffffffff8 16 used"), "the cell goes beyond the last address");
    assert_eq!(bad("0x1000 4096 slab of 64: 64 of 63"), "more blocks are live than there are");
    assert_eq!(bad("0x1000 4096 slab of 0: 0 of 63"), "a slab has blocks");
    assert_eq!(bad("0x1000 4096 slab of 64: 0 of 0"), "a slab has blocks");
    assert_eq!(bad("0x1000 4096 slab of 64: 1 of 65"), "the blocks do not fit into the slab");
    assert_eq!(
        bad("0x1000 4096 slab of 9223372036854775808: 1 of 2"),
        "the blocks do not fit into the slab"
    );
}

#[test]
fn cells_that_do_not_tile_are_refused_with_their_line() {
    let gap = only("0x1000 64 used\n0x1041 64 free");
    assert_eq!(gap, Err(Error::DoesNotTile { line: 2, expected: 0x1040, found: 0x1041 }));
    let overlap = only("title\n0x1000 64 used\n0x1030 64 free");
    assert_eq!(overlap, Err(Error::DoesNotTile { line: 3, expected: 0x1040, found: 0x1030 }));
    let message = gap.unwrap_err().to_string();
    assert_eq!(message, "line 2: the cell begins at 0x1041, but the one before ends at 0x1040");
}

#[test]
fn of_several_walks_one_is_chosen() {
    let text = "before:\n0x1000 64 top\nafter:\n0x1000 32 used\n0x1020 32 top\n0x1000 16 free\n0x1010 48 top\nelsewhere:\n0x9000 64 top";
    let found = walk(text, Which::Only).unwrap_err();
    assert_eq!(
        found.to_string(),
        "there are 4 walks; choose one by its number (or `last`):\
         \n    1  line 2: 0x1000 to 0x1040, cells: 1\
         \n    2  line 4: 0x1000 to 0x1040, cells: 2\
         \n    3  line 6: 0x1000 to 0x1040, cells: 2\
         \n    4  line 9: 0x9000 to 0x9040, cells: 1"
    );
    let number = |number: &str| walk(text, number.parse().unwrap());
    assert_eq!(number("2").unwrap().cells[0].state, State::Used);
    assert_eq!(number("3").unwrap().cells[0].state, State::Free);
    assert_eq!(number("last").unwrap().start(), 0x9000);
    assert_eq!(number("5").unwrap_err(), Error::NoSuchWalk { number: 5, found: 4 });
    assert!("0".parse::<Which>().is_err() && "first".parse::<Which>().is_err());
}

#[test]
fn a_line_that_was_lost_among_others_does_not_go_unnoticed() {
    let garbled = "0x1000 64 used\n0x1040 6#### 4 fr\n0x1080 64 top";
    assert!(matches!(walk(garbled, Which::Only), Err(Error::Several(walks)) if walks.len() == 2));
}
