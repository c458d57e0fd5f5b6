//! A provider of mappings that knows each of them, fills them with anything, and refuses on request.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;

use brkalloc::{Map, MapError};

/// The page size that it pretends to have.
pub const PAGE: usize = 4096;

/// # Invariants
///
/// `live`: start and length of every mapping that was not taken back
#[derive(Default)]
pub struct TestMap {
    live: BTreeMap<usize, (NonNull<u8>, usize)>,
    /// `map` and `remap` fail.
    pub refuse: bool,
    /// How often each was asked for.
    pub maps: usize,
    pub unmaps: usize,
    pub remaps: usize,
}

// SAFETY: the mappings are this value's alone.
unsafe impl Send for TestMap {}

impl TestMap {
    /// Whether a block lies in one mapping.
    pub fn owns(&self, block: Range<usize>) -> bool {
        let below = self.live.range(..=block.start).next_back();
        below.is_some_and(|(start, (_, len))| block.end <= start + len)
    }

    /// Number of mappings.
    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// Bytes of all mappings.
    pub fn bytes(&self) -> usize {
        self.live.values().map(|(_, len)| len).sum()
    }

    fn layout(len: usize) -> Layout {
        assert!(len > 0 && len.is_multiple_of(PAGE), "a mapping of {len} bytes");
        Layout::from_size_align(len, PAGE).unwrap()
    }

    fn add(&mut self, len: usize) -> NonNull<u8> {
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(Self::layout(len)) }).expect("memory for the test");
        // SAFETY: new, and that long.
        unsafe { start.write_bytes(0xA5, len) };
        self.live.insert(start.addr().get(), (start, len));
        start
    }

    fn remove(&mut self, start: NonNull<u8>, len: usize) {
        let (start, found) = self.live.remove(&start.addr().get()).expect("a mapping is taken back once, by its start");
        assert_eq!(found, len, "a mapping is taken back whole");
        // SAFETY: allocated in `add` with this layout.
        unsafe { dealloc(start.as_ptr(), Self::layout(len)) };
    }
}

// SAFETY: mappings are allocations of their own; contents are copied when one moves.
unsafe impl Map for TestMap {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        PAGE
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        self.maps += 1;
        // So much that the test's own allocator would fail.
        if self.refuse || len > 1 << 30 { Err(MapError::OutOfMemory) } else { Ok(self.add(len)) }
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        self.unmaps += 1;
        self.remove(start, len);
        Ok(())
    }

    unsafe fn remap(&mut self, start: NonNull<u8>, len: usize, new_len: usize) -> Result<NonNull<u8>, MapError> {
        self.remaps += 1;
        if self.refuse || new_len > 1 << 30 {
            return Err(MapError::OutOfMemory);
        }
        let new = self.add(new_len);
        // SAFETY: two mappings, which do not overlap.
        unsafe { new.copy_from_nonoverlapping(start, len.min(new_len)) };
        self.remove(start, len);
        Ok(new)
    }
}

impl Drop for TestMap {
    fn drop(&mut self) {
        while let Some((_, &(start, len))) = self.live.first_key_value() {
            self.remove(start, len);
        }
    }
}
