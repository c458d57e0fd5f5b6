//! The front cache: for each class a list of free blocks, last freed first. The only thing that the
//! fast path touches.
//!
//! ```text
//!   heads[class] ──► block ──► block ──► block         a block's first word leads to the next one
//!   left[class]      how many more can be put in
//! ```
//!
//! A block here is free for the caller, and used for whatever it was taken from: a run, or the
//! cells.

mod checked;

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::front::{FRONTS, Front};
use crate::cell::Form;
use crate::link_copy::BrokenLink;
use crate::size_class::{CLASSES, Class};

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

/// The cache of an arena's heap.
///
/// # Invariants
///
/// * the list of a class begins at `heads[class]` and has `room[class] − left[class]` blocks
/// * its blocks are at least as long, and as aligned, as the class says; nobody else uses or lists
///   them
/// * `0 ≤ left[class]` after each operation of the heap, where `Σ room · size ≤` the byte limit; for
///   middling blocks that is a limit of their own, which grows with the heap
/// * `middling.room` is that sum for middling blocks
#[derive(Debug)]
pub(crate) struct Cache<F> {
    heads: [Option<NonNull<Link>>; FRONTS],
    /// Number of blocks of each class that can be put in; less than 0 while a class has lost room.
    left: [i32; FRONTS],
    room: [u8; FRONTS],
    middling: Middling,
    /// The last link that was found overwritten, until it is reported: of a checked heap.
    broken: Option<BrokenLink>,
    form: PhantomData<fn() -> F>,
}

impl<F: Form> Cache<F> {
    /// Returns an empty cache that keeps at most `limit` bytes of small blocks: an equal part of
    /// each class.
    pub(crate) const fn new(limit: usize) -> Self {
        let mut cache = Self {
            heads: [None; FRONTS],
            left: [0; FRONTS],
            room: [0; FRONTS],
            middling: Middling { room: 0, limit: 0, next: Front::FIRST_MIDDLING },
            broken: None,
            form: PhantomData,
        };
        let mut index = 0;
        while let Some(class) = Class::from_index(index) {
            let room = limit / CLASSES / class.size();
            let room = if room < MOST_BLOCKS { room } else { MOST_BLOCKS };
            (cache.left[index], cache.room[index]) = (room as i32, room as u8);
            index += 1;
        }
        cache
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
        let front = self.next_middling(FRONTS - CLASSES, |cache, front| cache.room(front) > 0)?;
        let block = if self.has_room(front) { None } else { self.pop(front) };
        self.middling.room -= front.size();
        self.set_room(front, self.room(front) - 1);
        block
    }

    /// Takes out a middling block, if one of the next `classes` classes in turn has any.
    pub(crate) fn take_back_middling(&mut self, classes: usize) -> Option<NonNull<u8>> {
        let front =
            self.next_middling(classes, |cache, front| cache.heads[place(front)].is_some())?;
        self.pop(front)
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
        self.left[at] += room as i32 - i32::from(self.room[at]);
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
        (i32::from(self.room[at]) - self.left[at]) as usize
    }

    /// Whether a block of a class can be put in.
    #[inline(always)]
    pub(crate) fn has_room(&self, class: impl Into<Front>) -> bool {
        let at = place(class);
        self.left[at] > 0
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
        self.left[at] += 1;
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
                self.left[at] += 1;
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
        self.left[at] -= 1;
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
        let (mut head, mut left) = (self.heads[at], self.left[at]);
        supply(&mut |block| {
            let block = block.cast::<Link>();
            // SAFETY: the block is free, aligned for a word, and holds a link.
            unsafe { block.write(Link(head)) };
            if F::CHECKED {
                // SAFETY: the same block.
                unsafe { checked::note(block) };
            }
            head = Some(block);
            left -= 1;
        });
        (self.heads[at], self.left[at]) = (head, left);
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
        Front::all().flat_map(blocks)
    }
}
