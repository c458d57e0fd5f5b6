//! The terminal: keys become lines, which can be corrected until they end, or bytes as they come.
//!
//! ```text
//!   key ─► Ctrl-P ─► Control::Processes
//!       ─► Ctrl-C, if SIGNALS ─► Control::Interrupt
//!       ─► LINES:      edited, echoed ── Enter, Ctrl-D ──► a whole line ─┐
//!       ─► otherwise:  a byte ───────────────────────────────────────────┴─► read
//! ```
//!
//! The settings are the flags of Linux's `termios` that have these meanings, with its bits.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use bitflags::bitflags;

use super::table::Pid;

bitflags! {
    /// Treatment of keys: `c_lflag` of `struct termios`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Mode: u32 {
        /// Ctrl-C ends the processes in the foreground (`ISIG`).
        const SIGNALS = 0o1;
        /// A reader gets whole lines (`ICANON`).
        const LINES = 0o2;
        /// Keys are shown (`ECHO`).
        const ECHO = 0o10;
    }
}

/// What a key asks of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// End the processes in the foreground.
    Interrupt,
    /// Show the process table.
    Processes,
}

/// Maximum number of bytes that wait to be read.
const CAPACITY: usize = 1024;

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_P: u8 = 16;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// Overwrites the last character with a space.
const ERASE: &[u8] = b"\x08 \x08";

/// A terminal.
///
/// # Invariants
///
/// `bytes` never grows beyond its capacity, which is taken at the start. Its first `whole` bytes
/// can be read: they are lines that each end with a newline or with Ctrl-D, which no reader gets to
/// see, or bytes that came while the mode was not `LINES`.
#[derive(Debug)]
pub struct Terminal {
    bytes: Vec<u8>,
    whole: usize,
    mode: Mode,
    /// Group of processes that Ctrl-C ends.
    foreground: Option<Pid>,
    /// The process that put a group there first: the shell.
    giver: Option<Pid>,
}

