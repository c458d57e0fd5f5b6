//! Frames with more than one owner: pages that a `fork` shares until somebody writes, and memory
//! that processes share on purpose.

use x86_64::structures::paging::PhysFrame;

use super::reservation::FreeError;
use super::{Frames, State};
use crate::words::layout::PAGE_SIZE;

impl Frames<'_> {
    /// How many owners the single frame has: one when it was just allocated, none when it is not in
    /// use. Constant time.
    pub fn owners(&self, frame: PhysFrame) -> u32 {
        self.index(frame).map_or(0, |index| self.table[index].next)
    }

    /// Gives the single frame one owner more. Constant time.
    ///
    /// # Errors
    ///
    /// No single frame is in use there.
    ///
    /// # Panics
    ///
    /// When it would have 2³² owners.
    pub fn share(&mut self, frame: PhysFrame) -> Result<(), FreeError> {
        let index = self.index(frame).ok_or(FreeError::NotInUse(frame.start_address().as_u64()))?;
        let owners = &mut self.table[index].next;
        *owners = owners.checked_add(1).expect("a frame has fewer owners than there are pages");
        Ok(())
    }

    /// Takes one owner away from the single frame, which is freed if that was the last one. Returns
    /// how many are left. As fast as [`free`](Frames::free).
    ///
    /// # Errors
    ///
    /// No single frame is in use there.
    pub fn release(&mut self, frame: PhysFrame) -> Result<u32, FreeError> {
        let owners = match self.index(frame) {
            Some(index) => &mut self.table[index].next,
            None => return self.free(frame, 0).map(|()| 0),
        };
        if *owners == 1 {
            return self.free(frame, 0).map(|()| 0);
        }
        *owners -= 1;
        Ok(*owners)
    }

    /// Takes so many owners away from the single frame, which keeps one at least. Returns how many
    /// are left.
    ///
    /// # Errors
    ///
    /// No single frame with more owners is in use there.
    pub fn disown(&mut self, frame: PhysFrame, owners: u32) -> Result<u32, FreeError> {
        let index = self.index(frame).filter(|index| self.table[*index].next > owners);
        let index = index.ok_or(FreeError::NotInUse(frame.start_address().as_u64()))?;
        self.table[index].next -= owners;
        Ok(self.table[index].next)
    }

    /// The record of a single frame that is in use.
    fn index(&self, frame: PhysFrame) -> Option<usize> {
        let index = (frame.start_address().as_u64() / PAGE_SIZE) as usize;
        (self.table.get(index)?.state == State::Used(0)).then_some(index)
    }
}
