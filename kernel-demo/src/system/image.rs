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

use core::fmt;

use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_DYN, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
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

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotElf => "not an x86-64 ELF file",
            Self::NotPositionIndependent => "not position independent",
            Self::NeedsInterpreter => "needs an interpreter",
            Self::WritableAndExecutable => "a segment is writable and executable",
            Self::NotReadable => "a segment is not readable",
            Self::BadSegment => "a segment makes no sense",
            Self::Overlap => "segments share a page or are not in order",
            Self::TooManySegments => "too many segments",
            Self::BadEntry => "the entry point is not in an executable segment",
        })
    }
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
/// The first `count` segments are used, sorted by address; no page belongs to two. `entry` lies in
/// one that is executable.
#[derive(Clone, Debug)]
pub struct Image<'image> {
    segments: [Segment<'image>; MAX_SEGMENTS],
    count: usize,
    entry: u64,
    headers: Option<Headers>,
}

impl<'image> Image<'image> {
    /// Reads an ELF file. Linear in its program headers.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(file: &'image [u8]) -> Result<Self, ImageError> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file)?;
        let header = &elf.ehdr;
        if header.class != elf::file::Class::ELF64 || header.e_machine != EM_X86_64 {
            return Err(ImageError::NotElf);
        }
        if header.e_type != ET_DYN {
            return Err(ImageError::NotPositionIndependent);
        }
        let nothing =
            Segment { start: 0, end: 0, bytes: &[], offset: 0, permissions: Permissions::empty() };
        let mut image = Self {
            segments: [nothing; MAX_SEGMENTS],
            count: 0,
            entry: header.e_entry,
            headers: None,
        };
        let table = elf.segments().ok_or(ImageError::NotElf)?;
        for program_header in table {
            match program_header.p_type {
                PT_INTERP => return Err(ImageError::NeedsInterpreter),
                PT_LOAD => image.push(segment(&elf, &program_header)?)?,
                _ => {}
            }
            let offset = header.e_phoff.wrapping_sub(program_header.p_offset);
            if program_header.p_type == PT_LOAD
                && header.e_phoff >= program_header.p_offset
                && offset < program_header.p_filesz
            {
                image.headers = Some(Headers {
                    address: program_header.p_vaddr + offset,
                    entry_size: header.e_phentsize.into(),
                    count: table.len() as u64,
                });
            }
        }
        let can_start = |segment: &Segment<'_>| {
            segment.permissions.contains(Permissions::EXECUTE)
                && (segment.start..segment.end).contains(&image.entry)
        };
        if !image.segments().iter().any(can_start) {
            return Err(ImageError::BadEntry);
        }
        Ok(image)
    }

    /// What is loaded into memory, from low to high.
    pub fn segments(&self) -> &[Segment<'image>] {
        &self.segments[..self.count]
    }

    /// Bytes from the image's base to the end of its last page.
    pub fn span(&self) -> u64 {
        self.segments().last().map_or(0, |last| last.pages().1)
    }

    /// Where the program starts.
    pub const fn entry(&self) -> u64 {
        self.entry
    }

    /// Where the program finds its own program headers, if they are loaded.
    pub const fn headers(&self) -> Option<Headers> {
        self.headers
    }

    fn push(&mut self, segment: Segment<'image>) -> Result<(), ImageError> {
        if segment.pages().0 < self.span() {
            return Err(ImageError::Overlap);
        }
        *self.segments.get_mut(self.count).ok_or(ImageError::TooManySegments)? = segment;
        self.count += 1;
        Ok(())
    }
}

/// What a program header says is to be loaded.
fn segment<'image>(
    elf: &ElfBytes<'image, LittleEndian>,
    header: &ProgramHeader,
) -> Result<Segment<'image>, ImageError> {
    let permissions = Permissions::of_segment(header.p_flags);
    if permissions.contains(Permissions::WRITE | Permissions::EXECUTE) {
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