impl Terminal {
    /// Returns a terminal of whole lines.
    ///
    /// # Errors
    ///
    /// The kernel's heap has no room for it.
    pub fn new() -> Result<Self, TryReserveError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(CAPACITY)?;
        Ok(Self { bytes, whole: 0, mode: Mode::all(), foreground: None, giver: None })
    }

    /// Returns the treatment of keys.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes the treatment of keys. An unfinished line can be read as it is once lines are off.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        if !mode.contains(Mode::LINES) {
            self.whole = self.bytes.len();
        }
    }

    /// Returns the group of processes in the foreground, if there is one.
    pub const fn foreground(&self) -> Option<Pid> {
        self.foreground
    }

    /// Puts a group into the foreground.
    pub fn give(&mut self, giver: Pid, group: Pid) {
        self.giver.get_or_insert(giver);
        self.foreground = Some(group);
    }

    /// Returns whether a process of that number and group may change the settings, or give the
    /// terminal to another group: one in the foreground, and the shell.
    pub fn obeys(&self, process: Pid, group: Pid) -> bool {
        self.foreground.is_none_or(|foreground| foreground == group) || self.giver == Some(process)
    }

    /// Takes a key. `echo` gets what the terminal shows of it.
    pub fn press(&mut self, key: u8, mut echo: impl FnMut(&[u8])) -> Option<Control> {
        let shows = self.mode.contains(Mode::ECHO);
        let mut echo = |bytes: &[u8]| {
            if shows {
                echo(bytes);
            }
        };
        let is_full = self.bytes.len() == CAPACITY;
        if key == CTRL_C && self.mode.contains(Mode::SIGNALS) {
            echo(b"^C\n");
            self.bytes.truncate(self.whole);
            return Some(Control::Interrupt);
        }
        if !self.mode.contains(Mode::LINES) {
            if !is_full {
                echo(&[key]);
                self.bytes.push(key);
                self.whole = self.bytes.len();
            }
            return None;
        }
        match key {
            CTRL_P => return Some(Control::Processes),
            BACKSPACE | DELETE | CTRL_U => {
                let most = if key == CTRL_U { CAPACITY } else { 1 };
                (0..most).take_while(|_| self.erase()).for_each(|_| echo(ERASE));
            }
            b'\r' | b'\n' | CTRL_D if !is_full => {
                let end = if key == CTRL_D { CTRL_D } else { b'\n' };
                if end == b'\n' {
                    echo(b"\n");
                }
                self.bytes.push(end);
                self.whole = self.bytes.len();
            }
            // The last place is for the line's end.
            b' '.. if self.bytes.len() + 1 < CAPACITY => {
                echo(&[key]);
                self.bytes.push(key);
            }
            _ => {}
        }
        None
    }

    /// Takes the last character out of the line that is not finished. `false` if it is empty.
    fn erase(&mut self) -> bool {
        let mut erased = false;
        while self.bytes.len() > self.whole
            && let Some(byte) = self.bytes.pop()
        {
            erased = true;
            // The first byte of a character in UTF-8.
            if byte & 0xC0 != 0x80 {
                break;
            }
        }
        erased
    }

    /// Returns what a reader gets next: the rest of a line, all bytes if lines are off, nothing at
    /// a Ctrl-D; `None` if it has to wait.
    pub fn next(&self) -> Option<&[u8]> {
        let whole = &self.bytes[..self.whole];
        if whole.is_empty() {
            return None;
        }
        if !self.mode.contains(Mode::LINES) {
            return Some(whole);
        }
        let end = whole.iter().position(|byte| matches!(byte, b'\n' | &CTRL_D));
        Some(match end {
            Some(end) if whole[end] == b'\n' => &whole[..=end],
            Some(end) => &whole[..end],
            None => whole,
        })
    }

    /// Takes away the first bytes of what [`next`](Self::next) returns, and the Ctrl-D behind its
    /// end.
    pub fn consume(&mut self, len: usize) {
        let ends = self.mode.contains(Mode::LINES) && self.bytes.get(len) == Some(&CTRL_D);
        let len = len + usize::from(ends);
        self.whole -= len;
        self.bytes.drain(..len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses keys and returns what the terminal shows, and what it asks of the kernel.
    fn press(terminal: &mut Terminal, keys: &[u8]) -> (String, Vec<Control>) {
        let (mut shown, mut events) = (Vec::new(), Vec::new());
        for key in keys {
            events.extend(terminal.press(*key, |bytes| shown.extend_from_slice(bytes)));
        }
        (String::from_utf8(shown).unwrap(), events)
    }

    fn read(terminal: &mut Terminal, most: usize) -> Option<Vec<u8>> {
        let next = terminal.next()?;
        let read = next[..next.len().min(most)].to_vec();
        terminal.consume(read.len());
        Some(read)
    }

    #[test]
    fn a_line_is_read_when_it_ends_and_piece_by_piece() {
        let mut terminal = Terminal::new().unwrap();
        assert_eq!(press(&mut terminal, b"one").0, "one");
        assert_eq!(terminal.next(), None);
        press(&mut terminal, b"\rtwo\n");
        assert_eq!(read(&mut terminal, 2).unwrap(), b"on");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"e\n");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"two\n");
        assert_eq!(read(&mut terminal, 9), None);
    }

    #[test]
    fn a_line_can_be_corrected() {
        let mut terminal = Terminal::new().unwrap();
        let (shown, _) = press(&mut terminal, "aü\x7fb\n".as_bytes());
        assert_eq!(shown, "aü\x08 \x08b\n");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"ab\n");
        press(&mut terminal, b"\x7f\x7fgone\x15kept\n");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"kept\n");
    }

    #[test]
    fn ctrl_d_ends_the_input_and_a_line_without_a_newline() {
        let mut terminal = Terminal::new().unwrap();
        press(&mut terminal, b"ab\x04\x04c\n");
        assert_eq!(read(&mut terminal, 1).unwrap(), b"a");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"b");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"", "the end");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"c\n", "what comes after it can be read");
    }

    #[test]
    fn ctrl_c_and_ctrl_p_are_the_kernels_unless_bytes_are_asked_for() {
        let mut terminal = Terminal::new().unwrap();
        let (shown, events) = press(&mut terminal, b"lost\x03\x10");
        assert_eq!(
            (shown.as_str(), &events[..]),
            ("lost^C\n", &[Control::Interrupt, Control::Processes][..])
        );
        assert_eq!(terminal.next(), None);
        terminal.set_mode(Mode::empty());
        assert_eq!(press(&mut terminal, b"\x03\x10\x7f\r\x04").1, []);
        assert_eq!(read(&mut terminal, 9).unwrap(), b"\x03\x10\x7f\r\x04");
    }

    #[test]
    fn an_unfinished_line_can_be_read_once_lines_are_off() {
        let mut terminal = Terminal::new().unwrap();
        press(&mut terminal, b"half");
        terminal.set_mode(Mode::ECHO);
        assert_eq!(press(&mut terminal, b"x").0, "x");
        assert_eq!(read(&mut terminal, 9).unwrap(), b"halfx");
    }

    #[test]
    fn it_never_grows() {
        for mode in [Mode::all(), Mode::empty()] {
            let mut terminal = Terminal::new().unwrap();
            terminal.set_mode(mode);
            press(&mut terminal, &[b'x'; 2 * CAPACITY]);
            press(&mut terminal, b"\n");
            assert!(terminal.bytes.len() <= CAPACITY);
            assert!(terminal.next().unwrap().len() >= CAPACITY - 1);
            press(&mut terminal, &[b'\n'; 2 * CAPACITY]);
            assert!(terminal.bytes.len() <= CAPACITY && terminal.whole <= terminal.bytes.len());
        }
    }
}
