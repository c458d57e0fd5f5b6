//! The terminal that the standard input is.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{ECHO, ICANON, ISIG, termios};
use linux_raw_sys::ioctl::{TCGETS, TCSETS, TIOCGPGRP, TIOCSPGRP};
use syscalls::{Sysno, syscall};

use super::Errno;
use super::io::INPUT;

/// Settings of a terminal.
#[derive(Clone, Copy)]
pub struct Settings(termios);

impl Settings {
    /// Asks for the settings.
    ///
    /// # Errors
    ///
    /// `ENOTTY` if the standard input is no terminal.
    pub fn get() -> Result<Self, Errno> {
        let mut settings = MaybeUninit::<termios>::zeroed();
        // SAFETY: borrowed for writing.
        unsafe { syscall!(Sysno::ioctl, INPUT, TCGETS, settings.as_mut_ptr()) }?;
        // SAFETY: numbers, which are numbers whatever was written.
        Ok(Self(unsafe { settings.assume_init() }))
    }

    /// Puts these settings into force.
    ///
    /// # Errors
    ///
    /// `ENOTTY` if the standard input is no terminal.
    pub fn set(&self) -> Result<(), Errno> {
        // SAFETY: the kernel reads it.
        unsafe { syscall!(Sysno::ioctl, INPUT, TCSETS, &raw const self.0) }.map(drop)
    }

    /// The same settings, but keys come as they are pressed, are not shown, and end nothing.
    #[must_use]
    pub fn with_keys(self) -> Self {
        let c_lflag = self.0.c_lflag & !(ECHO | ICANON | ISIG);
        Self(termios { c_lflag, ..self.0 })
    }
}

/// Makes a group of processes the one that Ctrl-C ends.
///
/// # Errors
///
/// `ENOTTY` if the standard input is no terminal.
pub fn set_foreground(group: usize) -> Result<(), Errno> {
    let group = group as i32;
    // SAFETY: the kernel reads it.
    unsafe { syscall!(Sysno::ioctl, INPUT, TIOCSPGRP, &raw const group) }.map(drop)
}

/// Returns the group of processes that Ctrl-C ends.
///
/// # Errors
///
/// `ENOTTY` if the standard input is no terminal, or no group was made the one.
pub fn foreground() -> Result<usize, Errno> {
    let mut group = 0_i32;
    // SAFETY: borrowed for writing.
    unsafe { syscall!(Sysno::ioctl, INPUT, TIOCGPGRP, &raw mut group) }?;
    Ok(group.cast_unsigned() as usize)
}
