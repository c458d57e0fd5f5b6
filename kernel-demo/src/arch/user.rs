//! Ring 3, as a function call: [`run`] enters a program and returns when it stops for the kernel.
//!
//! ```text
//!   run ─► enter: saves the callee's registers, loads the program's ── iretq, sysretq ─► program in ring 3
//!    ▲                                                                                      │
//!    ├── Stop ◄── system_call: saves the program's registers ◄───────────────── syscall ────┤
//!    │                                                                                      │
//!    └── Stop ◄── leave: likewise ◄── entries of `trap` ◄─────────────── exception, timer ──┘
//! ```
//!
//! The program's registers are where the caller of `run` says, the kernel's on its stack, below
//! which the processor pushes (`rsp0` of the task state segment). So no process needs a stack in
//! the kernel, and the code around `run` is an ordinary loop.
//!
//! While ring 3 runs, the processor is on the process's page tables, which have of the kernel its
//! image and its stacks ([`IN_EVERY_PROCESS`](crate::memory::layout::IN_EVERY_PROCESS)). `enter`
//! changes to them last, `leave` back first. All other code of the kernel runs on the kernel's own
//! tables, and with it each fault that it serves for itself: nothing that the kernel maps or unmaps
//! has to be told to a process. The price is two loads of CR3 for each stop.
//!
//! What a program cannot do: disable interrupts or gain ports (`rflags` is cut down to what is a
//! program's); make the kernel return to an address that is not canonical (`run` refuses to go
//! there, nor with such a base of FS); leave AC, DF, TF or NT set for the kernel (cleared on the
//! way in); use registers of the floating-point and vector units, which nobody saves (each use is
//! an exception); leave a selector in `ds`, `es`, `fs` or `gs` for another program (cleared on the
//! way out). The base of FS is set each time: the kernel knows it, because no instruction of ring 3
//! sets it (`FSGSBASE` is off).

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::Ordering;

use x86_64::VirtAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::paging::PhysFrame;

use super::user_entry::{Left, SYSTEM_CALL, enter, system_call};
use super::{gdt, timer, trap};
use crate::cpu;
use crate::memory::layout::LOWER_HALF_END;
use crate::memory::{Registers, Stop};

/// The vector of what the processor raises on a jump to an address that is not canonical.
const GENERAL_PROTECTION: u8 = 13;

/// Lets programs run in ring 3 on this CPU, and call the kernel. Called once by each, on the
/// kernel's page tables, when its own segments are loaded.
pub fn init() {
    set_protections();
    let selectors = Star::write(gdt::USER_CODE, gdt::USER_DATA, gdt::KERNEL_CODE, gdt::KERNEL_DATA);
    selectors.expect("the segments are in the order that syscall and sysret want");
    LStar::write(VirtAddr::from_ptr(system_call as *const ()));
    SFMask::write(RFlags::all());
    let root = Cr3::read().0.start_address().as_u64();
    cpu::this().kernel_root.store(root, Ordering::Relaxed);
    // SAFETY: what `syscall` needs is set up.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
}

/// Makes the processor fit for programs in ring 3: no floating point and no vectors, whose
/// registers nobody saves (each use is an exception); no look at the kernel's tables; and SMEP and
/// SMAP, as far as the processor has them, with which the kernel neither executes nor accesses a
/// page of a program's.
fn set_protections() {
    const EXTENDED_FEATURES: u32 = 7;
    /// Bits of the leaf: of EBX, and of ECX.
    const SMEP: u32 = 1 << 7;
    const SMAP: u32 = 1 << 20;
    const UMIP: u32 = 1 << 2;
    let has_features = __cpuid(0).eax >= EXTENDED_FEATURES;
    let features = has_features.then(|| __cpuid_count(EXTENDED_FEATURES, 0));
    let [ebx, ecx] = features.map_or([0, 0], |features| [features.ebx, features.ecx]);
    let mut on = Cr4Flags::empty();
    on.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, ebx & SMEP != 0);
    on.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, ebx & SMAP != 0);
    on.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, ecx & UMIP != 0);
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

/// Runs the program with these registers on the page tables of a process, from `rip` on, until it
/// stops for the kernel. The registers are then as the program left them, and whoever changes them
/// decides how it goes on.
///
/// A timer tick stops the program if the timer is [`Ticking`](timer::Ticking).
pub fn run(registers: &mut Registers, root: PhysFrame) -> Stop {
    if (registers.rip | registers.fs_base) >= LOWER_HALF_END {
        return Stop::Exception { vector: GENERAL_PROTECTION, error: 0 };
    }
    let root = root.start_address().as_u64();
    loop {
        // SAFETY: `Pages` shares what `enter` needs of the kernel; ring 3 reaches only what is the
        // process's.
        let Left { vector, error } = unsafe { enter(registers, root) };
        if vector == SYSTEM_CALL {
            return Stop::SystemCall;
        }
        return match vector {
            trap::PAGE_FAULT if trap::is_access_of_ring_3(error) => {
                Stop::PageFault(trap::latest_page_fault(error))
            }
            vector @ trap::FIRST_INTERRUPT.. => {
                trap::interrupt(vector);
                if vector != timer::VECTOR {
                    continue;
                }
                Stop::Timer
            }
            vector => Stop::Exception { vector: vector as u8, error },
        };
    }
}
