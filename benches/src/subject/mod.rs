//! Who is measured.
//!
//! ```text
//!                      Subject           one trait, static dispatch
//!        ┌────────────────┼──────────────────────┐
//!   on a region, one      floor            whole libraries, which get
//!   owner, no lock        (floor.rs)       their memory by themselves
//!   brkalloc.rs peers/                     libraries.rs
//! ```
//!
//! All are compiled together, with the same optimisation and across crates. Nobody gets more than
//! its published interface.

mod brkalloc;
mod floor;
mod libraries;
mod peers;

pub(crate) use brkalloc::{Heap, Watched};
pub(crate) use libraries::Glibc;
#[cfg(feature = "libraries")]
pub(crate) use libraries::{Jemalloc, Mimalloc};
pub(crate) use peers::{Rlsf, Talc};

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use serde::{Deserialize, Serialize};

/// A heap under test.
///
/// # Safety
///
/// A block that was returned is valid for its layout, overlaps no other live block, and stays so
/// until it is given back.
pub unsafe trait Subject: Sized {
    /// A heap on `region`; a whole library takes no notice of it.
    ///
    /// # Safety
    ///
    /// The region is readable, writable, and the subject's alone for as long as the process runs.
    unsafe fn new(region: NonNull<[u8]>) -> Self;

    /// Allocates; null if that fails.
    ///
    /// # Safety
    ///
    /// The layout's size is not 0. The subject outlives the block.
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8;

    /// Allocates zeroed memory; null if that fails.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Subject::allocate).
    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(layout) };
        if !block.is_null() {
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block came from this subject with this layout and is not used any more.
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout);

    /// Changes the size of a block; on null the old one is untouched.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Subject::deallocate) if the answer is not null; the new size is not 0.
    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { move_block(self, block, layout, new_size) }
    }
}

/// `realloc` for those who have none, or whose own does not move blocks: allocates, copies, frees.
///
/// # Safety
///
/// As for [`Subject::reallocate`].
#[inline]
unsafe fn move_block<S: Subject>(
    subject: &mut S,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
        return null_mut();
    };
    // SAFETY: the caller's promise.
    let new = unsafe { subject.allocate(new_layout) };
    if !new.is_null() {
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied.
        unsafe { new.copy_from_nonoverlapping(block, layout.size().min(new_size)) };
        // SAFETY: the caller gave the old block up.
        unsafe { subject.deallocate(block, layout) };
    }
    new
}

/// What an answer of `Option<NonNull<u8>>` is as a pointer.
#[inline]
fn pointer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(null_mut(), NonNull::as_ptr)
}

/// In which company a subject stands in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What this project makes.
    Ours,
    /// A `no_std` allocator of others, one owner, no lock.
    Peer,
    /// A whole library, which serves threads and asks the system for memory.
    Library,
    /// Not an allocator one could use: the least a free list can do.
    Floor,
}

/// The names of the subjects.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// `brkalloc::Heap<FixedBreak>`.
    Heap,
    /// `brkalloc::PlainHeap<FixedBreak>`.
    Plain,
    /// `brkalloc::SmallHeap<FixedBreak>`.
    Small,
    /// `brkalloc::CheckedHeap<FixedBreak>`.
    Checked,
    /// `brkalloc::SimpleHeap<FixedBreak>`.
    Simple,
    /// `talc::base::Talc`, manual source, default binning.
    Talc,
    /// `rlsf::Tlsf`.
    Rlsf,
    /// `dlmalloc::Dlmalloc` over a system allocator that hands out the region.
    Dlmalloc,
    /// `linked_list_allocator::Heap`.
    LinkedList,
    /// `buddy_system_allocator::Heap`.
    Buddy,
    /// `buddy_slab_allocator::SlabAllocator` over its `BuddyAllocator`.
    BuddySlab,
    /// A last-in-first-out list a class, and nothing else.
    Floor,
    /// The C library's `malloc`.
    Glibc,
    /// `rusty_alloc`, mimalloc in Rust.
    RustyAlloc,
    /// mimalloc's C interface.
    Mimalloc,
    /// jemalloc's C interface (the extended one, which is told the size on free).
    Jemalloc,
}

