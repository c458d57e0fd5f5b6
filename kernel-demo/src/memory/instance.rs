//! The one memory manager of the running kernel, behind its lock.

use spin::{Mutex, Once};

use super::fault::PageFault;
use super::paging::Takeover;
use super::{Cause, Memory, Pages, Place, Reach};
use crate::arch::mmu::PhysicalMap;

static MEMORY: Mutex<Option<Memory<PhysicalMap>>> = Mutex::new(None);

static TAKEOVER: Once<Takeover> = Once::new();

/// Puts the memory manager into place.
pub(crate) fn install(memory: Memory<PhysicalMap>, takeover: Takeover) {
    *MEMORY.lock() = Some(memory);
    TAKEOVER.call_once(|| takeover);
}

/// Does something with the memory manager, which is locked meanwhile: see the rules above.
///
/// # Panics
///
/// Before the manager is in place. When the lock is taken this waits forever: the closure must not
/// call `with`, allocate from a heap, or touch memory that has to be faulted in.
pub fn with<R>(action: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> R {
    action(MEMORY.lock().as_mut().expect("the memory manager is in place"))
}

/// The running kernel's memory manager, to be reached for a moment at a time.
#[derive(Clone, Copy, Debug)]
pub struct TheMemory;

impl Reach for TheMemory {
    type Mmu = PhysicalMap;

    fn with<R>(&self, action: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> R {
        with(action)
    }
}

/// The page tables of a process.
pub type ProcessPages = Pages<TheMemory>;

/// What the kernel found when it came up.
///
/// # Panics
///
/// Before the manager is in place.
pub fn takeover() -> &'static Takeover {
    TAKEOVER.get().expect("the memory manager is in place")
}

/// Serves a page fault, or says why it cannot be served, and what lies there.
pub(crate) fn serve(fault: &PageFault) -> Result<(), (Cause, Option<Place>)> {
    ask(|memory| {
        memory
            .page_fault(fault)
            .map_err(|cause| (cause, Some(memory.space().lookup(fault.address))))
    })
    .unwrap_or_else(|cause| Err((cause, None)))
}

/// What a page fault at that address would mean. [`Cause::Exception`] if it would be served.
pub(crate) fn judge(fault: &PageFault) -> (Cause, Option<Place>) {
    let judged = ask(|memory| match memory.decide(fault) {
        Ok(_) => (Cause::Exception, None),
        Err(cause) => (cause, Some(memory.space().lookup(fault.address))),
    });
    judged.unwrap_or_else(|cause| (cause, None))
}

/// Like [`with`], for exception handlers: they cannot wait for a lock that the interrupted code
/// holds.
fn ask<R>(question: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> Result<R, Cause> {
    let mut memory = MEMORY.try_lock().ok_or(Cause::InsideMemoryManager)?;
    memory.as_mut().map(question).ok_or(Cause::Exception)
}
