//! `brk`, `mmap`, `munmap`, `mprotect`: the address space decides; what was shared and is mapped no
//! more goes.

use super::super::machine::Machine;
use super::{Answer, Call};
use crate::address_space::{AddressSpace, Backing, Errno, MapFlags, MapRequest, ObjectId};
use crate::memory::layout::PAGE_SIZE;
use crate::memory::objects::Object;
use crate::memory::{Mapped, Permissions};

/// Moves the break. Not an error when it cannot be: the result is where it stands.
pub(super) fn brk<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [to, ..] = call.arguments();
    if call.make_room().is_err() {
        return Ok(call.process.space.current_brk());
    }
    call.change(|space, mapped| space.brk(to, mapped))
}

/// Maps memory of no file. There is no other, so every file is `EBADF`.
pub(super) fn mmap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [hint, len, protection, flags, _, offset] = call.arguments();
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let flags = MapFlags::from_bits_retain(flags as u32);
    if !flags.contains(MapFlags::ANONYMOUS) {
        return Err(Errno::EBADF.into());
    }
    let flags = MapFlags::from_bits_truncate(flags.bits());
    let permissions = permissions(protection)?;
    call.make_room()?;
    let shared = flags.contains(MapFlags::SHARED) && !flags.contains(MapFlags::PRIVATE) && len > 0;
    let pages = len.div_ceil(PAGE_SIZE);
    let object = if shared { Some(call.make_object(pages)?) } else { None };
    call.change(|space, mapped| {
        let mapping = space.mmap(MapRequest { hint, len, permissions, flags, object }, mapped);
        if let (Err(_), Some(object)) = (mapping, object) {
            mapped.release(object, pages);
        }
        mapping
    })
}

/// Unmaps whatever lies in a range.
pub(super) fn munmap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, ..] = call.arguments();
    call.make_room()?;
    call.change(|space, mapped| space.munmap(start, len, mapped).map(|()| 0))
}

/// Changes what may be done with a range.
pub(super) fn mprotect<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, protection, ..] = call.arguments();
    let permissions = permissions(protection)?;
    call.make_room()?;
    call.change(|space, mapped| space.mprotect(start, len, permissions, mapped).map(|()| 0))
}

/// Permissions from `PROT_READ|…`, whose bits are the same.
fn permissions(protection: u64) -> Result<Permissions, Errno> {
    u8::try_from(protection).ok().and_then(Permissions::from_bits).ok_or(Errno::EINVAL)
}

impl<M: Machine> Call<'_, M> {
    /// Makes room for the areas that one call can add, if the list is full.
    fn make_room(&mut self) -> Result<(), Errno> {
        self.process.space.make_room(|bytes| self.system.commons.machine.reserve_heap(bytes))
    }

    fn make_object(&mut self, pages: u64) -> Result<ObjectId, Errno> {
        let commons = &mut self.system.commons;
        commons.objects.make_room(|bytes| commons.machine.reserve_heap(bytes))?;
        let object = commons.machine.with_memory(|memory| {
            let (mut payer, kernel) = memory.payer();
            Object::new(&mut payer, kernel, pages)
        })?;
        Ok(commons.objects.insert(object, pages))
    }

    /// Changes the address space.
    fn change(
        &mut self,
        change: impl FnOnce(&mut AddressSpace, &mut Mapped<'_, M::Mmu>) -> Result<u64, Errno>,
    ) -> Answer {
        Ok(self.system.commons.with_space(self.process, change)?)
    }
}
