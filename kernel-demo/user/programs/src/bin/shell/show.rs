//! Views of processes and of the machine; of a heap, its cells.

use alloc::string::String;

use programs::heap::{Cell, End, Heap, Use};
use programs::look;
use runtime::system::Errno;
use runtime::system::view::{Subject, View};
use runtime::{print, println};

/// Characters of a line of a map, and lines.
const WIDTH: usize = 64;
const HEIGHT: usize = 8;

/// Characters of a line of words.
const COLUMNS: usize = 76;

/// Cells that are listed.
const LISTED: usize = 40;

/// Returns words in lines that end with newlines.
pub fn columns(words: &[&str]) -> String {
    let (mut text, mut len) = (String::new(), 0);
    for &word in words {
        if len + word.len() > COLUMNS {
            text.push('\n');
            len = 0;
        }
        text.extend(["  ", word]);
        len += 2 + word.len();
    }
    text + "\n"
}

/// Prints a view, or why there is none.
pub fn show(view: View, of: Subject) {
    match look::text(view, of) {
        Ok(text) => print!("{}", str::from_utf8(&text).unwrap_or_default()),
        Err(errno) => refusal(of.process, errno),
    }
}

/// Prints why nothing can be done with a process.
pub fn refusal(process: usize, errno: Errno) {
    match errno {
        Errno::ESRCH => println!("no process has the number {process}; `ps` lists them"),
        Errno::ECHILD => println!("process {process} is no program of this shell; see `jobs`"),
        errno => println!("process {process}: {errno}"),
    }
}

/// Whether a process has something to do, as the process table says.
pub fn is_busy(process: usize) -> bool {
    let table = look::text(View::Processes, Subject::default()).unwrap_or_default();
    let state = str::from_utf8(&table).unwrap_or_default().lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()?.parse() == Ok(process)).then(|| words.nth(2))?
    });
    matches!(state, Some("ready" | "running"))
}

/// The address that a word stands for in a process: hexadecimal, or the name of an area, as `heap`
/// or `stack`, for its first address.
pub fn address(process: usize, word: &str) -> Option<usize> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let address = usize::from_str_radix(digits, 16).ok();
    address.or_else(|| look::area(process, word).map(|(start, _)| start))
}

/// Prints the cells of a process's heap, as characters and as lines.
pub fn heap(process: usize) {
    let heap = match Heap::read(process, look::area(process, "heap")) {
        Ok(heap) => heap,
        Err(Errno::ENOENT) => {
            return println!("unknown: process {process} has no heap, or has not registered it");
        }
        Err(errno) => return refusal(process, errno),
    };
    let Heap { start, end, cells, ended } = &heap;
    let (unit, map) = heap.map(WIDTH * HEIGHT);
    println!("{start:#x}-{end:#x}, a character for {unit} bytes: # used, . free, x not its own");
    for line in map.chunks(WIDTH) {
        println!("  {}", str::from_utf8(line).unwrap_or_default());
    }
    for Cell { start, size, used } in cells.iter().take(LISTED) {
        let used = match used {
            Use::Used => "used",
            Use::Free => "free",
            Use::Hole => "not its own",
        };
        println!("  {start:#x} {size:>9}  {used}");
    }
    if cells.len() > LISTED {
        println!("  and {} more", cells.len() - LISTED);
    }
    match ended {
        End::Whole => {}
        End::Untouched(at) => println!("  {at:#x}            nothing was written there yet"),
        End::Broken(at, size) => println!("  {at:#x} {size:>9}  unknown: this is no cell"),
        End::TooMany => println!("  there are still more"),
    }
    let [(used, used_bytes), (free, free_bytes)] = [heap.sum(Use::Used), heap.sum(Use::Free)];
    println!("{used} cells used: {used_bytes} bytes; {free} free: {free_bytes} bytes");
}
