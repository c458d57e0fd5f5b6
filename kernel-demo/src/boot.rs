//! From the bootloader to `main`, and how the kernel ends.
//!
//! ```text
//!   _start ─► serial port ─► exception handlers ─► page allocator, own page tables ─► own stack ─► heap ─► main
//!             (can speak)    (can report faults)   (owns the memory)                  (guarded)
//! ```

pub mod paging;

use core::panic::PanicInfo;

pub use bootloader;
use bootloader::BootInfo;
use spin::Once;
use x86_64::VirtAddr;

use self::paging::Takeover;

use crate::arch::qemu::{Exit, exit};
use crate::arch::{backtrace, gdt, serial, stack, trap, user};
use crate::memory::{self, BreakId, Policy};
use crate::{println, testing};

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
    serial::init();
    // SAFETY: the stacks are static and used for nothing else.
    unsafe { gdt::EARLY.load(gdt::early_stacks()) };
    trap::init();
    HANDOVER.call_once(|| Handover { boot, main });
    // SAFETY: this runs once, on the bootloader's page tables.
    let (mut memory, takeover) = unsafe { paging::take_over(boot) };
    let main_stack = memory.add_stack().expect("there is memory for the first stack");
    let root = memory.tables().root();
    memory::install(memory);
    TAKEOVER.call_once(|| takeover);
    // SAFETY: the tables map kernel, boot information and physical memory as before, and the new
    // stack.
    unsafe { stack::leave_for(root, main_stack.top, on_own_stack) }
}

/// The second half, on the kernel's own page tables and stack.
#[allow(unsafe_code)]
extern "C" fn on_own_stack() -> ! {
    let Handover { boot, main } = HANDOVER.get().expect("start has run");
    let fatal_stacks = memory::with(|memory| {
        // SAFETY: nothing of the bootloader is in use any more: tables, stack and segments are the
        // kernel's.
        unsafe { paging::reclaim(boot, memory.frames()) };
        assert!(
            memory.claim_break(BreakId::KERNEL_HEAP, Policy::Strict),
            "the kernel heap's break is free"
        );
        [(); gdt::FATAL_STACKS].map(|()| {
            let stack = memory.add_stack().expect("there is memory for the fatal stacks");
            VirtAddr::new(stack.top)
        })
    });
    // SAFETY: the stacks are mapped, are never taken away, and nothing else uses them.
    unsafe { gdt::FINAL.load(fatal_stacks) };
    user::init();
    exit(main())
}

/// What the kernel found when it came up.
pub fn takeover() -> &'static Takeover {
    TAKEOVER.get().expect("start has run")
}

/// What the bootloader handed over.
pub fn boot_info() -> &'static BootInfo {
    HANDOVER.get().expect("start has run").boot
}

#[panic_handler]
#[allow(unsafe_code)]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: whoever was printing panicked, and does not run again.
    unsafe { serial::seize() };
    println!("\nPANIC: {}", testing::Message(&info.message()));
    if let Some(location) = info.location() {
        println!("  at {}", testing::place(location));
    }
    // SAFETY: whoever panicked does not run on.
    if let Some(doing) = unsafe { testing::last_doing() } {
        println!("  during {doing:?}");
    }
    backtrace::print_here();
    exit(Exit::Panic)
}
