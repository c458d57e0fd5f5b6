//! A program written as bytes, for a fuzzer to change and for files to keep. Every sequence of
//! bytes is one.
//!
//! ```text
//!   ┌───────┬─────┬────────┬─────┬─────┬──────
//!   │ shape │ op  │ place  │ len │ op  │ …
//!   └───────┴─────┴────────┴─────┴─────┴──────
//!    limits  low half: which one; high half: which process, and a detail
//! ```
//!
//! Places are mostly told by the areas that there are when the operation runs: at a border, or a
//! page or two beside it.

use crate::address_space::{AddressSpace, MIN_ADDRESS, MapFlags, USER_END};
use crate::words::layout::PAGE_SIZE;
use crate::words::{Access, Permissions};

/// Pages that places are chosen among: all that the layout of the programs uses, and some above.
const PAGES: u64 = 800;

/// An address, told when the operation runs.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Exactly there.
    At(u64),
    /// A border of an area (each has two), and so many bytes beside it.
    Border(usize, i64),
    /// The break, and so many bytes beside it.
    Break(i64),
}

impl Place {
    pub fn resolve(self, space: &AddressSpace) -> u64 {
        match self {
            Self::At(address) => address,
            Self::Border(index, by) => {
                let borders = space.vmas().iter().flat_map(|vma| [vma.start, vma.end]);
                let border = borders.clone().nth(index % (2 * space.vmas().len()).max(1));
                border.unwrap_or(MIN_ADDRESS).wrapping_add_signed(by)
            }
            Self::Break(by) => space.current_brk().wrapping_add_signed(by),
        }
    }
}

/// What a program does.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Brk { to: Place },
    Mmap { hint: Place, len: u64, permissions: Permissions, flags: MapFlags, object: Option<u32> },
    Munmap { start: Place, len: u64 },
    Mprotect { start: Place, len: u64, permissions: Permissions },
    Touch { at: Place, access: Access, value: u8 },
    Fork,
    Exit,
}

/// What processes may have, and what they do.
#[derive(Clone, Debug)]
pub struct Program {
    /// Pages that may be promised, if the account is strict.
    pub strict: Option<u64>,
    /// Areas a process may have.
    pub areas: usize,
    /// Bytes of data a process may have.
    pub data: u64,
    /// Each with the number of the process that does it.
    pub ops: Vec<(usize, Op)>,
}

impl Program {
    pub fn decode(bytes: &[u8]) -> Self {
        let mut bytes = Bytes(bytes);
        let shape = bytes.one();
        Self {
            strict: (shape & 1 != 0).then_some(150),
            areas: if shape & 2 != 0 { 10 } else { 200 },
            data: if shape & 4 != 0 { 60 * PAGE_SIZE + 100 } else { u64::MAX },
            ops: core::iter::from_fn(|| bytes.op()).collect(),
        }
    }
}

/// Bytes that have not been read yet; behind the last one, zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn one(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn op(&mut self) -> Option<(usize, Op)> {
        if self.0.is_empty() {
            return None;
        }
        let first = self.one();
        let (kind, process, detail) = (first & 0xF, usize::from(first >> 4 & 3), first >> 6);
        let op = match kind {
            0 | 1 => Op::Brk { to: self.place() },
            2 | 3 => {
                let how = self.one();
                let flags = map_flags(detail, how >> 4);
                let object = flags.contains(MapFlags::SHARED).then_some(u32::from(how >> 6));
                Op::Mmap {
                    hint: self.place(),
                    len: self.len(),
                    permissions: permissions(how),
                    flags,
                    object,
                }
            }
            4 | 5 => Op::Munmap { start: self.place(), len: self.len() },
            6 | 7 => {
                let how = self.one();
                Op::Mprotect { start: self.place(), len: self.len(), permissions: permissions(how) }
            }
            // Seeds keep their meaning: these numbers had three arguments once.
            8 | 9 => {
                let (start, _, len) = (self.place(), self.len(), self.len());
                Op::Munmap { start, len }
            }
            10..=13 => {
                let access = [Access::Write, Access::Read, Access::Write, Access::Execute]
                    [usize::from(detail)];
                Op::Touch { at: self.place(), access, value: self.one() }
            }
            14 => Op::Fork,
            _ => Op::Exit,
        };
        Some((process, op))
    }

    fn place(&mut self) -> Place {
        let (first, second) = (self.one(), self.one());
        let low = first & 0x1F;
        let beside =
            (i64::from(low & 7) - 3) * PAGE_SIZE as i64 + if low >> 3 == 3 { 8 } else { 0 };
        match first >> 5 {
            0 | 1 => Place::At(u64::from(low) << 8 | u64::from(second)).in_pages(),
            2..=5 => Place::Border(second.into(), beside),
            6 => Place::Break(beside + i64::from(second)),
            _ => {
                let special = [
                    0,
                    PAGE_SIZE,
                    MIN_ADDRESS,
                    USER_END - PAGE_SIZE,
                    USER_END,
                    1 << 46,
                    1 << 63,
                    0u64.wrapping_sub(PAGE_SIZE),
                ];
                Place::At(special[usize::from(second % 8)].wrapping_add_signed(beside))
            }
        }
    }

    /// A length in bytes: mostly a few pages, sometimes more than there can be. Nothing between:
    /// the naive model keeps every page.
    fn len(&mut self) -> u64 {
        match u64::from(self.one()) {
            short @ 0..64 => short * PAGE_SIZE,
            short @ 64..128 => (short - 64) * PAGE_SIZE / 4 + 1,
            single @ 128..192 => (single % 4 + 1) * PAGE_SIZE,
            long @ 192..240 => (long - 192) * 16 * PAGE_SIZE,
            huge => [u64::MAX, 1 << 63, USER_END, USER_END - MIN_ADDRESS + 1][huge as usize % 4],
        }
    }
}

impl Place {
    fn in_pages(self) -> Self {
        match self {
            Self::At(number) => Self::At(number % PAGES * PAGE_SIZE),
            other => other,
        }
    }
}

/// Mostly readable and writable; sometimes what is not allowed.
fn permissions(bits: u8) -> Permissions {
    let (read, write, execute) = (Permissions::READ, Permissions::WRITE, Permissions::EXECUTE);
    match bits & 0xF {
        0 => Permissions::empty(),
        1..=3 => read,
        4 => execute,
        5 => read | execute,
        6 => Permissions::all(),
        7 => write,
        _ => read | write,
    }
}

/// Mostly a private mapping or a shared one; sometimes what makes no sense.
fn map_flags(how: u8, detail: u8) -> MapFlags {
    let kind = match detail & 3 {
        0 => MapFlags::SHARED,
        _ => MapFlags::PRIVATE,
    };
    let place = match how {
        0 | 1 => MapFlags::empty(),
        2 => MapFlags::FIXED,
        _ => MapFlags::FIXED_NOREPLACE,
    };
    match detail {
        15 => place | MapFlags::ANONYMOUS,
        14 => place | kind,
        13 => place | MapFlags::SHARED | MapFlags::PRIVATE | MapFlags::ANONYMOUS,
        _ => place | kind | MapFlags::ANONYMOUS,
    }
}
