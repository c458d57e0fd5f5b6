//! The oracle of this room: programs of calls and touches, run on address spaces over a machine of
//! plain maps, beside a naive model.
//!
//! ```text
//!   bytes ─► program ─► driver ──┬─► AddressSpace ─► machine     tables and frames as maps, and a processor that faults
//!                                └─► naive                       a map from page to what may be done with it and what is in it
//! ```
//!
//! After each step the areas are what the naive model has page by page, results and errors are the
//! same, the account is the sum of what is promised, and every byte that is read is the one that
//! was written last.
//!
//! The property tests and the fuzzer share it.

mod account;
mod calls;
mod check;
mod driver;
mod machine;
mod naive;
mod program;

pub use account::Account;
pub use check::check;
pub use program::Program;

use crate::address_space::{Backing, ObjectId};
use crate::words::{OutOfFrames, Permissions};

/// Page tables that are played.
pub trait PlayedTables {
    /// As [`Backing::unmap`].
    fn unmap(&mut self, start: u64, end: u64) -> u64;
    /// As [`Backing::protect`].
    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool;
    /// As [`Backing::release`].
    fn release(&mut self, object: ObjectId, pages: u64);
}

/// What an address space stands on when both are played.
pub struct Played<'a, T>(pub &'a mut T, pub &'a mut Account);

impl<T: PlayedTables> Backing for Played<'_, T> {
    fn charge(&mut self, frames: u64) -> Result<(), OutOfFrames> {
        self.1.charge(frames)
    }

    fn uncharge(&mut self, frames: u64) {
        self.1.uncharge(frames);
    }

    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        self.0.unmap(start, end)
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        self.0.protect(start, end, to)
    }

    fn release(&mut self, object: ObjectId, pages: u64) {
        self.0.release(object, pages);
    }
}
