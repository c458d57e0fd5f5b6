//! Memory of processes: page faults are served, and the kernel reads and writes what pointers from
//! ring 3 point at.
//!
//! The kernel never uses a process's addresses itself. It looks up where they lead; where nothing
//! is mapped yet, it has the fault served that the process would have had. So a system call may be
//! given memory that was never touched, and a bad pointer is an error like any other.

use super::crash::{Reason, label};
use super::machine::Machine;
use super::objects::Objects;
use super::process::{Process, Trace};
use super::table::Pid;
use super::{Commons, Instead, strace};
use crate::address_space::{Decision, Errno, ObjectId, PageState, PageTables, Vma};
use crate::memory::pages::Spot;
use crate::memory::tables::Work;
use crate::memory::{Access, PageFault, Pages, Permissions, Reach};

impl<M: Machine> Commons<M> {
    /// Serves a page fault, or says why the process cannot go on.
    ///
    /// # Errors
    ///
    /// The access is not allowed, or there is no frame. Nothing has changed.
    pub(super) fn serve(
        &mut self,
        process: &mut Process<M::Reach>,
        fault: &PageFault,
    ) -> Result<(), Reason> {
        let Process { pid, space, pages, options, .. } = process;
        let mut spot = pages.spot(fault.address);
        let state = spot.as_mut().map_or(PageState::Missing, Spot::state);
        let decided = space.fault(fault, state, &mut self.account);
        let (decision, vma) = decided.map_err(|cause| Reason::Access(*fault, cause))?;
        let spot = spot.as_mut().expect("areas lie in the lower half");
        let served = match decision {
            Decision::MapZeroPage => spot.map_zero_page(vma.permissions),
            Decision::MapZeroed => spot.map_zeroed(vma.permissions),
            Decision::Copy => spot.copy(),
            Decision::MakeWritable => {
                spot.make_writable();
                Ok(())
            }
            Decision::MapObject { object, page: index } => {
                let object =
                    self.objects.get_mut(object).expect("an object stays as long as it is mapped");
                spot.map_object(object, index, vma.permissions)
            }
        };
        served.map_err(|out| Reason::OutOfFrames(*fault, out))?;
        if options.trace == Trace::CallsAndFaults {
            self.trace_fault(*pid, fault, vma, &decision);
        }
        Ok(())
    }

    fn trace_fault(&mut self, pid: Pid, fault: &PageFault, vma: &Vma, decision: &Decision) {
        let PageFault { address, access, .. } = fault;
        let becomes = match decision {
            Decision::MapZeroPage => "zero page",
            Decision::MapZeroed => "zeroed frame",
            Decision::Copy => "copied frame",
            Decision::MakeWritable => "writable",
            Decision::MapObject { .. } => "shared frame",
        };
        let label = label(vma);
        let what = format_args!(
            "page fault {{addr={address:#x}, access={access}, in={label}}} = {becomes}"
        );
        // The console takes everything.
        let _ = strace::event(&mut self.console.writer(&mut self.machine), pid.0, what);
    }

    /// Copies from the process's memory.
    ///
    /// # Errors
    ///
    /// `EFAULT` when it could not read there itself; the end of the process when there is no frame.
    pub(super) fn copy_in(
        &mut self,
        process: &mut Process<M::Reach>,
        address: u64,
        buffer: &mut [u8],
    ) -> Result<(), Instead> {
        let mut done = 0;
        loop {
            done += process.pages.read(address.wrapping_add(done as u64), &mut buffer[done..]);
            if done == buffer.len() {
                return Ok(());
            }
            self.reach(process, address.wrapping_add(done as u64), Access::Read)?;
        }
    }

    /// Copies to the process's memory.
    ///
    /// # Errors
    ///
    /// `EFAULT` when it could not write there itself; the end of the process when there is no
    /// frame. What lies below the address that cannot be written to is written.
    pub(super) fn copy_out(
        &mut self,
        process: &mut Process<M::Reach>,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), Instead> {
        let mut done = 0;
        loop {
            done += process.pages.write(address.wrapping_add(done as u64), &bytes[done..]);
            if done == bytes.len() {
                return Ok(());
            }
            self.reach(process, address.wrapping_add(done as u64), Access::Write)?;
        }
    }

    /// Has the fault served that the process would have had at an address.
    fn reach(
        &mut self,
        process: &mut Process<M::Reach>,
        address: u64,
        access: Access,
    ) -> Result<(), Instead> {
        let present = process.pages.state(address) != PageState::Missing;
        self.serve(process, &PageFault { address, access, present }).map_err(
            |reason| match reason {
                Reason::OutOfFrames(..) => Instead::Crashes(reason),
                Reason::Access(..) | Reason::Exception { .. } => Instead::Fails(Errno::EFAULT),
            },
        )
    }
}

/// A process's page tables and the system's objects, as the address space changes them in one call.
pub(super) struct Mapped<'a, R: Reach> {
    /// The page tables.
    pub pages: &'a mut Pages<R>,
    /// The objects that areas map.
    pub objects: &'a mut Objects<R>,
    /// What may still be done.
    work: Work,
}

impl<'a, R: Reach> Mapped<'a, R> {
    /// For one slice of work.
    pub const fn new(pages: &'a mut Pages<R>, objects: &'a mut Objects<R>) -> Self {
        Self { pages, objects, work: Work::slice() }
    }
}

impl<R: Reach> PageTables for Mapped<'_, R> {
    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        self.pages.unmap(start, end, &mut self.work)
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        self.pages.protect(start, end, to, &mut self.work)
    }

    fn release(&mut self, object: ObjectId, pages: u64) {
        self.objects.release(object, pages);
    }
}
