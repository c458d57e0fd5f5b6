//! Which thread is calling: the slot that it has in the heap of arenas, from its first call to its
//! end.
//!
//! ```text
//!   first call ─► the lowest free slot, of SLOTS ──► thread's end: what is free goes back, the slot is free for the next thread
//!                 none free: the thread has none, and shares what is behind the lock
//!   fork       ─► the child: the slots of threads that are not there are free, but for those that are lost
//! ```
//!
//! # The thread's variable
//!
//! It is in the block that each thread has from its first instruction to its last, at a distance
//! from the thread pointer that the loader writes into a word of ours (*initial-exec*): to get at
//! it is two instructions, and calls nobody. What a compiler makes of a thread's variable in a
//! library is a call of the loader, `__tls_get_addr`, which may allocate; another model cannot be
//! asked for in stable Rust, so the variable is declared by hand. Libraries that are loaded later
//! find room for it, too: it is 32 bytes, and glibc keeps more for such.
//!
//! Whoever forks looks at the variables of others, and so `THERE` says where each is: from when the
//! thread's end is certain to be told to when it was. (A stack that was freed, and with it the
//! variable, is that of a thread that has ended; in the child glibc keeps the stacks of threads
//! that are not there until another thread begins, and our handler comes before.) A thread that
//! ends by a bare system call does not tell: so the kernel is asked whether it is still there.

use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use brkalloc::{Cpu, SlotWord};

use crate::lock::HeapLock;
use crate::{engine, errno, pause};

/// Threads with an arena, at a time.
const SLOTS: usize = 512;

/// After so many misses of its front cache a thread looks whether there is something to be done.
const MISSES: usize = 64;

/// So many pauses a thread waits at most for somebody who forks.
const PAUSES: usize = 3000;

/// The thread has not called yet.
const UNKNOWN: usize = 0;

/// The thread has no slot: it is about to get one, there is none, or the thread ends.
const NONE: usize = usize::MAX;

/// What there is for each thread. All zeros at first.
#[derive(Debug)]
#[repr(C)]
struct Thread {
    word: SlotWord,
    /// The slot's number and 1; or `UNKNOWN`, or `NONE`.
    slot: Cell<usize>,
    /// How often its arena's front cache had no block.
    misses: Cell<usize>,
}

const _: () = assert!(size_of::<Thread>() == 32);

global_asm!(
    ".pushsection .tbss.brkmalloc_thread, \"awT\", @nobits",
    ".globl brkmalloc_thread",
    ".hidden brkmalloc_thread",
    ".type brkmalloc_thread, @object",
    ".size brkmalloc_thread, 32",
    ".p2align 4",
    "brkmalloc_thread:",
    ".zero 32",
    ".popsection",
);

impl Thread {
    /// The calling thread's.
    #[inline(always)]
    fn current<'thread>() -> &'thread Self {
        let place: *const Self;
        // SAFETY: reads the distance, which the loader has written, and the thread pointer, which
        // points at itself.
        unsafe {
            asm!(
                "mov {place}, qword ptr [rip + brkmalloc_thread@GOTTPOFF]",
                "add {place}, qword ptr fs:[0]",
                place = out(reg) place,
                options(pure, nomem, nostack),
            );
        }
        // SAFETY: the thread's variable is there as long as the thread; zeros are a valid value; no
        // other thread gets at it.
        unsafe { &*place }
    }
}

/// Which slots threads have: a bit each.
static TAKEN: [AtomicU64; SLOTS / 64] = [const { AtomicU64::new(0) }; SLOTS / 64];

/// The lowest free slot. What who gave it up did there happens before what is done now.
fn take_slot() -> Option<usize> {
    TAKEN.iter().enumerate().find_map(|(index, word)| {
        let lowest = |bits: u64| (bits != u64::MAX).then_some(bits | bits.wrapping_add(1));
        let before = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest).ok()?;
        Some(index * 64 + before.trailing_ones() as usize)
    })
}

fn give_up_slot(slot: usize) {
    TAKEN[slot / 64].fetch_and(!(1 << (slot % 64)), Ordering::Release);
}

/// A thread that has a slot.
#[derive(Debug)]
struct There {
    /// Its variable. Changed with the lock held, or by its own thread when it begins.
    thread: AtomicPtr<Thread>,
    /// Its number in the system.
    id: AtomicI32,
}

/// Which threads have slots, if it is certain that they tell their end.
static THERE: [There; SLOTS] =
    [const { There { thread: AtomicPtr::new(ptr::null_mut()), id: AtomicI32::new(0) } }; SLOTS];

impl There {
    fn enter(&self, thread: &Thread) {
        // SAFETY: never fails.
        self.id.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        self.thread.store(ptr::from_ref(thread).cast_mut(), Ordering::Release);
    }

