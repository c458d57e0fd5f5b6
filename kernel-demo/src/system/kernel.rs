//! The machine that this kernel runs on.

use super::machine::Machine;
use super::{Settings, System};
use crate::address_space::Errno;
use crate::arch::{serial, user};
use crate::heap::HEAP;
use crate::memory::{ProcessPages, Registers, Stop, TheMemory};

/// The processor, the kernel's heap and the serial port.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

/// Processes on this machine.
pub type KernelSystem = System<Kernel>;

impl KernelSystem {
    /// A system without processes.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's heap has no room for it.
    pub fn start(settings: Settings) -> Result<Self, Errno> {
        Self::new(Kernel, settings)
    }
}

impl Machine for Kernel {
    type Reach = TheMemory;

    fn reach(&self) -> TheMemory {
        TheMemory
    }

    fn reserve_heap(&mut self, bytes: usize) -> bool {
        HEAP.reserve(bytes).is_ok()
    }

    fn run(&mut self, pages: &mut ProcessPages, registers: &mut Registers) -> Stop {
        user::run(pages, registers)
    }

    fn print(&mut self, text: &[u8]) {
        serial::write_bytes(text);
    }

    fn key(&mut self) -> Option<u8> {
        serial::read_byte()
    }

    fn entropy(&mut self) -> u64 {
        user::time_stamp()
    }
}
