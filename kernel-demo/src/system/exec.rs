//! `execve`: a process becomes another program.
//!
//! ```text
//!   path, argv ─► the image, by name ─► load, beside the old memory ─► exchange ─► give the old memory back, in slices
//!                                           └ fails: nothing has changed
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use super::image::Image;
use super::machine::Machine;
use super::process::Process;
use super::{Commons, Interruption};
use crate::address_space::Errno;
use crate::memory::Registers;

/// Maximum length of the path and all arguments, in bytes, each with a zero behind it.
const TEXT: usize = 2048;

/// Bytes of a text that are read at once.
const PIECE: usize = 64;

/// Maximum number of arguments, with the program's name.
const ARGUMENTS: usize = 32;

impl<M: Machine> Commons<M> {
    /// Makes another program of a process. What it was is then in [`Process::old`]. Returns the
    /// registers with which it begins.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is no program of that name; `E2BIG`, `EFAULT`, `EINVAL` for arguments
    /// that are too long, cannot be read, or are not UTF-8; what loading says. Nothing has changed.
    pub(super) fn execute(
        &mut self,
        process: &mut Process<M::Mmu>,
        [path, argv]: [u64; 2],
    ) -> Result<Registers, Interruption> {
        self.machine.reserve_heap(4 * TEXT)?;
        let mut room = TEXT;
        let path = self.read_text(process, path, &mut room)?;
        let mut words = Vec::new();
        if argv != 0 {
            loop {
                let [word] = self.words_in(process, argv.wrapping_add(8 * words.len() as u64))?;
                match word {
                    0 => break,
                    _ if words.len() == ARGUMENTS => return Err(Errno::E2BIG.into()),
                    text => words.push(self.read_text(process, text, &mut room)?),
                }
            }
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let (name, file) = self.machine.program(name).ok_or(Errno::ENOENT)?;
        let image = Image::parse(file).map_err(Errno::from)?;
        let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let (mut new, thread) =
            self.load(process.pid, name, &image, &arguments, process.options)?;
        core::mem::swap(&mut process.space, &mut new.space);
        core::mem::swap(&mut process.pages, &mut new.pages);
        (process.name, process.heap) = (name, None);
        process.old = Some(new);
        Ok(thread.registers)
    }

    /// Gives back a slice of what a process was before it became another program. `false` if it has
    /// to be called again to finish.
    pub(super) fn give_up_old(&mut self, process: &mut Process<M::Mmu>) -> bool {
        let Some(old) = &mut process.old else { return true };
        if !self.give_up(old) {
            return false;
        }
        process.old.take().into_iter().for_each(|old| self.dismantle(old));
        true
    }

    /// Reads a text that ends with a zero, and takes its length off the room that there is.
    fn read_text(
        &mut self,
        process: &mut Process<M::Mmu>,
        at: u64,
        room: &mut usize,
    ) -> Result<String, Interruption> {
        let mut text = Vec::new();
        loop {
            // No piece goes beyond a page.
            let (mut piece, at) = ([0; PIECE], at.wrapping_add(text.len() as u64));
            let piece = &mut piece[..PIECE - at as usize % PIECE];
            self.copy_in(process, at, piece)?;
            let len = piece.iter().position(|byte| *byte == 0);
            let part = &piece[..len.unwrap_or(piece.len())];
            *room =
                room.checked_sub(part.len() + usize::from(len.is_some())).ok_or(Errno::E2BIG)?;
            text.extend_from_slice(part);
            if len.is_some() {
                return String::from_utf8(text).map_err(|_| Errno::EINVAL.into());
            }
        }
    }
}
