//! State of a checked heap beside its cells: the misuse hook, and the list of mapped blocks.
//!
//! ```text
//!   newest ──► block ──► block ──► none       the link is the word in front of a block's header
//! ```
//!
//! A provider of mappings cannot tell if an address is the start of a block, so the heap lists its
//! mapped blocks: those with a mapping of their own. A look-up is O(mapped blocks).

use core::fmt::Debug;
use core::iter;
use core::ptr::NonNull;

use crate::cell::WORD;
use crate::misuse::{Misuse, MisuseHook, MisuseKind, MisuseResponse};

/// State of a heap for the detection of misuse.
pub trait Checks: Debug + Sized {
    /// Initial state.
    const NEW: Self;

    /// Reports a misuse to the hook. Returns if the hook ignores it.
    ///
    /// # Panics
    ///
    /// If the hook does not ignore the misuse.
    fn report(&mut self, misuse: &Misuse);

    /// Returns the misuse hook.
    fn hook(&self) -> MisuseHook;

    /// Sets the misuse hook.
    fn set_hook(&mut self, hook: MisuseHook);

    /// Returns the list of mapped blocks; `None` if the heap keeps none.
    fn mapped(&self) -> Option<&MappedBlocks>;

    /// Returns the list of mapped blocks; `None` if the heap keeps none.
    fn mapped_mut(&mut self) -> Option<&mut MappedBlocks>;
}

/// Default hook: every misuse is a panic.
fn panic(_: &Misuse) -> MisuseResponse {
    MisuseResponse::Panic
}

/// State of a heap that does not detect misuse.
#[derive(Debug)]
pub struct NoChecks;

impl Checks for NoChecks {
    const NEW: Self = Self;

    fn report(&mut self, _: &Misuse) {}

    fn hook(&self) -> MisuseHook {
        panic
    }

    fn set_hook(&mut self, _: MisuseHook) {}

    fn mapped(&self) -> Option<&MappedBlocks> {
        None
    }

    fn mapped_mut(&mut self) -> Option<&mut MappedBlocks> {
        None
    }
}

/// State of a checked heap.
#[derive(Debug)]
pub struct CheckState {
    hook: MisuseHook,
    mapped: MappedBlocks,
}

impl Checks for CheckState {
    const NEW: Self = Self { hook: panic, mapped: MappedBlocks::new() };

    fn report(&mut self, misuse: &Misuse) {
        assert!((self.hook)(misuse) == MisuseResponse::Ignore, "{misuse}");
    }

    fn hook(&self) -> MisuseHook {
        self.hook
    }

    fn set_hook(&mut self, hook: MisuseHook) {
        self.hook = hook;
    }

    fn mapped(&self) -> Option<&MappedBlocks> {
        Some(&self.mapped)
    }

    fn mapped_mut(&mut self) -> Option<&mut MappedBlocks> {
        Some(&mut self.mapped)
    }
}

/// Number of addresses of unmapped blocks that the heap remembers.
const REMEMBERED: usize = 8;

/// List of a heap's mapped blocks.
///
/// # Invariants
///
/// The list has every mapped block once.
#[derive(Debug)]
pub struct MappedBlocks {
    /// Head of the list: the block that was mapped last.
    newest: Option<NonNull<u8>>,
    /// Addresses of the blocks that were unmapped last, 0 for none.
    gone: [usize; REMEMBERED],
    /// Index in `gone` of the address that the next one overwrites.
    oldest: usize,
}

// SAFETY: the blocks belong to the heap that owns the list, and move to another thread with it.
unsafe impl Send for MappedBlocks {}

impl MappedBlocks {
    /// Returns an empty list.
    const fn new() -> Self {
        Self { newest: None, gone: [0; REMEMBERED], oldest: 0 }
    }

    /// Returns the blocks, the one mapped last first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = NonNull<u8>> {
        iter::successors(self.newest, |&block| {
            // SAFETY: a block in the list is mapped, and `add` wrote its link.
            unsafe { link_of(block).read() }
        })
    }

    /// Returns a pointer to the link that leads to a block; `None` if the block is not in the list.
    fn link_to(&mut self, block: NonNull<u8>) -> Option<NonNull<Option<NonNull<u8>>>> {
        if self.newest == Some(block) {
            return Some(NonNull::from(&mut self.newest));
        }
        // SAFETY: the links are those of blocks in the list, which are mapped.
        self.blocks().map(link_of).find(|link| unsafe { link.read() } == Some(block))
    }

    /// Adds a newly mapped block.
    pub(crate) fn add(&mut self, block: NonNull<u8>) {
        // SAFETY: the word lies in the block's mapping, in front of its header, and nothing else
        // uses it.
        unsafe { link_of(block).write(self.newest) };
        self.newest = Some(block);
        let address = block.addr().get();
        self.gone.iter_mut().filter(|gone| **gone == address).for_each(|gone| *gone = 0);
    }

    /// Removes a block before its mapping is unmapped. Does nothing if it is not in the list.
    pub(crate) fn remove(&mut self, block: NonNull<u8>) {
        let Some(link) = self.link_to(block) else { return };
        // SAFETY: `link` and the block's own link are links of the list, whose blocks are mapped.
        unsafe { link.write(link_of(block).read()) };
        self.gone[self.oldest % REMEMBERED] = block.addr().get();
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }

    /// Replaces the address of a block whose mapping, with its link, has moved.
    pub(crate) fn moved(&mut self, old: NonNull<u8>, new: NonNull<u8>) {
        if let Some(link) = self.link_to(old) {
            // SAFETY: `link` is the list's head, or the link of a block before it in the list.
            unsafe { link.write(Some(new)) };
        }
    }

    /// Returns the report for a free of an address that is neither in the heap nor a mapped block.
    pub(crate) fn misuse_of_other(&self, address: usize) -> Misuse {
        let was_mapped = address != 0 && self.gone.contains(&address);
        let never = Misuse::never_allocated(address, None);
        let kind = if was_mapped { MisuseKind::DoubleFree } else { never.kind };
        Misuse { kind, ..never }
    }
}

/// Returns a pointer to the link of a mapped block.
fn link_of(block: NonNull<u8>) -> NonNull<Option<NonNull<u8>>> {
    // SAFETY: at least two words lie between the start of a mapping and its block.
    unsafe { block.byte_sub(2 * WORD) }.cast()
}
