//! The kernel's own program headers: which parts of its image may be written, and which executed.
//!
//! The linker puts the ELF header and the program headers at the start of the first segment, so the
//! running kernel finds them in its own memory.

use elf::abi::{EI_NIDENT, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{FileHeader, parse_ident};
use elf::segment::SegmentTable;

use crate::address_space::{AreaKind, Vma};
use crate::words::Permissions;
use crate::words::layout::{page_ceil, page_floor};

/// Bytes of the file header.
const HEADER: usize = 64;

/// The areas of the loaded segments that the ELF image starting with these bytes describes, in the
/// order of the file. Nothing comes out if they are not a 64-bit ELF image, or end within the
/// program headers.
pub fn areas(image: &[u8]) -> impl Iterator<Item = Vma> + '_ {
    let headers = headers(image).into_iter().flatten();
    headers.filter(|header| header.p_type == PT_LOAD).filter_map(|header| {
        let (start, end) = (header.p_vaddr, header.p_vaddr.checked_add(header.p_memsz)?);
        let permissions = Permissions::of_segment(header.p_flags);
        let area = Vma::private(page_floor(start), page_ceil(end), permissions, AreaKind::Fixed);
        let name = match permissions {
            _ if permissions.contains(Permissions::EXECUTE) => "kernel text",
            _ if permissions.contains(Permissions::WRITE) => "kernel data and bss",
            _ => "kernel rodata",
        };
        Some(Vma { name, ..area })
    })
}

/// The program headers. What else the file has is not in memory, so it is not looked at.
fn headers(image: &[u8]) -> Option<SegmentTable<'_, LittleEndian>> {
    let tail = image.get(EI_NIDENT..HEADER)?;
    let header = FileHeader::<LittleEndian>::parse_tail(parse_ident(image).ok()?, tail).ok()?;
    let start = usize::try_from(header.e_phoff).ok()?;
    let len = usize::from(header.e_phentsize) * usize::from(header.e_phnum);
    let table = image.get(start..start.checked_add(len)?)?;
    Some(SegmentTable::new(header.endianness, header.class, table))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF image with these program headers: type, flags, address, size in memory.
    fn image(headers: &[(u32, u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        // The section headers are in the file only.
        bytes[40..48].copy_from_slice(&0x10_0000_u64.to_le_bytes());
        bytes[58..62].copy_from_slice(&[64, 0, 20, 0]);
        bytes[6] = 1;
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
        for &(kind, flags, start, size) in headers {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[4..8].copy_from_slice(&flags.to_le_bytes());
            header[16..24].copy_from_slice(&start.to_le_bytes());
            header[40..48].copy_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn loaded_segments_come_with_their_permissions() {
        let base = 0xffff_ffff_8000_0000;
        let image = image(&[
            (1, 4, base, 0x800),
            (1, 5, base + 0x1800, 0x2000),
            (0x6474_e551, 6, 0, 0),
            (1, 6, base + 0x5000, 1),
        ]);
        let (read, write, execute) = (Permissions::READ, Permissions::WRITE, Permissions::EXECUTE);
        let found: Vec<_> = areas(&image)
            .map(|area| (area.start - base, area.end - base, area.permissions, area.name))
            .collect();
        assert_eq!(
            found,
            [
                (0, 0x1000, read, "kernel rodata"),
                (0x1000, 0x4000, read | execute, "kernel text"),
                (0x5000, 0x6000, read | write, "kernel data and bss"),
            ]
        );
    }

    #[test]
    fn what_is_no_image_or_ends_early_gives_nothing() {
        assert_eq!(areas(b"").count(), 0);
        assert_eq!(areas(&[0; 200]).count(), 0);
        let two = image(&[(1, 4, 0, 1), (1, 4, 4096, 1)]);
        assert_eq!(areas(&two).count(), 2);
        assert_eq!(areas(&two[..two.len() - 1]).count(), 0);
        assert_eq!(areas(&two[..64]).count(), 0);
        let mut far = two.clone();
        far[32..40].fill(0xff);
        assert_eq!(areas(&far).count(), 0);
    }
}
