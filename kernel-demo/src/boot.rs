//! From the bootloader to `main`, and how the kernel ends.
//!
//! ```text
//!   _start ─► serial port ─► exception handlers ─► page allocator, own page tables ─► own stack ─► heap ─► other CPUs ─► main
//!             (can speak)    (can report faults)   (owns the memory)                  (guarded)             (wait for work)
//! ```

mod cpus;
pub mod paging;
pub mod registers;

use core::arch::naked_asm;
use core::panic::PanicInfo;

pub use bootloader;
use bootloader::BootInfo;
use spin::Once;
use x86_64::VirtAddr;

use self::paging::Takeover;

use crate::arch::gdt::Segments;
use crate::arch::qemu::{Exit, exit};
use crate::arch::trap::Handlers;
use crate::arch::{gdt, serial, trap, user};
use crate::cpu::{self, apic};
use crate::memory::{self, BreakId, FaultReport, Policy, Registers};
use crate::testing::{interrupts, single_step};
use crate::{backtrace, heap, println, testing};

/// Makes the function the kernel's `main`: it runs when everything is up, and returns how the
/// machine ends.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        const _: () = {
            fn start(boot: &'static $crate::boot::bootloader::BootInfo) -> ! {
                $crate::boot::start(boot, $main)
            }
            $crate::boot::bootloader::entry_point!(start);
        };
    };
}

/// The segments in use until there are kernel stacks.
static EARLY: Segments = Segments::new();

/// Bytes of each fatal stack that serves until there are kernel stacks.
const EARLY_STACK: usize = 16 * 1024;

/// Memory for these stacks. No Rust code accesses it by name; only the processor does.
#[repr(align(16))]
struct EarlyStacks {
    _bytes: [[u8; EARLY_STACK]; gdt::FATAL_STACKS],
}

static mut EARLY_STACKS: EarlyStacks =
    EarlyStacks { _bytes: [[0; EARLY_STACK]; gdt::FATAL_STACKS] };

/// What the first half of coming up leaves for the second, across the change of stacks.
struct Handover {
    boot: &'static BootInfo,
    main: fn() -> Exit,
}

static HANDOVER: Once<Handover> = Once::new();

static TAKEOVER: Once<Takeover> = Once::new();

/// Brings the kernel up and runs `main` on a stack of the kernel's own. Called by the bootloader,
/// through [`main!`](crate::main).
#[allow(unsafe_code)]
pub fn start(boot: &'static BootInfo, main: fn() -> Exit) -> ! {
    // SAFETY: no other CPU runs.
    unsafe { cpu::take_number(0) };
    serial::init();
    // SAFETY: the stacks are static and used for nothing else.
    unsafe { EARLY.load(early_stacks()) };
    trap::load(&HANDLERS);
    HANDOVER.call_once(|| Handover { boot, main });
    // SAFETY: this runs once, on the bootloader's page tables.
    let (mut memory, takeover) = unsafe { paging::take_over(boot) };
    let main_stack = memory.add_stack(MAIN_STACK).expect("there is memory for the first stack");
    let root = memory.tables().root();
    memory::install(memory);
    TAKEOVER.call_once(|| takeover);
    // SAFETY: the tables map kernel, boot information and physical memory as before, and the new
    // stack.
    unsafe { leave_for(root.start_address().as_u64(), main_stack.top, on_own_stack) }
}

/// Changes to other page tables and another stack in one step, and goes on in `next`. The present
/// stack is left for good.
///
/// # Safety
///
/// The tables map all memory that is used from here on where it was mapped before, and the stack
/// that ends at `top`, a multiple of 16.
#[allow(unsafe_code)]
#[unsafe(naked)]
unsafe extern "C" fn leave_for(root: u64, top: u64, next: extern "C" fn() -> !) -> ! {
    naked_asm!("mov cr3, rdi", "mov rsp, rsi", "xor ebp, ebp", "call rdx", "ud2")
}

