//! The front cache: for each class a list of free blocks, last freed first. The only thing that the
//! fast path touches.
//!
//! ```text
//!   heads[class] ──► block ──► block ──► block         a block's first word leads to the next one
//!   popped           how often a block was taken out
//!   spare            how often more one can be put in than that
//! ```
//!
//! A block here is free for the caller, and used for whatever it was taken from: a run, or the
//! cells.

mod checked;

use core::marker::PhantomData;

use core::ptr::NonNull;

use crate::size_class::{CLASSES, Class};
use super::front::{FRONTS, Front};
use crate::cell::Form;
use crate::link_copy::BrokenLink;

/// Blocks that a class may keep, at most.
const MOST_BLOCKS: usize = 128;

/// Middling blocks that a class may keep, at most.
const MOST_MIDDLING: usize = 32;

/// How many blocks are looked at for one that is aligned. (If links are checked, only the first
/// one's is, each time.)
const fn looks<F: Form>() -> usize {
    if F::CHECKED { 1 } else { 4 }
}

/// The first word of a block in the cache.
#[repr(transparent)]
struct Link(Option<NonNull<Link>>);

// The smallest block must hold a link.
const _: () = assert!(size_of::<Link>() <= 8);

/// The number of a class, of which the compiler knows then that it is one.
#[inline(always)]
fn place(class: impl Into<Front>) -> usize {
    let index = class.into().index();
    // SAFETY: the type's invariant.
    unsafe { core::hint::assert_unchecked(index < FRONTS) };
    index
}

/// How much room there is for middling blocks, in bytes, how much there may be, and the class that
/// is the next to lose some.
#[derive(Debug)]
struct Middling {
    room: usize,
    limit: usize,
    next: Front,
}

/// The cache of a heap: of `LISTS` classes, the smallest ones. Those of small blocks are among
/// them; of middling ones, in arenas, all, and elsewhere none.
///
/// # Invariants
///
/// * the list of a class begins at `heads[class]` and has `room[class] − (spare[class] +
///   popped[class])` blocks (modulo 2³²)
/// * its blocks are at least as long, and as aligned, as the class says; nobody else uses or lists
///   them
/// * `len(class) ≤ room[class]` after each operation of the heap, where `Σ room · size ≤` the byte
///   limit; for middling blocks that is a limit of their own, which grows with the heap, and is 0
///   unless it was set
/// * `middling.room` is that sum for middling blocks
#[derive(Debug)]
pub(crate) struct Cache<F, const LISTS: usize> {
    heads: [Option<NonNull<Link>>; LISTS],
    popped: [u32; LISTS],
    /// `room − pushed`, where `pushed` is how often a block was put in: so there is one test for
    /// both on the way in.
    spare: [u32; LISTS],
    room: [u8; LISTS],
    middling: Middling,
    /// The last link that was found overwritten, until it is reported: of a checked heap.
    broken: Option<BrokenLink>,
    form: PhantomData<fn() -> F>,
}

impl<F: Form, const LISTS: usize> Cache<F, LISTS> {
    /// An empty cache that keeps `limit` bytes at most.
    pub(crate) const fn new(limit: usize) -> Self {
        const { assert!(LISTS >= CLASSES && LISTS <= FRONTS) };
        let mut cache = Self {
            heads: [None; LISTS],
            popped: [0; LISTS],
            spare: [0; LISTS],
            room: [0; LISTS],
            middling: Middling { room: 0, limit: 0, next: Front::FIRST_MIDDLING },
            broken: None,
            form: PhantomData,
        };
        cache.set_limit(limit);
        cache
    }

