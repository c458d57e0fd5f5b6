//! The heap with a ledger: slower, but knows who allocated what.
//!
//! ```text
//!   arena.ledger ──► entry ──► entry ──► 0        in front of each block, newest first
//!                  ┌───────┬──────┬───────┬────┬──────┬──────────────┐
//!                  │ state │ next │ owner │ at │ size │ the caller's │
//!                  └───────┴──────┴───────┴────┴──────┴──────────────┘
//! ```

use core::alloc::Layout;
use core::fmt;
use core::panic::Location;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use brkalloc::RawLock;
use runtime::system::process;

use crate::arena::Arena;

/// Says that an entry is one, and its block live.
const LIVE: u64 = 0x4C45_4447_4552_2121;

/// What is written down of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Entry {
    state: u64,
    next: usize,
    /// The process that allocated it.
    pub owner: usize,
    /// The line that did. (Its text is a constant, at the same address in all of these processes.)
    pub at: &'static Location<'static>,
    /// How many bytes it asked for.
    pub size: usize,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes: process {} at {}:{}",
            self.size,
            self.owner,
            self.at.file(),
            self.at.line()
        )
    }
}

/// Why a block was not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No live block of the ledger is there.
    NotLive,
}

/// The heap of an arena, with a ledger.
///
/// # Invariants
///
/// The list from `arena.ledger()` on is that of all live blocks; each entry on it is valid. It is
/// touched with the ledger's lock held.
#[derive(Debug)]
pub struct Ledger<'arena> {
    arena: &'arena Arena,
}

impl<'arena> Ledger<'arena> {
    /// An empty ledger for the heap of the arena.
    pub const fn new(arena: &'arena Arena) -> Self {
        Self { arena }
    }

    /// Allocates, and writes down who and where.
    #[track_caller]
    pub fn allocate(&self, size: usize) -> Option<NonNull<u8>> {
        let at = Location::caller();
        // SAFETY: the arena stays to the end of the process.
        let place = unsafe { self.arena.heap().allocate(layout(size)?) }?.cast::<Entry>();
        self.change(|first| {
            let entry = Entry { state: LIVE, next: *first, owner: process::getpid(), at, size };
            // SAFETY: a new block, which begins with an entry.
            unsafe { place.write(entry) };
            *first = place.expose_provenance().get();
        });
        // SAFETY: the block is longer than an entry.
        Some(unsafe { place.add(1) }.cast())
    }

    /// Frees a block, whoever allocated it.
    ///
    /// # Errors
    ///
    /// The ledger has no such block.
    pub fn free(&self, block: NonNull<u8>) -> Result<(), Refusal> {
        self.free_if(|address, _| address == block.addr().get()).map(drop).ok_or(Refusal::NotLive)
    }

    /// Frees everything that a process allocated; returns how many blocks that were.
    pub fn free_all_of(&self, owner: usize) -> usize {
        core::iter::from_fn(|| self.free_if(|_, entry| entry.owner == owner)).count()
    }

    /// Looks at each live block, newest first.
    pub fn for_each(&self, mut look: impl FnMut(&Entry)) {
        self.change(|first| {
            let mut at = *first;
            while let Some((_, entry)) = entry_at(at) {
                look(&entry);
                at = entry.next;
            }
        });
    }

    /// Frees the first block for which this is true.
    fn free_if(&self, is_it: impl Fn(usize, &Entry) -> bool) -> Option<()> {
        let (place, entry) = self.change(|first| {
            let mut before: Option<(NonNull<Entry>, Entry)> = None;
            let mut at = *first;
            loop {
                let (place, entry) = entry_at(at)?;
                if is_it(at + size_of::<Entry>(), &entry) {
                    match before {
                        // SAFETY: it is on the list, and nobody else changes it.
                        Some((before, entry_before)) => unsafe {
                            before.write(Entry { next: entry.next, ..entry_before })
                        },
                        None => *first = entry.next,
                    }
                    // SAFETY: it was on the list.
                    unsafe { place.write(Entry { state: 0, ..entry }) };
                    return Some((place, entry));
                }
                before = Some((place, entry));
                at = entry.next;
            }
        })?;
        // SAFETY: allocated with this layout, and off the list, so this is the only one who frees
        // it.
        unsafe { self.arena.heap().deallocate(place.cast(), layout(entry.size)?) };
        Some(())
    }

    /// Runs `change` with the ledger locked; it gets the address of the first entry.
    fn change<R>(&self, change: impl FnOnce(&mut usize) -> R) -> R {
        let _held = self.arena.ledger_lock().lock();
        let mut first = self.arena.ledger().load(Ordering::Relaxed);
        let answer = change(&mut first);
        self.arena.ledger().store(first, Ordering::Relaxed);
        answer
    }
}

/// The entry there, `None` at the end of the list.
fn entry_at(address: usize) -> Option<(NonNull<Entry>, Entry)> {
    let place = NonNull::new(ptr::with_exposed_provenance_mut::<Entry>(address))?;
    // SAFETY: addresses on the list are those of entries.
    let entry = unsafe { place.read() };
    assert_eq!(entry.state, LIVE, "the entry at {place:p} was overwritten");
    Some((place, entry))
}

/// Of a block with its entry.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(size_of::<Entry>())?, align_of::<Entry>()).ok()
}
