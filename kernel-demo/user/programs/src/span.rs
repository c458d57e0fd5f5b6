//! Memory of this process, as bytes to get and set.

use core::ptr::NonNull;

use runtime::PAGE;
use runtime::system::Errno;
use runtime::system::memory::{self, MapFlags, Protection};

/// A range of memory that was asked of the kernel.
///
/// # Invariants
///
/// Whoever made it keeps it mapped, or touches it only where the end of the process is what he
/// wants to see. All access is volatile: another process may share it.
#[derive(Debug)]
pub struct Span {
    start: NonNull<u8>,
    len: usize,
}

impl Span {
    /// # Safety
    ///
    /// The range is memory of this process that no Rust object lies in, for as long as the value is
    /// used.
    #[must_use]
    pub const unsafe fn new(range: NonNull<[u8]>) -> Self {
        Self { start: range.cast(), len: range.len() }
    }

    /// A new mapping of zeroed pages, to be read and written.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn map(len: usize, flags: MapFlags) -> Result<Self, Errno> {
        let start = memory::map_anonymous(len, Protection::READ | Protection::WRITE, flags)?;
        Ok(Self { start, len })
    }

    /// What the break gains by moving up by `len` bytes.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn from_break(len: usize) -> Result<Self, Errno> {
        // SAFETY: new memory, and whoever moves the break back down does not use it any more.
        runtime::sbrk(len).map(|range| unsafe { Self::new(range) })
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// The first address behind it.
    #[must_use]
    pub fn end(&self) -> usize {
        self.address() + self.len
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pages it has.
    #[must_use]
    pub const fn pages(&self) -> usize {
        self.len / PAGE
    }

    /// Where the byte is.
    ///
    /// # Panics
    ///
    /// If it lies behind the end.
    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len, "byte {offset} of {}", self.len);
        // SAFETY: inside the range.
        unsafe { self.start.add(offset) }
    }

    /// Reads a byte.
    #[must_use]
    pub fn get(&self, offset: usize) -> u8 {
        // SAFETY: the type's invariant.
        unsafe { self.at(offset).read_volatile() }
    }

    /// Writes a byte.
    pub fn set(&self, offset: usize, byte: u8) {
        // SAFETY: the type's invariant.
        unsafe { self.at(offset).write_volatile(byte) };
    }

    /// Writes the first byte of each page of these.
    pub fn touch(&self, pages: impl IntoIterator<Item = usize>, byte: u8) {
        pages.into_iter().for_each(|page| self.set(page * PAGE, byte));
    }

    /// Whether the first byte of each page of these is this.
    #[must_use]
    pub fn holds(&self, pages: impl IntoIterator<Item = usize>, byte: u8) -> bool {
        pages.into_iter().all(|page| self.get(page * PAGE) == byte)
    }

    /// Writes all bytes, each another way.
    pub fn fill(&self, seed: u8) {
        (0..self.len).for_each(|offset| self.set(offset, pattern(seed, offset)));
    }

    /// Whether all bytes are as [`fill`](Span::fill) left them.
    #[must_use]
    pub fn is_filled(&self, seed: u8) -> bool {
        (0..self.len).all(|offset| self.get(offset) == pattern(seed, offset))
    }

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        (0..self.len).all(|offset| self.get(offset) == 0)
    }

    /// Gives the pages back.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    ///
    /// # Safety
    ///
    /// It is a mapping, or a part of one.
    pub unsafe fn unmap(self) -> Result<(), Errno> {
        // SAFETY: nobody else has the value, and so the range.
        unsafe { memory::munmap(self.address(), self.len) }
    }
}

const fn pattern(seed: u8, offset: usize) -> u8 {
    seed ^ (offset as u8) ^ (offset >> 8) as u8
}