    /// Divides the limit, in bytes, equally among the classes. The caller sees to it that there are
    /// not too many blocks.
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        let mut index = 0;
        while let Some(class) = Class::from_index(index) {
            let room = limit / CLASSES / class.size();
            let room = if room < MOST_BLOCKS { room as u8 } else { MOST_BLOCKS as u8 };
            self.spare[index] =
                self.spare[index].wrapping_sub(self.room[index] as u32).wrapping_add(room as u32);
            self.room[index] = room;
            index += 1;
        }
    }

    /// Sets a limit, in bytes, for middling blocks, if it is more than it was. There is room once
    /// it is [asked for](Cache::widen).
    pub(crate) fn raise_limit_of_middling(&mut self, limit: usize) {
        self.middling.limit = self.middling.limit.max(limit);
    }

    /// Whether a class of middling blocks may have room for one more, if there is enough for all.
    pub(crate) fn may_widen(&self, front: Front) -> bool {
        self.room(front) < MOST_MIDDLING && front.size() <= self.middling.limit
    }

    /// Gives a class of middling blocks that [may have it](Cache::may_widen) room for one more, if
    /// the limit allows it.
    pub(crate) fn widen(&mut self, front: Front) -> bool {
        let room = self.middling.room + front.size();
        if room > self.middling.limit {
            return false;
        }
        self.middling.room = room;
        self.set_room(front, self.room(front) + 1);
        true
    }

    /// Takes room for one block from a class of middling ones, the next in turn that has any, and
    /// the block for which there is none any more.
    pub(crate) fn narrow_next(&mut self) -> Option<NonNull<u8>> {
        let front = self.next_middling(LISTS - CLASSES, |cache, front| cache.room(front) > 0)?;
        let block = if self.has_room(front) { None } else { self.take_back(front) };
        self.middling.room -= front.size();
        self.set_room(front, self.room(front) - 1);
        block
    }

    /// Takes out a middling block, if one of the next `classes` classes in turn has any.
    pub(crate) fn take_back_middling(&mut self, classes: usize) -> Option<NonNull<u8>> {
        let front = self.next_middling(classes.min(LISTS - CLASSES), |cache, front| {
            cache.heads[place(front)].is_some()
        })?;
        self.take_back(front)
    }

    /// Of the classes of middling blocks, the first of the next `classes` in turn for which `suits`
    /// holds.
    fn next_middling(
        &mut self,
        classes: usize,
        suits: impl Fn(&Self, Front) -> bool,
    ) -> Option<Front> {
        (0..classes).find_map(|_| {
            let front = self.middling.next;
            self.middling.next = front.next_middling();
            suits(self, front).then_some(front)
        })
    }

    fn set_room(&mut self, class: impl Into<Front>, room: usize) {
        let at = place(class);
        self.spare[at] =
            self.spare[at].wrapping_sub(self.room[at].into()).wrapping_add(room as u32);
        self.room[at] = room as u8;
    }

    /// How many blocks of a class may be kept.
    pub(crate) fn room(&self, class: impl Into<Front>) -> usize {
        let at = place(class);
        self.room[at] as usize
    }

    /// How many blocks of a class there are.
    pub(crate) fn len(&self, class: impl Into<Front>) -> usize {
        let at = place(class);
        (self.room[at] as u32).wrapping_sub(self.left(at)) as usize
    }

    /// How many blocks of the class with this number can be put in; if it has more than its room,
    /// less than 0.
    #[inline(always)]
    const fn left(&self, at: usize) -> u32 {
        self.spare[at].wrapping_add(self.popped[at])
    }

    /// Whether a block of a class can be put in.
    #[inline(always)]
    pub(crate) fn has_room(&self, class: impl Into<Front>) -> bool {
        let at = place(class);
        self.left(at) as i32 > 0
    }

    /// How often a block of a class was taken out, modulo 2³².
    pub(crate) fn popped(&self, class: impl Into<Front>) -> u32 {
        let at = place(class);
        self.popped[at]
    }

    /// Takes out the block of a class that came last. O(1).
    #[inline(always)]
    pub(crate) fn pop(&mut self, class: impl Into<Front>) -> Option<NonNull<u8>> {
        let at = place(class);
        if F::CHECKED {
            self.watch(at);
        }
        let head = &mut self.heads[at];
        let block = (*head)?;
        // SAFETY: a block in the list begins with its link.
        *head = unsafe { block.read() }.0;
        let popped = &mut self.popped[at];
        *popped = popped.wrapping_add(1);
        Some(block.cast())
    }

    /// Takes out a block of a class that is aligned to `align`, a power of two, if one is among
    /// those that came last. O(1).
    pub(crate) fn pop_aligned(
        &mut self,
        class: impl Into<Front>,
        align: usize,
    ) -> Option<NonNull<u8>> {
        let at = place(class);
        let mut before: Option<NonNull<Link>> = None;
        for _ in 0..looks::<F>() {
            if F::CHECKED {
                self.watch(at);
            }
            let block = match before {
                None => self.heads[at]?,
                // SAFETY: a block in the list begins with its link.
                Some(before) => unsafe { before.read() }.0?,
            };
            if block.addr().get() & (align - 1) == 0 {
                // SAFETY: as above.
                let behind = unsafe { block.read() };
                match before {
                    None => self.heads[at] = behind.0,
                    // SAFETY: as above; the block behind it is taken out.
                    Some(before) => unsafe { before.write(behind) },
                }
                let popped = &mut self.popped[at];
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
    /// If the answer is true, the block is the cache's: it fits the class, and nobody else uses or
    /// lists it.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, class: impl Into<Front>, block: NonNull<u8>) -> bool {
        let class = class.into();
        let at = place(class);
        if !self.has_room(class) {
            return false;
        }
        let spare = &mut self.spare[at];
        *spare = spare.wrapping_sub(1);
        let (head, block) = (&mut self.heads[at], block.cast::<Link>());
        // SAFETY: the block is free, aligned for a word, and holds a link.
        unsafe { block.write(Link(*head)) };
        if F::CHECKED {
            // SAFETY: the same block.
            unsafe { checked::note(block) };
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
    pub(crate) unsafe fn refill(
        &mut self,
        class: impl Into<Front>,
        supply: impl FnOnce(&mut dyn FnMut(NonNull<u8>)),
    ) {
        let at = place(class);
        let (mut head, mut spare) = (self.heads[at], self.spare[at]);
        supply(&mut |block| {
            let block = block.cast::<Link>();
            // SAFETY: the block is free, aligned for a word, and holds a link.
            unsafe { block.write(Link(head)) };
            if F::CHECKED {
                // SAFETY: the same block.
                unsafe { checked::note(block) };
            }
            head = Some(block);
            spare = spare.wrapping_sub(1);
        });
        (self.heads[at], self.spare[at]) = (head, spare);
    }

    /// Takes out the block of a class that came last, not for a request. O(1).
    pub(crate) fn take_back(&mut self, class: impl Into<Front>) -> Option<NonNull<u8>> {
        let at = place(class);
        if F::CHECKED {
            self.watch(at);
        }
        let head = &mut self.heads[at];
        let block = (*head)?;
        // SAFETY: a block in the list begins with its link.
        *head = unsafe { block.read() }.0;
        let spare = &mut self.spare[at];
        *spare = spare.wrapping_add(1);
        Some(block.cast())
    }

    /// A block that never was in the cache was handed out: counts it as if it had been.
    pub(crate) fn note_passed_by(&mut self, class: impl Into<Front>) {
        let at = place(class);
        self.popped[at] = self.popped[at].wrapping_add(1);
        self.spare[at] = self.spare[at].wrapping_sub(1);
    }

    /// The blocks of a class, last freed first. Nothing of a block is read before the one behind it
    /// is asked for.
    pub(crate) fn blocks(&self, class: impl Into<Front>) -> impl Iterator<Item = NonNull<u8>> {
        let at = place(class);
        let mut before: Option<NonNull<Link>> = None;
        core::iter::from_fn(move || {
            before = match before {
                None => self.heads[at],
                // SAFETY: a block in the list begins with its link; or the caller saw to it that
                // the block can be read, and went on.
                Some(block) => unsafe { block.read() }.0,
            };
            before.map(NonNull::cast)
        })
        .fuse()
    }

    /// All blocks; of lists whose links were overwritten, those before.
    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = NonNull<u8>> {
        let blocks = |front| {
            let sound = F::CHECKED.then(|| self.sound_blocks(front));
            let all = (!F::CHECKED).then(|| self.blocks(front));
            sound.into_iter().flatten().chain(all.into_iter().flatten())
        };
        Self::classes().flat_map(blocks)
    }

    /// The classes that have a list, the smallest first.
    pub(crate) fn classes() -> impl Iterator<Item = Front> {
        Front::all().take(LISTS)
    }
}
