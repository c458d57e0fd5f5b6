//! A Linux program that `libbrkmalloc.so` served, from its record of calls: blocks, the break, and
//! mappings. Of frames a program knows nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use story_record::Kind;

use crate::Error;
use crate::telling::Told;

/// A record of `BRKALLOC_TRACE`: four words.
type Record = [u64; 4];

/// Acts of a record.
mod act {
    pub const FREE: u64 = 2;
    pub const REALLOCATE: u64 = 3;
    pub const MEMORY: u64 = 4;
}

/// The number of the process, which no process of the kernel has.
const PID: i64 = 100_000;

/// Its space, and its heap.
const SPACE: i64 = -1;
const HEAP: i64 = 0;

const PAGE: u64 = 4096;

/// Permissions: read and write.
const READ_WRITE: i64 = 3;

/// What is known of the process.
#[derive(Default)]
struct Process {
    /// Where the break began, and where it stands.
    heap: Option<(u64, u64)>,
    /// Mapped blocks: their pages.
    mapped: BTreeMap<u64, u64>,
}

/// Figures of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls.
    pub calls: usize,
    /// Calls that got a block.
    pub blocks: usize,
}

/// Adds the process of a file of records, by the name of its program.
///
/// # Errors
///
/// The file cannot be read, or ends inside of a record.
pub fn read(told: &mut Told, path: &Path, name: &str) -> Result<Figures, Error> {
    let bytes = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let (records, rest) = bytes.as_chunks::<32>();
    if records.is_empty() || !rest.is_empty() {
        return Err(Error::Cut(path.to_owned()));
    }
    let records = records.iter().map(|record| {
        let (words, _) = record.as_chunks::<8>();
        std::array::from_fn(|word| u64::from_ne_bytes(words[word]))
    });
    Ok(add(told, records, name))
}

fn add(told: &mut Told, records: impl Iterator<Item = Record>, name: &str) -> Figures {
    let string = told.string(name);
    told.push(Kind::Process, &[PID, 0, SPACE, string]);
    let mut process = Process::default();
    let mut figures = Figures::default();
    for [act, size, block, old] in records {
        let (act, [signed_size, block_at, old_at]) =
            (act & 0xff, [size, block, old].map(u64::cast_signed));
        if act == act::MEMORY {
            let begun = process.heap.map_or(size, |(start, _)| start.min(size));
            process.heap = Some((begun, size));
            process.tell(told);
            continue;
        }
        figures.calls += 1;
        let call = match act {
            act::FREE => [PID, HEAP, 2, block_at, 0, 0],
            act::REALLOCATE if old != 0 => [PID, HEAP, 3, old_at, 0, signed_size],
            act => [PID, HEAP, i64::from(act == 1), 0, signed_size, 0],
        };
        told.push(Kind::HeapCall, &[&call[..], &[-1, 0]].concat());
        let result = if act == act::FREE { 0 } else { block_at };
        figures.blocks += usize::from(result != 0);
        let before = (process.heap, process.mapped.clone());
        let goes = if act == act::FREE { block } else { old };
        process.mapped.remove(&goes);
        if result != 0 {
            process.note(block, size);
        }
        if before != (process.heap, process.mapped.clone()) {
            process.tell(told);
        }
        told.push(Kind::HeapDone, &[PID, HEAP, result]);
    }
    let ending = told.string("exited");
    told.push(Kind::Ended, &[PID, 0, 0, ending]);
    figures
}

impl Process {
    /// A block that lies outside of the break's memory has a mapping; one below it shows where that
    /// began.
    fn note(&mut self, block: u64, size: u64) {
        /// The break's memory is not farther below it.
        const NEAR: u64 = 1 << 40;
        let Some((start, end)) = &mut self.heap else { return };
        if block < *end && *end - block < NEAR {
            *start = (*start).min(block / PAGE * PAGE);
        } else {
            self.mapped.insert(block, size);
        }
    }

    fn tell(&self, told: &mut Told) {
        let (start, end) = self.heap.unwrap_or_default();
        let mut areas = Vec::new();
        let mut area = |told: &mut Told, start: u64, end: u64, name: &str| {
            let name = told.string(name);
            areas.extend([start.cast_signed(), end.cast_signed(), READ_WRITE, 0, name]);
        };
        if end > start {
            area(told, start, end.next_multiple_of(PAGE), "[heap]");
        }
        for (&block, &size) in &self.mapped {
            let end = (block + size.max(1)).next_multiple_of(PAGE);
            area(told, block / PAGE * PAGE, end, "[mapping]");
        }
        told.push(Kind::Areas, &[&[SPACE, end.cast_signed(), 0], &areas[..]].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_calls_become_events() {
        let mut told = Told::default();
        let records: [Record; 6] = [
            [4, 0x21000, 0, 0],
            [0, 100, 0x10010, 0],
            [1, 1 << 20, 0x7f00_0000_1010, 0],
            [3, 200, 0x10100, 0x10010],
            [2, 0, 0x7f00_0000_1010, 0],
            [0, 8, 0, 0],
        ];
        let figures = add(&mut told, records.into_iter(), "ls");
        assert_eq!(figures, Figures { calls: 5, blocks: 3 });
        let of = |kind: Kind| -> Vec<&[i64]> {
            told.events
                .iter()
                .filter(|event| event[0] == kind as i64)
                .map(|event| &event[1..])
                .collect()
        };
        assert_eq!(of(Kind::HeapCall)[2], [PID, HEAP, 3, 0x10010, 0, 200, -1, 0]);
        assert_eq!(of(Kind::HeapDone)[4], [PID, HEAP, 0]);
        let areas = of(Kind::Areas);
        assert_eq!(areas[0].len(), 3, "nothing is known to lie below the break");
        assert_eq!(areas[1][3..5], [0x10000, 0x21000]);
        assert_eq!(areas[2][8..10], [0x7f00_0000_1000, 0x7f00_0010_2000]);
        assert_eq!(areas[3].len(), 8, "the mapping is gone");
    }
}
