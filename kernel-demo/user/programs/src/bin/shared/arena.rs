//! A heap in a shared mapping, itself a part of what is shared.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{FixedBreak, Heap, Locked, RawLock};
use runtime::system::Errno;
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::{PAGE, Yielding};

/// A heap whose callers are processes: whoever waits lets the others run.
pub type SharedHeap = Locked<Heap<FixedBreak>, Yielding>;

/// Bytes of the mapping.
const SIZE: usize = 1 << 20;

/// What the mapping begins with.
#[derive(Debug)]
struct Head {
    heap: SharedHeap,
    mailbox: AtomicUsize,
    ledger: AtomicUsize,
    ledger_lock: Yielding,
}

/// Memory that this process shares with the children that it makes later, with a heap in it.
///
/// # Invariants
///
/// `head` is in the mapping, at the same address in all of them, and stays; what is behind it is
/// the heap's.
#[derive(Debug)]
pub struct Arena {
    head: NonNull<Head>,
}

impl Arena {
    /// Maps the memory and makes the heap.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn new() -> Result<Self, Errno> {
        let start =
            memory::map_anonymous(SIZE, Protection::READ | Protection::WRITE, MapFlags::SHARED)?;
        let room = size_of::<Head>().next_multiple_of(PAGE);
        // SAFETY: inside the mapping.
        let memory = unsafe { start.add(room) };
        // SAFETY: nobody else has the mapping; what children do with it goes through the same heap.
        let brk = unsafe { FixedBreak::from_raw(memory.as_ptr(), SIZE - room) };
        let heap = SharedHeap::new(brk);
        let head = start.cast();
        // SAFETY: the start of the mapping, aligned to a page, and large enough.
        unsafe {
            head.write(Head {
                heap,
                mailbox: AtomicUsize::new(0),
                ledger: AtomicUsize::new(0),
                ledger_lock: Yielding::INIT,
            })
        };
        Ok(Self { head })
    }

    fn head(&self) -> &Head {
        // SAFETY: the type's invariant; it changes by way of its lock and atomic words only.
        unsafe { self.head.as_ref() }
    }

    /// The heap.
    pub fn heap(&self) -> &SharedHeap {
        &self.head().heap
    }

    /// Leaves a word for another process.
    pub fn send(&self, word: usize) {
        self.head().mailbox.store(word, Ordering::Release);
    }

    /// The word that was left.
    pub fn receive(&self) -> usize {
        self.head().mailbox.load(Ordering::Acquire)
    }

    /// Guards the ledger.
    pub fn ledger_lock(&self) -> &Yielding {
        &self.head().ledger_lock
    }

    /// Where the ledger's list begins: a word that is used with the ledger locked only.
    pub fn ledger(&self) -> &AtomicUsize {
        &self.head().ledger
    }
}
