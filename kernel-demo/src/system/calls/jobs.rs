//! `kill`, `setpgid`, `pause`, `ioctl`: processes that others end, and the terminal's settings.

use super::super::machine::Machine;
use super::super::table::{Entry, Pid, Wait};
use super::super::terminal::{Control, Mode};
use super::super::{Interruption, System, ps};
use super::{Answer, Call};
use crate::strace::signature::{TCGETS, TCSETS, TIOCGPGRP, TIOCSPGRP};
use crate::words::{Errno, Signal, Status};

/// Ends a process, or a group of them. Signal 0 only asks whether there is one. No process can
/// catch a signal here.
pub(super) fn kill<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [whom, number, ..] = call.arguments();
    let signal = match number {
        0 => None,
        number => Some(Signal::from_number(number).ok_or(Errno::EINVAL)?),
    };
    let own = call.process.pid;
    let own_group = call.system.table.get(own).map(|entry| entry.group);
    let is_meant = |pid: Pid, group: Pid| match whom as i32 {
        0 => own_group == Some(group),
        -1 => pid != own,
        whom if whom > 0 => pid.0 == whom.unsigned_abs(),
        whom => group.0 == whom.unsigned_abs(),
    };
    if call.system.kill_all(is_meant, signal.map(Status::Killed)) == 0 {
        return Err(Errno::ESRCH.into());
    }
    match signal {
        Some(signal) if is_meant(own, own_group.unwrap_or(own)) => {
            Err(Interruption::Ends(Status::Killed(signal)))
        }
        _ => Ok(0),
    }
}

/// Puts the caller, or a child of it, into a group of processes: its own, or the one of that
/// number.
pub(super) fn setpgid<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    let [whom, group, ..] = call.arguments();
    let own = call.process.pid;
    let pid = |number: u64| u32::try_from(number).map(Pid).map_err(|_| Errno::EINVAL);
    let whom = if whom == 0 { own } else { pid(whom)? };
    let group = if group == 0 { whom } else { pid(group)? };
    let table = &mut call.system.table;
    if group != whom && !table.processes().any(|entry| entry.group == group) {
        return Err(Errno::EPERM.into());
    }
    let is_own = |entry: &&mut Entry<_>| entry.pid == own || entry.parent == own;
    table.get_mut(whom).filter(is_own).ok_or(Errno::ESRCH)?.group = group;
    Ok(0)
}

/// Waits for the signal that ends the caller.
pub(super) fn pause<M: Machine>(_: &mut Call<'_, M>) -> Answer {
    Err(Interruption::Waits(Wait::Signal))
}

/// Asks for the terminal's settings, or changes them, which a process in the background may not: of
/// `struct termios` this kernel knows three flags of `c_lflag`; the rest is as on Linux after a
/// start.
pub(super) fn ioctl<M: Machine>(call: &mut Call<'_, M>) -> Answer {
    /// Bytes of `struct termios`, and where in it `c_lflag` is.
    const TERMIOS: usize = 36;
    const LOCAL_FLAGS: u64 = 12;
    /// Newlines in and out as usual, eight bits, 38400 baud.
    const OTHER_FLAGS: [(usize, u32); 3] = [(0, 0o400), (4, 0o5), (8, 0o277)];
    const FILES: u64 = 3;
    let [file, request, at, ..] = call.arguments();
    if file >= FILES {
        return Err(Errno::EBADF.into());
    }
    let Call { system: System { commons, table, .. }, process, .. } = call;
    let terminal = commons.console.terminal().ok_or(Errno::ENOTTY)?;
    let group = table.get(process.pid).map_or(process.pid, |entry| entry.group);
    if [TCSETS, TIOCSPGRP].contains(&request) && !terminal.obeys(process.pid, group) {
        return Err(Errno::EIO.into());
    }
    let mode = terminal.mode();
    let mut word = [0; 4];
    match request {
        TCGETS => {
            let mut bytes = [0; TERMIOS];
            let flags = OTHER_FLAGS.into_iter().chain([(LOCAL_FLAGS as usize, mode.bits())]);
            flags.for_each(|(at, flag)| bytes[at..at + 4].copy_from_slice(&flag.to_le_bytes()));
            commons.copy_out(process, at, &bytes)?;
        }
        TCSETS => {
            commons.copy_in(process, at.wrapping_add(LOCAL_FLAGS), &mut word)?;
            let mode = Mode::from_bits_truncate(u32::from_le_bytes(word));
            commons.console.terminal().ok_or(Errno::ENOTTY)?.set_mode(mode);
        }
        TIOCGPGRP => {
            let group = commons.console.terminal().and_then(|terminal| terminal.foreground());
            let number = group.ok_or(Errno::ENOTTY)?.0;
            commons.copy_out(process, at, &number.to_le_bytes())?;
        }
        TIOCSPGRP => {
            commons.copy_in(process, at, &mut word)?;
            let group = Pid(u32::from_le_bytes(word));
            if !table.processes().any(|entry| entry.group == group) {
                return Err(Errno::EPERM.into());
            }
            commons.console.terminal().ok_or(Errno::ENOTTY)?.give(process.pid, group);
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

impl<M: Machine> System<M> {
    /// Has all processes end that are meant, given number and group, or none. Returns how many are
    /// meant.
    fn kill_all(&mut self, is_meant: impl Fn(Pid, Pid) -> bool, status: Option<Status>) -> usize {
        let mut meant = [None; super::super::table::MAX_PROCESSES];
        let found = self.table.processes().filter(|entry| is_meant(entry.pid, entry.group));
        let count = found.zip(&mut meant).map(|(entry, place)| *place = Some(entry.pid)).count();
        if let Some(status) = status {
            meant.into_iter().flatten().for_each(|pid| self.table.kill(pid, status));
        }
        count
    }

    /// Does what keys ask for that were pressed on the terminal.
    /// Some keys at a time, so that a flood of them keeps nobody from a turn.
    pub(in super::super) fn attend_to_keys(&mut self) {
        /// Maximum number of wishes at a time.
        const EVENTS: usize = 4;
        for _ in 0..EVENTS {
            let Some(event) = self.commons.console.poll(&mut self.commons.machine) else { return };
            let foreground =
                self.commons.console.terminal().and_then(|terminal| terminal.foreground());
            match (event, foreground) {
                (Control::Interrupt, Some(group)) => {
                    let status = Some(Status::Killed(Signal::SIGINT));
                    self.kill_all(|_, its_group| its_group == group, status);
                }
                // Without a shell there is nobody to be left alone.
                (Control::Interrupt, None) => {
                    self.kill_all(|_, _| true, Some(Status::Killed(Signal::SIGINT)));
                }
                (Control::Processes, _) => {
                    let Self { table, commons, .. } = self;
                    let (mut next, mut is_whole) = (0, false);
                    while !is_whole {
                        is_whole = ps::write_part(table, None, &mut next, commons).unwrap_or(true);
                        commons.machine.let_interrupts_in();
                    }
                }
            }
        }
    }
}
