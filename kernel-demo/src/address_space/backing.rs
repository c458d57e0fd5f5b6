//! Effects of a change of an address space outside of it: on page tables and shared objects, and on
//! the account of promised frames.

use super::vma::ObjectId;
use crate::words::{OutOfFrames, Permissions};

/// What an address space stands on. All addresses are page-aligned. The work that is done for one
/// system call is bounded: it goes on when the call is made again.
///
/// Frames are promised for each page of an area that can come to need one, and for each page table
/// that covers an area. The pages of a shared object are charged by the object, once, however many
/// areas map it.
pub trait Backing {
    /// Promises more frames.
    ///
    /// # Errors
    ///
    /// The promise could not be kept. Nothing has changed.
    fn charge(&mut self, frames: u64) -> Result<(), OutOfFrames>;

    /// Takes back a promise, when the frames are not in use any more.
    fn uncharge(&mut self, frames: u64);

    /// Unmaps whatever is mapped from `start` on; frames that are nobody's any more go back.
    /// Returns the address it got to: `end`, or a lower one.
    fn unmap(&mut self, start: u64, end: u64) -> u64;

    /// Gives whatever is mapped in `[start, end)` these permissions. What is copied before it is
    /// written to, zero pages included, stays not writable. `false` if it has to be called again,
    /// with the same arguments, to finish.
    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool;

    /// So many pages of areas that mapped the object are gone, and nothing is mapped there.
    fn release(&mut self, object: ObjectId, pages: u64);
}
