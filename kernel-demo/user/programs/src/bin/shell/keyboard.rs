//! What is typed: keys as they come from a terminal, or lines of whatever else the input is.

use alloc::string::String;
use alloc::vec::Vec;

use runtime::print;
use runtime::system::process;
use runtime::system::terminal::{self, Settings};
use runtime::system::{io, view};

use crate::line::{Editor, Input};

/// Bytes that are read at once.
const PIECE: usize = 64;

/// Clears the line that the cursor is in.
const CLEAR: &str = "\r\x1b[K";

/// The standard input.
pub struct Keyboard {
    editor: Editor,
    /// Settings for programs, if it is a terminal of this kernel.
    settings: Option<Settings>,
    /// What was read and not used yet.
    read: Vec<u8>,
}

impl Keyboard {
    /// Takes the terminal, if the input is one. Linux's is left as it is: it edits lines itself,
    /// and whoever takes it away from another process there needs signals.
    pub fn new() -> Self {
        let is_here = view::frames_free().is_ok();
        let settings = Settings::get().ok().filter(|_| is_here);
        let mut keyboard = Self { editor: Editor::new("$ "), settings, read: Vec::new() };
        keyboard.take();
        keyboard
    }

    /// Whether a user types.
    pub const fn is_terminal(&self) -> bool {
        self.settings.is_some()
    }

    /// Gives the terminal to a group of processes.
    pub fn give(&mut self, group: usize) {
        if self.is_terminal() {
            // It works as long as there is a terminal and the group.
            let _ = terminal::set_foreground(group);
        }
    }

    /// Gives it to a program that began in the background, with the settings for programs.
    pub fn lend(&mut self, group: usize) {
        self.give(group);
        // In this order no key ends the shell.
        if let Some(settings) = self.settings {
            let _ = settings.set();
        }
    }

    /// Waits until the terminal was given to this process, which is to become a program, and sets
    /// it up: a program in the foreground finds it so.
    pub fn receive(&self) {
        if let Some(settings) = self.settings {
            while terminal::foreground() != Ok(process::getpid()) {
                process::sched_yield();
            }
            let _ = settings.set();
        }
    }

    /// Takes it back.
    pub fn take(&mut self) {
        if let Some(settings) = self.settings {
            let _ = settings.with_keys().set();
            let _ = terminal::set_foreground(process::getpid());
        }
    }

    /// Reads the next line. `words` are those that can be completed. What `news` returns before a
    /// key is shown above the line.
    pub fn line(&mut self, words: &[&str], mut news: impl FnMut() -> String) -> Input {
        if self.is_terminal() {
            let mut shown = String::new();
            self.editor.show(&mut shown);
            print!("{shown}");
        }
        let mut line = Vec::new();
        loop {
            let Some(key) = self.key() else { return Input::End };
            if self.is_terminal() {
                let mut shown = news();
                if !shown.is_empty() {
                    shown.insert_str(0, CLEAR);
                    self.editor.show(&mut shown);
                }
                let input = self.editor.press(key, words.iter().copied(), &mut shown);
                print!("{shown}");
                if let Some(input) = input {
                    return input;
                }
            } else if key == b'\n' {
                return Input::Line(String::from_utf8_lossy(&line).into());
            } else {
                line.push(key);
            }
        }
    }

    /// The next byte; `None` at the end.
    fn key(&mut self) -> Option<u8> {
        if self.read.is_empty() {
            let mut piece = [0; PIECE];
            let len = io::read(io::INPUT, &mut piece).unwrap_or(0);
            self.read.extend(piece[..len].iter().rev());
        }
        self.read.pop()
    }
}
