//! `brk`, `mmap`, `munmap`, `mprotect`, `mremap`: the address space decides; what was shared and is
//! mapped no more goes.

use super::super::machine::Machine;
use super::super::memory::Mapped;
use super::{Answer, Call};
use crate::address_space::{
    AddressSpace, Errno, MapFlags, MapRequest, ObjectId, RemapFlags, RemapRequest,
};
use crate::memory::layout::PAGE_SIZE;
use crate::memory::{Charges, Permissions};

/// Moves the break. Not an error when it cannot be: the result is where it stands.
pub(super) fn brk<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [to, ..] = call.arguments();
    if call.make_room().is_err() {
        return Ok(call.process.space.current_brk());
    }
    call.change(|space, mapped, account| space.brk(to, mapped, account))
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
    call.change(|space, mapped, account| {
        let mapping =
            space.mmap(MapRequest { hint, len, permissions, flags, object }, mapped, account);
        if let (Err(_), Some(object)) = (mapping, object) {
            mapped.objects.release(object, pages);
        }
        mapping
    })
}

/// Unmaps whatever lies in a range.
pub(super) fn munmap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, ..] = call.arguments();
    call.make_room()?;
    call.change(|space, mapped, account| space.munmap(start, len, mapped, account).map(|()| 0))
}

/// Changes what may be done with a range.
pub(super) fn mprotect<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, protection, ..] = call.arguments();
    let permissions = permissions(protection)?;
    call.make_room()?;
    call.change(|space, mapped, account| {
        space.mprotect(start, len, permissions, mapped, account).map(|()| 0)
    })
}

/// Makes a mapping shorter or longer.
pub(super) fn mremap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [old, old_len, new_len, flags, ..] = call.arguments();
    u32::try_from(flags).ok().and_then(RemapFlags::from_bits).ok_or(Errno::EINVAL)?;
    call.make_room()?;
    let request = RemapRequest { old, old_len, new_len };
    call.change(|space, mapped, account| space.mremap(request, mapped, account))
}

/// Permissions from `PROT_READ|…`, whose bits are the same.
fn permissions(protection: u64) -> Result<Permissions, Errno> {
    u8::try_from(protection).ok().and_then(Permissions::from_bits).ok_or(Errno::EINVAL)
}

impl<M: Machine> Call<'_, M> {
    /// Makes room for the areas that one call can add, if the list is full.
    fn make_room(&mut self) -> Result<(), Errno> {
        match self.process.space.growth() {
            Some(bytes) if !self.system.commons.machine.reserve_heap(bytes) => Err(Errno::ENOMEM),
            _ => Ok(()),
        }
    }

    fn make_object(&mut self, pages: u64) -> Result<ObjectId, Errno> {
        let commons = &mut self.system.commons;
        let bytes = commons.objects.growth();
        if bytes.is_some_and(|bytes| !commons.machine.reserve_heap(bytes)) {
            return Err(Errno::ENOMEM);
        }
        commons.objects.make(commons.machine.reach(), pages)
    }

    /// Changes the address space.
    fn change(
        &mut self,
        change: impl FnOnce(
            &mut AddressSpace,
            &mut Mapped<'_, M::Reach>,
            &mut Charges<M::Reach>,
        ) -> Result<u64, Errno>,
    ) -> Answer {
        let commons = &mut self.system.commons;
        let mapped = &mut Mapped::new(&mut self.process.pages, &mut commons.objects);
        Ok(change(&mut self.process.space, mapped, &mut commons.account)?)
    }
}

const _: () = {
    assert!(
        Permissions::READ.bits() == 1
            && Permissions::WRITE.bits() == 2
            && Permissions::EXECUTE.bits() == 4
    );
};
