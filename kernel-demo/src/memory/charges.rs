//! The account of all processes, as the address space sees it.

use super::manager::Reach;
use super::pool::Policy;
use crate::address_space::{Commit, Errno};

/// Promises frames to processes.
#[derive(Clone, Copy, Debug)]
pub struct Charges<R>(pub R);

impl<R: Reach> Charges<R> {
    /// Opens the account. One frame of sixteen that are available is left for the kernel.
    pub fn open(reach: R, policy: Policy) -> Self {
        const KEPT_BACK: usize = 16;
        reach.with(|memory| {
            let floor = memory.counts().available() / KEPT_BACK;
            memory.set_policy(Some(policy), floor);
        });
        Self(reach)
    }

    /// Closes the account.
    pub fn close(&self) {
        self.0.with(|memory| memory.set_policy(None, 0));
    }

    /// Frames that are promised.
    pub fn promised(&self) -> u64 {
        self.0.with(|memory| memory.processes().charged())
    }

    /// Whether all frames are available that are left for the kernel.
    pub fn reserve_is_whole(&self) -> bool {
        self.0.with(|memory| memory.counts().available() >= memory.processes().floor())
    }
}

impl<R: Reach> Commit for Charges<R> {
    fn charge(&mut self, frames: u64) -> Result<(), Errno> {
        self.0.with(|memory| memory.charge(frames)).map_err(|_| Errno::ENOMEM)
    }

    fn uncharge(&mut self, frames: u64) {
        self.0.with(|memory| memory.uncharge(frames));
    }
}
