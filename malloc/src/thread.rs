//! Threads as callers of the arena heap: the slot of a thread, from its first call to its end.
//!
//! ```text
//!   first call ─► the lowest free slot of SLOTS ──► end of the thread: its arena is abandoned,
//!                 none free: the thread shares      and the slot is free for the next thread
//!                 the parent heap
//!   fork       ─► child: the slots of the other threads are free, unless their arenas are lost
//! ```
//!
//! # The variable of a thread
//!
//! It lies in the thread's static TLS block, at an offset from the thread pointer that the loader
//! writes into a GOT entry (the *initial-exec* model): its address takes two instructions and no
//! call. For a library a compiler emits a call of `__tls_get_addr` instead, which may allocate.
//! Stable Rust cannot choose the model, so the variable is declared in assembly. A library that is
//! loaded late finds room, too: glibc keeps a reserve larger than the 32 bytes of the variable.
//!
//! The forking thread, and a thread that needs memory, read the variables of others, so
//! `REGISTERED` has the address of each, from when the thread's end is certain to be reported until
//! it was. (A stack that is freed, and with it the variable, belongs to a thread that has ended. In
//! the child, glibc keeps the stacks of the other threads until a new thread starts, which is after
//! our handler.) A thread that ends by a bare system call reports nothing, so the reader asks the
//! kernel before whether the thread exists. Without an answer it reads no variable of another
//! thread: the arenas of others stay theirs, and a child of a fork loses them.

use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use brkalloc::inner::{SlotWord, Slots};

use crate::{barrier, clock, engine, errno, lock};

/// Number of slots: maximum number of threads with an arena at a time.
const SLOTS: usize = 512;

/// Number of allocations without a block at hand after which a thread looks whether a decay is due.
const MISSES: usize = 64;

/// Maximum number of pauses that a thread waits for a forking thread.
const PAUSES: usize = 3000;

/// `Thread::slot` of a thread that has not called yet.
const UNKNOWN: usize = 0;

/// `Thread::slot` of a thread without a slot: it is about to get one, none is free, or it ends.
const NONE: usize = usize::MAX;

/// The variable of a thread. Zeroed at first.
#[derive(Debug)]
#[repr(C)]
struct Thread {
    word: SlotWord,
    /// Number of the slot plus 1, `UNKNOWN`, or `NONE`.
    slot: Cell<usize>,
    /// Number of allocations for which the arena had no block at hand.
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
    /// Returns the offset of a thread's variable from the thread pointer.
    #[inline(always)]
    fn offset() -> usize {
        let offset;
        // SAFETY: reads what the loader wrote.
        unsafe {
            asm!(
                "mov {offset}, qword ptr [rip + brkmalloc_thread@GOTTPOFF]",
                offset = out(reg) offset,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        offset
    }

    /// Returns the calling thread's variable.
    #[inline(always)]
    fn current<'thread>() -> &'thread Self {
        let mut place: *const Self = ptr::without_provenance(Self::offset());
        // SAFETY: reads the thread pointer, which points at itself.
        unsafe {
            asm!(
                "add {place}, qword ptr fs:[0]",
                place = inout(reg) place,
                options(pure, readonly, nostack),
            );
        }
        // SAFETY: the variable lives as long as the thread; zeros are a valid value; other threads
        // reach only `word`, which is atomic.
        unsafe { &*place }
    }
}

/// Slots in use: a bit each.
static TAKEN: [AtomicU64; SLOTS / 64] = [const { AtomicU64::new(0) }; SLOTS / 64];

/// Takes the lowest free slot. Synchronizes with the [`release_slot`] of its previous owner.
fn take_slot() -> Option<usize> {
    TAKEN.iter().enumerate().find_map(|(index, word)| {
        let lowest = |bits: u64| (bits != u64::MAX).then_some(bits | bits.wrapping_add(1));
        let before = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest).ok()?;
        Some(index * 64 + before.trailing_ones() as usize)
    })
}

fn release_slot(slot: usize) {
    TAKEN[slot / 64].fetch_and(!(1 << (slot % 64)), Ordering::Release);
}

/// The thread that has a slot.
#[derive(Debug)]
struct Registration {
    /// Address of its variable, or null. Changed with the lock held, or by the thread itself when
    /// it registers.
    thread: AtomicPtr<Thread>,
    /// Number of the thread in the system.
    id: AtomicI32,
}

/// The registered threads, by slot: those whose end is certain to be reported.
static REGISTERED: [Registration; SLOTS] =
    [const { Registration { thread: AtomicPtr::new(ptr::null_mut()), id: AtomicI32::new(0) } };
        SLOTS];

impl Registration {
    fn register(&self, thread: &Thread) {
        // SAFETY: `gettid` has no preconditions.
        self.id.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        self.thread.store(ptr::from_ref(thread).cast_mut(), Ordering::Release);
    }

