//! Memory of processes: page faults are served, and the kernel reads and writes what pointers from
//! ring 3 point at.
//!
//! The kernel never uses a process's addresses itself. It looks up where they lead; where nothing
//! is mapped yet, it has the fault served that the process would have had. So a system call may be
//! given memory that was never touched, and a bad pointer is an error like any other.

use super::crash::Reason;
use super::machine::Machine;
use super::process::{Process, Tracing};
use super::{Commons, Interruption};
use crate::address_space::{AddressSpace, Cause, Decision, Errno};
use crate::memory::{Access, Mapped, PageFault};
use crate::story;
use crate::strace;

impl<M: Machine> Commons<M> {
    /// Does something with the address space of a process, and what it stands on, for one slice of
    /// work.
    #[inline(always)]
    pub(super) fn with_space<R>(
        &mut self,
        process: &mut Process<M::Mmu>,
        action: impl FnOnce(&mut AddressSpace, &mut Mapped<'_, M::Mmu>) -> R,
    ) -> R {
        let Self { machine, objects, .. } = self;
        let Process { space, pages, .. } = process;
        machine.with_memory(|memory| action(space, &mut memory.mapped(pages, Some(objects))))
    }

    /// Serves a page fault, or says why the process cannot go on.
    ///
    /// # Errors
    ///
    /// The access is not allowed, or there is no frame. Nothing has changed.
    pub(super) fn serve(
        &mut self,
        process: &mut Process<M::Mmu>,
        fault: &PageFault,
    ) -> Result<(), Reason> {
        if story::is_on() {
            process.tell_fault(fault);
        }
        let served = self.with_space(process, |space, mapped| mapped.serve(space, fault));
        let decision = served.map_err(|cause| Reason::Access(*fault, cause))?;
        if let (Some(decision), Tracing::CallsAndFaults) = (decision, process.options.trace) {
            self.trace_fault(process, fault, decision);
        }
        if story::is_on() {
            self.tell_process(process);
        }
        Ok(())
    }

    #[cold]
    fn trace_fault(&mut self, process: &Process<M::Mmu>, fault: &PageFault, decision: Decision) {
        let PageFault { address, access, .. } = *fault;
        let becomes = match decision {
            Decision::MapZeroPage => "zero page",
            Decision::MapZeroed => "zeroed frame",
            Decision::Copy => "copied frame",
            Decision::MakeWritable => "writable",
            Decision::MapObject { .. } => "shared frame",
        };
        let label = process.space.find(address).map_or("", |vma| vma.label());
        let what = format_args!(
            "page fault {{addr={address:#x}, access={access}, in={label}}} = {becomes}"
        );
        let _ = strace::event(self, process.pid.0, what);
    }

    /// Copies from the process's memory.
    ///
    /// # Errors
    ///
    /// `EFAULT` when it could not read there itself; the end of the process when there is no frame.
    pub(super) fn copy_in(
        &mut self,
        process: &mut Process<M::Mmu>,
        address: u64,
        buffer: &mut [u8],
    ) -> Result<(), Interruption> {
        let mut done = 0;
        loop {
            done += process.pages.read(address.wrapping_add(done as u64), &mut buffer[done..]);
            if done == buffer.len() {
                return Ok(());
            }
            self.touch(process, address.wrapping_add(done as u64), Access::Read)?;
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
        process: &mut Process<M::Mmu>,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), Interruption> {
        let mut done = 0;
        loop {
            done += process.pages.write(address.wrapping_add(done as u64), &bytes[done..]);
            if done == bytes.len() {
                return Ok(());
            }
            self.touch(process, address.wrapping_add(done as u64), Access::Write)?;
        }
    }

    /// Copies words from the process's memory. Errors as of [`copy_in`](Self::copy_in).
    pub(super) fn words_in<const N: usize>(
        &mut self,
        process: &mut Process<M::Mmu>,
        address: u64,
    ) -> Result<[u64; N], Interruption> {
        let mut bytes = [[0; 8]; N];
        self.copy_in(process, address, bytes.as_flattened_mut())?;
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// Has the fault served that the process would have had at an address.
    fn touch(
        &mut self,
        process: &mut Process<M::Mmu>,
        address: u64,
        access: Access,
    ) -> Result<(), Interruption> {
        self.serve(process, &PageFault { address, access }).map_err(|reason| match reason {
            Reason::Access(_, Cause::OutOfFrames(_)) => Interruption::Crashes(reason),
            _ => Interruption::Fails(Errno::EFAULT),
        })
    }

    /// Frees a slice of the objects that nothing maps. `false` if it has to be called again to
    /// finish.
    pub(super) fn collect(&mut self) -> bool {
        let Self { machine, objects, .. } = self;
        !objects.has_unused()
            || machine.with_memory(|memory| objects.collect(&mut memory.payer().0))
    }
}
