//! The way of freed blocks to their owner (C27) when no packet is empty (`packets.rs`), or for a
//! single block: a list through the blocks themselves, with room for all. Many callers push, one
//! takes all out.
//!
//! ```text
//!   another thread:  block ─► block ─► block     a chain of its own
//!                      │                │
//!        one exchange  ▼                ▼
//!   head ────────────► block ─► … ─► block ─► what was there before
//!   the owner:         takes the head: one exchange for all blocks
//! ```
//!
//! # Ordering
//!
//! A push releases, and the owner's exchange acquires: it sees the links, and all that the last
//! user of a block did with it, before the block gets another user. Pushes in between do not break
//! that, for each continues the release sequence of those before. No caller takes out a single
//! block, so no block can come back between a look at the head and the exchange and be mistaken for
//! the old one (ABA): the exchange of a push only depends on the head being what its last link
//! says.

use core::ptr::{self, NonNull};

use super::sync::{AtomicPtr, Link, Ordering};

/// Blocks on their way to their owner, the last one pushed first.
///
/// # Invariants
///
/// From `head` on, links lead through blocks that no caller uses, to one that leads nowhere.
#[derive(Debug)]
pub(super) struct RemoteList {
    pub(super) head: AtomicPtr<Link>,
}

impl RemoteList {
    /// Returns whether the list is empty, as far as the caller can know.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Pushes a chain. Lock-free: an attempt fails only if another push, or the owner, has
    /// succeeded meanwhile.
    ///
    /// # Safety
    ///
    /// From `first` on, links lead to `last`; no caller uses the blocks.
    pub(super) unsafe fn push(&self, first: NonNull<Link>, last: NonNull<Link>) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the block is this caller's until the exchange succeeds: this method's clause.
            unsafe { Link::write(last, NonNull::new(head)) };
            match self.head.compare_exchange_weak(
                head,
                first.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(found) => head = found,
            }
        }
    }

    /// Takes all blocks out.
    pub(super) fn take_all(&self) -> Option<NonNull<Link>> {
        NonNull::new(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }
}

/// Chain of blocks for one owner, before they are sent.
///
/// # Invariants
///
/// From the first of `ends` on, links lead to the last; the blocks are this chain's. `None`: there
/// is no block.
#[derive(Debug)]
pub(super) struct Chain {
    ends: Option<(NonNull<Link>, NonNull<Link>)>,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { ends: None };

    /// Adds a block as the first one.
    ///
    /// # Safety
    ///
    /// The block holds a link, is aligned for it, and no caller uses it.
    #[inline]
    pub(super) unsafe fn add(&mut self, block: NonNull<Link>) {
        let (next, last) = match self.ends {
            Some((first, last)) => (Some(first), last),
            None => (None, block),
        };
        // SAFETY: the clauses are those of this method.
        unsafe { Link::write(block, next) };
        self.ends = Some((block, last));
    }

    /// Sends the chain to its owner.
    pub(super) fn send(&mut self, to: &RemoteList) {
        if let Some((first, last)) = self.ends.take() {
            // SAFETY: the type's invariant.
            unsafe { to.push(first, last) };
        }
    }
}