    /// After it returns, no other thread reads the variable.
    fn unregister(&self) {
        let _held = lock::HEAP.hold();
        self.thread.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The key whose destructor reports the end of a thread, plus 1; 0 without a key.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Creates the key that reports the end of threads. Called before the first block.
pub(crate) fn start() {
    barrier::start();
    let mut key = 0;
    // SAFETY: `key` is writable; `end` exists as long as the library, which is not unloaded.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(end)) } == 0 {
        KEY.store(key + 1, Ordering::Relaxed);
    }
}

/// Destructor of the key: the C library calls it once when a thread ends.
unsafe extern "C" fn end(_: *mut c_void) {
    let thread = Thread::current();
    let slot = thread.slot.get();
    if slot != UNKNOWN && slot != NONE {
        engine::abandon_thread();
        // Destructors that run after this one may allocate: without a slot.
        thread.slot.set(NONE);
        REGISTERED[slot - 1].unregister();
        release_slot(slot - 1);
    }
}

/// Gives the calling thread a slot if one is free.
#[cold]
#[inline(never)]
fn begin(thread: &Thread) {
    // `pthread_setspecific` allocates if our key is not among the first 32 of the program.
    // The thread has no slot meanwhile.
    thread.slot.set(NONE);
    let Some(slot) = take_slot() else { return };
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        // SAFETY: the key is ours; for any value but null `end` is called.
        if unsafe { libc::pthread_setspecific(key, NonNull::<c_void>::dangling().as_ptr()) } == 0 {
            REGISTERED[slot].register(thread);
        }
    }
    thread.slot.set(slot + 1);
}

/// Returns a number that no other existing thread has; not 0.
pub(crate) fn id() -> usize {
    ptr::from_ref(Thread::current()).addr()
}

/// Returns the slots of all other threads.
fn slots_of_others() -> impl Iterator<Item = usize> {
    let own = Thread::current().slot.get().wrapping_sub(1);
    let taken = TAKEN.iter().enumerate().map(|(index, word)| (index, word.load(Ordering::Relaxed)));
    taken.flat_map(move |(index, word)| {
        let is_other = move |bit: &usize| word >> bit & 1 != 0 && index * 64 + bit != own;
        (0..64).filter(is_other).map(move |bit| index * 64 + bit)
    })
}

/// Whether each registered thread existed when [`unregister_vanished`] asked last. Written with the
/// lock held.
static ALL_EXIST: AtomicBool = AtomicBool::new(true);

/// With the lock held, before the variables of others are read: unregisters threads that ended
/// without a report. Returns `false` if the system does not tell for each thread whether it exists:
/// the variables must not be read then.
pub(crate) fn unregister_vanished() -> bool {
    let mut all_exist = true;
    for slot in slots_of_others() {
        let registration = &REGISTERED[slot];
        if registration.thread.load(Ordering::Acquire).is_null() {
            continue;
        }
        match exists(registration.id.load(Ordering::Relaxed)) {
            Some(true) => {}
            Some(false) => registration.thread.store(ptr::null_mut(), Ordering::Relaxed),
            None => all_exist = false,
        }
    }
    ALL_EXIST.store(all_exist, Ordering::Relaxed);
    all_exist
}

/// Returns whether the process has a thread with this number. `None`: the system does not answer,
/// as under a filter of system calls.
fn exists(id: i32) -> Option<bool> {
    // SAFETY: `getpid` has no preconditions.
    let process = unsafe { libc::getpid() };
    errno::preserving(|| {
        // SAFETY: signal 0 is not delivered.
        if unsafe { libc::syscall(libc::SYS_tgkill, process, id, 0) } == 0 {
            return Some(true);
        }
        (errno::get() == libc::ESRCH).then_some(false)
    })
}

/// In the child of a fork, after the heap has read the variables: frees the slots of the other
/// threads, except those whose arenas are lost.
pub(crate) fn postfork_child() {
    for slot in slots_of_others() {
        REGISTERED[slot].thread.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: a thread of the parent had the slot, and the child has started no thread.
        if unsafe { engine::take_over_slot(slot) } {
            release_slot(slot);
        }
    }
}

/// In the child of a fork that does not use the arenas any more: the only thread has no slot and no
/// arena at hand.
pub(crate) fn leave_arenas() {
    let thread = Thread::current();
    thread.slot.set(NONE);
    // SAFETY: the word is this thread's, the only one, which is outside the heap. A zeroed word is
    // a new one.
    unsafe { ptr::from_ref(&thread.word).cast_mut().write(SlotWord::new()) };
}

/// The threads of the process.
#[derive(Debug)]
pub(crate) struct Threads;

// SAFETY: a thread owns its slot from `take_slot` to `release_slot`, which synchronizes with the
// next `take_slot`; only signal handlers interrupt. The word is a variable of the thread, empty at
// first and after `abandon`; `word_of` returns the same one. `begin`, which may use the heap, runs
// only in `arrive`, and once: it sets `slot` first. The kernel has each thread of the process that
// runs fence in a barrier; a switch of threads is a fence, too.
unsafe impl Slots for Threads {
    /// As in glibc, a signal handler must not allocate. One that does is served by the parent heap,
    /// or gets null.
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
        // A thread without a slot returns an out-of-range number.
        Thread::current().slot.get().wrapping_sub(1)
    }

