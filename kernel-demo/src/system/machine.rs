//! What processes need of the machine. The kernel's is the processor; the one of the host tests
//! plays programs by hand.

use crate::address_space::Errno;
use crate::memory::{Memory, Mmu, Pages, Registers, Stop};
use crate::words::screen::COLUMNS;

/// Runs programs, prints, and reads keys.
pub trait Machine: 'static {
    /// How the memory manager reaches frames.
    type Mmu: Mmu + Clone + 'static;

    /// Does something with the memory manager, under its rules: see [`memory`](crate::memory).
    fn with_memory<R>(&self, action: impl FnOnce(&mut Memory<Self::Mmu>) -> R) -> R;

    /// Makes sure that the kernel's heap has room for so many bytes without asking for frames.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when it cannot have them, or the kernel's reserve is not whole.
    fn reserve_heap(&mut self, bytes: usize) -> Result<(), Errno>;

    /// Notes that a process has ended that had so many bytes of the kernel's heap. Lets the heap
    /// give back a slice of what it does not use, when ended processes have freed enough for that.
    /// `false` if it has to be called again to finish, with 0 bytes.
    fn trim_heap(&mut self, freed: usize) -> bool;

    /// Lets interrupts in that have waited.
    fn let_interrupts_in(&mut self);

    /// Lets a program go on, with these pages and registers, until it stops for the kernel.
    fn run(&mut self, pages: &mut Pages<Self::Mmu>, registers: &mut Registers) -> Stop;

    /// The image of the program of this name, with the name as it stays.
    fn program(&self, name: &str) -> Option<(&'static str, &'static [u8])>;

    /// The names of all programs.
    fn programs(&self) -> impl Iterator<Item = &'static str>;

    /// Prints to the console.
    fn print(&mut self, text: &[u8]);

    /// Shows a row of the text screen; the colour is as the VGA's.
    fn show(&mut self, row: usize, text: &[u8; COLUMNS], colour: u8);

    /// A key that was pressed on the console and not read yet.
    fn key(&mut self) -> Option<u8>;

    /// A number that differs from one start of the machine to the next, if anything does.
    fn entropy(&mut self) -> u64;
}
