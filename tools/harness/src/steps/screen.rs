//! How a step shows its progress: title, lines worth showing, result and time.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Where a step's own lines begin.
const INDENT: &str = "        ";

/// Where steps write to: the terminal, or a place to wait until that is free.
pub(super) struct Output(Mutex<Option<String>>);

impl Output {
    /// What waits for the terminal.
    pub(super) fn kept() -> Self {
        Self(Mutex::new(Some(String::new())))
    }

    /// The terminal is free: what was kept goes there, and what comes from now on too.
    pub(super) fn release(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = kept.take() {
            print!("{text}");
            flush();
        }
    }

    #[cfg(test)]
    pub(super) fn waits(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    fn write(&self, text: &str) {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(kept) => kept.push_str(text),
            None => {
                print!("{text}");
                flush();
            }
        }
    }
}

/// What one step writes.
pub(super) struct Screen<'a> {
    output: &'a Output,
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

impl<'a> Screen<'a> {
    /// Writes the title.
    pub(super) fn begin(
        output: &'a Output,
        index: usize,
        number: usize,
        title: &str,
        verbose: bool,
    ) -> Self {
        output.write(&format!("[{index:2}/{number}] {title:<50} "));
        Self { output, begun: Instant::now(), verbose, cursor: Cursor::Title }
    }

    /// Shows a line.
    pub(super) fn line(&mut self, line: &str) {
        self.new_line();
        self.output.write(&format!("{INDENT}{line}\n"));
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
        self.output.write(&format!("{INDENT}{start}"));
        self.cursor = Cursor::InLine;
    }

    /// Shows the end of a line that was begun, or a line of its own if other lines came between.
    pub(super) fn end_line(&mut self, end: &str) {
        match self.cursor {
            Cursor::InLine => self.output.write(&format!("{end}\n")),
            Cursor::Title | Cursor::LineStart => self.line(end),
        }
        self.cursor = Cursor::LineStart;
    }

    /// Writes the result and the time since the title.
    pub(super) fn end(mut self, result: &str) {
        if self.cursor != Cursor::Title {
            self.new_line();
            self.output.write(INDENT);
        }
        self.output.write(&format!("{result}  ({:.1} s)\n", self.begun.elapsed().as_secs_f32()));
    }

    fn new_line(&mut self) {
        if self.cursor != Cursor::LineStart {
            self.output.write("\n");
            self.cursor = Cursor::LineStart;
        }
    }
}

fn flush() {
    // If nobody reads any more, the verdict still counts.
    let _ = io::stdout().flush();
}
