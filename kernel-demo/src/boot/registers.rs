//! The control registers, in a form to print: who owns the page tables, and which protections are
//! on.
#![allow(unsafe_code)]

use core::fmt;

use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr4, Cr4Flags, Efer, EferFlags};

/// The control registers that matter to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRegisters {
    /// Paging, write protection.
    pub cr0: Cr0Flags,
    /// Physical address of the level-4 page table.
    pub cr3: u64,
    /// Extensions.
    pub cr4: Cr4Flags,
    /// Long mode, no-execute.
    pub efer: EferFlags,
}

impl ControlRegisters {
    /// Returns what they hold now.
    pub fn read() -> Self {
        let cr3 = Cr3::read().0.start_address().as_u64();
        Self { cr0: Cr0::read(), cr3, cr4: Cr4::read(), efer: Efer::read() }
    }
}

impl fmt::Display for ControlRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |set| if set { "on" } else { "off" };
        write!(f, "level-4 table at {:#x}", self.cr3)?;
        write!(f, ", paging {}", on(self.cr0.contains(Cr0Flags::PAGING)))?;
        write!(f, ", write protection {}", on(self.cr0.contains(Cr0Flags::WRITE_PROTECT)))?;
        write!(f, ", no-execute {}", on(self.efer.contains(EferFlags::NO_EXECUTE_ENABLE)))
    }
}

/// Makes the kernel itself obey read-only and no-execute.
pub fn enable_protections() {
    // SAFETY: more faults for forbidden accesses, no change for allowed ones.
    unsafe { Cr0::update(|cr0| cr0.insert(Cr0Flags::WRITE_PROTECT)) };
    // SAFETY: the no-execute bit becomes valid in page tables; without it, it would be a reserved
    // one.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::NO_EXECUTE_ENABLE)) };
}
