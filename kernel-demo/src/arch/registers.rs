//! The control registers, in a form to print: who owns the page tables, and which protections are
//! on.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
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
    /// What they hold now.
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

/// Which of the protections that keep ring 0 from following a program's pointer are on. The
/// processor may lack them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// SMEP: the kernel executes no page of a program's.
    pub execution: bool,
    /// SMAP: the kernel neither reads nor writes one.
    pub access: bool,
}

impl Guards {
    /// What is on now.
    pub fn read() -> Self {
        let cr4 = Cr4::read();
        Self {
            execution: cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
            access: cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        }
    }
}

/// Makes the processor fit for programs in ring 3: no floating point and no vectors, whose
/// registers nobody saves (each use is an exception); no look at the kernel's tables; and the
/// [`Guards`], as far as the processor has them.
pub fn prepare_for_programs() {
    const EXTENDED_FEATURES: u32 = 7;
    let features = if __cpuid(0).eax >= EXTENDED_FEATURES {
        __cpuid_count(EXTENDED_FEATURES, 0)
    } else {
        NONE
    };
    let mut on = Cr4Flags::empty();
    on.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features.ebx >> 7 & 1 == 1);
    on.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.ebx >> 20 & 1 == 1);
    on.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.ecx >> 2 & 1 == 1);
    let off = Cr4Flags::OSFXSR
        | Cr4Flags::OSXSAVE
        | Cr4Flags::FSGSBASE
        | Cr4Flags::PERFORMANCE_MONITOR_COUNTER;
    // SAFETY: the processor has what is switched on, and the kernel uses nothing of what becomes an
    // exception.
    unsafe { Cr4::update(|cr4| *cr4 = (*cr4 - off) | on) };
    // SAFETY: the kernel uses no floating point.
    unsafe { Cr0::update(|cr0| cr0.insert(Cr0Flags::EMULATE_COPROCESSOR)) };
}

/// What a processor says that knows no extended features.
const NONE: CpuidResult = CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
