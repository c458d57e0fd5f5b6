//! From a real heap to its picture: what the program draws is what the heap counts.

use std::alloc::Layout;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use brkalloc::{CellState, FixedBreak, NoMap, PlainHeap};
use roxmltree::{Document, Node};

const HEADER: usize = size_of::<usize>();

/// Runs the program on a log.
fn heapmap(log: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapmap"));
    let mut child = command
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("it is piped").write_all(log.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// A heap with blocks too large for anything but cells of their own, of which every third is freed.
fn some_heap() -> PlainHeap<FixedBreak> {
    let memory = Box::leak(Box::new([0; 256 << 10]));
    let mut heap = PlainHeap::with_profile(FixedBreak::from_array(memory), NoMap);
    let layouts = (0..24).map(|index| Layout::from_size_align(1_500 + index * 331, 8).unwrap());
    // SAFETY: the heap's memory is leaked, and outlives the blocks.
    let blocks: Vec<_> =
        layouts.map(|layout| (unsafe { heap.allocate(layout) }.unwrap(), layout)).collect();
    for &(block, layout) in blocks.iter().step_by(3) {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout) };
    }
    heap.reserve(60_000).unwrap();
    heap
}

/// The cells of a heap as a kernel logs them.
fn log(heap: &PlainHeap<FixedBreak>) -> String {
    let mut log = String::from("booting 0x1000\r\n");
    for cell in heap.cells().to_string().lines() {
        log += &format!("[ 1.25] heap: {cell}\r\n");
    }
    log + "done\r\n"
}

fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// Bytes of cells in a state, by the areas of the picture's pieces.
fn area(svg: &Document<'_>, state: &str) -> f64 {
    let class = format!("{state} piece");
    let pieces = svg
        .descendants()
        .filter(|node| node.attribute("class").is_some_and(|found| found.starts_with(&class)));
    let pixels: f64 = pieces.map(|piece| number(&piece, "width")).sum();
    pixels * row_len(svg) / 840.0
}

/// Bytes of a row: four times what the second tick says.
fn row_len(svg: &Document<'_>) -> f64 {
    let text = svg
        .descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .filter(|text| text.starts_with("+0x"))
        .nth(1)
        .unwrap();
    4.0 * u64::from_str_radix(&text[3..], 16).unwrap() as f64
}

#[test]
fn the_areas_of_the_picture_are_the_heaps_counters() {
    let heap = some_heap();
    let output = heapmap(&log(&heap), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let svg = Document::parse(&text).unwrap();
    let stats = heap.stats();

    let near = |area: f64, bytes: usize| (area - bytes as f64).abs() < 1e-4 * bytes as f64;
    let [used, free, top] = ["used", "free", "top"].map(|state| area(&svg, state));
    assert!(near(used, stats.live_bytes + HEADER * stats.live_cells), "used: {used}, but {stats}");
    assert!(
        near(free + top, stats.free_bytes + HEADER * stats.free_cells),
        "free: {free} + {top}, but {stats}"
    );

    // The legend says the same to the byte, state by state.
    for (name, state) in
        [("used", CellState::Used), ("free", CellState::Free), ("top", CellState::Top)]
    {
        let key = svg
            .descendants()
            .find(|node| node.attribute("data-state") == Some(name))
            .expect("there are such cells");
        let cells = || heap.cells().filter(|cell| cell.state == state);
        assert_eq!(
            key.attribute("data-bytes").unwrap(),
            cells().map(|cell| cell.size).sum::<usize>().to_string()
        );
        assert_eq!(key.attribute("data-cells").unwrap(), cells().count().to_string());
    }
    let free = stats.free_bytes + HEADER * stats.free_cells;
    let fragmentation = 100.0 * (1.0 - (stats.largest_free + HEADER) as f64 / free as f64);
    assert!(text.contains(&format!("fragmentation {fragmentation:.1} %")), "{fragmentation}");
}

#[test]
fn a_log_is_read_from_a_file_and_a_picture_written_to_one() {
    let folder = std::env::temp_dir().join(format!("heapmap-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [from, to] = ["log", "svg"].map(|name| folder.join(name));
    // A serial line that garbles a byte, and two walks.
    let mut bytes = b"\xff\xfe noise\n".to_vec();
    bytes.extend_from_slice(b"0x1000 64 top\nafter:\n0x1000 32 used\n0x1020 32 top\n");
    std::fs::write(&from, bytes).unwrap();
    let [from, to] = [from, to].map(|path| path.to_str().unwrap().to_owned());
    let output = heapmap("", &[&from, "--out", &to, "--walk", "last", "--title", "a & b"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = std::fs::read_to_string(&to).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let svg = Document::parse(&text).unwrap();
    assert!(svg.descendants().any(|node| node.text() == Some("a & b")));
    assert_eq!(svg.descendants().filter(|node| node.attribute("data-state").is_some()).count(), 2);
}

#[test]
fn bad_input_is_said_and_nothing_is_drawn() {
    let cases: [(&str, &[&str], &str); 5] = [
        ("nothing", &[], "heapmap: error: no line tells of a cell"),
        (
            "0x1000 64 used\n0x1050 64 top",
            &[],
            "heapmap: error: line 2: the cell begins at 0x1050, but the one before ends at 0x1040",
        ),
        ("0x1000 64 top\n\n0x1000 64 used", &[], "heapmap: error: there are 2 walks; choose one"),
        ("0x1000 64 top", &["--walk", "2"], "heapmap: error: there is no walk 2; there are 1"),
        ("", &["none/such"], "heapmap: error: cannot read none/such"),
    ];
    for (log, options, expected) in cases {
        let output = heapmap(log, options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.starts_with(expected) && output.stdout.is_empty(),
            "{said}"
        );
    }
}