    /// When this is done, nobody looks at the variable, nor will.
    fn leave(&self) {
        let _held = HeapLock::hold();
        self.thread.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The key by which the end of a thread is told, and 1; 0: there is none.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Sees to it that the end of threads is told. Before the first block.
pub(crate) fn start() {
    let mut key = 0;
    // SAFETY: a place for the key; `end` is there as long as the library, which is not unloaded
    // while it has blocks in use.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(end)) } == 0 {
        KEY.store(key + 1, Ordering::Relaxed);
    }
}

/// Called by the C library when a thread ends, once.
unsafe extern "C" fn end(_: *mut c_void) {
    let thread = Thread::current();
    let slot = thread.slot.get();
    if slot != UNKNOWN && slot != NONE {
        engine::retire_thread();
        // Whoever is called after this may allocate: without a slot.
        thread.slot.set(NONE);
        THERE[slot - 1].leave();
        give_up_slot(slot - 1);
    }
}

/// Gives the calling thread a slot, if there is one.
#[cold]
#[inline(never)]
fn begin(thread: &Thread) {
    // The C library allocates to note a value for a key, if a program has had more than thirty keys
    // when ours was made: on no slot.
    thread.slot.set(NONE);
    let Some(slot) = take_slot() else { return };
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        // SAFETY: a key of ours; any value but null has `end` called.
        if unsafe { libc::pthread_setspecific(key, NonNull::<c_void>::dangling().as_ptr()) } == 0 {
            THERE[slot].enter(thread);
        }
    }
    thread.slot.set(slot + 1);
}

/// What tells the calling thread apart from all that are there; not 0.
pub(crate) fn id() -> usize {
    ptr::from_ref(Thread::current()).addr()
}

/// The slots that others have.
fn slots_of_others() -> impl Iterator<Item = usize> {
    let own = Thread::current().slot.get().wrapping_sub(1);
    let taken = TAKEN.iter().enumerate().map(|(index, word)| (index, word.load(Ordering::Relaxed)));
    taken.flat_map(move |(index, word)| {
        let is_other = move |bit: &usize| word >> bit & 1 != 0 && index * 64 + bit != own;
        (0..64).filter(is_other).map(move |bit| index * 64 + bit)
    })
}

/// Before a fork, with the lock held: of threads that have ended and not told it there is no
/// variable.
pub(crate) fn before_fork() {
    for slot in slots_of_others() {
        let there = &THERE[slot];
        if !there.thread.load(Ordering::Acquire).is_null()
            && !exists(there.id.load(Ordering::Relaxed))
        {
            there.thread.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

/// Whether a thread with this number is there.
fn exists(id: i32) -> bool {
    // SAFETY: never fails.
    let process = unsafe { libc::getpid() };
    // SAFETY: sends nothing.
    errno::unchanged(|| unsafe { libc::syscall(libc::SYS_tgkill, process, id, 0) } == 0)
}

/// In the child of a fork, when the heap has looked at their variables: the slots of others are
/// free, but for those that are lost.
pub(crate) fn after_fork() {
    for slot in slots_of_others() {
        THERE[slot].thread.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: taken by another thread, before the fork.
        if unsafe { engine::take_over_slot(slot) } {
            give_up_slot(slot);
        }
    }
}

/// The threads of the process.
#[derive(Debug)]
pub(crate) struct Threads;

// SAFETY: a slot is a thread's from when it took it out of `TAKEN` to when it put it back; only
// signal handlers interrupt. The word is a variable of the thread, which is empty at first, and
// after `retire`. The one call that might allocate is made before the thread has entered.
unsafe impl Cpu for Threads {
    /// As in glibc, a signal handler must not allocate. If it does, it gets what is behind the
    /// lock, or nothing.
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        SLOTS
    }

    #[inline(always)]
    fn arrive(&self) {
        let thread = Thread::current();
        if thread.slot.get() == UNKNOWN {
            begin(thread);
        }
    }

    #[inline(always)]
    fn enter(&self) -> usize {
        // Of who has none that is no slot's number.
        Thread::current().slot.get().wrapping_sub(1)
    }

    #[inline(always)]
    fn word(&self) -> Option<&SlotWord> {
        Some(&Thread::current().word)
    }

    fn word_of(&self, slot: usize) -> Option<&SlotWord> {
        let thread = NonNull::new(THERE.get(slot)?.thread.load(Ordering::Acquire))?;
        // SAFETY: the variable of a thread that has not ended, nor will as long as the lock is
        // held; or that was copied with all else.
        Some(unsafe { &thread.as_ref().word })
    }

    fn wait_for_fork(&self, turn: usize) -> bool {
        pause::pause();
        turn < PAUSES
    }

    #[inline(always)]
    fn missed(&self) {
        let misses = &Thread::current().misses;
        misses.set(misses.get().wrapping_add(1));
        if misses.get().is_multiple_of(MISSES) {
            engine::now_and_then();
        }
    }
}
