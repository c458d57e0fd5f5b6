//! `read` and `write`: the console is the only file, and always open.

use super::super::Interruption;
use super::super::machine::Machine;
use super::super::table::Wait;
use super::{Answer, Call};
use crate::address_space::{Errno, USER_END};
use crate::words::screen::{COLUMNS, ROWS};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
const ERRORS: i32 = 2;

/// Bytes that are written in one go, and the most that one `read` returns.
const PIECE: usize = 256;

/// Reads a line, or what there is of the input if it has an end, and waits if there is none.
/// Returns 0 at the end of the input. A process in the background gets nothing: `EIO`.
pub(super) fn read<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [file, address, len, ..] = call.arguments();
    if file as i32 != INPUT {
        return Err(Errno::EBADF.into());
    }
    check_range(address, len)?;
    if len == 0 {
        return Ok(0);
    }
    let group = call.system.table.get(call.process.pid).map(|entry| entry.group);
    let commons = &mut call.system.commons;
    let foreground = commons.console.terminal().and_then(|terminal| terminal.foreground());
    if foreground.is_some() && foreground != group {
        return Err(Errno::EIO.into());
    }
    let Some(next) = commons.console.next() else {
        return Err(Interruption::Waits(Wait::Input));
    };
    let mut buffer = [0; PIECE];
    let piece = &mut buffer[..next.len().min(PIECE).min(usize::try_from(len).unwrap_or(PIECE))];
    piece.copy_from_slice(&next[..piece.len()]);
    commons.copy_out(call.process, address, piece)?;
    commons.console.consume(piece.len());
    Ok(piece.len() as u64)
}

/// Writes. Of text that cannot be read to its end, the part before that is written.
pub(super) fn write<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [file, address, len, ..] = call.arguments();
    if ![OUTPUT, ERRORS].contains(&(file as i32)) {
        return Err(Errno::EBADF.into());
    }
    check_range(address, len)?;
    let commons = &mut call.system.commons;
    let done = call.thread.pending.map_or(0, |pending| pending.written);
    let mut buffer = [0; PIECE];
    let piece = &mut buffer[..(len - done).min(PIECE as u64) as usize];
    match commons.copy_in(call.process, address.wrapping_add(done), piece) {
        Err(Interruption::Fails(_)) if done > 0 => return Ok(done),
        copied => copied?,
    }
    commons.console.write(&mut commons.machine, piece);
    let done = done + piece.len() as u64;
    if done < len {
        call.thread.pending.get_or_insert_default().written = done;
        return Err(Interruption::Restarts);
    }
    Ok(done)
}

/// Shows a row of the machine's text screen: as many characters as a row has, in one colour.
pub(super) fn screen<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [row, address, colour, ..] = call.arguments();
    let row = usize::try_from(row).ok().filter(|row| *row < ROWS).ok_or(Errno::EINVAL)?;
    let colour = u8::try_from(colour).map_err(|_| Errno::EINVAL)?;
    let commons = &mut call.system.commons;
    let mut text = [0; COLUMNS];
    commons.copy_in(call.process, address, &mut text)?;
    commons.machine.show(row, &text, colour);
    Ok(0)
}

/// As in Linux, a range that cannot be a process's is an error before anything is read or written.
fn check_range(address: u64, len: u64) -> Result<(), Errno> {
    address.checked_add(len).filter(|end| *end <= USER_END).map(drop).ok_or(Errno::EFAULT)
}
