//! Pictures, read back.

use roxmltree::{Document, Node};

use super::*;
use crate::parse::{Which, walk};

/// The picture of a text, as text and read back.
fn picture_of(text: &str, title: &str) -> String {
    draw(&walk(text, Which::Only).unwrap(), title)
}

fn with_class<'doc>(
    svg: &'doc Document<'_>,
    class: &'doc str,
) -> impl Iterator<Item = Node<'doc, 'doc>> {
    svg.descendants().filter(move |node| {
        node.attribute("class").is_some_and(|found| found.split(' ').any(|one| one == class))
    })
}

fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

const FEW: &str = "0x1008 1024 used\n0x1408 1024 free\n0x1808 1000 slab of 100: 3 of 9\n0x1bf0 64 internal\n0x1c30 960 top";

#[test]
fn each_cell_is_a_piece_to_scale_that_says_what_it_is() {
    let text = picture_of(FEW, "A heap");
    let svg = Document::parse(&text).unwrap();
    let pieces: Vec<_> = with_class(&svg, "piece").collect();
    let tips: Vec<_> =
        pieces.iter().map(|piece| piece.first_element_child().unwrap().text().unwrap()).collect();
    let expected = [
        "0x1008: 1024 B, used",
        "0x1408: 1024 B, free",
        "0x1808: 1000 B, slab of 100: 3 of 9 (33 %)",
        "0x1bf0: 64 B, internal",
        "0x1c30: 960 B, top",
    ];
    assert_eq!(tips, expected);
    let scale = f64::from(PIXELS) / 4096.0;
    let mut x = 8.0 * scale;
    for (piece, bytes) in pieces.iter().zip([1024.0, 1024.0, 1000.0, 64.0, 960.0]) {
        assert!(
            (number(piece, "x") - x).abs() < 0.01
                && (number(piece, "width") - bytes * scale).abs() < 0.01
        );
        x += bytes * scale;
    }
    let live = with_class(&svg, "live").next().unwrap();
    assert!((number(&live, "height") - BAND as f64 / 3.0).abs() < 0.01);
    assert!(
        (number(&live, "y") + number(&live, "height") - BAND as f64).abs() < 0.01,
        "filled from below"
    );
    assert_eq!(with_class(&svg, "key").count(), 5);
}

#[test]
fn the_caption_tells_totals_and_fragmentation() {
    let text = picture_of(FEW, "A heap");
    let svg = Document::parse(&text).unwrap();
    let lines: Vec<_> = with_class(&svg, "caption").map(|line| line.text().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "0x1008 to 0x1ff0: 4.0 KiB in 5 cells, headers included; 4 KiB a row",
            "Free cells: 1.9 KiB, the largest 1 KiB: fragmentation 48.4 % (1 − largest / free)",
            "Blocks in slabs: 900 B, of which 300 B (33.3 %) are live.",
        ]
    );
    let text = picture_of("0x1000 64 used", "");
    assert!(text.contains("No cell is free."));
}

#[test]
fn what_a_hole_leaves_out_is_said() {
    let text = picture_of("0x1000 4096 used\n0x2000 1073741824 hole\n0x40002000 4096 top", "holes");
    let svg = Document::parse(&text).unwrap();
    assert_eq!(with_class(&svg, "row").count(), 2);
    assert!(text.contains("rows inside a hole, left out: 131072 (1 GiB)"), "{text}");
    // The percentages are of the heap, without the hole.
    assert!(
        text.contains("used: 4 KiB, 50.0 % (1)")
            && text.contains("hole: somebody else's: 1 GiB (1)")
    );
}

#[test]
fn any_title_is_well_formed() {
    let title = "<heap> & \"stack\" \u{1}\u{fffe}\t'";
    let text = picture_of(FEW, title);
    let svg = Document::parse(&text).unwrap();
    assert_eq!(with_class(&svg, "title").next().unwrap().text(), Some("<heap> & \"stack\" ?? '"));
    assert_eq!(svg.root_element().tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
}

#[test]
fn every_state_has_a_colour_and_a_hole_its_pattern() {
    assert!(NAMES.iter().all(|name| STYLE.contains(&format!(".{name} {{ fill:"))));
    let text = picture_of(FEW, "");
    let svg = Document::parse(&text).unwrap();
    assert!(
        svg.descendants().any(|node| node.attribute("id") == Some("hatch"))
            && STYLE.contains("url(#hatch)")
    );
}

/// Every second cell is free; sizes of all kinds.
fn many(number: u64) -> String {
    let (mut text, mut address) = (String::new(), 0x7f00_0000_1238_u64);
    for index in 0..number {
        let size = 16 * (2 + index * index % 41) * if index % 97 == 0 { 50 } else { 1 };
        let state = if index % 2 == 0 { "used" } else { "free" };
        writeln!(text, "{address:#x} {size} {state}").unwrap();
        address += size;
    }
    text
}

#[test]
fn a_hundred_thousand_cells_make_a_picture_of_bounded_size() {
    let text = picture_of(&many(100_000), "many");
    let svg = Document::parse(&text).unwrap();
    let (rows, pieces) = (with_class(&svg, "row").count(), with_class(&svg, "piece").count());
    assert!(
        rows <= crate::rows::MAX_ROWS && pieces > 10_000 && pieces < rows * 2 * PIXELS as usize
    );
    let tenfold = picture_of(&many(1_000_000), "more");
    assert!(
        tenfold.len() < 10 << 20 && tenfold.len() < 3 * text.len(),
        "{} and {} bytes",
        text.len(),
        tenfold.len()
    );
}
