//! The address space as text: what Linux shows as `/proc/PID/maps`, `smaps`, and the memory part of
//! `status`.
//!
//! ```text
//!   start        end          may  offset   dev   inode                      path
//!   555555554000-555555556000 r-xp 00000000 00:00 0                          maps-story
//!   7ffff7fbf000-7ffff7fc1000 rw-s 00000000 00:01 3                          /dev/zero (deleted)
//! ```
//!
//! A program is no file of a file system: device and inode are 0. A shared object is told by its
//! number as inode.

use core::fmt::{self, Write};

use super::{AddressSpace, AreaKind, PAGE_SIZE, Sharing, Vma};
use crate::words::{Permissions, Text};

/// Column of the path in a line of `maps`.
const PATH_COLUMN: usize = 73;

/// Column of an amount in a line of `smaps`.
const AMOUNT_COLUMN: usize = 16;

/// What is mapped in a range, in pages. All of it counts as written to: no frame has a file behind
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Frames that nobody else has.
    pub private: u64,
    /// Frames that others have too. The zero page is not one.
    pub shared: u64,
}

impl Resident {
    /// All of them.
    pub const fn pages(self) -> u64 {
        self.private + self.shared
    }
}

impl AddressSpace {
    /// Writes the memory part of `status`, given what is private and what is shared of the pages
    /// that are there, the most that were ever there, and the frames of page tables.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_status(
        &self,
        out: &mut impl Write,
        [private, shared]: [u64; 2],
        (most, tables): (u64, u64),
    ) -> fmt::Result {
        for (name, pages) in [
            ("VmSize", self.pages_that(|_| true)),
            ("VmHWM", most.max(private + shared)),
            ("VmRSS", private + shared),
            ("RssAnon", private),
            ("RssShmem", shared),
            ("VmData", self.pages_that(Vma::is_data)),
            ("VmStk", self.pages_that(|vma| vma.kind == AreaKind::Stack)),
            ("VmExe", self.pages_that(|vma| vma.permissions.contains(Permissions::EXECUTE))),
            ("VmPTE", tables),
        ] {
            writeln!(out, "{name}:\t{:>8} kB", kib(pages))?;
        }
        Ok(())
    }
}

impl Vma {
    /// Writes its line of `maps`.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_map(&self, out: &mut impl Write) -> fmt::Result {
        let (mode, offset, device, inode) = match self.sharing {
            Sharing::Private => ('p', self.offset, 0, 0),
            Sharing::Shared(object, first) => ('s', first * PAGE_SIZE, 1, object.0),
        };
        let Self { start, end, permissions, .. } = self;
        let mut line = Text::new();
        write!(line, "{start:08x}-{end:08x} {permissions}{mode} {offset:08x} ")?;
        write!(line, "00:{device:02x} {inode} ")?;
        let path = match self.kind {
            _ if self.is_shared() => "/dev/zero (deleted)",
            AreaKind::Heap => "[heap]",
            AreaKind::Stack => "[stack]",
            _ => self.name,
        };
        match path {
            "" => writeln!(out, "{}", line.as_str()),
            path => writeln!(out, "{:PATH_COLUMN$}{path}", line.as_str()),
        }
    }

    /// Writes its lines of `smaps`: the one of `maps`, and below it what is there of it.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write_smap(&self, there: Resident, out: &mut impl Write) -> fmt::Result {
        self.write_map(out)?;
        let anonymous = if self.is_shared() { 0 } else { there.pages() };
        for (name, pages) in [
            ("Size", self.pages()),
            ("KernelPageSize", 1),
            ("MMUPageSize", 1),
            ("Rss", there.pages()),
            ("Shared_Clean", 0),
            ("Shared_Dirty", there.shared),
            ("Private_Clean", 0),
            ("Private_Dirty", there.private),
            ("Anonymous", anonymous),
        ] {
            let padding = AMOUNT_COLUMN - name.len() - 1;
            writeln!(out, "{name}:{:padding$}{:>8} kB", "", kib(pages))?;
        }
        Ok(())
    }
}

const fn kib(pages: u64) -> u64 {
    pages * (PAGE_SIZE / 1024)
}
