//! `/proc/self` as values: asked from this kernel by a system call, read from a file on Linux.
//!
//! Rule of this file: looking changes nothing. The text is on the caller's stack, not on the heap,
//! which is looked at.

use syscalls::{Sysno, syscall};

use crate::system::view::{self, View};
use crate::system::{Errno, io};

/// Room for the text of a view.
pub type Room = [u8; 12 << 10];

/// Room for the text of a view.
pub const ROOM: Room = [0; _];

/// A region of the address space, as a line of `maps` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'text> {
    /// Its first address.
    pub start: usize,
    /// The first address behind it.
    pub end: usize,
    /// `rwxp`, with `-` for what is not allowed; `s` instead of `p` if it is shared.
    pub permissions: &'text str,
    /// `[heap]`, `[stack]`, the file, or nothing.
    pub name: &'text str,
}

impl Region<'_> {
    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it has no bytes. (The kernel shows no such region.)
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the address lies in it.
    #[must_use]
    pub const fn contains(&self, address: usize) -> bool {
        self.start <= address && address < self.end
    }
}

/// The text of a view.
///
/// # Errors
///
/// What the kernel answers; `ERANGE` if the text does not fit.
pub fn text(view: View, room: &mut Room) -> Result<&str, Errno> {
    let len = match view::proc_view(view, room) {
        Err(Errno::ENOSYS) => read_file(view, room)?,
        answer => answer?,
    };
    let text = room.get(..len).ok_or(Errno::ERANGE)?;
    str::from_utf8(text).map_err(|_| Errno::EILSEQ)
}

/// The regions in the text of `maps`, lowest first.
pub fn regions(maps: &str) -> impl Iterator<Item = Region<'_>> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(Region {
            start: number(start)?,
            end: number(end)?,
            permissions,
            name: words.nth(3).unwrap_or(""),
        })
    })
}

/// The region with this name.
#[must_use]
pub fn region<'text>(maps: &'text str, name: &str) -> Option<Region<'text>> {
    regions(maps).find(|region| region.name == name)
}

/// The region that holds this address.
#[must_use]
pub fn region_at(maps: &str, address: usize) -> Option<Region<'_>> {
    regions(maps).find(|region| region.contains(address))
}

/// A number of KiB in the text of `smaps`, such as `Rss`, for the region that holds this address.
#[must_use]
pub fn kib_at(smaps: &str, address: usize, key: &str) -> Option<usize> {
    let mut lines =
        smaps.lines().skip_while(|line| !regions(line).any(|region| region.contains(address)));
    lines.next()?;
    let line = lines
        .take_while(|line| regions(line).next().is_none())
        .find(|line| line.split(':').next() == Some(key))?;
    number_in(line)
}

/// A number in the text of `status`, such as `VmRSS`, in KiB.
#[must_use]
pub fn kib_of(status: &str, key: &str) -> Option<usize> {
    number_in(status.lines().find(|line| line.split(':').next() == Some(key))?)
}

fn number_in(line: &str) -> Option<usize> {
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Linux has its views in files.
fn read_file(view: View, room: &mut Room) -> Result<usize, Errno> {
    let path = match view {
        View::Maps => c"/proc/self/maps",
        View::Smaps => c"/proc/self/smaps",
        View::Status => c"/proc/self/status",
        _ => return Err(Errno::ENOSYS),
    };
    // SAFETY: the kernel reads the path; no flags: for reading.
    let file = unsafe { syscall!(Sysno::open, path.as_ptr(), 0, 0) }? as i32;
    let mut len = 0;
    let answer = loop {
        match io::read(file, &mut room[len..]) {
            Ok(0) => break if len < room.len() { Ok(len) } else { Err(Errno::ERANGE) },
            Ok(more) => len += more,
            Err(errno) => break Err(errno),
        }
    };
    // SAFETY: the file is ours, and not used any more.
    unsafe { syscall!(Sysno::close, file) }?;
    answer
}
