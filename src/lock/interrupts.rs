//! The interrupt flags of common processors, for [`MaskInterrupts`](crate::MaskInterrupts).
//!
//! Each type implements [`Interrupts`] where its processor is the target. All of them mask
//! interrupts of the current CPU only, and only those that can be masked: a non-maskable interrupt,
//! or a fault, must not allocate.

#[allow(unused_imports, reason = "each target uses its own")]
use core::arch::asm;

#[allow(unused_imports, reason = "each target uses its own")]
use super::Interrupts;

/// Interrupts of x86_64 (the flag IF), for code in ring 0.
#[derive(Debug)]
pub enum X86_64Interrupts {}

#[cfg(target_arch = "x86_64")]
// SAFETY: with IF cleared no maskable interrupt is delivered to this CPU, so no handler runs and no
// timer switches threads. `restore` sets IF only if `mask` found it set.
unsafe impl Interrupts for X86_64Interrupts {
    /// The flags register.
    type Before = u64;

    #[inline]
    fn mask() -> u64 {
        let flags: u64;
        // SAFETY: reads the flags by the stack, and clears IF. No `nomem`: the compiler must not
        // move accesses to before it.
        unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags, options(preserves_flags)) };
        flags
    }

    #[inline]
    fn restore(before: u64) {
        const IF: u64 = 1 << 9;
        if before & IF != 0 {
            // SAFETY: IF was set before `mask`.
            unsafe { asm!("sti", options(nostack, preserves_flags)) };
        }
    }
}

/// Interrupts of Cortex-M (the register PRIMASK), for privileged code. Other ARM processors do not
/// have this register: there, a program that uses the type does not assemble.
#[derive(Debug)]
pub enum CortexMInterrupts {}

#[cfg(all(target_arch = "arm", target_os = "none"))]
// SAFETY: with PRIMASK set only NMI and HardFault are delivered to this CPU. `restore` writes what
// `mask` read.
unsafe impl Interrupts for CortexMInterrupts {
    /// PRIMASK.
    type Before = u32;

    #[inline]
    fn mask() -> u32 {
        let primask: u32;
        // SAFETY: reads and sets PRIMASK. No `nomem`: the compiler must not move accesses to before
        // it.
        unsafe {
            asm!("mrs {}, PRIMASK", "cpsid i", out(reg) primask, options(nostack, preserves_flags));
        }
        primask
    }

    #[inline]
    fn restore(before: u32) {
        // SAFETY: the value of PRIMASK before `mask`.
        unsafe { asm!("msr PRIMASK, {}", in(reg) before, options(nostack, preserves_flags)) };
    }
}

/// Defines interrupts of one privilege mode of RISC-V.
macro_rules! riscv {
    ($(#[$doc:meta])* $name:ident, $register:literal, bit $bit:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
        // SAFETY: with the mode's enable bit cleared none of its interrupts is delivered to this
        // hart. `restore` sets the bit only if `mask` found it set.
        unsafe impl Interrupts for $name {
            /// The status register.
            type Before = usize;

            #[inline]
            fn mask() -> usize {
                let status: usize;
                // SAFETY: reads the register and clears the enable bit. No `nomem`: the compiler
                // must not move accesses to before it.
                unsafe {
                    asm!(
                        concat!("csrrci {}, ", $register, ", 1 << ", $bit),
                        out(reg) status,
                        options(nostack),
                    );
                }
                status
            }

            #[inline]
            fn restore(before: usize) {
                if before & (1 << $bit) != 0 {
                    // SAFETY: the bit was set before `mask`.
                    unsafe {
                        asm!(concat!("csrsi ", $register, ", 1 << ", $bit), options(nostack));
                    }
                }
            }
        }
    };
}

riscv! {
    /// Interrupts of RISC-V's machine mode (MIE in `mstatus`): firmware.
    RiscvMachineInterrupts, "mstatus", bit 3
}

riscv! {
    /// Interrupts of RISC-V's supervisor mode (SIE in `sstatus`): a kernel above SBI.
    RiscvSupervisorInterrupts, "sstatus", bit 1
}

/// Interrupts of aarch64 (IRQ and FIQ in DAIF), for code at EL1 and above.
#[derive(Debug)]
pub enum Aarch64Interrupts {}

#[cfg(target_arch = "aarch64")]
// SAFETY: with I and F of DAIF set neither IRQ nor FIQ is delivered to this CPU. `restore` writes
// what `mask` read.
unsafe impl Interrupts for Aarch64Interrupts {
    /// DAIF.
    type Before = u64;

    #[inline]
    fn mask() -> u64 {
        let daif: u64;
        // SAFETY: reads DAIF and sets I and F. No `nomem`: the compiler must not move accesses to
        // before it.
        unsafe {
            asm!("mrs {}, daif", "msr daifset, #3", out(reg) daif, options(nostack, preserves_flags));
        }
        daif
    }

    #[inline]
    fn restore(before: u64) {
        // SAFETY: the value of DAIF before `mask`.
        unsafe { asm!("msr daif, {}", in(reg) before, options(nostack, preserves_flags)) };
    }
}