/// The second half, on the kernel's own page tables and stack.
#[allow(unsafe_code)]
extern "C" fn on_own_stack() -> ! {
    let Handover { boot, main } = HANDOVER.get().expect("start has run");
    memory::with(|memory| {
        // SAFETY: nothing of the bootloader is in use any more: tables, stack and segments are the
        // kernel's.
        unsafe { paging::reclaim(boot, memory.frames()) };
        assert!(
            memory.claim_break(BreakId::KERNEL_HEAP, Policy::Strict),
            "the kernel heap's break is free"
        );
    });
    let fatal_stacks = fatal_stacks();
    paging::map_local_apic();
    apic::silence_old_controllers();
    // SAFETY: the stacks are this CPU's.
    unsafe { set_up_cpu(fatal_stacks) };
    apic::calibrate();
    cpus::start();
    heap::prepare();
    exit(main())
}

/// Ends of the fatal stacks that serve until there are kernel stacks.
fn early_stacks() -> [VirtAddr; gdt::FATAL_STACKS] {
    let start = VirtAddr::from_ptr(&raw const EARLY_STACKS);
    core::array::from_fn(|index| start + ((index + 1) * EARLY_STACK) as u64)
}

/// The name of the stack that a CPU runs on.
const MAIN_STACK: &str = "main stack";

/// Makes the stacks on which a CPU takes fatal exceptions. They stay.
fn fatal_stacks() -> [VirtAddr; gdt::FATAL_STACKS] {
    ["double-fault stack", "NMI stack", "machine-check stack"].map(|name| {
        let stack = memory::with(|memory| memory.add_stack(name));
        VirtAddr::new(stack.expect("there is memory for the fatal stacks").top)
    })
}

/// Gives this CPU its own segments, local APIC and way into ring 3.
///
/// # Safety
///
/// The stacks come from [`fatal_stacks`], and are no other CPU's.
#[allow(unsafe_code)]
unsafe fn set_up_cpu(fatal_stacks: [VirtAddr; gdt::FATAL_STACKS]) {
    // SAFETY: the stacks are mapped, are never taken away, and nothing else uses them.
    unsafe { gdt::load_own(fatal_stacks) };
    user::init();
    apic::enable();
    cpu::come_online();
}

/// What the kernel found when it came up.
pub fn takeover() -> &'static Takeover {
    TAKEOVER.get().expect("start has run")
}

/// What the bootloader handed over.
pub fn boot_info() -> &'static BootInfo {
    HANDOVER.get().expect("start has run").boot
}

/// Exceptions that tests of the kernel make on purpose, and the end by a fault.
static HANDLERS: Handlers = Handlers {
    breakpoint: interrupts::breakpoint,
    debug: single_step::trapped,
    tick: interrupts::tick,
    fatal: fault,
};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(Exit::Panic, (None, backtrace::frame()), || {
        println!("\nPANIC: {}", testing::Message(&info.message()));
        if let Some(location) = info.location() {
            println!("  at {}", testing::place(location));
        }
    })
}

/// Ends the kernel with the report of a fault.
fn fault(report: &FaultReport) -> ! {
    let Registers { rip, rbp, .. } = report.registers;
    fail(Exit::Fault, (Some(rip), rbp), || println!("\nFAULT: {report:#}"))
}

/// Ends the machine: says why, what it was doing, and which calls led there.
#[allow(unsafe_code)]
fn fail(exit_with: Exit, (failed, frame): (Option<u64>, u64), say_why: impl FnOnce()) -> ! {
    // SAFETY: whoever was printing has failed, or was interrupted by the fault, and does not run
    // again.
    unsafe { serial::seize() };
    say_why();
    // SAFETY: whoever failed does not run on.
    if let Some(doing) = unsafe { testing::last_doing() } {
        println!("  during {doing:?}");
    }
    backtrace::print(failed, frame);
    exit(exit_with)
}
