//! No small blocks, for the feature `tiny`: this takes the place of the folder. There is no class,
//! so every block is a cell, and what would be done with a class is left out by the compiler.

use core::alloc::Layout;
use core::convert::Infallible;
use core::iter::{self, Empty};
use core::ptr::NonNull;

/// The largest small block, in bytes.
pub(crate) const SMALL_MAX: usize = 0;

/// Number of classes.
pub(crate) const CLASSES: usize = 0;

/// The type of size classes, of which there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(Infallible);

impl Class {
    pub(crate) fn may_take_over(self, _class_of_run: Self, _block: NonNull<u8>) -> bool {
        self.never()
    }

    pub(crate) const fn of(_: Layout) -> Option<Self> {
        None
    }

    pub(crate) const fn held_by(_: usize) -> Option<Self> {
        None
    }

    pub(crate) fn all() -> Empty<Self> {
        iter::empty()
    }

    pub(crate) const fn size(self) -> usize {
        self.never()
    }

    pub(crate) const fn in_full(self, _: Layout) -> Layout {
        self.never()
    }

    /// Nobody has a class to call this with.
    pub(crate) const fn never(self) -> ! {
        match self.0 {}
    }
}

/// A run: there are none.
pub(crate) struct Run(Class);

impl Run {
    pub(crate) const fn of_block(_: NonNull<u8>, class: Class) -> Self {
        Self(class)
    }

    /// # Safety
    ///
    /// There is no run.
    pub(crate) const unsafe fn live(self, _: Class) -> usize {
        self.0.never()
    }
}

/// How many blocks a run of a class has.
pub(crate) const fn blocks_of(class: Class) -> usize {
    class.never()
}

/// A front cache without classes.
#[derive(Debug)]
pub(crate) struct Cache;

impl Cache {
    pub(crate) const fn pop(&self, class: Class) -> Option<NonNull<u8>> {
        class.never()
    }

    pub(crate) const fn popped(&self, class: Class) -> u32 {
        class.never()
    }

    pub(crate) const fn all_blocks(&self) -> Empty<NonNull<u8>> {
        iter::empty()
    }
}

/// A page map without pages.
#[derive(Debug)]
pub(crate) struct PageMap;

impl PageMap {
    pub(crate) const fn class_at(&self, _: usize) -> Option<Class> {
        None
    }

    pub(crate) const fn is_leaf(&self, _: NonNull<u8>) -> bool {
        false
    }
}

/// What a heap keeps for its small blocks: nothing.
#[derive(Debug)]
pub(crate) struct Small<const LISTS: usize> {
    pub(crate) cache: Cache,
    pub(crate) pages: PageMap,
}

impl<const LISTS: usize> Small<LISTS> {
    pub(crate) const fn new(_: usize) -> Self {
        Self::none()
    }

    pub(crate) const fn none() -> Self {
        Self { cache: Cache, pages: PageMap }
    }

    pub(crate) const fn has_runs(&self) -> bool {
        false
    }

    pub(crate) const fn is_flush_due(&self, _: usize) -> bool {
        false
    }

    pub(crate) const fn change_cell(&self, _: Option<Class>, _: Option<Class>) {}

    pub(crate) const fn large_requested(&self) {}

    pub(crate) const fn misses(&self) -> u32 {
        0
    }

    pub(crate) const fn large_requests(&self) -> u32 {
        0
    }

    pub(crate) const fn abandon(&self) {}
}
