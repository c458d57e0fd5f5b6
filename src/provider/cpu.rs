//! Who is calling: a CPU, or a thread, each with a slot of its own.

/// Which slot am I on, and how do I stay on it.
///
/// A slot is what an arena belongs to: one for each CPU in a kernel, one for each thread in a process. There may be more callers than slots:
/// who has none shares what is behind the lock.
///
/// ```
/// use brkalloc::{ArenaHeap, Cpu, FixedBreak};
/// # mod kernel {
/// #     pub fn disable_preemption() {}
/// #     pub fn enable_preemption() {}
/// #     pub fn cpu_number() -> usize { 0 }
/// #     pub const CPUS: usize = 4;
/// # }
///
/// /// The CPUs of a kernel whose threads move between them, but not while preemption is disabled.
/// struct Cpus;
///
/// // SAFETY: with preemption disabled only interrupt handlers run on this CPU, and they return before the thread goes on.
/// unsafe impl Cpu for Cpus {
///     const NESTS: bool = true;
///
///     fn slots(&self) -> usize {
///         kernel::CPUS
///     }
///
///     fn enter(&self) -> Option<usize> {
///         kernel::disable_preemption();
///         Some(kernel::cpu_number())
///     }
///
///     fn leave(&self) {
///         kernel::enable_preemption();
///     }
/// }
///
/// static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
/// // SAFETY: nobody else names MEMORY.
/// static HEAP: ArenaHeap<FixedBreak, Cpus> =
///     ArenaHeap::new(unsafe { FixedBreak::from_raw((&raw mut MEMORY).cast(), 1 << 20) }, Cpus);
/// ```
///
/// # Safety
///
/// An implementer guarantees:
///
/// * From an `enter` that says `Some(slot)` to its `leave` nobody else is told the same slot, but who *interrupts* the caller there, and
///   then leaves before the caller goes on: an interrupt handler, a signal handler. (Not another thread that is scheduled in between.)
/// * What is done on a slot before a `leave` happens before what is done on it after the next `enter`.
/// * A slot is less than `slots`, which is always the same.
/// * Neither method allocates from the heap, or unwinds.
pub unsafe trait Cpu {
    /// Whether somebody who interrupts the caller may allocate in the middle of an operation on the same slot, and must not be refused
    /// for that. Each slot has a second, small arena then.
    const NESTS: bool;

    /// How many slots there are.
    fn slots(&self) -> usize;

    /// The caller's slot, on which it stays until [`leave`](Cpu::leave). `None`: it has none.
    fn enter(&self) -> Option<usize>;

    /// The caller may go to another slot.
    fn leave(&self) {}
}

/// For who has only one CPU, or one thread.
#[derive(Debug)]
pub struct SingleCpu(());

impl SingleCpu {
    /// The only CPU.
    ///
    /// # Safety
    ///
    /// No operation of a heap that has it begins while another has not ended, but in an interrupt handler, which ends before the other
    /// goes on. On a CPU that switches between threads, none is switched to in the middle of an operation.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: what `new` was promised.
unsafe impl Cpu for SingleCpu {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        1
    }

    #[inline]
    fn enter(&self) -> Option<usize> {
        Some(0)
    }
}
