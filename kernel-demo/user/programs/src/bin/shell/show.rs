//! Views of processes and of the machine; of a heap, its cells.

use alloc::format;
use alloc::string::String;

use programs::heap::{Cell, End, Heap, Use};
use programs::{counted, look};
use runtime::system::Errno;
use runtime::system::view::{self, OWN_FRAME, PAGE_STATES, Subject, View, Walk};
use runtime::{print, println, views};

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

/// The address that a word stands for in a process: hexadecimal, or the name of an area, as `heap`,
/// for its first address. `stack` is the page at its top, where it begins: the lowest page of the
/// area is the last one to be touched.
///
/// # Errors
///
/// `ESRCH` if there is no such process.
pub fn address(process: usize, word: &str) -> Result<Option<usize>, Errno> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    if let Ok(address) = usize::from_str_radix(digits, 16) {
        return Ok(Some(address));
    }
    let maps = look::text(View::Maps, Subject { process, address: 0 })?;
    let area = look::area_in(&maps, word);
    Ok(area.map(|(start, end)| if word == "stack" { end - PAGE } else { start }))
}

/// Prints the page-table entries on the way to an address, and what is there:
///
/// ```text
///   0x000055fd8a270ff8 in [heap], from the table at 0xcc5000
///     level 4  entry 171  0x0000000000cc7027  table at 0xcc7000 rwx user
///     level 3  entry 502  0x0000000000038027  table at 0x38000 rwx user
///     level 2  entry  81  0x0000000000067027  table at 0x67000 rwx user
///     level 1  entry 112  0x8000000000066067  page at 0x66000 rw- user, accessed, dirty
///     a frame of its own: physical 0x66ff8
/// ```
pub fn walk(of: Subject) {
    let Walk { root, state, entries } = match view::walk_of(of) {
        Ok(walk) => walk,
        Err(errno) => return refusal(of.process, errno),
    };
    let Subject { process, address } = of;
    let label = look::label_at(process, address).unwrap_or_else(|| "no area".into());
    println!("{address:#018x} in {label}, from the table at {root:#x}");
    for (level, entry) in (1..=4).rev().zip(entries) {
        let index = address >> (12 + 9 * (level - 1)) & 511;
        println!("  level {level}  entry {index:>3}  {entry:#018x}  {}", entry_text(level, entry));
        if entry & PRESENT == 0 {
            break;
        }
    }
    if let Some(why) = copied_on_write(of, state, entries[3]) {
        println!("  {why}");
    }
    let physical = entries[3] & FRAME | address as u64 & 0xfff;
    match PAGE_STATES.get(state) {
        Some(nothing) if state == 0 => println!("  {nothing}"),
        Some(what) => println!("  {what}: physical {physical:#x}"),
        None => println!("  unknown"),
    }
}

/// Says what the first write to a page does that the area lets be written, and its entry does not.
fn copied_on_write(of: Subject, state: usize, entry: u64) -> Option<&'static str> {
    let maps = look::text(View::Maps, of).ok()?;
    let area = views::region_at(str::from_utf8(&maps).ok()?, of.address)?;
    if entry & PRESENT == 0 || entry & WRITABLE != 0 || !area.permissions.contains('w') {
        return None;
    }
    Some(match PAGE_STATES.get(state) {
        Some(&OWN_FRAME) => {
            "copy-on-write: no other process has it now, so the next write copies nothing"
        }
        _ => "copy-on-write: the next write gets a frame of its own",
    })
}

/// Bytes of a page.
const PAGE: usize = 4096;

/// Bits of an entry of a page table.
const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// What an entry says.
fn entry_text(level: usize, entry: u64) -> String {
    let has = |bit| entry & bit != 0;
    if !has(PRESENT) {
        return "not present".into();
    }
    let to = if level == 1 { "page" } else { "table" };
    let write = if has(WRITABLE) { 'w' } else { '-' };
    let execute = if has(NO_EXECUTE) { '-' } else { 'x' };
    let whose = if has(USER) { "user" } else { "kernel" };
    let accessed = if has(ACCESSED) { ", accessed" } else { "" };
    let dirty = if has(DIRTY) { ", dirty" } else { "" };
    format!("{to} at {:#x} r{write}{execute} {whose}{accessed}{dirty}", entry & FRAME)
}

/// Prints what the page allocator has, order by order.
pub fn frames() {
    /// Blocks of an order are counted up to this.
    const MOST: u64 = 256;
    let [total, free, reserved, charged, blocks @ ..] = match view::frame_counts() {
        Ok(counts) => counts,
        Err(errno) => return println!("the page allocator: {errno}"),
    };
    print!("{total} frames: {} used, {free} free, {reserved} of these reserved", total - free);
    println!("; {charged} charged to processes");
    for (order, blocks) in blocks.into_iter().enumerate() {
        let sign = if blocks == MOST { "at least " } else { "" };
        println!("  order {order:>2}  blocks of {:>4} kB  {sign}{blocks} free", 4 << order);
    }
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
    let used = counted(used, "cell");
    println!("{used} used: {used_bytes} bytes; {free} free: {free_bytes} bytes");
}
