//! `brk`, `mmap`, `munmap`, `mprotect`, `mremap`: the address space decides; what was shared and is
//! mapped no more goes.

use super::super::machine::Machine;
use super::super::process::Process;
use super::super::{Commons, System};
use super::{Answer, Call};
use crate::address_space::{Errno, MapFlags, MapRequest, RemapFlags, RemapRequest};
use crate::memory::Permissions;
use crate::memory::layout::PAGE_SIZE;

/// Moves the break. Not an error when it cannot be: the result is where it stands.
pub(super) fn brk<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [to, ..] = call.arguments();
    let Process { space, pages, .. } = &mut *call.process;
    Ok(space.brk(to, pages, &mut call.system.commons.account))
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
    let Commons { machine, objects, account, .. } = &mut call.system.commons;
    let shared = flags.contains(MapFlags::SHARED) && !flags.contains(MapFlags::PRIVATE) && len > 0;
    let object = if shared {
        Some(objects.make(machine.reach(), len.div_ceil(PAGE_SIZE), account)?)
    } else {
        None
    };
    let Process { space, pages, .. } = &mut *call.process;
    let mapped = space.mmap(MapRequest { hint, len, permissions, flags, object }, pages, account);
    call.system.let_go_of_objects(call.process);
    Ok(mapped?)
}

/// Unmaps whatever lies in a range.
pub(super) fn munmap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, ..] = call.arguments();
    let Process { space, pages, .. } = &mut *call.process;
    space.munmap(start, len, pages, &mut call.system.commons.account)?;
    call.system.let_go_of_objects(call.process);
    Ok(0)
}

/// Changes what may be done with a range.
pub(super) fn mprotect<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [start, len, protection, ..] = call.arguments();
    let permissions = permissions(protection)?;
    let Process { space, pages, .. } = &mut *call.process;
    space.mprotect(start, len, permissions, pages, &mut call.system.commons.account)?;
    Ok(0)
}

/// Makes a mapping shorter or longer, or moves it.
pub(super) fn mremap<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [old, old_len, new_len, flags, new, _] = call.arguments();
    let flags = u32::try_from(flags).ok().and_then(RemapFlags::from_bits).ok_or(Errno::EINVAL)?;
    let Process { space, pages, .. } = &mut *call.process;
    let request = RemapRequest { old, old_len, new_len, flags, new };
    let moved = space.mremap(request, pages, &mut call.system.commons.account);
    call.system.let_go_of_objects(call.process);
    Ok(moved?)
}

/// Permissions from `PROT_READ|…`, whose bits are the same.
fn permissions(protection: u64) -> Result<Permissions, Errno> {
    u8::try_from(protection).ok().and_then(Permissions::from_bits).ok_or(Errno::EINVAL)
}

impl<M: Machine> System<M> {
    /// Lets go of the shared memory that nobody maps any more: neither this process, which has its
    /// turn, nor those in the table.
    fn let_go_of_objects(&mut self, process: &Process<M::Reach>) {
        self.retain_objects(Some(process));
    }

    /// The same, when a process has ended.
    pub(in crate::system) fn retain_objects(&mut self, also: Option<&Process<M::Reach>>) {
        let Self { table, commons: Commons { objects, account, .. }, .. } = self;
        if objects.is_empty() {
            return;
        }
        let waiting = || table.entries().filter_map(|entry| entry.payload.process.as_deref());
        objects.retain(
            |id| also.into_iter().chain(waiting()).any(|process| process.space.maps(id)),
            account,
        );
    }
}

const _: () = {
    assert!(
        Permissions::READ.bits() == 1
            && Permissions::WRITE.bits() == 2
            && Permissions::EXECUTE.bits() == 4
    );
};
