//! Runs: used cells that hold equal blocks without headers of their own.
//!
//! ```text
//!   page boundary, payload of the cell                                                  the next cell
//!   ▼                                                                                   ▼
//!   ┌───────┬───────┬───────┬───────┬───────┬─ ─ ─ ─ ─ ─ ─ ─ ─┬───────────────┬────────┐┌──────
//!   │ block │ block │ block │ block │ block │  never used     │ less than one │ header ││ header
//!   └───────┴─▲─────┴───────┴─▲───┬─┴───────┴─▲─ ─ ─ ─ ─ ─ ─ ─┴───────────────┴──┬─────┘└──────
//!             │               │   │           └──────────────────────────── fresh ┤
//!             └───────────────┼───┘                                               │
//!                             └────────────────────────────────────────────  free ┘
//!   a free block's first two bytes tell where the next one is
//! ```
//!
//! The cell, header included, takes up whole pages, so runs pack, and the run of a block is found
//! by masking its address. The run's own header is at its end, so that each block is as aligned as
//! the size of all is.

mod checked;

use core::ptr::NonNull;

use crate::cell::{Form, WORD};
use crate::size_class::Class;

/// Size of the pages that runs are made of, in bytes. (Not the machine's, though it often is the
/// same.)
pub(crate) const PAGE: usize = 4096;

/// Blocks up to this size come from runs of one page, larger ones from runs of `LONG`.
const SHORT_UP_TO: usize = 256;

/// Length of the longer runs.
pub(crate) const LONG: usize = 4 * PAGE;

const _: () = assert!(LONG <= NOWHERE as usize);

/// The end of a run.
#[derive(Debug)]
#[repr(C)]
struct Header {
    next: Option<Run>,
    prev: Option<Run>,
    /// Where the first free block is, in bytes from the run's start, or [`NOWHERE`].
    free: u16,
    /// From where on no block was ever handed out; [`NOWHERE`]: there is not enough left for a
    /// block.
    fresh: u16,
    /// Blocks that were taken out and not put back.
    live: u16,
}

/// No place of a block: runs are shorter.
pub(crate) const NOWHERE: u16 = u16::MAX;

/// Length of the runs of a class in bytes, the header of the cell included: a power of two, and the
/// alignment of the run.
pub(crate) const fn len_of(class: Class) -> usize {
    if class.size() <= SHORT_UP_TO { PAGE } else { LONG }
}

/// Where the header of a run is, in bytes from the run's start. Behind it is the header of the next
/// cell.
pub(crate) const fn header_of(class: Class) -> usize {
    len_of(class) - WORD - size_of::<Header>()
}

/// How many blocks a run of a class has.
pub(crate) const fn blocks_of(class: Class) -> usize {
    header_of(class) / class.size()
}

/// What became of a run when a block was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// It was full and has one free block.
    Partial,
    /// It had free blocks before, and still has live ones.
    More,
    /// None of its blocks is live.
    Empty,
}

/// The address of a run.
///
/// # Invariants
///
/// * a multiple of `len_of(class)`
/// * `live` + blocks in the list of free ones + blocks from `fresh` on `= blocks_of(class)`
/// * the free list leads through blocks of this run that nobody uses
///
/// # Safety of its methods
///
/// Every method asks for a run that was [begun](Run::begin) and whose cell has not been released
/// since, with the class with which it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Run(NonNull<u8>);

impl Run {
    /// Begins a run in the payload of a used cell.
    ///
    /// # Safety
    ///
    /// The `len_of(class) − WORD` bytes at `payload`, which is a multiple of `len_of(class)`, are
    /// the heap's own, and used for nothing else.
    pub(crate) unsafe fn begin(payload: NonNull<u8>, class: Class) -> Self {
        let run = Self(payload);
        // SAFETY: the caller's promise.
        let header = unsafe { run.place_of_header(class) };
        // SAFETY: the caller's promise.
        unsafe {
            header.write(Header { next: None, prev: None, free: NOWHERE, fresh: 0, live: 0 })
        };
        run
    }

    /// The run of a block.
    pub(crate) fn of_block(block: NonNull<u8>, class: Class) -> Self {
        let start = block.as_ptr().map_addr(|address| address & !(len_of(class) - 1));
        // No run begins at null.
        Self(NonNull::new(start).unwrap_or(block))
    }

