use super::*;
use elf::abi::{PF_R, PF_W, PF_X};
use proptest::prelude::*;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// A program header: type, flags, offset in the file, address, bytes in the file, bytes in memory.
type Line = (u32, u32, u64, u64, u64, u64);

const RODATA: Line = (PT_LOAD, PF_R, 0, 0, 0x400, 0x400);
const TEXT: Line = (PT_LOAD, PF_R | PF_X, 0x400, 0x1400, 0x300, 0x300);
const DATA: Line = (PT_LOAD, PF_R | PF_W, 0x700, 0x2700, 0x100, 0x5000);

/// An ELF file of 0x800 bytes with these program headers, entered at 0x1410.
fn file(lines: &[Line]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..18].copy_from_slice(&ET_DYN.to_le_bytes());
    bytes[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
    bytes[20..24].copy_from_slice(&1_u32.to_le_bytes());
    bytes[24..32].copy_from_slice(&0x1410_u64.to_le_bytes());
    bytes[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
    bytes[52..54].copy_from_slice(&(HEADER as u16).to_le_bytes());
    bytes[54..56].copy_from_slice(&(PROGRAM_HEADER as u16).to_le_bytes());
    bytes[56..58].copy_from_slice(&(lines.len() as u16).to_le_bytes());
    for &(kind, flags, offset, address, in_file, in_memory) in lines {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        for word in [offset, address, address, in_file, in_memory, 0x1000] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    let written = bytes.len();
    bytes.extend((written..0x800).map(|at| at as u8));
    bytes
}

fn error(lines: &[Line]) -> ImageError {
    Image::parse(&file(lines)).expect_err("a bad image")
}

#[test]
fn c20_segments_come_with_bytes_permissions_and_room_for_bss() {
    let file = file(&[RODATA, (0x6474_e551, PF_R | PF_W | PF_X, 0, 0, 0, 0), TEXT, DATA]);
    let image = Image::parse(&file).unwrap();
    let (r, w, x) = (Permissions::READ, Permissions::WRITE, Permissions::EXECUTE);
    let segments: Vec<_> = image.segments().collect();
    assert_eq!(
        segments,
        [
            Segment { start: 0, end: 0x400, bytes: &file[..0x400], offset: 0, permissions: r },
            Segment {
                start: 0x1400,
                end: 0x1700,
                bytes: &file[0x400..0x700],
                offset: 0x400,
                permissions: r | x
            },
            Segment {
                start: 0x2700,
                end: 0x7700,
                bytes: &file[0x700..],
                offset: 0x700,
                permissions: r | w
            },
        ]
    );
    assert_eq!(
        (segments[2].pages(), image.span(), image.entry()),
        ((0x2000, 0x8000), 0x8000, 0x1410)
    );
    let headers = Headers { address: HEADER as u64, entry_size: PROGRAM_HEADER as u64, count: 4 };
    assert_eq!(image.headers(), Some(headers));
}

#[test]
fn each_mistake_of_a_segment_is_told_apart() {
    let with = |text| error(&[RODATA, text, DATA]);
    let (kind, flags, offset, address, len, size) = TEXT;
    assert_eq!(
        with((kind, PF_R | PF_W | PF_X, offset, address, len, size)),
        ImageError::WritableAndExecutable
    );
    assert_eq!(with((kind, PF_X, offset, address, len, size)), ImageError::NotReadable);
    assert_eq!(with((kind, flags, offset, address, len, len - 1)), ImageError::BadSegment);
    assert_eq!(with((kind, flags, offset, address, 0, 0)), ImageError::BadSegment);
    assert_eq!(with((kind, flags, 0x501, address, len, size)), ImageError::BadSegment);
    assert_eq!(with((kind, flags, u64::MAX, address, len, size)), ImageError::BadSegment);
    assert_eq!(with((kind, flags, offset, MAX_SPAN, len, size)), ImageError::BadSegment);
    assert_eq!(with((kind, flags, offset, u64::MAX, len, size)), ImageError::BadSegment);
    assert_eq!(with((PT_INTERP, flags, offset, address, len, size)), ImageError::NeedsInterpreter);
}

#[test]
fn segments_share_no_page_and_are_in_order() {
    let (kind, flags, offset, _, len, size) = TEXT;
    assert_eq!(error(&[RODATA, (kind, flags, offset, 0x400, len, size)]), ImageError::Overlap);
    assert_eq!(error(&[TEXT, RODATA]), ImageError::Overlap);
    let many: Vec<Line> = (0..=MAX_SEGMENTS as u64)
        .map(|n| (kind, flags, offset, (n << 12) + 0x400, len, size))
        .collect();
    assert_eq!(error(&many), ImageError::TooManySegments);
    assert!(Image::parse(&file(&many[..MAX_SEGMENTS])).is_ok());
}

#[test]
fn it_starts_in_what_may_be_executed() {
    assert_eq!(error(&[RODATA, DATA]), ImageError::BadEntry);
    assert_eq!(error(&[]), ImageError::BadEntry);
    let (kind, flags, offset, address, ..) = TEXT;
    assert_eq!(error(&[RODATA, (kind, flags, offset, address, 0x10, 0x10)]), ImageError::BadEntry);
    assert!(Image::parse(&file(&[RODATA, (kind, flags, offset, address, 0x11, 0x11)])).is_ok());
}

#[test]
fn what_is_for_others_is_refused() {
    let good = file(&[RODATA, TEXT, DATA]);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Image::parse(&bytes).expect_err("a bad image")
    };
    assert_eq!(changed(0, 0), ImageError::NotElf);
    assert_eq!(changed(4, 1), ImageError::NotElf);
    assert_eq!(changed(5, 2), ImageError::NotElf);
    assert_eq!(changed(18, 183), ImageError::NotElf);
    assert_eq!(changed(16, 2), ImageError::NotPositionIndependent);
    assert_eq!(changed(54, 57), ImageError::NotElf);
    assert_eq!(changed(38, 0xff), ImageError::NotElf);
}

#[test]
fn a_truncated_image_is_an_error_wherever_it_ends() {
    let good = file(&[RODATA, TEXT, DATA]);
    for len in 0..good.len() {
        assert!(Image::parse(&good[..len]).is_err(), "cut to {len} bytes");
    }
}

proptest! {
    /// Whatever is changed in it, an image is refused or keeps every promise of its type.
    #[test]
    fn a_mutated_image_is_refused_or_sound(changes in prop::collection::vec((0..400_usize, any::<u8>()), 1..8)) {
        let mut bytes = file(&[RODATA, TEXT, DATA]);
        for (at, to) in changes {
            bytes[at % (HEADER + 3 * PROGRAM_HEADER)] = to;
        }
        if let Ok(image) = Image::parse(&bytes) {
            let mut end = 0;
            for segment in image.segments() {
                prop_assert!(segment.pages().0 >= end && segment.start < segment.end);
                prop_assert!(segment.start + segment.bytes.len() as u64 <= segment.end);
                prop_assert!(!segment.permissions.contains(Permissions::WRITE | Permissions::EXECUTE));
                end = segment.pages().1;
            }
            prop_assert!(image.span() == end && end <= MAX_SPAN);
            prop_assert!(image.segments().any(|text| (text.start..text.end).contains(&image.entry())));
        }
    }
}
