//! The compact form of a trace.
//!
//! ```text
//!   deflate( "brktrace" 1 | number of operations | operation, operation, … )
//!
//!   operation:  act + 8 · log2(alignment)      one byte
//!               allocate                       size
//!               reallocate                     age, size
//!               free                           age
//! ```
//!
//! Numbers are in LEB128. A block's *age* is how many blocks were allocated after it: small for
//! most that are freed, so that it takes one byte and compresses well. Slots are not stored: the
//! reader gives a new block the slot that was freed last.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{Act, Error, Op, Trace};

/// The largest alignment: a page.
pub const MAX_ALIGN_LOG2: u8 = 12;

const MAGIC: &[u8; 9] = b"brktrace\x01";

/// Decompresses and checks a trace.
pub fn read(bytes: &[u8]) -> Result<Trace, Error> {
    let mut from = BufReader::new(DeflateDecoder::new(bytes));
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(Error::NotATrace);
    }
    let count = read_number(&mut from)? as usize;
    let mut reader = Reader::default();
    for _ in 0..count {
        reader.op(&mut from)?;
    }
    Trace::new(reader.ops, reader.slots as usize)
}

/// Compresses a trace.
pub fn write(trace: &Trace, to: impl Write) -> io::Result<()> {
    let mut to = DeflateEncoder::new(to, Compression::best());
    to.write_all(MAGIC)?;
    write_number(&mut to, trace.ops.len() as u64)?;
    let mut allocated = 0;
    // The number of the block in each slot, counted from the first that was allocated.
    let mut number = vec![0; trace.slots];
    for op in &trace.ops {
        let slot = op.slot as usize;
        let act = match op.act {
            Act::Allocate => 0,
            Act::AllocateZeroed => 1,
            Act::Free => 2,
            Act::Reallocate => 3,
            Act::Replace => unreachable!("a trace is made of what C has, which has no such act"),
        };
        to.write_all(&[act | op.align_log2 << 3])?;
        if matches!(op.act, Act::Free | Act::Reallocate) {
            write_number(&mut to, allocated - number[slot])?;
        } else {
            allocated += 1;
            number[slot] = allocated;
        }
        if op.act != Act::Free {
            write_number(&mut to, u64::from(op.size))?;
        }
    }
    to.finish()?;
    Ok(())
}

/// Gives blocks their slots while operations are read.
#[derive(Default)]
struct Reader {
    ops: Vec<Op>,
    /// The slot of each block, in the order of allocation.
    slot_of: Vec<u32>,
    free_slots: Vec<u32>,
    slots: u32,
}

impl Reader {
    fn op(&mut self, from: &mut impl BufRead) -> Result<(), Error> {
        let mut tag = [0];
        from.read_exact(&mut tag)?;
        let act = match tag[0] & 7 {
            0 => Act::Allocate,
            1 => Act::AllocateZeroed,
            2 => Act::Free,
            3 => Act::Reallocate,
            _ => return Err(self.invalid("an unknown act")),
        };
        let slot = if matches!(act, Act::Free | Act::Reallocate) {
            let age = read_number(from)? as usize;
            let block = self
                .slot_of
                .len()
                .checked_sub(age + 1)
                .ok_or_else(|| self.invalid("a block that was never made"))?;
            self.slot_of[block]
        } else {
            let slot = self.free_slots.pop().unwrap_or(self.slots);
            self.slots = self.slots.max(slot + 1);
            self.slot_of.push(slot);
            slot
        };
        let size = if act == Act::Free { 0 } else { read_number(from)? };
        let size = u32::try_from(size).map_err(|_| self.invalid("a block of 4 GiB or more"))?;
        if act == Act::Free {
            self.free_slots.push(slot);
        }
        self.ops.push(Op { act, align_log2: tag[0] >> 3, slot, size });
        Ok(())
    }

    fn invalid(&self, what: &'static str) -> Error {
        Error::Invalid { index: self.ops.len(), what }
    }
}

fn write_number(to: &mut impl Write, mut number: u64) -> io::Result<()> {
    while number >= 0x80 {
        to.write_all(&[number as u8 | 0x80])?;
        number >>= 7;
    }
    to.write_all(&[number as u8])
}

fn read_number(from: &mut impl Read) -> Result<u64, Error> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        number |= u64::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            return Ok(number);
        }
    }
    Err(Error::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Trace {
        let op = |act, slot, size| Op { act, align_log2: 4, slot, size };
        let ops = vec![
            op(Act::Allocate, 0, 300),
            Op { align_log2: 12, ..op(Act::AllocateZeroed, 1, 70_000) },
            op(Act::Free, 0, 0),
            op(Act::Allocate, 0, 1),
            op(Act::Reallocate, 1, 20),
            op(Act::Free, 1, 0),
            op(Act::Free, 0, 0),
        ];
        Trace::new(ops, 2).unwrap()
    }

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        sample().write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(read(&written()).unwrap(), sample());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let bytes = written();
        assert!(read(&bytes[..bytes.len() / 2]).is_err());
        let deflated = |bytes: &[u8]| {
            let mut to = DeflateEncoder::new(Vec::new(), Compression::fast());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        };
        assert!(matches!(read(&deflated(b"brktrace\x02")), Err(Error::NotATrace)));
        assert!(matches!(read(&deflated(b"brktrace\x01\x01")), Err(Error::Truncated)));
        assert!(matches!(read(&deflated(b"brktrace\x01\x01\x42\x05")), Err(Error::Invalid { .. })));
    }

    #[test]
    fn numbers_of_any_length() {
        for number in [0, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number).unwrap();
            assert_eq!(read_number(&mut &bytes[..]).unwrap(), number);
        }
    }
}