    /// The payload of the run's cell.
    pub(crate) fn payload(self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    ///
    /// See the type.
    unsafe fn place_of_header(self, class: Class) -> NonNull<Header> {
        // SAFETY: the caller's promise: inside the run.
        unsafe { self.0.add(header_of(class)) }.cast()
    }

    /// # Safety
    ///
    /// See the type. The header is not referred to while the reference is in use.
    unsafe fn header<'run>(self, class: Class) -> &'run mut Header {
        // SAFETY: the caller's promise.
        let mut header = unsafe { self.place_of_header(class) };
        // SAFETY: it was written by `begin`.
        unsafe { header.as_mut() }
    }

    /// The run behind this one in its list.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn next(self, class: Class) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { self.header(class) }.next
    }

    /// The run before this one in its list.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn prev(self, class: Class) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { self.header(class) }.prev
    }

    /// How many blocks were taken out and not put back.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn live(self, class: Class) -> usize {
        // SAFETY: the caller's promise.
        usize::from(unsafe { self.header(class) }.live)
    }

    /// Where the first free block is, and from where on no block was ever handed out, in bytes from
    /// the run's start; or [`NOWHERE`].
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn free_and_fresh(self, class: Class) -> (usize, usize) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(class) };
        (usize::from(header.free), usize::from(header.fresh))
    }

    /// Whether all blocks are taken out.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn is_full(self, class: Class) -> bool {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(class) };
        header.free == NOWHERE && header.fresh == NOWHERE
    }

    /// Takes out up to `most` blocks and hands each to `give`: first those that were put back, then
    /// those that never were taken. O(`most`).
    ///
    /// # Safety
    ///
    /// See the type.
    #[inline]
    pub(crate) unsafe fn take(self, class: Class, most: usize, mut give: impl FnMut(NonNull<u8>)) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(class) };
        let (mut free, mut fresh, mut left) = (header.free, header.fresh, most);
        while left > 0 && free != NOWHERE {
            // SAFETY: the offset of a block, inside the run.
            let block = unsafe { self.payload().add(usize::from(free)) };
            // SAFETY: a free block begins with the offset of the next one.
            free = unsafe { block.cast::<u16>().read() };
            give(block);
            left -= 1;
        }
        while left > 0 && fresh != NOWHERE {
            // SAFETY: the offset of a block, inside the run.
            give(unsafe { self.payload().add(usize::from(fresh)) });
            fresh += class.size() as u16;
            if usize::from(fresh) + class.size() > header_of(class) {
                fresh = NOWHERE;
            }
            left -= 1;
        }
        (header.free, header.fresh) = (free, fresh);
        header.live += (most - left) as u16;
    }

    /// Puts a block back. O(1).
    ///
    /// # Safety
    ///
    /// See the type; the block came from [`take`](Run::take) of this run, and nobody uses it.
    #[inline]
    pub(crate) unsafe fn put<F: Form>(self, class: Class, block: NonNull<u8>) -> Now {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(class) };
        let was_full = header.free == NOWHERE && header.fresh == NOWHERE;
        // SAFETY: the block's first bytes, which nobody uses.
        unsafe { block.cast::<u16>().write(header.free) };
        if F::CHECKED {
            // SAFETY: the same block.
            unsafe { checked::note(block) };
        }
        header.free = (block.addr().get() - self.0.addr().get()) as u16;
        header.live -= 1;
        match header.live {
            0 => Now::Empty,
            _ if was_full => Now::Partial,
            _ => Now::More,
        }
    }
}

/// The runs of a class that have a free block, in a doubly linked list through their headers.
///
/// # Invariants
///
/// * a run is in the list of its class `⟺` it has a free block
/// * a run without live blocks is alone in its list
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialRuns {
    pub(crate) head: Option<Run>,
}

impl PartialRuns {
    pub(crate) const EMPTY: Self = Self { head: None };

    /// Puts a run first. O(1).
    ///
    /// # Safety
    ///
    /// See [`Run`]; the run is in no list.
    pub(crate) unsafe fn insert(&mut self, run: Run, class: Class) {
        let next = self.head.replace(run);
        // SAFETY: the caller's promise.
        let header = unsafe { run.header(class) };
        (header.next, header.prev) = (next, None);
        if let Some(next) = next {
            // SAFETY: runs in the list are runs.
            unsafe { next.header(class) }.prev = Some(run);
        }
    }

    /// Takes a run out. O(1).
    ///
    /// # Safety
    ///
    /// See [`Run`]; the run is in this list.
    pub(crate) unsafe fn remove(&mut self, run: Run, class: Class) {
        // SAFETY: the caller's promise.
        let Header { next, prev, .. } = *unsafe { run.header(class) };
        if let Some(next) = next {
            // SAFETY: as in `insert`.
            unsafe { next.header(class) }.prev = prev;
        }
        match prev {
            // SAFETY: as in `insert`.
            Some(prev) => unsafe { prev.header(class) }.next = next,
            None => self.head = next,
        }
    }
}
