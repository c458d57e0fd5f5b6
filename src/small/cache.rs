//! The front cache: for each class a list of free blocks, last freed first. The only thing that the fast path touches.
//!
//! ```text
//!   heads[class] ──► block ──► block ──► block         a block's first word leads to the next one
//!   popped           how often a block was taken out
//!   spare            how often more one can be put in than that
//! ```
//!
//! A block here is free for the caller, and used for whatever it was taken from: a run, or the cells.

#[cfg(feature = "checked")]
mod checked;

use core::ptr::NonNull;

use super::class::{CLASSES, Class};

/// Blocks that a class may keep, at most.
const MOST_BLOCKS: usize = 32;

/// How many blocks are looked at for one that is aligned. (If links are checked, only the first one's is, each time.)
const LOOKS: usize = if cfg!(feature = "checked") { 1 } else { 4 };

/// The first word of a block in the cache.
#[repr(transparent)]
struct Link(Option<NonNull<Link>>);

// The smallest block must hold a link.
const _: () = assert!(size_of::<Link>() <= 8);

/// The cache of a heap.
///
/// # Invariants
///
/// * the list of a class begins at `heads[class]` and has `room[class] − (spare[class] + popped[class])` blocks (modulo 2³²)
/// * its blocks are at least as long, and as aligned, as the class says; nobody else uses or lists them
/// * `len(class) ≤ room[class]` after each operation of the heap, where `Σ room · size ≤` the byte limit
#[derive(Debug)]
pub(crate) struct Cache {
    heads: [Option<NonNull<Link>>; CLASSES],
    popped: [u32; CLASSES],
    /// `room − pushed`, where `pushed` is how often a block was put in: so there is one test for both on the way in.
    spare: [u32; CLASSES],
    room: [u8; CLASSES],
    /// The last link that was found overwritten, until it is reported.
    #[cfg(feature = "checked")]
    broken: Option<super::BrokenLink>,
}

impl Cache {
    /// An empty cache that keeps `limit` bytes at most.
    pub(crate) const fn new(limit: usize) -> Self {
        let mut cache = Self {
            heads: [None; CLASSES],
            popped: [0; CLASSES],
            spare: [0; CLASSES],
            room: [0; CLASSES],
            #[cfg(feature = "checked")]
            broken: None,
        };
        cache.set_limit(limit);
        cache
    }

