//! The account of all processes, as the address space sees it.

use x86_64::structures::paging::PhysFrame;

use super::frames::OutOfFrames;
use super::manager::{Memory, Reach};
use super::pool::{Account, Policy, Pool};
use super::tables::Mmu;
use super::trace::Purpose;
use crate::address_space::{Commit, Errno};

/// The account of the processes while there is no system: nothing is promised, and the page tables
/// that are made by hand take what is available.
pub(super) const IDLE: Account = Account::new(Policy::Overcommit, 0);

impl<M: Mmu> Memory<M> {
    /// The account of all processes.
    pub const fn processes(&self) -> &Account {
        &self.processes
    }

    /// Opens the account of the processes, which leaves `floor` frames for the kernel; without a
    /// policy, closes it.
    ///
    /// # Panics
    ///
    /// When something is charged to it.
    pub fn set_policy(&mut self, policy: Option<Policy>, floor: usize) {
        assert_eq!(self.processes.charged(), 0, "frames are promised to processes");
        self.processes = policy.map_or(IDLE, |policy| Account::new(policy, floor));
    }

    /// Promises processes so many frames more.
    ///
    /// # Errors
    ///
    /// As for [`Pool::charge`].
    pub fn charge(&mut self, frames: u64) -> Result<(), OutOfFrames> {
        self.pool.charge(&mut self.processes, frames)
    }

    /// Takes back a promise to processes.
    pub fn uncharge(&mut self, frames: u64) {
        self.pool.uncharge(&mut self.processes, frames);
    }

    /// The frames, and the account of all processes, which pays for what is done with them.
    pub(super) const fn payer(&mut self) -> (&mut Pool, &mut Account) {
        (&mut self.pool, &mut self.processes)
    }

    /// Takes a frame for a process.
    ///
    /// # Errors
    ///
    /// As for [`Pool::take_for`].
    pub(super) fn take(&mut self, purpose: Purpose) -> Result<PhysFrame, OutOfFrames> {
        self.pool.take_for(&mut self.processes, purpose)
    }

    /// Takes a process's share of a frame away.
    #[inline]
    pub(super) fn release(&mut self, frame: PhysFrame, purpose: Purpose) {
        self.pool.release(&mut self.processes, frame, purpose);
    }
}

/// Frames that processes leave to the kernel: more than one system call takes for the kernel's
/// heap.
pub const RESERVE: usize = 128;

/// Promises frames to processes.
#[derive(Clone, Copy, Debug)]
pub struct Charges<R>(pub R);

impl<R: Reach> Charges<R> {
    /// Opens the account. [`RESERVE`] frames are left for the kernel, or one of sixteen that are
    /// available, if that is less.
    pub fn open(reach: R, policy: Policy) -> Self {
        reach.with(|memory| {
            let floor = (memory.counts().available() / 16).min(RESERVE);
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
