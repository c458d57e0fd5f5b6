//! `heap_register`, `heap_layout`, `process_vm_readv`: a program says how its heap's cells are laid
//! out, and another one reads them. The kernel interprets none of it.

use super::super::Interruption;
use super::super::machine::Machine;
use super::views::{find, store};
use super::{Answer, Call};
use crate::address_space::Errno;

/// Maximum bytes that one call reads, so that its time is bounded.
const MOST: usize = 4096;

/// Bytes that are copied at once.
const PIECE: usize = 256;

/// Notes the layout of the caller's heap, which its children inherit.
pub(super) fn heap_register<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [at, ..] = call.arguments();
    call.process.heap = Some(call.system.commons.words_in(call.process, at)?);
    Ok(0)
}

/// Stores the layout of the heap of a process; `ENOENT` if it has registered none.
pub(super) fn heap_layout<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [whose, at, ..] = call.arguments();
    let layout = find(&mut call.system.table, call.process, whose)?.heap.ok_or(Errno::ENOENT)?;
    store(call, (at, u64::MAX), layout)?;
    Ok(0)
}

/// Reads memory of a process as it is: nothing is mapped for that. Returns how much could be read.
/// One range only, and a part of a long one.
pub(super) fn process_vm_readv<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [whose, to, to_count, from, from_count, flags] = call.arguments();
    if (to_count, from_count, flags) != (1, 1, 0) {
        return Err(Errno::EINVAL.into());
    }
    let [to, room] = call.system.commons.words_in(call.process, to)?;
    let [from, len] = call.system.commons.words_in(call.process, from)?;
    let most = room.min(len).min(MOST as u64) as usize;
    let mut done = 0;
    while done < most {
        let mut piece = [0; PIECE];
        let piece = &mut piece[..PIECE.min(most - done)];
        let source = find(&mut call.system.table, call.process, whose)?;
        let read = source.pages.read(from.wrapping_add(done as u64), piece);
        let at = to.wrapping_add(done as u64);
        call.system.commons.copy_out(call.process, at, &piece[..read])?;
        done += read;
        if read < piece.len() {
            break;
        }
    }
    if done == 0 && most > 0 {
        return Err(Interruption::Fails(Errno::EFAULT));
    }
    Ok(done as u64)
}
