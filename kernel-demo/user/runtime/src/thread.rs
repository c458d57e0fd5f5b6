//! Threads of a program.
//!
//! ```text
//!   mapping ─►┌──────────────────────────────┐
//!             │ guard page ---               │
//!             ├──────────────────────────────┤
//!             │ stack rw-, grows down        │
//!             ├──────────────────────────────┤◄─ rsp of a new thread
//!             │ Block: local, tid, run, result│  fs:0 is the address of `local`
//!             └──────────────────────────────┘
//! ```
//!
//! Nothing of it is on the program's heap, so a heap may be under test in all threads.

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::{align_of, size_of};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use brkalloc::Cpu;

use crate::PAGE;
use crate::system::Errno;
use crate::system::memory::{self, MapFlags, Protection};
use crate::system::thread::{clone, exit_thread, futex_wait, set_fs};

/// Bytes of a stack, its guard page and its [`Block`] included.
const STACK: usize = 16 * PAGE;

/// Maximum number of threads with a slot of their own. Others share the parent heap.
pub const SLOTS: usize = 64;

/// Slots that are taken, a bit each. The main thread has the first.
static TAKEN: AtomicU64 = AtomicU64::new(1);

/// What each thread has of its own, at the base of FS.
#[repr(C)]
struct Local {
    /// Its own address: `fs:0`, as the ABI says.
    this: Cell<*const Self>,
    /// The thread's slot: `fs:8`.
    slot: usize,
}

/// The main thread's.
struct OfMain(Local);

// SAFETY: `this` is written once, by the main thread, before there are others.
unsafe impl Sync for OfMain {}

static MAIN: OfMain = OfMain(Local { this: Cell::new(ptr::null()), slot: 0 });

/// Gives the main thread its thread-local storage. Threads that [`spawn`] makes have theirs.
///
/// # Panics
///
/// If the kernel refuses.
pub fn begin() {
    let local = &raw const MAIN.0;
    MAIN.0.this.set(local);
    // SAFETY: FS is used for nothing else, and a static stays.
    unsafe { set_fs(local.expose_provenance()) }.expect("a thread may set its FS");
}

/// A slot of an `ArenaHeap` for each thread. For programs that call [`begin`] first, as
/// `program!(run, threads)` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadSlots;

// SAFETY: a slot is taken by one thread until that has ended, and who takes it next acquires what
// the end released. No signal handler runs in a program of this runtime.
unsafe impl Cpu for ThreadSlots {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        SLOTS
    }

    #[inline]
    fn enter(&self) -> usize {
        let slot;
        // SAFETY: FS begins at a `Local` in each thread.
        unsafe {
            asm!("mov {slot}, fs:[8]", slot = out(reg) slot, options(nostack, readonly, preserves_flags));
        }
        slot
    }
}

/// What lies at the end of a thread's mapping.
#[repr(C)]
struct Block<F, R> {
    local: Local,
    /// The thread's number; 0 when it has ended.
    tid: AtomicU32,
    run: Cell<Option<F>>,
    result: UnsafeCell<Option<R>>,
}

/// A thread that can be waited for. Who drops it lets the thread run on its own; its stack then
/// stays.
#[must_use]
pub struct JoinHandle<F, R> {
    /// The start of the mapping.
    stack: NonNull<u8>,
    block: NonNull<Block<F, R>>,
}

impl<F, R> fmt::Debug for JoinHandle<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Makes a thread that runs `run`.
///
/// # Errors
///
/// `EAGAIN`, `ENOMEM`.
pub fn spawn<F, R>(run: F) -> Result<JoinHandle<F, R>, Errno>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    const { assert!(size_of::<Block<F, R>>() < PAGE && align_of::<Block<F, R>>() <= 16) };
    let stack =
        memory::map_anonymous(STACK, Protection::READ | Protection::WRITE, MapFlags::PRIVATE)?;
    // The first page is touched by nobody: a stack that is too deep ends the process.
    // SAFETY: nobody uses the mapping yet.
    unsafe { memory::mprotect(stack.addr().get(), PAGE, Protection::empty()) }?;
    let offset = (STACK - size_of::<Block<F, R>>()) & !0xf;
    // SAFETY: inside the mapping.
    let block = unsafe { stack.add(offset) }.cast::<Block<F, R>>();
    let slot = take_slot();
    let local = Local { this: Cell::new(block.as_ptr().cast()), slot };
    let (tid, run) = (AtomicU32::new(0), Cell::new(Some(run)));
    // SAFETY: inside the mapping, and aligned; nobody uses it yet.
    unsafe { block.write(Block { local, tid, run, result: UnsafeCell::new(None) }) };
    // SAFETY: it was just written.
    let tid = unsafe { &(*block.as_ptr()).tid };
    let (argument, fs) = (block.as_ptr().cast(), block.as_ptr().cast_const().cast());
    // SAFETY: the mapping is the thread's until it is joined.
    let cloned = unsafe { clone(enter::<F, R>, argument, block.as_ptr().cast(), tid, fs) };
    if let Err(errno) = cloned {
        give_back_slot(slot);
        // SAFETY: no thread came of it, and nobody else knows the mapping.
        unsafe { memory::munmap(stack.addr().get(), STACK) }?;
        return Err(errno);
    }
    Ok(JoinHandle { stack, block })
}

/// The first function of a thread.
extern "C" fn enter<F: FnOnce() -> R, R>(block: *mut ()) -> ! {
    // SAFETY: `spawn` passes its block, which stays until the thread has ended.
    let block = unsafe { &*block.cast::<Block<F, R>>() };
    let result = block.run.take().map(|run| run());
    // SAFETY: who joins looks at it after the end of this thread.
    unsafe { *block.result.get() = result };
    give_back_slot(block.local.slot);
    exit_thread()
}

impl<F, R> JoinHandle<F, R> {
    /// Waits until the thread has ended, and returns what it returned.
    ///
    /// # Panics
    ///
    /// If the kernel does not take the stack back.
    pub fn join(self) -> R {
        let Self { stack, block } = self;
        // SAFETY: the mapping stays until this function gives it back.
        let tid = unsafe { &(*block.as_ptr()).tid };
        loop {
            match tid.load(Ordering::Acquire) {
                0 => break,
                // Woken, or ended meanwhile: look again.
                number => drop(futex_wait(tid, number)),
            }
        }
        // SAFETY: the thread has ended, so nobody else uses the block.
        let result = unsafe { (*block.as_ptr()).result.get().read() };
        // SAFETY: nor its stack.
        unsafe { memory::munmap(stack.addr().get(), STACK) }.expect("a mapping can be unmapped");
        result.expect("a thread that has ended has returned")
    }
}

/// The lowest slot that is free, or a number that is none.
fn take_slot() -> usize {
    let lowest = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
    TAKEN
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest)
        .map_or(usize::MAX, |taken| taken.trailing_ones() as usize)
}

/// Lets another thread have the slot.
fn give_back_slot(slot: usize) {
    if slot < SLOTS {
        TAKEN.fetch_and(!(1 << slot), Ordering::Release);
    }
}