/// Something to be done with a subject whose type is known at compile time.
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<S: Subject>(self) -> Self::Output;
}

impl Name {
    /// Returns those of `names` that this build has; if `names` is empty, all that are measured by
    /// default.
    #[must_use]
    pub fn chosen(names: &[Self]) -> Vec<Self> {
        let is_chosen = |name: &Self| match names {
            [] => name.is_default(),
            _ => name.is_built() && names.contains(name),
        };
        <Self as clap::ValueEnum>::value_variants().iter().copied().filter(is_chosen).collect()
    }

    /// False for mimalloc and jemalloc if the feature `libraries` is off.
    #[must_use]
    pub const fn is_built(self) -> bool {
        cfg!(feature = "libraries") || !matches!(self, Self::Mimalloc | Self::Jemalloc)
    }

    /// Returns whether it is measured unless subjects are named: the other profiles of the heap are
    /// only measured on request.
    #[must_use]
    pub const fn is_default(self) -> bool {
        self.is_built() && !matches!(self, Self::Plain | Self::Small | Self::Checked)
    }

    /// Returns the name in tables and pictures; heaps of this project have their names in it.
    #[must_use]
    pub fn title(self) -> String {
        match self {
            Self::Heap => "brkalloc".to_owned(),
            Self::Plain => "brk. Plain".to_owned(),
            Self::Small => "brk. Small".to_owned(),
            Self::Checked => "brk. Checked".to_owned(),
            Self::Simple => "SimpleHeap".to_owned(),
            other => other.to_string(),
        }
    }

    /// In which company it stands.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Heap | Self::Plain | Self::Small | Self::Checked | Self::Simple => Kind::Ours,
            Self::Talc
            | Self::Rlsf
            | Self::Dlmalloc
            | Self::LinkedList
            | Self::Buddy
            | Self::BuddySlab => Kind::Peer,
            Self::Floor => Kind::Floor,
            Self::Glibc | Self::RustyAlloc | Self::Mimalloc | Self::Jemalloc => Kind::Library,
        }
    }

    /// Calls the visitor with the subject's type.
    ///
    /// # Panics
    ///
    /// If the subject is not in this build; [`is_built`](Self::is_built) tells.
    pub fn visit<V: Visitor>(self, visitor: V) -> V::Output {
        match self {
            Self::Heap => visitor.visit::<brkalloc::Heap>(),
            Self::Plain => visitor.visit::<brkalloc::Plain>(),
            Self::Small => visitor.visit::<brkalloc::Small>(),
            Self::Checked => visitor.visit::<brkalloc::Checked>(),
            Self::Simple => visitor.visit::<brkalloc::SimpleHeap>(),
            Self::Talc => visitor.visit::<peers::Talc>(),
            Self::Rlsf => visitor.visit::<peers::Rlsf>(),
            Self::Dlmalloc => visitor.visit::<peers::Dlmalloc>(),
            Self::LinkedList => visitor.visit::<peers::LinkedList>(),
            Self::Buddy => visitor.visit::<peers::Buddy>(),
            Self::BuddySlab => visitor.visit::<peers::BuddySlab>(),
            Self::Floor => visitor.visit::<floor::Floor>(),
            Self::Glibc => visitor.visit::<libraries::Glibc>(),
            Self::RustyAlloc => visitor.visit::<libraries::RustyAlloc>(),
            #[cfg(feature = "libraries")]
            Self::Mimalloc => visitor.visit::<libraries::Mimalloc>(),
            #[cfg(feature = "libraries")]
            Self::Jemalloc => visitor.visit::<libraries::Jemalloc>(),
            #[cfg(not(feature = "libraries"))]
            Self::Mimalloc | Self::Jemalloc => panic!("{self} needs the feature `libraries`"),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(clap::ValueEnum::to_possible_value(self).expect("no name is skipped").get_name())
    }
}
