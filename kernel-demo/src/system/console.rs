//! What processes write to and read from: the console of the machine, or text in memory.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::machine::Machine;
use super::terminal::{Control, Terminal};

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the machine's console.
    Console,
    /// Into memory, so many bytes of it. What does not fit is counted.
    Memory(usize),
}

/// Where input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The machine's console, as a terminal. Who reads waits for it.
    Console,
    /// This text, and then no more.
    Text(&'static [u8]),
}

/// Output and input of all processes of a system.
#[derive(Debug)]
pub struct Console {
    /// What was written, if it is kept; it never grows beyond its capacity, which is taken at the
    /// start.
    kept: Option<Vec<u8>>,
    lost: usize,
    /// What is left to read, if there is no terminal.
    text: &'static [u8],
    terminal: Option<Terminal>,
}

impl Console {
    /// A console.
    ///
    /// # Errors
    ///
    /// The kernel's heap has no room for what is to be kept.
    pub fn new(output: Output, input: Input) -> Result<Self, TryReserveError> {
        let kept = match output {
            Output::Console => None,
            Output::Memory(capacity) => {
                let mut kept = Vec::new();
                kept.try_reserve_exact(capacity)?;
                Some(kept)
            }
        };
        let (text, terminal) = match input {
            Input::Text(text) => (text, None),
            Input::Console => (&[][..], Some(Terminal::new()?)),
        };
        Ok(Self { kept, lost: 0, text, terminal })
    }

    /// What was written, if it is kept.
    pub fn text(&self) -> &str {
        let kept = self.kept.as_deref().unwrap_or(&[]);
        match str::from_utf8(kept) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&kept[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// Bytes that did not fit into memory.
    pub const fn lost(&self) -> usize {
        self.lost
    }

    /// Writes bytes.
    pub fn write<M: Machine>(&mut self, machine: &mut M, bytes: &[u8]) {
        write(&mut self.kept, &mut self.lost, machine, bytes);
    }

    /// The terminal, if input comes from there.
    pub const fn terminal(&mut self) -> Option<&mut Terminal> {
        self.terminal.as_mut()
    }

    /// Hands keys that were pressed to the terminal, up to one that asks something of the kernel.
    pub fn poll<M: Machine>(&mut self, machine: &mut M) -> Option<Control> {
        /// Maximum keys at a time.
        const KEYS: usize = 16;
        let Self { kept, lost, terminal, .. } = self;
        let terminal = terminal.as_mut()?;
        (0..KEYS).find_map(|_| {
            let key = machine.key()?;
            terminal.press(key, |shown| write(kept, lost, machine, shown))
        })
    }

    /// What a reader gets next: nothing at the end of the input, `None` when there may be something
    /// later. It stays there until it is [consumed](Self::consume).
    pub fn next(&self) -> Option<&[u8]> {
        match &self.terminal {
            Some(terminal) => terminal.next(),
            None => Some(self.text),
        }
    }

    /// Takes away what was read.
    pub fn consume(&mut self, len: usize) {
        match &mut self.terminal {
            Some(terminal) => terminal.consume(len),
            None => self.text = &self.text[len..],
        }
    }
}

/// Writes bytes to the machine, or into memory as far as they fit.
fn write<M: Machine>(kept: &mut Option<Vec<u8>>, lost: &mut usize, machine: &mut M, bytes: &[u8]) {
    let Some(kept) = kept else { return machine.print(bytes) };
    let room = kept.capacity() - kept.len();
    let fits = bytes.len().min(room);
    kept.extend_from_slice(&bytes[..fits]);
    *lost += bytes.len() - fits;
}
