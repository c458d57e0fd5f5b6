//! No small blocks, for the feature `tiny`: this takes the place of the modules small_…, kept.rs,
//! middling.rs, check_cache.rs and check_small.rs. Every block is a cell, as on a
//! [plain](Heap::plain) heap, and nothing is kept of what is freed.

use core::alloc::Layout;
use core::iter::{self, Empty};
use core::ptr::NonNull;

use super::check::Corruption;
use super::growth::Growth;
use super::{Heap, Request};
use crate::cell::Cell;
use crate::provider::{Break, Map};
use crate::small::Class;

/// The kept cells of a heap: none.
#[derive(Debug)]
pub(super) struct Kept;

impl Kept {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) const fn none() -> Self {
        Self
    }

    pub(super) const fn take(&self, _: usize, _: usize) -> Option<Cell> {
        None
    }

    pub(super) const fn forget_room(&self) {}

    pub(super) const fn abandon(&self) {}

    pub(super) fn cells(&self) -> Empty<Cell> {
        iter::empty()
    }
}

/// What a walk over all cells finds of runs and leaves: nothing.
#[derive(Default)]
pub(super) struct SmallTally;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    pub(super) const fn allocate_small(
        &self,
        class: Class,
        _: Layout,
        _: Growth,
    ) -> Option<NonNull<u8>> {
        class.never()
    }

    pub(super) const fn allocate_aligned(
        &self,
        class: Class,
        _: Layout,
        _: Growth,
    ) -> Option<NonNull<u8>> {
        class.never()
    }

    /// # Safety
    ///
    /// There is no class.
    pub(super) const unsafe fn deallocate_as(&self, _: NonNull<u8>, class: Class) {
        class.never()
    }

    /// # Safety
    ///
    /// There is no class.
    pub(super) const unsafe fn reallocate_in_run(
        &self,
        _: NonNull<u8>,
        _: Layout,
        _: Layout,
        class: Class,
    ) -> Option<NonNull<u8>> {
        class.never()
    }

    /// # Safety
    ///
    /// Nothing is done.
    pub(super) const unsafe fn reallocate_through_cache(
        &self,
        _: NonNull<u8>,
        _: Layout,
        _: Layout,
    ) -> Option<NonNull<u8>> {
        None
    }

    /// # Safety
    ///
    /// There is no class.
    pub(super) const unsafe fn move_to_cell(
        &self,
        _: NonNull<u8>,
        _: Layout,
        class: Class,
        _: Request,
    ) -> Option<NonNull<u8>> {
        class.never()
    }

    pub(super) const fn small_class_of(&self, _: Layout) -> Option<Class> {
        None
    }

    /// # Safety
    ///
    /// `payload` is that of a valid used cell, and nobody uses it any more.
    pub(super) unsafe fn deallocate_cell(&mut self, payload: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { self.free_cell_and_trim(payload) };
    }

    pub(super) const fn flush_ahead(&self) -> bool {
        false
    }

    /// No effect: with the feature `tiny` nothing is kept of what is freed.
    pub const fn flush(&mut self) {}

    /// No effect: with the feature `tiny` there is no front cache.
    pub const fn set_cache_limit(&mut self, _: usize) {}

    pub(super) const fn check_leaves(&self) -> Result<(), Corruption> {
        Ok(())
    }

    pub(super) const fn check_use(
        &self,
        _: Cell,
        _: usize,
        _: &mut SmallTally,
    ) -> Result<(), Corruption> {
        Ok(())
    }

    pub(super) const fn check_small(&self, _: usize, _: &SmallTally) -> Result<(), Corruption> {
        Ok(())
    }
}
