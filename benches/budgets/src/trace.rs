//! The beginnings of stored traces; `benches/src/trace/format.rs` describes the format.

use std::alloc::Layout;
use std::io::{BufReader, Read};

use flate2::read::DeflateDecoder;

/// How a trace begins.
const MAGIC: &[u8; 9] = b"brktrace\x01";

/// What a program did. Blocks have the numbers in which they were allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Allocates, zeroed or not.
    Allocate { layout: Layout, zeroed: bool },
    /// Frees.
    Free { block: usize },
    /// Changes the size.
    Reallocate { block: usize, size: usize },
}

/// The first `count` operations of a trace.
///
/// # Errors
///
/// The trace is damaged.
pub fn beginning(trace: &[u8], count: usize) -> Result<Vec<Op>, String> {
    let mut from = BufReader::new(DeflateDecoder::new(trace));
    read(&mut from, count).ok_or_else(|| "a trace is damaged".into())
}

fn read(from: &mut impl Read, count: usize) -> Option<Vec<Op>> {
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).ok()?;
    (magic == *MAGIC).then_some(())?;
    let count = count.min(number(from)?);
    let (mut ops, mut blocks) = (Vec::with_capacity(count), 0_usize);
    for _ in 0..count {
        let tag = byte(from)?;
        ops.push(match tag & 7 {
            act @ (0 | 1) => {
                blocks += 1;
                let layout = Layout::from_size_align(number(from)?, 1 << (tag >> 3)).ok()?;
                Op::Allocate { layout, zeroed: act == 1 }
            }
            2 => Op::Free { block: blocks.checked_sub(number(from)? + 1)? },
            3 => Op::Reallocate {
                block: blocks.checked_sub(number(from)? + 1)?,
                size: number(from)?,
            },
            _ => return None,
        });
    }
    Some(ops)
}

fn byte(from: &mut impl Read) -> Option<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

/// A number in LEB128.
fn number(from: &mut impl Read) -> Option<usize> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(from)?;
        number |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_name_blocks_by_their_number() {
        let bytes = [&MAGIC[..], &[4, 3 << 3, 100, 1, 7, 2, 1, 3, 0, 0xAC, 2]].concat();
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let ops = read(&mut &bytes[..], 9).unwrap();
        let expected = [
            Op::Allocate { layout: layout(100, 8), zeroed: false },
            Op::Allocate { layout: layout(7, 1), zeroed: true },
            Op::Free { block: 0 },
            Op::Reallocate { block: 1, size: 300 },
        ];
        assert_eq!(ops, expected);
        assert_eq!(read(&mut &bytes[..], 2).unwrap(), expected[..2]);
        assert_eq!(read(&mut &bytes[..12], 9), None);
    }
}
