//! The interrupt flags of common processors, for [`MaskInterrupts`](crate::MaskInterrupts).
//!
//! Each type implements [`Interrupts`] where its processor is the target. All of them mask
//! interrupts of the current CPU only, and only those that can be masked: a non-maskable interrupt,
//! or a fault, must not allocate.

#[allow(unused_imports, reason = "each target uses its own")]
use core::arch::asm;

#[allow(unused_imports, reason = "each target uses its own")]
use super::Interrupts;

/// Defines the interrupts of a processor: the register that has the flags before they are masked,
/// and the instructions that read and mask them, and that restore them, on a condition or always.
/// No instruction is `nomem`: the compiler must not move accesses to before it.
macro_rules! interrupts {
    (
        $(#[$doc:meta])*
        $name:ident: $word:ty, if $target:meta;
        mask($flags:ident) { $($mask:tt)* }
        restore $(if ($condition:expr))? { $($restore:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        #[cfg($target)]
        // SAFETY: with the flags masked no maskable interrupt is delivered to this CPU, so no
        // handler runs and no timer switches threads. `restore` restores what `mask` read.
        unsafe impl Interrupts for $name {
            /// The register with the flags.
            type Before = $word;

            #[inline]
            fn mask() -> $word {
                let $flags: $word;
                // SAFETY: the instructions read and mask the flags, and do nothing else.
                unsafe { asm!($($mask)*) };
                $flags
            }

            #[inline]
            fn restore($flags: $word) {
                $(if $condition)? {
                    // SAFETY: the instruction sets the flags to what they were before `mask`.
                    unsafe { asm!($($restore)*) };
                }
            }
        }
    };
}

interrupts! {
    /// Interrupts of x86_64 (the flag IF), for code in ring 0.
    X86_64Interrupts: u64, if target_arch = "x86_64";
    mask(flags) { "pushfq", "pop {}", "cli", out(reg) flags, options(preserves_flags) }
    restore if (flags & (1 << 9) != 0) { "sti", options(nostack, preserves_flags) }
}

interrupts! {
    /// Interrupts of Cortex-M (the register PRIMASK), for privileged code. Other ARM processors do
    /// not have this register: there, a program that uses the type does not assemble.
    CortexMInterrupts: u32, if all(target_arch = "arm", target_os = "none");
    mask(primask) {
        "mrs {}, PRIMASK", "cpsid i", out(reg) primask, options(nostack, preserves_flags)
    }
    restore { "msr PRIMASK, {}", in(reg) primask, options(nostack, preserves_flags) }
}

interrupts! {
    /// Interrupts of RISC-V's machine mode (MIE in `mstatus`): firmware.
    RiscvMachineInterrupts: usize, if any(target_arch = "riscv32", target_arch = "riscv64");
    mask(status) { "csrrci {}, mstatus, 1 << 3", out(reg) status, options(nostack) }
    restore if (status & (1 << 3) != 0) { "csrsi mstatus, 1 << 3", options(nostack) }
}

interrupts! {
    /// Interrupts of RISC-V's supervisor mode (SIE in `sstatus`): a kernel above SBI.
    RiscvSupervisorInterrupts: usize, if any(target_arch = "riscv32", target_arch = "riscv64");
    mask(status) { "csrrci {}, sstatus, 1 << 1", out(reg) status, options(nostack) }
    restore if (status & (1 << 1) != 0) { "csrsi sstatus, 1 << 1", options(nostack) }
}

interrupts! {
    /// Interrupts of aarch64 (IRQ and FIQ in DAIF), for code at EL1 and above.
    Aarch64Interrupts: u64, if target_arch = "aarch64";
    mask(daif) {
        "mrs {}, daif", "msr daifset, #3", out(reg) daif, options(nostack, preserves_flags)
    }
    restore { "msr daif, {}", in(reg) daif, options(nostack, preserves_flags) }
}
