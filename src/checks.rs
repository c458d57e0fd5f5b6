//! State of a checked heap beside its cells: the misuse hook, and the list of mapped blocks.
//!
//! ```text
//!   newest ──► block ──► block ──► none       the link is the word in front of a block's header
//!
//!   mapping ─► ┌─────────────────┬────────────────┬──────┬────────┬─ ─ ─      copy = word ⊕ hash of
//!              │ copy of header  │ copy of link   │ link │ header │ block     the block's address
//!              └─────────────────┴────────────────┴──────┴────────┴─ ─ ─
//! ```
//!
//! A provider of mappings cannot tell if an address is the start of a block, so the heap lists its
//! mapped blocks: those with a mapping of their own. A look-up is O(mapped blocks). It verifies
//! both words in front of a block by their copies before it uses them.

use core::fmt::Debug;
use core::iter;
use core::ptr::NonNull;

use crate::cell::{WORD, mix};
use crate::misuse::{Misuse, MisuseHook, MisuseKind, MisuseResponse};

/// State of a heap for the detection of misuse. The default methods are those of a heap that does
/// not detect it.
pub trait Checks: Debug + Sized {
    /// Initial state.
    const NEW: Self;

    /// Returns the state of a checked heap; `None` if the heap is not checked.
    fn state(&self) -> Option<&CheckState> {
        None
    }

    /// Returns the state of a checked heap; `None` if the heap is not checked.
    fn state_mut(&mut self) -> Option<&mut CheckState> {
        None
    }

    /// Reports a misuse to the hook. Returns if the hook ignores it.
    ///
    /// # Panics
    ///
    /// If the hook does not ignore the misuse.
    fn report(&mut self, misuse: &Misuse) {
        if let Some(state) = self.state() {
            assert!((state.hook)(misuse) == MisuseResponse::Ignore, "{misuse}");
        }
    }

    /// Returns the misuse hook.
    fn hook(&self) -> MisuseHook {
        self.state().map_or(panic, |state| state.hook)
    }

    /// Sets the misuse hook.
    fn set_hook(&mut self, hook: MisuseHook) {
        if let Some(state) = self.state_mut() {
            state.hook = hook;
        }
    }

    /// Returns the list of mapped blocks; `None` if the heap keeps none.
    fn mapped(&self) -> Option<&MappedBlocks> {
        Some(&self.state()?.mapped)
    }

    /// Returns the list of mapped blocks; `None` if the heap keeps none.
    fn mapped_mut(&mut self) -> Option<&mut MappedBlocks> {
        Some(&mut self.state_mut()?.mapped)
    }
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

    // Without a state, no code of checked heaps is in a program without them.

    fn hook(&self) -> MisuseHook {
        panic
    }

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

    fn state(&self) -> Option<&CheckState> {
        Some(self)
    }

    fn state_mut(&mut self) -> Option<&mut CheckState> {
        Some(self)
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

    /// Finds a block in the list. Verifies header and link of each block on the way.
    ///
    /// # Errors
    ///
    /// The first word that was overwritten.
    pub(crate) fn find(&self, block: NonNull<u8>) -> Result<Option<NonNull<u8>>, Misuse> {
        for other in self.blocks() {
            verify(other)?;
            if other == block {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// Verifies header and link of every block.
    ///
    /// # Errors
    ///
    /// The first word that was overwritten.
    pub(crate) fn verify(&self) -> Result<(), Misuse> {
        self.blocks().try_for_each(verify)
    }

    /// Adds a newly mapped block.
    pub(crate) fn add(&mut self, block: NonNull<u8>) {
        // SAFETY: the word lies in the block's mapping, in front of its header, and nothing else
        // uses it.
        unsafe { link_of(block).write(self.newest) };
        note(block);
        self.newest = Some(block);
        let address = block.addr().get();
        self.gone.iter_mut().filter(|gone| **gone == address).for_each(|gone| *gone = 0);
    }

    /// Removes a block before its mapping is unmapped. Does nothing if it is not in the list.
    pub(crate) fn remove(&mut self, block: NonNull<u8>) {
        let Some(link) = self.link_to(block) else { return };
        // SAFETY: `link` and the block's own link are links of the list, whose blocks are mapped.
        unsafe { link.write(link_of(block).read()) };
        self.note_link(link);
        self.gone[self.oldest % REMEMBERED] = block.addr().get();
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }

    /// Replaces the address of a block whose mapping, with its link, has moved.
    pub(crate) fn moved(&mut self, old: NonNull<u8>, new: NonNull<u8>) {
        if let Some(link) = self.link_to(old) {
            // SAFETY: `link` is the list's head, or the link of a block before it in the list.
            unsafe { link.write(Some(new)) };
            self.note_link(link);
        }
        note(new);
    }

    /// Writes the copies of the block that has a link, unless the link is the list's head.
    fn note_link(&self, link: NonNull<Option<NonNull<u8>>>) {
        let owner = self.blocks().find(|&block| link_of(block) == link);
        owner.into_iter().for_each(note);
    }

    /// Returns the report for a free of an address that is neither in the heap nor a mapped block.
    pub(crate) fn misuse_of_other(&self, address: usize) -> Misuse {
        let was_mapped = address != 0 && self.gone.contains(&address);
        let never = Misuse::never_allocated(address, None);
        let kind = if was_mapped { MisuseKind::DoubleFree } else { never.kind };
        Misuse { kind, ..never }
    }
}

/// Distance from the start of a mapping to the block of a checked heap, at least: four words. Its
/// alignment is that of the words.
pub(crate) const MAPPED_HEAD: usize = 4 * WORD;

/// Returns link and header of a mapped block, and what their copies say.
fn words_of(block: NonNull<u8>) -> [(usize, usize, usize); 2] {
    let hash = mix(block.addr().get(), 0);
    [(2 * WORD, 3 * WORD), (WORD, 4 * WORD)].map(|(word, copy)| {
        // SAFETY: at least four words lie between the start of a mapping and its block, and nothing
        // but this module and the header's writer uses them.
        unsafe {
            let (word, copy) = (block.byte_sub(word).cast::<usize>(), block.byte_sub(copy));
            (word.addr().get(), word.read(), copy.cast::<usize>().read() ^ hash)
        }
    })
}

/// Writes the copies of a mapped block's header and link.
fn note(block: NonNull<u8>) {
    let hash = mix(block.addr().get(), 0);
    let [(_, link, _), (_, header, _)] = words_of(block);
    // SAFETY: as in `words_of`.
    unsafe {
        block.byte_sub(3 * WORD).cast::<usize>().write(link ^ hash);
        block.byte_sub(4 * WORD).cast::<usize>().write(header ^ hash);
    }
}

/// Compares header and link of a mapped block with their copies.
///
/// # Errors
///
/// The word that differs.
fn verify(block: NonNull<u8>) -> Result<(), Misuse> {
    let mut words = words_of(block).into_iter();
    words.find(|(_, found, expected)| found != expected).map_or(Ok(()), |(at, found, expected)| {
        Err(Misuse { kind: MisuseKind::Header, block: block.addr().get(), at, found, expected })
    })
}

/// Returns a pointer to the link of a mapped block.
fn link_of(block: NonNull<u8>) -> NonNull<Option<NonNull<u8>>> {
    // SAFETY: at least four words lie between the start of a mapping and its block.
    unsafe { block.byte_sub(2 * WORD) }.cast()
}
