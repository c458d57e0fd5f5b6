//! A program's memory on the text screen, while it runs: the heap's cells, the break, resident
//! pages and page faults.
//!
//! ```text
//!   live PROGRAM [WORD …] ─► fork, execve ─► again and again: read its heap and status, show 25 rows
//! ```
//!
//! The last picture stays until Enter is pressed. With `--taken` before the program, that is done
//! by the machine that takes the pictures, and no reader is asked for it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use programs::heap::{Heap, Use};
use programs::{counted, look};
use runtime::system::io;
use runtime::system::process::{self, Ending, Fork};
use runtime::system::terminal::Settings;
use runtime::system::view::{self, SCREEN_SIZE, Subject, View};
use runtime::{Arguments, Untrue, Verdict, println, program, views};

program!(run);

const COLUMNS: usize = SCREEN_SIZE.1;

/// Rows of the heap's map, and the first of them.
const MAP: usize = 14;
const MAP_AT: usize = 8;

/// Rows of what the map's characters mean, and of how to end the picture.
const LEGEND_AT: usize = 23;
const END_AT: usize = 24;

/// Colours of the VGA.
const WHITE: u8 = 0x0F;
const GREY: u8 = 0x07;
const GREEN: u8 = 0x0A;
const TITLE: u8 = 0x1F;

/// The word that says that the pictures are taken by the machine that runs this one.
const TAKEN: &str = "--taken";

/// The exit status of a child that could not become the program.
const NO_PROGRAM: u8 = 127;

fn run(arguments: Arguments) -> Verdict {
    let mut words: Vec<&str> = arguments.iter().collect();
    let is_taken = words.first() == Some(&TAKEN);
    if is_taken {
        words.remove(0);
    }
    if words.is_empty() {
        println!("usage: live PROGRAM [WORD ...]");
        // Without a program there is nothing to show, and nothing wrong.
        return Ok(());
    }
    let child = start(&words)?;
    let mut live = Live { words: words.join(" "), child, frames: 0, most: 0 };
    let ending = loop {
        if is_begun(child) {
            live.show("running")?;
        }
        // The program has its turn, up to a tick of the timer.
        process::sched_yield();
        if let Some((_, ending)) = process::wait_not()? {
            break ending;
        }
    };
    live.title(&format!("{ending}"))?;
    println!("live: {} pictures; {}: {ending}", live.frames, live.words);
    if Settings::get().is_ok() {
        let end = if is_taken { "the last picture" } else { "Enter ends it" };
        row(END_AT, &format!(" {end}"), GREY)?;
        println!("live: {end}");
        io::read(io::INPUT, &mut [0; 64])?;
    }
    if ending == Ending::WELL { Ok(()) } else { Err(Untrue::CLAIM) }
}

fn start(words: &[&str]) -> Result<usize, Untrue> {
    let owned: Vec<CString> = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
    let arguments: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
    match process::fork()? {
        Fork::Child => {
            process::execve(arguments[0], &arguments);
            process::exit(NO_PROGRAM)
        }
        Fork::Parent { child } => Ok(child),
    }
}

/// Whether a child has become its program: until then it is a copy of this one, with its map.
fn is_begun(child: usize) -> bool {
    let map = |process| look::text(View::Maps, Subject { process, address: 0 });
    let first = |map: Vec<u8>| map.split(|&byte| byte == b'\n').next().map(<[u8]>::to_vec);
    match (map(child), map(process::getpid())) {
        (Ok(child), Ok(own)) => first(child) != first(own),
        _ => false,
    }
}

/// What is shown.
struct Live {
    words: String,
    child: usize,
    frames: usize,
    /// The most that the heap ever was, in bytes.
    most: usize,
}

impl Live {
    fn title(&self, state: &str) -> Verdict {
        // What is cut off of a long line of words is its end.
        let text = format!(" brkalloc live   process {}   {state}   {}", self.child, self.words);
        row(0, &text, TITLE)
    }

    fn show(&mut self, state: &str) -> Verdict {
        let of = Subject { process: self.child, address: 0 };
        let Ok(status) = look::text(View::Status, of) else { return Ok(()) };
        let status = str::from_utf8(&status).unwrap_or_default();
        let kib = |key| views::kib_of(status, key).unwrap_or(0);
        let table = look::text(View::Processes, Subject::default()).unwrap_or_default();
        let brk = look::area(self.child, "heap");
        let heap = Heap::read(self.child, brk);
        if self.most > 0 && look::area(self.child, "heap").is_none() {
            // The program has ended before or while it was read: the picture before stays.
            return Ok(());
        }
        let bytes = brk.map_or(0, |(start, end)| end - start);
        self.most = self.most.max(bytes);
        self.frames += 1;

        self.title(state)?;
        row(1, "", GREY)?;
        let (start, end) = brk.unwrap_or((0, 0));
        row(
            2,
            &format!(
                " break      {start:#x} .. {end:#x}   {} kB, at most {} kB",
                bytes / 1024,
                self.most / 1024
            ),
            WHITE,
        )?;
        row(
            3,
            &format!(
                " resident   {} kB, at most {} kB, of {} kB of addresses",
                kib("VmRSS"),
                kib("VmHWM"),
                kib("VmSize")
            ),
            WHITE,
        )?;
        row(4, &format!(" faults     {}", self.faults(&table).unwrap_or(0)), WHITE)?;
        row(5, &format!(" tables     {} kB     picture {}", kib("VmPTE"), self.frames), GREY)?;
        heap_rows(heap.as_ref().ok())
    }

    /// The page faults of the program, from the process table.
    fn faults(&self, table: &[u8]) -> Option<usize> {
        let lines = str::from_utf8(table).ok()?.lines();
        let mut words = lines.map(str::split_ascii_whitespace).find_map(|mut words| {
            let pid: usize = words.next()?.parse().ok()?;
            (pid == self.child).then_some(words)
        })?;
        words.nth(4)?.parse().ok()
    }
}

/// Shows the heap: a line about its cells, the map, and what its characters mean.
fn heap_rows(heap: Option<&Heap>) -> Verdict {
    let (about, map, legend) = match heap {
        Some(heap) => {
            let (unit, map) = heap.map(MAP * COLUMNS);
            let [(used, used_bytes), (free, free_bytes)] =
                [heap.sum(Use::Used), heap.sum(Use::Free)];
            let used = counted(used, "cell");
            (
                format!(
                    " heap       {used} used, {used_bytes} bytes; {free} free, {free_bytes} bytes"
                ),
                map,
                format!(" # used   . free   x not the heap's own   a character: {unit} bytes"),
            )
        }
        None => (
            String::from(" heap       unknown: none yet, or not registered"),
            Vec::new(),
            String::new(),
        ),
    };
    row(6, "", GREY)?;
    row(7, &about, WHITE)?;
    for line in 0..MAP {
        let text = map.chunks(COLUMNS).nth(line).unwrap_or_default();
        row(MAP_AT + line, str::from_utf8(text).unwrap_or_default(), GREEN)?;
    }
    row(MAP_AT + MAP, "", GREY)?;
    row(LEGEND_AT, &legend, GREY)?;
    row(END_AT, " Ctrl-C in the terminal stops it", GREY)
}

/// Shows a row; what is too long is cut off.
fn row(row: usize, text: &str, colour: u8) -> Verdict {
    let mut line = [b' '; COLUMNS];
    line.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
    Ok(view::show_row(row, &line, colour)?)
}
