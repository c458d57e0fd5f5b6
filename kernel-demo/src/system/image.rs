//! A program's image: an ELF file, read and checked before anything of it is mapped.
//!
//! ```text
//!   file       │ headers, rodata │ text │ relro, data │ …
//!                │                 │      │
//!   memory     ┌─▼──────┐        ┌─▼────┐┌▼─────┬─────┐
//!     base ──► │ r--    │        │ r-x  ││ rw-  │ bss │      whole pages; no page belongs to two segments
//!              └────────┘        └──────┘└──────┴─────┘      none is writable and executable (C20)
//! ```
//!
//! The image must be position independent (`ET_DYN`) and need no interpreter: it starts at its
//! entry point and relocates itself. Addresses here count from wherever the image will lie. Bytes
//! of a segment that the file does not have read as zero.

use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_DYN, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader};
use elf::parse::ParseError;
use elf::segment::ProgramHeader;

use crate::address_space::Errno;
use crate::memory::Permissions;
use crate::memory::layout::{page_ceil, page_floor};

/// Segments that an image may have.
pub const MAX_SEGMENTS: usize = 8;

/// Bytes that an image may cover in memory.
pub const MAX_SPAN: u64 = 1 << 30;

/// A part of an image that is loaded into memory.
///
/// # Invariants
///
/// `start + bytes.len() ≤ end ≤` [`MAX_SPAN`], and `start < end`. Never writable and executable at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'image> {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What it holds at first, up to where zeroes follow.
    pub bytes: &'image [u8],
    /// Where in the file that is.
    pub offset: u64,
    /// What may be done with it.
    pub permissions: Permissions,
}

impl Segment<'_> {
    /// The pages that it occupies: start of the first, end of the last.
    pub const fn pages(&self) -> (u64, u64) {
        (page_floor(self.start), page_ceil(self.end))
    }
}

/// The table of program headers, as the program will find it in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Its address.
    pub address: u64,
    /// Bytes of an entry.
    pub entry_size: u64,
    /// Entries.
    pub count: u64,
}

impl Headers {
    /// The same, of an image that lies at `base`.
    pub const fn at(self, base: u64) -> Self {
        Self { address: base + self.address, ..self }
    }
}

/// Why an image is not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It is no ELF file for this machine, or ends early.
    NotElf,
    /// It is bound to fixed addresses, or is no program.
    NotPositionIndependent,
    /// It wants to be started by another program.
    NeedsInterpreter,
    /// A segment may be written to and executed.
    WritableAndExecutable,
    /// A segment may not be read.
    NotReadable,
    /// A segment has more bytes in the file than in memory, none in memory, or reaches beyond the
    /// file or [`MAX_SPAN`].
    BadSegment,
    /// A segment begins in a page of the one before, or below it.
    Overlap,
    /// More segments than [`MAX_SEGMENTS`].
    TooManySegments,
    /// The entry point lies in no segment that may be executed.
    BadEntry,
}

impl From<ImageError> for Errno {
    fn from(_: ImageError) -> Self {
        Self::ENOEXEC
    }
}

impl From<ParseError> for ImageError {
    fn from(_: ParseError) -> Self {
        Self::NotElf
    }
}

/// A program's image.
///
/// # Invariants
///
/// [`MAX_SEGMENTS`] segments at most are loaded. They are sorted by address, and no page belongs to
/// two. The entry point lies in one that is executable.
#[derive(Debug)]
pub struct Image<'image> {
    elf: ElfBytes<'image, LittleEndian>,
    span: u64,
}

impl<'image> Image<'image> {
    /// Reads an ELF file. Linear in its program headers.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(file: &'image [u8]) -> Result<Self, ImageError> {
        let elf = ElfBytes::minimal_parse(file)?;
        let header = &elf.ehdr;
        if header.class != Class::ELF64 || header.e_machine != EM_X86_64 {
            return Err(ImageError::NotElf);
        }
        if header.e_type != ET_DYN {
            return Err(ImageError::NotPositionIndependent);
        }
        let table = elf.segments().ok_or(ImageError::NotElf)?;
        if table.iter().any(|header| header.p_type == PT_INTERP) {
            return Err(ImageError::NeedsInterpreter);
        }
        let (mut span, mut can_start) = (0, false);
        for (at, segment) in segments(&elf).enumerate() {
            let Segment { start, end, permissions, .. } = segment?;
            if page_floor(start) < span {
                return Err(ImageError::Overlap);
            }
            if at == MAX_SEGMENTS {
                return Err(ImageError::TooManySegments);
            }
            span = page_ceil(end);
            can_start |= permissions.contains(Permissions::EXECUTE)
                && (start..end).contains(&header.e_entry);
        }
        if can_start { Ok(Self { elf, span }) } else { Err(ImageError::BadEntry) }
    }

    /// What is loaded into memory, from low to high.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'image>> {
        segments(&self.elf).flatten()
    }

    /// Bytes from the image's base to the end of its last page.
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// Where the program starts.
    pub const fn entry(&self) -> u64 {
        self.elf.ehdr.e_entry
    }

    /// Where the program finds its own program headers, if they are loaded.
    pub fn headers(&self) -> Option<Headers> {
        let FileHeader { e_phoff, e_phentsize, e_phnum, .. } = self.elf.ehdr;
        let holds = |segment: &Segment<'_>| {
            (segment.offset..segment.offset + segment.bytes.len() as u64).contains(&e_phoff)
        };
        let segment = self.segments().find(holds)?;
        Some(Headers {
            address: segment.start + (e_phoff - segment.offset),
            entry_size: e_phentsize.into(),
            count: e_phnum.into(),
        })
    }
}

/// What the program headers say is to be loaded.
fn segments<'image>(
    elf: &ElfBytes<'image, LittleEndian>,
) -> impl Iterator<Item = Result<Segment<'image>, ImageError>> {
    let headers = elf.segments().into_iter().flatten();
    headers.filter(|header| header.p_type == PT_LOAD).map(move |header| segment(elf, &header))
}

/// What a program header says is to be loaded.
fn segment<'image>(
    elf: &ElfBytes<'image, LittleEndian>,
    header: &ProgramHeader,
) -> Result<Segment<'image>, ImageError> {
    let permissions = Permissions::of_segment(header.p_flags);
    if permissions.write_code() {
        return Err(ImageError::WritableAndExecutable);
    }
    if !permissions.contains(Permissions::READ) {
        return Err(ImageError::NotReadable);
    }
    let end = header
        .p_vaddr
        .checked_add(header.p_memsz)
        .filter(|end| *end <= MAX_SPAN)
        .ok_or(ImageError::BadSegment)?;
    if header.p_memsz == 0 || header.p_filesz > header.p_memsz {
        return Err(ImageError::BadSegment);
    }
    let bytes = elf.segment_data(header).map_err(|_| ImageError::BadSegment)?;
    Ok(Segment { start: header.p_vaddr, end, bytes, offset: header.p_offset, permissions })
}

#[cfg(test)]
mod tests;
