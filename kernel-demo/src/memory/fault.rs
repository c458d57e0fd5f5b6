//! The one handler of page faults, and what an address space stands on: page tables, the account
//! that pays for them, and objects. The kernel's own faults and those of processes take the same
//! path: what is there, what the address space decides, what the page tables do.

use super::objects::Objects;
use super::pages::{Found, Pages};
use super::pool::Payer;
use super::tables::{Budget, Mmu};
use crate::address_space::{AddressSpace, Backing, Cause, Decision, ObjectId, Storage};
use crate::story::trace::Event;
use crate::words::{OutOfFrames, PageFault, Permissions};

/// What an address space stands on.
pub struct Mapped<'a, M> {
    /// The frames, and the account that pays.
    pub payer: Payer<'a>,
    /// The page tables.
    pub pages: &'a mut Pages<M>,
    /// The objects that areas map. The kernel maps none.
    pub objects: Option<&'a mut Objects<M>>,
    /// What may still be done.
    pub work: Budget,
}

impl<M: Mmu + Clone> Mapped<'_, M> {
    /// Serves a page fault in an address space, which stands on this. Tells what was done: nothing
    /// if the access is permitted, because another CPU has served the same fault meanwhile, or this
    /// one did not know yet that more is permitted.
    ///
    /// # Errors
    ///
    /// The access is a mistake, or there is no frame. Nothing has changed, but that a stack may
    /// have grown, and an object may have its frame.
    pub fn serve<T: Storage, const N: usize>(
        &mut self,
        space: &mut AddressSpace<T, N>,
        fault: &PageFault,
    ) -> Result<Option<Decision>, Cause> {
        let PageFault { address, access, .. } = *fault;
        let found = self.pages.find(self.payer.pool, address);
        // An area holds the address: a process has pages of the kernel mapped, which are not its
        // own.
        if found.permits(access) && space.find(address).is_some() {
            return Ok(None);
        }
        let (decision, area) = space.fault(fault, found.state, self)?;
        let (region, permissions) = (area.label(), area.permissions);
        self.payer.pool.trace.tell(Event::Fault { region, access, address });
        self.change(found, decision, permissions).map_err(Cause::OutOfFrames)?;
        Ok(Some(decision))
    }

    /// Does what was decided about a page.
    ///
    /// # Errors
    ///
    /// There are not enough frames.
    pub fn carry_out(
        &mut self,
        page: u64,
        decision: Decision,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let found = self.pages.find(self.payer.pool, page);
        self.change(found, decision, permissions)
    }

    #[inline(always)]
    fn change(
        &mut self,
        found: Found,
        decision: Decision,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let Self { payer, pages, objects, .. } = self;
        let object_frame = match (decision, objects) {
            (Decision::MapObject { object, page }, Some(objects)) => {
                Some(objects.frame(payer, object, page)?)
            }
            _ => None,
        };
        pages.carry_out(payer, found, (decision, permissions), object_frame)
    }
}

impl<M: Mmu + Clone> Backing for Mapped<'_, M> {
    fn charge(&mut self, frames: u64) -> Result<(), OutOfFrames> {
        self.payer.charge(frames)
    }

    fn uncharge(&mut self, frames: u64) {
        self.payer.uncharge(frames);
    }

    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        self.pages.unmap(&mut self.payer, start, end, &mut self.work)
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        self.pages.protect(&mut self.payer, (start, end), to, &mut self.work)
    }

    fn release(&mut self, object: ObjectId, pages: u64) {
        if let Some(objects) = &mut self.objects {
            objects.release(object, pages);
        }
    }
}
