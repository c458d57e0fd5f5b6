//! How a step shows its progress: title, lines worth showing, result and time.

use std::io::{self, Write};
use std::time::Instant;

/// Where a step's own lines begin.
const INDENT: &str = "        ";

/// What one step writes to the terminal.
pub(super) struct Screen {
    begun: Instant,
    verbose: bool,
    /// Where the cursor is.
    cursor: Cursor,
}

/// Where the cursor is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// Behind the title.
    Title,
    /// At the start of a line below it.
    LineStart,
    /// In a line below it that has been begun.
    InLine,
}

impl Screen {
    /// Writes the title.
    pub(super) fn begin(index: usize, number: usize, title: &str, verbose: bool) -> Self {
        print!("[{index:2}/{number}] {title:<50} ");
        flush();
        Self { begun: Instant::now(), verbose, cursor: Cursor::Title }
    }

    /// Shows a line.
    pub(super) fn line(&mut self, line: &str) {
        self.new_line();
        println!("{INDENT}{line}");
    }

    /// Shows a line to a reader who wants to see all.
    pub(super) fn detail(&mut self, line: &str) {
        if self.verbose {
            self.line(line);
        }
    }

    /// Shows the start of a line whose end may be long in coming.
    pub(super) fn start_line(&mut self, start: &str) {
        self.new_line();
        print!("{INDENT}{start}");
        flush();
        self.cursor = Cursor::InLine;
    }

    /// Shows the end of a line that was begun, or a line of its own if other lines came between.
    pub(super) fn end_line(&mut self, end: &str) {
        match self.cursor {
            Cursor::InLine => println!("{end}"),
            Cursor::Title | Cursor::LineStart => self.line(end),
        }
        self.cursor = Cursor::LineStart;
    }

    /// Writes the result and the time since the title.
    pub(super) fn end(mut self, result: &str) {
        if self.cursor != Cursor::Title {
            self.new_line();
            print!("{INDENT}");
        }
        println!("{result}  ({:.1} s)", self.begun.elapsed().as_secs_f32());
    }

    fn new_line(&mut self) {
        if self.cursor != Cursor::LineStart {
            println!();
            self.cursor = Cursor::LineStart;
        }
    }
}

fn flush() {
    // If nobody reads any more, the verdict still counts.
    let _ = io::stdout().flush();
}
