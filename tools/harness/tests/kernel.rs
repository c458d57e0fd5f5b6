//! The demo kernel stays small enough to be read: lines, files, and the route from `malloc` to a
//! frame that `docs/KERNEL.md` lists.
//!
//! What counts is a line of code: not blank, not a comment, not of a test.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms that are counted, each of which names only those before it.
const ROOMS: [&str; 8] =
    ["words", "cpu", "story", "strace", "address_space", "memory", "arch", "system"];

/// What is made of these rooms; none of them names it.
const ABOVE: [&str; 9] =
    ["backtrace", "boot", "command", "evidence", "heap", "kernel", "programs", "testing", "tour"];

/// Maximum lines of code in the rooms where memory and processes are, with threads and all CPUs.
const MOST: usize = 6_500;

/// Maximum lines of code in what they stand on: words, and several CPUs.
const MOST_BELOW: usize = 700;

/// Maximum lines of code that write system calls as strace does.
const MOST_OF_THE_TRACE: usize = 232;

/// Maximum lines of code that tell what happens to memory and processes: the room of the story,
/// with the ring of events, and the files `told` of the others, which change nothing.
const MOST_OF_THE_STORY: usize = 590;

/// Maximum lines of code that run processes on this machine, all its CPUs.
const MOST_OF_THE_MACHINE: usize = 160;

/// Maximum lines of a file, with comments.
const MOST_OF_A_FILE: usize = 300;

/// Maximum lines of code, and files, of the route.
const MOST_OF_THE_ROUTE: (usize, usize) = (1_500, 10);

#[test]
fn the_rooms_of_the_kernel_are_small() {
    let files = ROOMS.map(|room| files(&source().join(room)));
    let tells = |file: &&PathBuf| is_told(file) || file.starts_with(source().join("story"));
    let told: usize = files.iter().flatten().filter(tells).map(lines_of).sum();
    let lines =
        files.map(|files| files.iter().filter(|file| !tells(file)).map(lines_of).sum::<usize>());
    for (room, lines) in ROOMS.iter().zip(lines) {
        println!("{room:>15} {lines:>5}");
    }
    let [words, cpu, _, trace, rooms @ ..] = lines;
    let rooms: usize = rooms.iter().sum();
    assert!(rooms > 1_000, "{rooms} lines were found");
    let machine = lines_of(source().join("kernel.rs"));
    for (what, lines, most) in [
        ("the latter four", rooms, MOST),
        ("the first two", words + cpu, MOST_BELOW),
        ("strace", trace, MOST_OF_THE_TRACE),
        ("the story", told, MOST_OF_THE_STORY),
        ("the machine", machine, MOST_OF_THE_MACHINE),
    ] {
        println!("{what:>15} {lines:>5}");
        assert!(lines <= most, "{what}: {lines} lines of code, {most} at most");
    }
}

#[test]
fn no_file_of_the_kernel_is_long() {
    for file in ROOMS.iter().flat_map(|room| files(&source().join(room))) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MOST_OF_A_FILE, "{} has {lines} lines", file.display());
    }
}

#[test]
fn rooms_of_the_kernel_name_only_those_before_them() {
    for (at, room) in ROOMS.iter().enumerate() {
        for file in files(&source().join(room)) {
            let code = code_of(&fs::read_to_string(&file).unwrap()).join("\n");
            // Processes know no machine.
            let beside = (*room == "system").then_some(&"arch");
            for above in ROOMS[at + 1..].iter().chain(&ABOVE).chain(beside) {
                let named = code.contains(&format!("crate::{above}"));
                assert!(!named, "{} names `{above}`, which is not below it", file.display());
            }
        }
    }
}

/// The table of the route has a file in the third column of each row, and its lines in the next.
#[test]
fn the_route_from_malloc_to_a_frame_is_short() {
    let document = fs::read_to_string(root().join("docs/KERNEL.md")).unwrap();
    let (_, section) = document.split_once("\n## The route").expect("the section about the route");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim).skip(2);
        Some((cells.next()?.strip_prefix('`')?.strip_suffix('`')?, cells.next()?))
    });
    let (mut files, mut lines) = (Vec::new(), 0);
    for (name, said) in rows {
        let counted = lines_of(source().join(name));
        assert_eq!(said, counted.to_string(), "lines of {name}");
        (lines, files) = (lines + counted, [files, vec![name]].concat());
    }
    let said = format!("blank lines {},{:03} lines:", lines / 1000, lines % 1000);
    assert!(section.contains(&said), "the document does not say: {said}");
    println!("the route: {lines} lines in {} files", files.len());
    assert!(files.len() > 5, "the files of the route were not found: {files:?}");
    let (most_lines, most_files) = MOST_OF_THE_ROUTE;
    assert!(lines <= most_lines, "{lines} lines, {most_lines} at most");
    assert!(files.len() <= most_files, "{} files, {most_files} at most", files.len());
}

#[test]
fn comments_blank_lines_and_tests_do_not_count() {
    let source = "//! What it is.\n\nuse a;\n\n/// A function.\nfn f() {\n    // Nothing.\n}\n\n\
        #[cfg(test)]\nmod tests {\n    fn g() {}\n}\n#[cfg(test)]\nmod more;\nconst C: u8 = 1;\n\
        struct S {\n    #[cfg(test)]\n    steps: usize,\n    rest: u8,\n}\n";
    let code = ["use a;", "fn f() {", "}", "const C: u8 = 1;", "struct S {", "    rest: u8,", "}"];
    assert_eq!(code_of(source), code);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn source() -> PathBuf {
    root().join("kernel-demo/src")
}

/// Returns the source files in a folder, without those of tests and of the model for tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_test =
        |path: &PathBuf| path.file_stem().is_some_and(|name| name == "tests" || name == "model");
    let mut paths: Vec<_> = entries.filter(|path| !is_test(path)).collect();
    paths.sort();
    let each = paths.into_iter();
    each.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn is_told(file: &Path) -> bool {
    file.file_stem().is_some_and(|name| name == "told")
}

fn lines_of(file: impl AsRef<Path>) -> usize {
    code_of(&fs::read_to_string(file).unwrap()).len()
}

/// Returns the lines of code of a file.
fn code_of(source: &str) -> Vec<&str> {
    let mut lines = source.lines().filter(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//")
    });
    let mut code = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push(line);
            continue;
        }
        // An item of one line, or one that ends with a brace as far to the left as it begins.
        let indent = |line: &str| line.len() - line.trim_start().len();
        let item = lines.find(|line| !line.trim_start().starts_with("#["));
        let Some(item) = item.filter(|item| !item.ends_with([';', ','])) else { continue };
        lines.find(|line| indent(line) == indent(item) && line.trim_start().starts_with('}'));
    }
    code
}