    /// The variable of the thread. Not every mode lets the heap use it: where every call is
    /// recorded, it is never free, and no call takes the shortest path.
    #[inline(always)]
    fn word(&self) -> Option<&SlotWord> {
        engine::lends_arenas().then(|| &Thread::current().word)
    }

    const AT_HAND: bool = true;

    #[inline(always)]
    fn take_at_hand(&self) -> Option<NonNull<()>> {
        let what: *mut ();
        // SAFETY: the variable is the thread's, at this offset from the thread pointer, and begins
        // with the word. The store comes before the load: the fence of `SlotWord`.
        unsafe {
            asm!(
                "cmp byte ptr fs:[{offset} + {state}], {free}",
                "jne {taken}",
                offset = in(reg) Thread::offset(),
                state = const SlotWord::STATE,
                free = const SlotWord::FREE,
                taken = label { return None },
                options(nostack, readonly),
            );
            asm!(
                "mov byte ptr fs:[{offset} + {state}], {busy}",
                "mov {what}, qword ptr fs:[{offset}]",
                offset = in(reg) Thread::offset(),
                what = out(reg) what,
                state = const SlotWord::STATE,
                busy = const SlotWord::BUSY,
                options(nostack, preserves_flags),
            );
        }
        let what = NonNull::new(what);
        if what.is_none() {
            self.put_back_at_hand();
        }
        what
    }

    #[inline(always)]
    fn put_back_at_hand(&self) {
        // SAFETY: the state of the thread's word, as in `take_at_hand`. A store of the processor
        // releases.
        unsafe {
            asm!(
                "mov byte ptr fs:[{offset} + {state}], {free}",
                offset = in(reg) Thread::offset(),
                state = const SlotWord::STATE,
                free = const SlotWord::FREE,
                options(nostack, preserves_flags),
            );
        }
    }

    fn word_of(&self, slot: usize) -> Option<&SlotWord> {
        if !engine::lends_arenas() || !ALL_EXIST.load(Ordering::Relaxed) {
            return None;
        }
        let thread = NonNull::new(REGISTERED.get(slot)?.thread.load(Ordering::Acquire))?;
        // SAFETY: a registered thread exists, and cannot unregister while the caller has the lock;
        // in the child, its variable was copied with all other memory.
        Some(unsafe { &thread.as_ref().word })
    }

    fn has_words(&self) -> bool {
        engine::lends_arenas()
    }

    /// A thread cannot unregister while another one holds the lock.
    fn with_words(&self, run: &mut dyn FnMut()) {
        let _held = lock::HEAP.hold();
        if unregister_vanished() {
            run();
        }
    }

    fn barrier(&self) -> bool {
        barrier::run()
    }

    fn wait_for_fork(&self, turn: usize) -> bool {
        clock::pause();
        turn < PAUSES
    }

    #[inline(always)]
    fn missed(&self) {
        let misses = &Thread::current().misses;
        misses.set(misses.get().wrapping_add(1));
        if misses.get().is_multiple_of(MISSES) {
            engine::decay_if_due();
        }
    }
}
