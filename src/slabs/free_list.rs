//! Free blocks of a slab, linked through their first words.
//!
//! ```text
//!   list ──► ┌──────┬─ ─ ┐ ──► ┌──────┬─ ─ ┐ ──► none       the block freed last is the first
//!            │ link │    │     │ link │    │
//!            └──────┴─ ─ ┘     └──────┴─ ─ ┘
//! ```

use core::ptr::NonNull;

use crate::cell::Form;
use crate::link_copy::{self, BrokenLink};

/// Link in a free block to the block that was freed before it.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Link(pub(super) Option<NonNull<Link>>);

/// List of free blocks, from one to the one that was freed before it.
///
/// In a checked heap each link has a [copy](crate::link_copy).
#[derive(Debug, Default)]
pub(crate) struct FreeList(pub(crate) Option<NonNull<Link>>);

impl FreeList {
    pub(crate) const EMPTY: Self = Self(None);

    /// Takes the first block. O(1).
    ///
    /// # Safety
    ///
    /// The blocks of the list are in memory of the heap, and nothing uses them.
    #[inline(always)]
    pub(crate) unsafe fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.0?;
        // SAFETY: a block in the list begins with a link that `push` wrote.
        self.0 = unsafe { block.as_ref() }.0;
        Some(block.cast())
    }

    /// Puts a block first. O(1).
    ///
    /// # Safety
    ///
    /// The block has room for a link (in a checked heap, for its copy too), and nothing uses it.
    #[inline(always)]
    pub(crate) unsafe fn push<F: Form>(&mut self, block: NonNull<u8>) {
        // SAFETY: the clauses are those of this method.
        unsafe { Self::link::<F>(block, self.0.map(NonNull::cast)) };
        self.0 = Some(block.cast());
    }

    /// Writes the link of a block to the next one.
    ///
    /// # Safety
    ///
    /// The clauses of [`push`](FreeList::push).
    #[inline(always)]
    pub(super) unsafe fn link<F: Form>(block: NonNull<u8>, next: Option<NonNull<u8>>) {
        let next = next.map(NonNull::cast);
        // SAFETY: the block has room for a link, and nothing uses it: this method's clause.
        unsafe { block.cast::<Link>().write(Link(next)) };
        if F::CHECKED {
            // SAFETY: the block has room for the copy, too: this method's clause.
            unsafe { link_copy::write(block, addr(next)) };
        }
    }

    /// Compares the first block's link with its copy. If the link was overwritten, the list ends
    /// with the block: those behind it are lost.
    ///
    /// # Errors
    ///
    /// The overwritten link.
    ///
    /// # Safety
    ///
    /// The clause of [`pop`](FreeList::pop); the heap is a checked one.
    pub(crate) unsafe fn watch(&mut self) -> Result<(), BrokenLink> {
        let Some(block) = self.0 else { return Ok(()) };
        // SAFETY: the block is in the list, so `push` wrote its link and the copy. Any bits are an
        // address.
        let verdict = unsafe {
            let link = block.cast::<usize>().read();
            link_copy::verify(block.cast(), link)
        };
        if verdict.is_err() {
            // SAFETY: the block is free, and has room for both words.
            unsafe {
                block.write(Link(None));
                link_copy::write(block.cast(), 0);
            }
        }
        verdict
    }

    /// Returns the addresses of the blocks, as far as `is_block` accepts them: the first one that
    /// it rejects is the last.
    ///
    /// # Safety
    ///
    /// What `is_block` accepts is the address of a block in memory of the heap.
    pub(crate) unsafe fn addresses(
        &self,
        is_block: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = usize> {
        let mut at = self.0;
        core::iter::from_fn(move || {
            let block = at?;
            let address = block.addr().get();
            // SAFETY: a block of the heap begins there: this method's clause. Any bits are a link
            // or none.
            at = if is_block(address) { unsafe { block.read() }.0 } else { None };
            Some(address)
        })
    }
}

/// Returns the address to which a link leads; 0 for none.
pub(super) fn addr(link: Option<NonNull<Link>>) -> usize {
    link.map_or(0, |link| link.addr().get())
}
