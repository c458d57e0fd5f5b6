//! The kernel's own program headers: which parts of its image may be written, and which executed.
//!
//! The linker puts the ELF header and the program headers at the start of the first segment, so the
//! running kernel finds them in its own memory. Parsing is safe code over a byte slice.

use super::space::Permissions;

/// Bytes of the ELF file header.
const HEADER: usize = 64;
/// Segment type of what is loaded into memory.
const PT_LOAD: u32 = 1;

/// A part of the image that is loaded into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What the linker says may be done with it.
    pub permissions: Permissions,
}

impl Segment {
    /// What the segment is called in the list of regions.
    pub const fn name(&self) -> &'static str {
        if self.permissions.contains(Permissions::EXECUTE) {
            "kernel text"
        } else if self.permissions.contains(Permissions::WRITE) {
            "kernel data and bss"
        } else {
            "kernel rodata"
        }
    }
}

/// The loaded segments that the ELF image starting with these bytes describes, in the order of the
/// file. Stops at the end of the bytes; nothing comes out if they are not a 64-bit little-endian
/// ELF image.
pub fn segments(image: &[u8]) -> impl Iterator<Item = Segment> + '_ {
    let is_elf64 = image.starts_with(b"\x7fELF\x02\x01");
    let table =
        if is_elf64 { field::<8>(image, 32).map_or(0, u64::from_le_bytes) as usize } else { 0 };
    let size = field::<2>(image, 54).map_or(0, u16::from_le_bytes);
    let count = field::<2>(image, 56).map_or(0, u16::from_le_bytes);
    let headers = if table >= HEADER && size > 0 { image.get(table..).unwrap_or(&[]) } else { &[] };
    headers.chunks_exact(usize::from(size).max(1)).take(count.into()).filter_map(segment)
}

fn segment(header: &[u8]) -> Option<Segment> {
    if u32::from_le_bytes(field(header, 0)?) != PT_LOAD {
        return None;
    }
    let flags = u32::from_le_bytes(field(header, 4)?);
    let start = u64::from_le_bytes(field(header, 16)?);
    let end = start.checked_add(u64::from_le_bytes(field(header, 40)?))?;
    let mut permissions = Permissions::empty();
    permissions.set(Permissions::EXECUTE, flags & 1 != 0);
    permissions.set(Permissions::WRITE, flags & 2 != 0);
    permissions.set(Permissions::READ, flags & 4 != 0);
    Some(Segment { start, end, permissions })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF image with these program headers: type, flags, address, size in memory.
    fn image(headers: &[(u32, u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
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
        let found: Vec<Segment> = segments(&image).collect();
        assert_eq!(
            found,
            [
                Segment { start: base, end: base + 0x800, permissions: read },
                Segment { start: base + 0x1800, end: base + 0x3800, permissions: read | execute },
                Segment { start: base + 0x5000, end: base + 0x5001, permissions: read | write },
            ]
        );
        let names: Vec<&str> = found.iter().map(Segment::name).collect();
        assert_eq!(names, ["kernel rodata", "kernel text", "kernel data and bss"]);
    }

    #[test]
    fn what_is_no_image_or_ends_early_gives_what_is_there() {
        assert_eq!(segments(b"").count(), 0);
        assert_eq!(segments(&[0; 200]).count(), 0);
        let two = image(&[(1, 4, 0, 1), (1, 4, 4096, 1)]);
        assert_eq!(segments(&two).count(), 2);
        assert_eq!(segments(&two[..two.len() - 1]).count(), 1);
        assert_eq!(segments(&two[..HEADER]).count(), 0);
        let mut far = two.clone();
        far[32..40].fill(0xff);
        assert_eq!(segments(&far).count(), 0);
    }
}
