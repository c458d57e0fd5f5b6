//! Memory of a world, with a break that moves in it.

use core::cell::Cell;
use core::ptr::NonNull;
use core::slice;

use brkalloc::{Break, BreakError};

use crate::common::platform::Memory;
use crate::common::profile::WORD;

/// Distance of the break's first address from a multiple of 64 KiB, in bytes.
const SKEW: usize = 5 * WORD;

/// Distance by which foreign code moves the break up, in bytes.
const FOREIGN_STEP: usize = 72;

/// Maximum number of foreign movements in a world.
const MOST_FOREIGN: usize = 2;

/// Contents of new grants and of freed blocks. They are equal: what was granted and what was freed
/// does not tell worlds apart.
pub const UNUSED: u8 = 0xA5;

/// Contents of foreign memory.
const FOREIGN: [u8; FOREIGN_STEP] = [0xEE; FOREIGN_STEP];

/// State of a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of granted and foreign bytes: the place of the break.
    pub used: usize,
    /// The break refuses to move up.
    pub refuses: bool,
    /// Number of refused movements.
    pub refused: usize,
    /// Starts of foreign memory.
    foreign: [usize; MOST_FOREIGN],
    foreigns: usize,
}

impl State {
    /// Returns the starts of foreign memory, in ascending order.
    pub fn foreign(&self) -> &[usize] {
        &self.foreign[..self.foreigns]
    }
}

/// Memory of a world, and the state of its break.
pub struct Yard {
    memory: Memory,
    pub len: usize,
    state: Cell<State>,
}

impl Yard {
    pub fn new(len: usize) -> Self {
        let state =
            State { used: 0, refuses: false, refused: 0, foreign: [0; MOST_FOREIGN], foreigns: 0 };
        Self { memory: Memory::new(len, SKEW), len, state: Cell::new(state) }
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len);
        // SAFETY: the memory has `len` bytes.
        unsafe { self.memory.base().add(offset) }
    }

    /// Returns the offset of an address in the yard.
    pub fn offset_of(&self, address: usize) -> usize {
        address.wrapping_sub(self.memory.base().addr().get())
    }

    /// Returns `len` bytes of what was granted.
    pub fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(len <= self.state().used && offset <= self.state().used - len);
        // SAFETY: the bytes lie below the break, so `advance` wrote them. No reference is held
        // while the heap or the world writes.
        unsafe { slice::from_raw_parts(self.at(offset).as_ptr(), len) }
    }

    /// Sets the state of the break, and the contents of the memory below it.
    pub fn restore(&self, state: State, memory: &[u8]) {
        assert!(memory.len() == state.used && state.used <= self.len);
        // SAFETY: the yard is longer, and the two do not overlap.
        unsafe { self.at(0).copy_from_nonoverlapping(NonNull::from(memory).cast(), memory.len()) };
        self.state.set(state);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.state.set(state);
    }

    pub fn refuse(&self, refuses: bool) {
        self.change(|state| state.refuses = refuses);
    }

    /// Moves the break up over new memory.
    fn advance(&self, by: usize) -> NonNull<u8> {
        let start = self.at(self.state().used);
        self.change(|state| state.used += by);
        assert!(self.state().used <= self.len);
        // SAFETY: the memory is that long.
        unsafe { start.write_bytes(UNUSED, by) };
        start
    }

    pub fn may_move_foreign(&self) -> bool {
        let state = self.state();
        state.foreigns < MOST_FOREIGN && state.used + FOREIGN_STEP <= self.len
    }

    /// Moves the break up as foreign code does.
    pub fn move_foreign(&self) {
        let start = self.advance(FOREIGN_STEP);
        // SAFETY: `advance` checked the length.
        unsafe { start.cast().write(FOREIGN) };
        self.change(|state| {
            state.foreign[state.foreigns] = state.used - FOREIGN_STEP;
            state.foreigns += 1;
        });
    }

    pub fn assert_foreign_untouched(&self) {
        for &start in self.state().foreign() {
            let found = self.bytes(start, FOREIGN_STEP);
            assert_eq!(found, FOREIGN, "foreign memory at {start} was overwritten");
        }
    }
}

/// Break in a yard.
pub struct YardBreak<'a>(pub &'a Yard);

// SAFETY: grants are disjoint parts of the yard's memory, which outlives this value.
unsafe impl Break for YardBreak<'_> {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        128
    }

    fn end(&self) -> *mut u8 {
        self.0.at(self.0.state().used).as_ptr()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let state = self.0.state();
        if state.refuses || by > self.0.len - state.used {
            self.0.change(|state| state.refused += 1);
            return Err(BreakError::OutOfMemory);
        }
        Ok(NonNull::slice_from_raw_parts(self.0.advance(by), by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let state = self.0.state();
        let floor = state.foreign().last().map_or(0, |last| last + FOREIGN_STEP);
        assert!(by <= state.used - floor, "the heap gives back {by} bytes of {state:?}");
        self.0.change(|state| state.used -= by);
        Ok(())
    }
}
