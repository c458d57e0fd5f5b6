//! A line that is edited, with a history.
//!
//! ```text
//!   ← → Home End, Ctrl-A Ctrl-E        move               Ctrl-C    a new line
//!   ↑ ↓                                history            Ctrl-D    the end, on an empty line
//!   Backspace Delete, Ctrl-U Ctrl-K    erase              Ctrl-P    the process table
//!   Tab                                completes the first word, or lists what it can become
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::show;

/// Lines that are remembered.
const HISTORY: usize = 32;

/// Maximum length of a line, in bytes.
const LONGEST: usize = 200;

const CTRL_A: u8 = 1;
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const CTRL_E: u8 = 5;
const BACKSPACE: u8 = 8;
const TAB: u8 = 9;
const CTRL_K: u8 = 11;
const CTRL_P: u8 = 16;
const CTRL_U: u8 = 21;
const ESCAPE: u8 = 27;
const DELETE: u8 = 127;

/// What a key has completed.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// A line.
    Line(String),
    /// The end of the input.
    End,
    /// A wish to see the process table.
    Processes,
}

/// A part of a sequence of bytes that stands for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    None,
    /// `ESC`
    Begun,
    /// `ESC [`, with the number that follows.
    Number(u8),
    /// The same, with more behind the number, which is skipped.
    More(u8),
}

/// A line that is edited. It has ASCII characters only.
///
/// # Invariants
///
/// `cursor ≤ line.len()`; `at ≤ history.len()`.
#[derive(Debug)]
pub struct Editor {
    prompt: &'static str,
    line: Vec<u8>,
    cursor: usize,
    history: Vec<String>,
    /// The line of the history that is shown; behind its end for a new one.
    at: usize,
    sequence: Sequence,
}

impl Editor {
    /// An editor of lines that begin with this prompt.
    pub const fn new(prompt: &'static str) -> Self {
        Self {
            prompt,
            line: Vec::new(),
            cursor: 0,
            history: Vec::new(),
            at: 0,
            sequence: Sequence::None,
        }
    }

    /// Shows the line again, as at the start of one.
    pub fn show(&self, out: &mut String) {
        let text = self.line.iter().copied().map(char::from);
        let back = self.line.len() - self.cursor;
        // A string takes everything.
        let _ = write!(out, "\r{}", self.prompt);
        out.extend(text);
        out.push_str("\x1b[K");
        if back > 0 {
            let _ = write!(out, "\x1b[{back}D");
        }
    }

    /// Takes a key. `words` are those that Tab completes; `out` gets what the terminal is to show.
    pub fn press<'a>(
        &mut self,
        key: u8,
        words: impl Iterator<Item = &'a str>,
        out: &mut String,
    ) -> Option<Input> {
        match (self.sequence, key) {
            (Sequence::Begun, b'[' | b'O') => {
                self.sequence = Sequence::Number(0);
                return None;
            }
            (Sequence::Number(number), b'0'..=b'9') => {
                let number = number.saturating_mul(10).saturating_add(key - b'0');
                self.sequence = Sequence::Number(number);
                return None;
            }
            (Sequence::Number(number) | Sequence::More(number), b' '..=b'?') => {
                self.sequence = Sequence::More(number);
                return None;
            }
            (Sequence::Number(number) | Sequence::More(number), b'@'..=b'~') => {
                self.sequence = Sequence::None;
                self.special(number, key);
                self.show(out);
                return None;
            }
            // A sequence that is cut off is forgotten.
            _ => self.sequence = Sequence::None,
        }
        match key {
            b'\r' | b'\n' => {
                out.push('\n');
                return Some(Input::Line(self.take()));
            }
            CTRL_D if self.line.is_empty() => {
                out.push('\n');
                return Some(Input::End);
            }
            CTRL_C => {
                out.push_str("^C\n");
                self.take();
            }
            CTRL_P => {
                out.push('\n');
                return Some(Input::Processes);
            }
            ESCAPE => {
                self.sequence = Sequence::Begun;
                return None;
            }
            CTRL_A => self.cursor = 0,
            CTRL_E => self.cursor = self.line.len(),
            BACKSPACE | DELETE if self.cursor > 0 => {
                self.cursor -= 1;
                self.line.remove(self.cursor);
            }
            CTRL_D if self.cursor < self.line.len() => drop(self.line.remove(self.cursor)),
            CTRL_U => {
                self.line.drain(..self.cursor);
                self.cursor = 0;
            }
            CTRL_K => self.line.truncate(self.cursor),
            TAB => self.complete(words, out),
            b' '..=b'~' if self.line.len() < LONGEST => {
                self.line.insert(self.cursor, key);
                self.cursor += 1;
                if self.cursor == self.line.len() {
                    out.push(char::from(key));
                    return None;
                }
            }
            _ => return None,
        }
        self.show(out);
        None
    }

    /// Does what a key asks for that is a sequence of bytes, of which this is the last.
    fn special(&mut self, number: u8, last: u8) {
        match (number, last) {
            (_, b'A') => self.recall(self.at.saturating_sub(1)),
            (_, b'B') => self.recall(self.at + 1),
            (_, b'C') => self.cursor = self.line.len().min(self.cursor + 1),
            (_, b'D') => self.cursor = self.cursor.saturating_sub(1),
            (_, b'H') | (1 | 7, b'~') => self.cursor = 0,
            (_, b'F') | (4 | 8, b'~') => self.cursor = self.line.len(),
            (3, b'~') if self.cursor < self.line.len() => drop(self.line.remove(self.cursor)),
            _ => {}
        }
    }

    /// Makes a line of the history the one that is edited; behind the end of it, an empty one.
    fn recall(&mut self, at: usize) {
        self.at = at.min(self.history.len());
        let line = self.history.get(self.at).map_or("", String::as_str);
        self.line = line.as_bytes().to_vec();
        self.cursor = self.line.len();
    }

    /// Completes the first word as far as all words agree that begin like it. Lists them if that is
    /// no further.
    fn complete<'a>(&mut self, words: impl Iterator<Item = &'a str>, out: &mut String) {
        let mut fit: Vec<&str> =
            words.filter(|word| word.as_bytes().starts_with(&self.line)).collect();
        fit.sort_unstable();
        let [first, others @ ..] = &fit[..] else { return };
        let common = others.iter().fold(first.len(), |common, word| {
            let pairs = first.bytes().zip(word.bytes());
            pairs.take_while(|(one, other)| one == other).count().min(common)
        });
        if !others.is_empty() && common == self.line.len() {
            out.push('\n');
            out.push_str(&show::columns(&fit));
            return;
        }
        self.line = first.as_bytes()[..common].to_vec();
        if others.is_empty() {
            self.line.push(b' ');
        }
        self.cursor = self.line.len();
    }

    /// Takes the line, which the history remembers unless it is empty or the same as the last one.
    fn take(&mut self) -> String {
        let line = String::from_utf8(core::mem::take(&mut self.line)).unwrap_or_default();
        self.cursor = 0;
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            if self.history.len() == HISTORY {
                self.history.remove(0);
            }
            self.history.push(line.clone());
        }
        self.at = self.history.len();
        line
    }
}
