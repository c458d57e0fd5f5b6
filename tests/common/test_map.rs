//! A provider of mappings that knows each of them, whose memory may contain anything, and refuses
//! on request.

use core::ops::Range;
use core::ptr::NonNull;

use brkalloc::{Map, MapError};

use super::platform::Mapping;
use super::prelude::*;

/// The page size that it pretends to have.
pub const PAGE: usize = 4096;

/// # Invariants
///
/// `live`: every mapping that was not taken back, and its length, by its start
#[derive(Default)]
pub struct TestMap {
    live: BTreeMap<usize, (Mapping, usize)>,
    /// `map` and `remap` fail.
    pub refuse: bool,
    /// How often each was asked for.
    pub maps: usize,
    pub unmaps: usize,
    pub remaps: usize,
}

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

    fn add(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        assert!(len > 0 && len.is_multiple_of(PAGE), "a mapping of {len} bytes");
        // So much that the test's own memory would not suffice.
        let mapping = if self.refuse || len > 1 << 30 { None } else { Mapping::new(len + PAGE) }
            .ok_or(MapError::OutOfMemory)?;
        // More alignment than a page's is luck: every other mapping begins at an odd page.
        let is_odd = !mapping.start().addr().get().is_multiple_of(2 * PAGE);
        let skip = if is_odd == (self.maps + self.remaps).is_multiple_of(2) { PAGE } else { 0 };
        // SAFETY: there is a page more than asked for.
        let start = unsafe { mapping.start().byte_add(skip) };
        self.live.insert(start.addr().get(), (mapping, len));
        Ok(start)
    }

    fn remove(&mut self, start: NonNull<u8>, len: usize) {
        let (_, found) = self
            .live
            .remove(&start.addr().get())
            .expect("a mapping is taken back once, by its start");
        assert_eq!(found, len, "a mapping is taken back whole");
    }
}

// SAFETY: mappings are apart from each other and from all else; contents are copied when one moves.
unsafe impl Map for TestMap {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        PAGE
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        self.maps += 1;
        self.add(len)
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        self.unmaps += 1;
        self.remove(start, len);
        Ok(())
    }

    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        self.remaps += 1;
        let new = self.add(new_len)?;
        // SAFETY: two mappings, which do not overlap.
        unsafe { new.copy_from_nonoverlapping(start, len.min(new_len)) };
        self.remove(start, len);
        Ok(new)
    }
}