    /// Divides the limit, in bytes, equally among the classes. The caller sees to it that there are not too many blocks.
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        let mut index = 0;
        while let Some(class) = Class::from_index(index) {
            let room = limit / CLASSES / class.size();
            let room = if room < MOST_BLOCKS { room as u8 } else { MOST_BLOCKS as u8 };
            self.spare[index] = self.spare[index].wrapping_sub(self.room[index] as u32).wrapping_add(room as u32);
            self.room[index] = room;
            index += 1;
        }
    }

    /// How many blocks of a class may be kept.
    pub(crate) const fn room(&self, class: Class) -> usize {
        self.room[class.index()] as usize
    }

    /// How many blocks of a class there are.
    pub(crate) const fn len(&self, class: Class) -> usize {
        (self.room[class.index()] as u32).wrapping_sub(self.left(class)) as usize
    }

    /// How many blocks of a class can be put in; if it has more than its room, less than 0.
    #[inline(always)]
    const fn left(&self, class: Class) -> u32 {
        self.spare[class.index()].wrapping_add(self.popped[class.index()])
    }

    /// How often a block of a class was taken out, modulo 2³².
    pub(crate) const fn popped(&self, class: Class) -> u32 {
        self.popped[class.index()]
    }

    /// Takes out the block of a class that came last. O(1).
    #[inline(always)]
    pub(crate) fn pop(&mut self, class: Class) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        self.watch(class);
        let head = &mut self.heads[class.index()];
        let block = (*head)?;
        // SAFETY: a block in the list begins with its link.
        *head = unsafe { block.read() }.0;
        let popped = &mut self.popped[class.index()];
        *popped = popped.wrapping_add(1);
        Some(block.cast())
    }

    /// Takes out a block of a class that is aligned to `align`, a power of two, if one is among those that came last.
    /// O(1).
    pub(crate) fn pop_aligned(&mut self, class: Class, align: usize) -> Option<NonNull<u8>> {
        let mut before: Option<NonNull<Link>> = None;
        for _ in 0..LOOKS {
            #[cfg(feature = "checked")]
            self.watch(class);
            let block = match before {
                None => self.heads[class.index()]?,
                // SAFETY: a block in the list begins with its link.
                Some(before) => unsafe { before.read() }.0?,
            };
            if block.addr().get() & (align - 1) == 0 {
                // SAFETY: as above.
                let behind = unsafe { block.read() };
                match before {
                    None => self.heads[class.index()] = behind.0,
                    // SAFETY: as above; the block behind it is taken out.
                    Some(before) => unsafe { before.write(behind) },
                }
                let popped = &mut self.popped[class.index()];
                *popped = popped.wrapping_add(1);
                return Some(block.cast());
            }
            before = Some(block);
        }
        None
    }

    /// Puts in a block, if there is room. O(1).
    ///
    /// # Safety
    ///
    /// If the answer is true, the block is the cache's: it fits the class, and nobody else uses or lists it.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, class: Class, block: NonNull<u8>) -> bool {
        if self.left(class).cast_signed() <= 0 {
            return false;
        }
        let spare = &mut self.spare[class.index()];
        *spare = spare.wrapping_sub(1);
        let (head, block) = (&mut self.heads[class.index()], block.cast::<Link>());
        // SAFETY: the block is free, aligned for a word, and holds a link.
        unsafe { block.write(Link(*head)) };
        #[cfg(feature = "checked")]
        // SAFETY: the same block.
        unsafe {
            checked::note(block);
        }
        *head = Some(block);
        true
    }

    /// Puts in all blocks that `supply` hands to the function that it is given.
    ///
    /// # Safety
    ///
    /// As for [`push`](Cache::push), for each of them.
    #[inline]
    pub(crate) unsafe fn refill(&mut self, class: Class, supply: impl FnOnce(&mut dyn FnMut(NonNull<u8>))) {
        let (mut head, mut spare) = (self.heads[class.index()], self.spare[class.index()]);
        supply(&mut |block| {
            let block = block.cast::<Link>();
            // SAFETY: the block is free, aligned for a word, and holds a link.
            unsafe { block.write(Link(head)) };
            #[cfg(feature = "checked")]
            // SAFETY: the same block.
            unsafe {
                checked::note(block);
            }
            head = Some(block);
            spare = spare.wrapping_sub(1);
        });
        (self.heads[class.index()], self.spare[class.index()]) = (head, spare);
    }

    /// Takes out the block of a class that came last, not for a request. O(1).
    pub(crate) fn take_back(&mut self, class: Class) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        self.watch(class);
        let head = &mut self.heads[class.index()];
        let block = (*head)?;
        // SAFETY: a block in the list begins with its link.
        *head = unsafe { block.read() }.0;
        let spare = &mut self.spare[class.index()];
        *spare = spare.wrapping_add(1);
        Some(block.cast())
    }

    /// A block that never was in the cache was handed out: counts it as if it had been.
    pub(crate) const fn note_passed_by(&mut self, class: Class) {
        self.popped[class.index()] = self.popped[class.index()].wrapping_add(1);
        self.spare[class.index()] = self.spare[class.index()].wrapping_sub(1);
    }

    /// The blocks of a class, last freed first. Nothing of a block is read before the one behind it is asked for.
    pub(crate) fn blocks(&self, class: Class) -> impl Iterator<Item = NonNull<u8>> {
        let mut before: Option<NonNull<Link>> = None;
        core::iter::from_fn(move || {
            before = match before {
                None => self.heads[class.index()],
                // SAFETY: a block in the list begins with its link; or the caller saw to it that the block can be read, and went on.
                Some(block) => unsafe { block.read() }.0,
            };
            before.map(NonNull::cast)
        })
        .fuse()
    }
}
