//! What the suites need of the machine that they run on: here, a process on the host. (In the
//! kernel: `tests/qemu/platform.rs`.)

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::Range;
use std::ptr::NonNull;

use brkalloc::BreakError;
use brkalloc::Misuse;
use proptest::test_runner::Config;

/// Where mappings may begin.
const PAGE: usize = 4096;

/// What everybody else's memory is filled with, to see that the heap leaves it alone.
const FOREIGN: u8 = 0xEE;

/// What new grants contain unless zeros are promised, so that whoever relies on zeros is found out.
const DIRTY: u8 = 0xA5;

/// What `#[case]` makes of a function here: a test.
macro_rules! case {
    ({ $($function:tt)* } $kind:ident $name:ident $(host_only $reason:literal)?) => {
        #[test]
        $($function)*
    };
}
pub(crate) use case;

/// Says why no case of a file is for the kernel; `tests/cases` reads it.
macro_rules! host_only {
    ($reason:literal) => {};
}
pub(crate) use host_only;

/// Returns how property tests run: as proptest's variables say, with `rarer` times fewer programs.
pub fn properties(rarer: u32) -> Config {
    let config = Config::default();
    Config { failure_persistence: None, cases: config.cases.div_ceil(rarer), ..config }
}

/// Runs a part of a case. If it fails there, `what` it was is shown.
pub fn during(what: &dyn Debug, part: impl FnOnce()) {
    println!("during {what:?}");
    part();
}

/// Runs a property test with one input. If it fails there, proptest shows the input, after making
/// it shorter.
pub fn during_property(_input: &dyn Debug, property: impl FnOnce()) {
    property();
}

thread_local! {
    static NOTED: RefCell<Vec<Misuse>> = const { RefCell::new(Vec::new()) };
}

/// Notes a misuse that was reported. Each case has a thread of its own.
pub fn note(misuse: Misuse) {
    NOTED.with_borrow_mut(|noted| noted.push(misuse));
}

/// What this case noted since this was asked.
pub fn take_noted() -> Vec<Misuse> {
    NOTED.take()
}

/// The memory that a test's break moves in: one allocation.
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
    skew: usize,
}

// SAFETY: the memory is this value's alone.
unsafe impl Send for Memory {}

impl Memory {
    /// `len` bytes from `skew` bytes above a multiple of 64 KiB on. Places in it are given as
    /// offsets from there.
    pub fn new(len: usize, skew: usize) -> Self {
        let layout = Layout::from_size_align(len + skew, 1 << 16).unwrap();
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(layout) }).expect("memory for the test");
        Self { start, layout, skew }
    }

    /// Where it begins.
    pub fn base(&self) -> NonNull<u8> {
        // SAFETY: `skew` bytes lie before the memory proper.
        unsafe { self.start.add(self.skew) }
    }

    /// The break moves up over `range`.
    pub fn grant(&mut self, range: Range<usize>, zeroed: bool) -> Result<(), BreakError> {
        self.fill(range, if zeroed { 0 } else { DIRTY });
        Ok(())
    }

    /// What was granted belongs to others than the heap under test.
    pub fn give_to_others(&mut self, range: Range<usize>) {
        self.fill(range, FOREIGN);
    }

    /// Some of what is somebody else's is the heap's, wherever the break is.
    pub fn hand_over(&mut self, range: Range<usize>, _of: Range<usize>) {
        self.fill(range, DIRTY);
    }

    /// The break moves down over `range`.
    pub fn take_back(&mut self, _range: Range<usize>) {}

    /// Asserts that nobody but the others touched what they hold.
    pub fn assert_untouched(&self, range: Range<usize>) {
        for offset in range {
            // SAFETY: inside the allocation, and written by `give_to_others`.
            let found = unsafe { self.base().add(offset).read() };
            assert_eq!(
                found, FOREIGN,
                "byte {offset} of the break is somebody else's and was overwritten"
            );
        }
    }

    fn fill(&mut self, range: Range<usize>, byte: u8) {
        // SAFETY: the range lies inside the allocation.
        let start = unsafe { self.base().add(range.start) };
        // SAFETY: as above.
        unsafe { start.write_bytes(byte, range.len()) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A mapping: an allocation, which contains anything.
pub struct Mapping {
    start: NonNull<u8>,
    layout: Layout,
}

impl Mapping {
    /// `len` bytes from the start of a page on. `None` if there is no more to be had.
    pub fn new(len: usize) -> Option<Self> {
        let layout = Layout::from_size_align(len, PAGE).ok()?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        // SAFETY: new, and that long.
        unsafe { start.write_bytes(DIRTY, len) };
        Some(Self { start, layout })
    }

    /// Where it begins.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
