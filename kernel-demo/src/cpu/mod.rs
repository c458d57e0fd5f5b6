//! CPUs: which one runs this code, locks that know their owner, and what one CPU asks of others.
//!
//! ```text
//!   work         a closure that all CPUs run
//!   request      a CPU makes others flush their translations and fence, and waits for it
//!   lock         one owner at a time; who waits answers requests meanwhile
//!  ──────────────────────────────────────────────
//!   apic         the local APIC: ends of interrupts, interrupts to other CPUs, the timer's registers
//!   (here)       the block of each CPU, which GS leads to
//! ```
//!
//! Rules of this room:
//!
//! 1. In ring 0, the base of GS is the address of the CPU's [`Cpu`]. Ring 3 has a base of its own:
//!    the entries from ring 3 begin with `swapgs`, and the way back ends with it.
//! 2. The memory manager may wait for other CPUs while it is locked. So whoever waits with
//!    interrupts disabled, for a lock or for another CPU, calls [`request::answer`] while it does.
#![allow(unsafe_code)]

pub mod apic;
pub mod lock;
pub mod request;
pub mod work;

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::model_specific::{GsBase, KernelGsBase};

pub use self::lock::Lock;

/// Maximum number of CPUs that the kernel starts.
pub const MAX_CPUS: usize = 8;

/// What the kernel keeps for each CPU. The first fields are read and written by the instructions
/// that enter and leave ring 3.
#[repr(C, align(128))]
pub struct Cpu {
    /// Its number: 0 for the CPU that booted.
    pub number: u32,
    /// The number by which the local APIC knows it.
    apic_id: AtomicU32,
    /// The kernel's stack pointer while ring 3 runs.
    pub(crate) kernel_stack: AtomicU64,
    /// The program's stack pointer, while a system call saves its registers.
    pub(crate) user_stack: AtomicU64,
    /// The level-4 table of the kernel.
    pub(crate) kernel_root: AtomicU64,
    /// The level-4 table of the process that runs in ring 3; 0 on the kernel's own tables.
    pub(crate) root: AtomicU64,
    /// Where its task state segment has the stack for interrupts of ring 3 (`rsp0`).
    pub(crate) interrupt_stack: AtomicPtr<u64>,
    /// The innermost catcher of faults.
    pub(crate) catcher: AtomicPtr<()>,
    /// Requests that others have made to it.
    asked: AtomicU64,
    /// Those of them that it has answered.
    answered: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = {
    let mut cpus = [const { Cpu::new(0) }; MAX_CPUS];
    let mut number = 1;
    while number < MAX_CPUS {
        cpus[number] = Cpu::new(number as u32);
        number += 1;
    }
    cpus
};

/// CPUs that run the kernel.
static ONLINE: AtomicUsize = AtomicUsize::new(1);

impl Cpu {
    const fn new(number: u32) -> Self {
        Self {
            number,
            apic_id: AtomicU32::new(0),
            kernel_stack: AtomicU64::new(0),
            user_stack: AtomicU64::new(0),
            kernel_root: AtomicU64::new(0),
            root: AtomicU64::new(0),
            interrupt_stack: AtomicPtr::new(core::ptr::null_mut()),
            catcher: AtomicPtr::new(core::ptr::null_mut()),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }
}

/// Number of CPUs that run the kernel. Theirs are the numbers below it.
#[inline]
pub fn online() -> usize {
    ONLINE.load(Ordering::Acquire)
}

/// Number of this CPU.
#[inline]
pub fn number() -> usize {
    let number: u32;
    // SAFETY: GS leads to the CPU's block (rule 1), whose number never changes.
    unsafe {
        asm!("mov {:e}, gs:[{field}]", out(reg) number, field = const offset_of!(Cpu, number),
            options(nostack, readonly, preserves_flags, pure));
    }
    number as usize
}

/// The block of this CPU.
#[inline]
pub fn this() -> &'static Cpu {
    &CPUS[number()]
}

/// The other CPUs that run the kernel.
fn others() -> impl Iterator<Item = &'static Cpu> {
    let this = number();
    CPUS[..online()].iter().filter(move |cpu| cpu.number as usize != this)
}

/// Plays so many other CPUs, which answer each request at once, to count what asking takes.
///
/// # Panics
///
/// When there are others, or not so many can be played.
pub fn with_played<R>(others: usize, closure: impl FnOnce() -> R) -> R {
    assert!(online() == 1 && others < MAX_CPUS, "no other CPU is there");
    CPUS[1..].iter().for_each(|cpu| cpu.answered.store(u64::MAX, Ordering::Relaxed));
    ONLINE.store(1 + others, Ordering::Relaxed);
    let result = closure();
    ONLINE.store(1, Ordering::Relaxed);
    result
}

/// Gives this CPU its number: the first thing that it does in the kernel.
///
/// # Safety
///
/// No other CPU has the number, and none that is in use is changed.
pub unsafe fn take_number(number: usize) {
    GsBase::write(VirtAddr::from_ptr(&raw const CPUS[number]));
    KernelGsBase::write(VirtAddr::zero());
}

/// Counts this CPU among those that run the kernel: it has its segments, handlers and local APIC.
/// CPUs come in the order of their numbers.
pub fn come_online() {
    let this = this();
    this.apic_id.store(apic::id(), Ordering::Relaxed);
    let before = this.number as usize;
    if before == 0 {
        return;
    }
    while ONLINE.compare_exchange(before, before + 1, Ordering::AcqRel, Ordering::Relaxed).is_err()
    {
        core::hint::spin_loop();
    }
}
