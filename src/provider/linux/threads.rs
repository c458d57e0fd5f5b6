//! Threads of a process as callers of an [`ArenaHeap`](crate::ArenaHeap).
//!
//! ```text
//!   first call ─► the lowest free slot ──► end of the thread: `end`, then the slot is free
//!                 none free: the thread shares the parent heap
//! ```

extern crate std;

use core::cell::Cell;
use core::ffi::c_void;
use core::mem;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::provider::Cpu;

/// Number of slots: maximum number of threads with an arena at a time.
const SLOTS: usize = 256;

const BITS: usize = usize::BITS as usize;

/// Slots in use: a bit each.
static TAKEN: [AtomicUsize; SLOTS / BITS] = [const { AtomicUsize::new(0) }; SLOTS / BITS];

/// `SLOT` of a thread that has not called yet.
const UNKNOWN: usize = usize::MAX;

/// `SLOT` of a thread without a slot: none was free, or its end was reported.
const NONE: usize = usize::MAX - 1;

std::thread_local! {
    /// The thread's slot. Without a destructor, its use neither allocates nor fails.
    static SLOT: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// The key whose destructor reports the end of a thread, plus 1; 0 before it is created.
static KEY: AtomicU32 = AtomicU32::new(0);

/// `membarrier` commands.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// A slot for each thread: a thread takes one with its first call, and gives it back when it ends.
///
/// `end` is called on the thread before its slot is free. It gives up what is free in the thread's
/// arena: [`LinuxHeap::end_of_thread`](crate::ArenaHeap::end_of_thread). 256 threads have slots at
/// a time; others share the parent heap.
///
/// Do not use it in a program whose signal handlers allocate.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # mod program {
/// use brkalloc::{ArenaHeap, LinuxBreak, LinuxHeap, LinuxMap, LinuxThreads};
///
/// #[global_allocator]
/// static HEAP: LinuxHeap = ArenaHeap::with_map(LinuxBreak::new(), THREADS, LinuxMap);
/// // SAFETY: a thread that ends is in no operation of the heap.
/// const THREADS: LinuxThreads = LinuxThreads::new(|| unsafe { HEAP.end_of_thread() });
/// # }
/// # fn main() {
/// let threads = (0..4).map(|n| std::thread::spawn(move || vec![n; 1000].len()));
/// let joined = threads.map(|thread| thread.join().unwrap());
/// assert_eq!(joined.sum::<usize>(), 4000);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinuxThreads {
    end: fn(),
}

impl LinuxThreads {
    /// Returns the threads of the process. `end` is called when a thread ends that has a slot.
    #[must_use]
    pub const fn new(end: fn()) -> Self {
        Self { end }
    }

    /// Gives the calling thread a slot, if one is free and its end is certain to be reported.
    #[cold]
    #[inline(never)]
    fn begin(&self) -> usize {
        SLOT.set(NONE);
        let Some(key) = key() else { return NONE };
        let Some(slot) = take_slot() else { return NONE };
        // SAFETY: the key is ours. The value is not null, so `end_of_thread` is called.
        if unsafe { libc::pthread_setspecific(key, self.end as *const c_void) } == 0 {
            SLOT.set(slot);
        } else {
            release_slot(slot);
        }
        SLOT.get()
    }
}

/// Returns the key, which the first caller creates.
fn key() -> Option<libc::pthread_key_t> {
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        return Some(key);
    }
    let mut key = 0;
    // SAFETY: `key` is writable; `end_of_thread` exists as long as the process.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_thread)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(0, key + 1, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Some(key),
        Err(first) => {
            // SAFETY: another thread was faster; nothing uses this key.
            unsafe { libc::pthread_key_delete(key) };
            Some(first - 1)
        }
    }
}

/// Destructor of the key: the C library calls it once when a thread ends.
unsafe extern "C" fn end_of_thread(end: *mut c_void) {
    let slot = SLOT.get();
    if slot >= SLOTS {
        return;
    }
    // SAFETY: the value of the key is a `fn()`.
    let end = unsafe { mem::transmute::<*mut c_void, fn()>(end) };
    end();
    // Destructors that run after this one may allocate: without a slot.
    SLOT.set(NONE);
    release_slot(slot);
}

/// Takes the lowest free slot. Synchronizes with the [`release_slot`] of its previous owner.
fn take_slot() -> Option<usize> {
    TAKEN.iter().enumerate().find_map(|(index, word)| {
        let lowest = |bits: usize| (bits != usize::MAX).then_some(bits | bits.wrapping_add(1));
        let before = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest).ok()?;
        Some(index * BITS + before.trailing_ones() as usize)
    })
}

fn release_slot(slot: usize) {
    TAKEN[slot / BITS].fetch_and(!(1 << (slot % BITS)), Ordering::Release);
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: `membarrier` reads and writes no memory of the process.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

// SAFETY: a thread owns its slot from `take_slot` to `release_slot`, which synchronizes with the
// next `take_slot`; a thread stays on its slot. The kernel has each running thread of the process
// fence in a barrier; a switch of threads is a fence, too. No method uses the heap: those of the C
// library use its own.
unsafe impl Cpu for LinuxThreads {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        SLOTS
    }

    #[inline]
    fn enter(&self) -> usize {
        match SLOT.get() {
            UNKNOWN => self.begin(),
            slot => slot,
        }
    }

    fn barrier(&self) -> bool {
        // The first barrier of a process is refused: the process must be registered.
        membarrier(PRIVATE_EXPEDITED)
            || membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED)
    }
}
