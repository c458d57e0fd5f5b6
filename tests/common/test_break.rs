//! A break over a buffer of its own that refuses, moves underfoot, grants more than asked, or will not shrink.

use std::alloc::{Layout, alloc, dealloc};
use std::ops::Range;
use std::ptr::NonNull;

use brkalloc::{Break, BreakError};

/// What everybody else's memory is filled with, to see that the heap leaves it alone.
const FOREIGN: u8 = 0xEE;

/// What new grants contain unless zeros are promised, so that whoever relies on zeros is found out.
const DIRTY: u8 = 0xA5;

/// The break of most cases, whose grants contain anything.
pub type TestBreak = BadBreak<false>;

/// One that promises zeros.
pub type ZeroedBreak = BadBreak<true>;

/// A break with every bad habit, on request.
///
/// # Invariants
///
/// * the break is at `base + used`, `used ≤ len`
/// * `foreign` are disjoint ascending ranges (as offsets) below `used`: taken by somebody else, the rest is granted
pub struct BadBreak<const ZEROED: bool> {
    memory: NonNull<u8>,
    layout: Layout,
    skew: usize,
    len: usize,
    used: usize,
    foreign: Vec<Range<usize>>,
    /// The step that the heap is told to like.
    pub granule: usize,
    /// Every grant is longer than asked by this much, as far as there is room.
    pub surplus: usize,
    /// `grow` fails.
    pub refuse_grow: bool,
    /// `shrink` fails.
    pub refuse_shrink: bool,
    /// How often the break was asked to move up, and how often it refused.
    pub asked: usize,
    pub refused: usize,
}

// SAFETY: the buffer is this value's alone.
unsafe impl<const ZEROED: bool> Send for BadBreak<ZEROED> {}

impl<const ZEROED: bool> BadBreak<ZEROED> {
    /// A break over `len` bytes that start `skew` bytes above an address that is a multiple of 64 KiB.
    pub fn new(len: usize, skew: usize) -> Self {
        let layout = Layout::from_size_align(len + skew, 1 << 16).unwrap();
        // SAFETY: the layout is not empty.
        let memory = NonNull::new(unsafe { alloc(layout) }).expect("memory for the test");
        Self {
            memory,
            layout,
            skew,
            len,
            used: 0,
            foreign: Vec::new(),
            granule: 4096,
            surplus: 0,
            refuse_grow: false,
            refuse_shrink: false,
            asked: 0,
            refused: 0,
        }
    }

    fn base(&self) -> NonNull<u8> {
        // SAFETY: the buffer is `skew + len` bytes long.
        unsafe { self.memory.add(self.skew) }
    }

    /// Somebody else moves the break up by `by` bytes (or as far as there is room) and uses what they got.
    pub fn foreign_up(&mut self, by: usize) {
        let by = by.min(self.len - self.used);
        if by == 0 {
            return;
        }
        // SAFETY: the break is inside the buffer, and `by` bytes are left.
        unsafe { self.base().add(self.used).write_bytes(FOREIGN, by) };
        self.foreign.push(self.used..self.used + by);
        self.used += by;
    }

    /// Whoever moved the break up last moves it down again, if it is still theirs to move.
    pub fn foreign_undo(&mut self) {
        if let Some(last) = self.foreign.pop_if(|last| last.end == self.used) {
            self.used = last.start;
        }
    }

    /// Somebody moves the break down by `by` bytes, whoever's memory that is.
    pub fn foreign_down(&mut self, by: usize) {
        self.used -= by;
        self.foreign.retain(|range| range.start < self.used);
        if let Some(last) = self.foreign.last_mut() {
            last.end = last.end.min(self.used);
        }
    }

    /// Bytes that the heap holds.
    pub fn granted(&self) -> usize {
        self.used - self.foreign.iter().map(Range::len).sum::<usize>()
    }

    /// How often the break moved up for the heap.
    pub fn grants(&self) -> usize {
        self.asked - self.refused
    }

    /// Whether a block lies in what was granted, and not in anybody else's memory.
    pub fn owns(&self, block: Range<usize>) -> bool {
        let base = self.base().addr().get();
        base <= block.start
            && block.end <= base + self.used
            && self.foreign.iter().all(|other| block.end <= base + other.start || base + other.end <= block.start)
    }

    /// Asserts that nobody wrote into anybody else's memory.
    pub fn assert_foreign_untouched(&self) {
        for range in &self.foreign {
            for offset in range.clone() {
                // SAFETY: inside the buffer, and written by `foreign_up`.
                let found = unsafe { self.base().add(offset).read() };
                assert_eq!(found, FOREIGN, "byte {offset} of the break is somebody else's and was overwritten");
            }
        }
    }
}

// SAFETY: grants are disjoint parts of the buffer, which lives as long as this value.
unsafe impl<const PROMISED: bool> Break for BadBreak<PROMISED> {
    const ZEROED: bool = PROMISED;

    fn granule(&self) -> usize {
        self.granule
    }

    fn end(&self) -> *mut u8 {
        self.base().as_ptr().wrapping_add(self.used)
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        self.asked += 1;
        if self.refuse_grow || by > self.len - self.used {
            self.refused += 1;
            return Err(BreakError::OutOfMemory);
        }
        let by = (by + self.surplus).min(self.len - self.used);
        // SAFETY: inside the buffer.
        let start = unsafe { self.base().add(self.used) };
        // SAFETY: `by` bytes are left.
        unsafe { start.write_bytes(if PROMISED { 0 } else { DIRTY }, by) };
        self.used += by;
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let floor = self.foreign.last().map_or(0, |last| last.end);
        assert!(by <= self.used - floor, "the heap gives back {by} bytes but holds {} below the break", self.used - floor);
        if self.refuse_shrink {
            return Err(BreakError::Refused);
        }
        self.used -= by;
        Ok(())
    }
}

impl<const ZEROED: bool> Drop for BadBreak<ZEROED> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}
