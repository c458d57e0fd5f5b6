//! On which CPU, or thread, a caller runs.

/// Identifies the current CPU (or thread slot) and keeps the caller on it.
///
/// An arena belongs to a slot: one for each CPU in a kernel, one for each thread in a process.
/// There may be more callers than slots: a caller without a slot shares the parent heap behind its
/// lock.
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
/// // SAFETY: with preemption disabled only interrupt handlers run on this CPU, and they return
/// // before the thread goes on.
/// unsafe impl Cpu for Cpus {
///     const NESTS: bool = true;
///
///     fn slots(&self) -> usize {
///         kernel::CPUS
///     }
///
///     fn enter(&self) -> usize {
///         kernel::disable_preemption();
///         kernel::cpu_number()
///     }
///
///     fn leave(&self) {
///         kernel::enable_preemption();
///     }
/// }
///
/// static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
/// // SAFETY: nothing else names MEMORY.
/// static HEAP: ArenaHeap<FixedBreak, Cpus> =
///     ArenaHeap::new(unsafe { FixedBreak::from_raw((&raw mut MEMORY).cast(), 1 << 20) }, Cpus);
/// ```
///
/// # Time
///
/// The time bounds of a heap count each call as one step.
///
/// # Safety
///
/// An implementer guarantees:
///
/// * From an `enter` that returns a slot to its `leave` no other caller is told the same slot,
///   except an interrupt or signal handler that *interrupts* the caller and leaves before the
///   caller goes on. (Not another thread that is scheduled in between.)
/// * Everything done on a slot before a `leave` happens before everything done on it after the next
///   `enter`.
/// * `slots` always returns the same number.
/// * If `barrier` returns `true`, each caller on a slot has executed a full fence between the call
///   and the return, in the order of its program.
/// * No method unwinds, and none uses the heap.
pub unsafe trait Cpu {
    /// `true` if interrupt handlers allocate in the middle of an operation on the same slot, and
    /// must not be refused for that; each slot then has a second, small arena for them.
    const NESTS: bool;

    /// Returns the number of slots: `0..slots()`.
    fn slots(&self) -> usize;

    /// Returns the caller's slot, on which it stays until [`leave`](Cpu::leave). A caller without a
    /// slot gets any out-of-range number.
    fn enter(&self) -> usize;

    /// Allows the caller to go to another slot.
    #[inline]
    fn leave(&self) {}

    /// Makes every CPU execute a full memory fence, and returns `true` when all have: Linux's
    /// `membarrier`, an IPI to each CPU that is answered after a fence. Returns `false` if that is
    /// not possible now, such as with interrupts off.
    ///
    /// With it a caller that is short of memory reaches the free memory of arenas whose callers are
    /// idle. Without it, the owners of those arenas give that up with their next operation. The
    /// caller is on its slot, and holds no lock of the heap.
    fn barrier(&self) -> bool {
        false
    }
}

/// For systems with one CPU, or programs with one thread.
#[derive(Debug)]
pub struct SingleCpu(());

impl SingleCpu {
    /// Returns the only CPU.
    ///
    /// # Safety
    ///
    /// No operation of a heap that has it begins while another has not ended, but in an interrupt
    /// handler, which ends before the other goes on. On a CPU that switches between threads,
    /// none is switched to in the middle of an operation.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: the clause of `new`.
unsafe impl Cpu for SingleCpu {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        1
    }

    #[inline]
    fn enter(&self) -> usize {
        0
    }

    /// Returns `true`: the caller is on the only CPU.
    fn barrier(&self) -> bool {
        true
    }
}
