//! What processes write to and read from: the console of the machine, or text in memory.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::machine::Machine;

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
    /// The machine's console. Who reads waits for it.
    Console,
    /// This text, and then no more.
    Text(&'static [u8]),
}

/// Keys that are kept until somebody reads them.
const KEYS: usize = 256;

/// Output and input of all processes of a system.
#[derive(Debug)]
pub struct Console {
    /// What was written, if it is kept; it never grows beyond its capacity, which is taken at the
    /// start.
    kept: Option<Vec<u8>>,
    lost: usize,
    input: Input,
    /// Keys that were pressed and not read yet; it never grows.
    keys: Vec<u8>,
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
        let mut keys = Vec::new();
        if input == Input::Console {
            keys.try_reserve_exact(KEYS)?;
        }
        Ok(Self { kept, lost: 0, input, keys })
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
        match &mut self.kept {
            None => machine.print(bytes),
            Some(kept) => {
                let room = kept.capacity() - kept.len();
                let fits = bytes.len().min(room);
                kept.extend_from_slice(&bytes[..fits]);
                self.lost += bytes.len() - fits;
            }
        }
    }

    /// Whether a reader need not wait.
    pub fn has_line<M: Machine>(&mut self, machine: &mut M) -> bool {
        self.line(machine).is_some()
    }

    /// Shows what there is to read, at most a buffer full, and returns its length: nothing at the
    /// end of the input, `None` when there may be something later. It stays there until it is
    /// [consumed](Self::consume).
    pub fn peek<M: Machine>(&mut self, machine: &mut M, buffer: &mut [u8]) -> Option<usize> {
        let line = self.line(machine)?;
        let len = line.len().min(buffer.len());
        buffer[..len].copy_from_slice(&line[..len]);
        Some(len)
    }

    /// The next line of the console, or all of a text.
    fn line<M: Machine>(&mut self, machine: &mut M) -> Option<&[u8]> {
        if let Input::Text(rest) = self.input {
            return Some(rest);
        }
        while self.keys.len() < self.keys.capacity()
            && let Some(key) = machine.key()
        {
            self.keys.push(key);
        }
        let is_end = |key: &u8| matches!(key, b'\n' | b'\r');
        let end = self.keys.iter().position(is_end).map(|end| end + 1);
        let full = self.keys.len() == self.keys.capacity();
        end.or(full.then_some(self.keys.len())).map(|end| &self.keys[..end])
    }

    /// Takes away what was shown.
    pub fn consume(&mut self, len: usize) {
        match &mut self.input {
            Input::Text(rest) => *rest = &rest[len..],
            Input::Console => drop(self.keys.drain(..len)),
        }
    }

    /// The same console, as something to format to.
    pub const fn writer<'a, M: Machine>(&'a mut self, machine: &'a mut M) -> Writer<'a, M> {
        Writer { console: self, machine }
    }
}

/// See [`Console::writer`].
pub struct Writer<'a, M> {
    console: &'a mut Console,
    machine: &'a mut M,
}

impl<M: Machine> Write for Writer<'_, M> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write(self.machine, text.as_bytes());
        Ok(())
    }
}
