//! From records to events: what the viewer replays.
//!
//! An event is a list of numbers, of which the first is the kind of the record, and texts are
//! numbers of strings. Addresses are signed, as the processor extends them, so that JavaScript's
//! numbers hold them exactly. A snapshot is one event. Return addresses have become a line of
//! source.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde::Serialize;
use story_record::{Kind, Record, Records};

use crate::Error;
use crate::symbols::{Place, Symbols};

/// What a line of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `[C12] …`
    Claim = 0,
    /// A sentence that tells what happens.
    Sentence = 1,
    /// Evidence.
    Evidence = 2,
    /// A check that held.
    Holds = 3,
    /// One that did not.
    Fails = 4,
    /// Anything else.
    Other = 5,
}

impl Class {
    /// Returns what a line is, and the line without its mark.
    pub fn of(line: &str) -> (Self, &str) {
        if line.starts_with("[C") && line.contains("] ") {
            (Self::Claim, line)
        } else if let Some(rest) = line.strip_prefix("    ok      ") {
            (Self::Holds, rest.trim_start())
        } else if let Some(rest) = line.strip_prefix("    FAILED  ") {
            (Self::Fails, rest.trim_start())
        } else if let Some(rest) = line.strip_prefix("    ") {
            (Self::Evidence, rest)
        } else if let Some(rest) = line.strip_prefix("  ") {
            (Self::Sentence, rest)
        } else {
            (Self::Other, line)
        }
    }
}

/// A line of text, and the event that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the event.
    pub event: usize,
    /// What it is.
    pub class: Class,
    /// The text without its mark.
    pub text: String,
}

/// The machine of a story.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// The kernel's space.
    pub kernel: i64,
    /// Frames.
    pub frames: i64,
    /// Those that were free when the story began.
    pub free: i64,
    /// Frame of zeros.
    pub zero: i64,
    /// Bytes of a page.
    pub page: i64,
}

/// What is replayed.
#[derive(Debug, Default, Serialize)]
pub struct Told {
    /// The machine.
    pub machine: Machine,
    /// What was run: empty for the tour.
    pub what: String,
    /// Texts.
    pub strings: Vec<String>,
    /// Lines of source files, by name.
    pub sources: BTreeMap<String, Vec<String>>,
    /// Events.
    pub events: Vec<Vec<i64>>,
    /// Lines of text.
    #[serde(skip)]
    pub lines: Vec<Line>,
    #[serde(skip)]
    numbers: HashMap<String, i64>,
    #[serde(skip)]
    files: BTreeSet<String>,
}

/// A process, as far as it takes to name its lines.
struct Program {
    name: String,
    space: u64,
    base: Option<u64>,
}

/// Memory in which a program keeps what it tells of itself: without a story it is not there.
#[derive(Clone, Copy)]
struct Room {
    space: u64,
    start: u64,
    end: u64,
}

/// The name of that memory.
const ROOM: &str = "[story]";

/// What is not complete yet.
#[derive(Default)]
struct Reading {
    programs: HashMap<u64, Program>,
    /// Of each process that tells of itself.
    rooms: HashMap<u64, Room>,
    snapshots: HashMap<u64, Snapshot>,
    line: String,
}

#[derive(Default)]
struct Snapshot {
    head: Vec<i64>,
    pages: Vec<i64>,
    tables: Vec<i64>,
}

impl Told {
    /// Reads a file of records, and adds what it tells.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not whole.
    pub fn read(&mut self, path: &Path, symbols: &mut Symbols) -> Result<(), Error> {
        let bytes = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let mut reading = Reading::default();
        let mut is_complete = false;
        for record in Records::new(&bytes) {
            let record = record.map_err(|error| Error::Records(path.to_owned(), error))?;
            is_complete = record.kind == Kind::End as u8;
            self.add(&record, &mut reading, symbols);
        }
        if is_complete { Ok(()) } else { Err(Error::Cut(path.to_owned())) }
    }

    fn add(&mut self, record: &Record<'_>, reading: &mut Reading, symbols: &mut Symbols) {
        let Some(kind) = Kind::from_number(record.kind) else { return };
        let numbers: Vec<u64> = record.numbers().collect();
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
        let mut event: Vec<i64> = vec![kind as i64];
        match kind {
            Kind::Begin => {
                let [_, kernel, frames, free, zero, page] =
                    [0, 1, 2, 3, 4, 5].map(|index| at(index).cast_signed());
                self.machine = Machine { kernel, frames, free, zero, page };
                record.text.clone_into(&mut self.what);
                return;
            }
            Kind::Text => {
                for letter in record.text.chars() {
                    if letter == '\n' {
                        self.end_line(&std::mem::take(&mut reading.line));
                    } else {
                        reading.line.push(letter);
                    }
                }
                return;
            }
            Kind::End => return,
            Kind::Room => {
                let Some(program) = reading.programs.get(&at(0)) else { return };
                let room = Room { space: program.space, start: at(1), end: at(1) + at(2) };
                reading.rooms.insert(at(0), room);
                self.name_room(room);
                return;
            }
            Kind::Process => {
                // A child begins with what its parent has.
                if let Some(&room) = reading.rooms.get(&at(1)) {
                    reading.rooms.insert(at(0), Room { space: at(2), ..room });
                }
                let program = Program { name: record.text.into(), space: at(2), base: None };
                reading.programs.insert(at(0), program);
                event.extend(signed(&numbers));
                event.push(self.string(record.text));
            }
            Kind::Areas => {
                reading.note_base(&numbers, record.text);
                event.extend(signed(&numbers[..numbers.len().min(3)]));
                let areas = numbers.get(3..).unwrap_or(&[]).chunks_exact(4);
                for (area, name) in areas.zip(record.text.lines()) {
                    event.extend(signed(area));
                    let mut rooms = reading.rooms.values();
                    let is_room = rooms.any(|room| room.is(at(0), area[0], area[1]));
                    event.push(self.string(if is_room { ROOM } else { name }));
                }
            }
            Kind::Fault => {
                event.extend(signed(&numbers));
                let mut rooms = reading.rooms.values();
                let is_in_room = rooms.any(|room| room.start <= at(0) && at(0) < room.end);
                event.push(self.string(if is_in_room { ROOM } else { record.text }));
            }
            Kind::Ended | Kind::Break | Kind::Returned => {
                event.extend(signed(&numbers));
                event.push(self.string(record.text));
            }
            Kind::Called | Kind::Trapped | Kind::HeapCall => {
                let fixed = match kind {
                    Kind::Called => 2,
                    Kind::Trapped => 3,
                    _ => 6,
                };
                let (fixed, callers) = numbers.split_at(fixed.min(numbers.len()));
                event.extend(signed(fixed));
                let place = match record.text.rsplit_once(':') {
                    Some((file, line)) => {
                        let line = line.parse().unwrap_or(0);
                        Some(Place { file: format!("kernel-demo/{file}"), line })
                    }
                    None => reading.place(at(0), callers, symbols),
                };
                event.extend(self.place(place));
            }
            Kind::Snapshot => {
                let snapshot = Snapshot { head: signed(&numbers).collect(), ..Snapshot::default() };
                reading.snapshots.insert(at(0), snapshot);
                return;
            }
            Kind::SnapshotPages | Kind::SnapshotTables => {
                if let Some(snapshot) = reading.snapshots.get_mut(&at(0)) {
                    let is_pages = kind == Kind::SnapshotPages;
                    let list = if is_pages { &mut snapshot.pages } else { &mut snapshot.tables };
                    list.extend(signed(&numbers[1..]));
                }
                return;
            }
            Kind::SnapshotEnd => {
                let Some(snapshot) = reading.snapshots.remove(&at(0)) else { return };
                let Snapshot { head, pages, tables } = snapshot;
                event = vec![Kind::Snapshot as i64];
                event.extend(head);
                event.push(pages.len() as i64);
                event.extend(pages);
                event.extend(tables);
            }
            Kind::Gone
            | Kind::Turn
            | Kind::FrameTaken
            | Kind::FrameReturned
            | Kind::Entry
            | Kind::Table
            | Kind::HeapDone
            | Kind::Cells => event.extend(signed(&numbers)),
        }
        self.events.push(event);
    }

    /// Names the room of a program in the last list of the areas of its space: it was mapped before
    /// it was told.
    fn name_room(&mut self, room: Room) {
        let name = self.string(ROOM);
        let space = room.space.cast_signed();
        let is_list = |event: &&mut Vec<i64>| event.starts_with(&[Kind::Areas as i64, space]);
        let Some(list) = self.events.iter_mut().rev().find(is_list) else { return };
        for area in list[4..].chunks_exact_mut(5) {
            if room.is(room.space, area[0].cast_unsigned(), area[1].cast_unsigned()) {
                area[4] = name;
            }
        }
    }

    /// Adds an event that is no record of this format.
    pub fn push(&mut self, kind: Kind, numbers: &[i64]) {
        self.events.push([&[kind as i64], numbers].concat());
    }

    /// Adds a line of text.
    pub fn end_line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let (class, text) = Class::of(line);
        let string = self.string(text);
        self.lines.push(Line { event: self.events.len(), class, text: text.to_owned() });
        self.events.push(vec![Kind::Text as i64, class as i64, string]);
    }

    /// The number of a string.
    pub fn string(&mut self, text: &str) -> i64 {
        let Self { strings, numbers, .. } = self;
        *numbers.entry(text.to_owned()).or_insert_with(|| {
            strings.push(text.to_owned());
            strings.len() as i64 - 1
        })
    }

    /// A place as two numbers: its file, and the line; -1 and 0 without one.
    fn place(&mut self, place: Option<Place>) -> [i64; 2] {
        let Some(Place { file, line }) = place else { return [-1, 0] };
        self.files.insert(file.clone());
        [self.string(&file), line.into()]
    }

    /// Reads the source files that are named, as far as they are there.
    pub fn read_sources(&mut self, project: &Path) {
        for file in &self.files {
            if let Ok(text) = fs::read_to_string(project.join(file)) {
                self.sources.insert(file.clone(), text.lines().map(str::to_owned).collect());
            }
        }
    }
}

impl Room {
    /// Whether it is this area.
    fn is(&self, space: u64, start: u64, end: u64) -> bool {
        (self.space, self.start, self.end) == (space, start, end)
    }
}

impl Reading {
    /// Notes where the image of a process lies.
    fn note_base(&mut self, numbers: &[u64], names: &str) {
        let space = numbers.first().copied().unwrap_or(0);
        let areas = numbers.get(3..).unwrap_or(&[]).chunks_exact(4);
        for (area, name) in areas.zip(names.lines()) {
            for program in self.programs.values_mut() {
                if program.space == space && program.name == name {
                    program.base.get_or_insert(area[0]);
                }
            }
        }
    }

    fn place(&self, pid: u64, callers: &[u64], symbols: &mut Symbols) -> Option<Place> {
        let program = self.programs.get(&pid)?;
        let base = program.base?;
        let offsets: Vec<u64> =
            callers.iter().filter_map(|caller| caller.checked_sub(base)).collect();
        symbols.place(&program.name, &offsets)
    }
}

fn signed(numbers: &[u64]) -> impl Iterator<Item = i64> {
    numbers.iter().map(|number| number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(records: &[(Kind, &[u64], &str)]) -> Told {
        let mut bytes = Vec::new();
        for (sequence, &(kind, numbers, text)) in (0..).zip(records) {
            story_record::encode(sequence, kind, numbers, text, &mut |part| {
                bytes.extend_from_slice(part);
            });
        }
        let mut told = Told::default();
        let mut reading = Reading::default();
        let mut symbols = Symbols::new(Path::new("/"), None);
        for record in Records::new(&bytes) {
            told.add(&record.unwrap(), &mut reading, &mut symbols);
        }
        told
    }

    #[test]
    fn the_storys_own_memory_has_a_name_of_its_own() {
        let areas = [7, 0, 0, 0x1000, 0x7000, 3, 0, 0x9000, 0xa000, 3, 0];
        let told = told(&[
            (Kind::Process, &[1, 0, 7], "a"),
            (Kind::Areas, &areas, "[mapping]\n[mapping]\n"),
            (Kind::Room, &[1, 0x1000, 0x6000], ""),
            (Kind::Fault, &[0x1000, 1], "[mapping]"),
            (Kind::Fault, &[0x9000, 1], "[mapping]"),
            (Kind::Areas, &areas, "[mapping]\n[mapping]\n"),
            (Kind::Process, &[2, 1, 8], "a"),
            (Kind::Areas, &[8, 0, 0, 0x1000, 0x7000, 3, 0], "[mapping]\n"),
        ]);
        let names = |event: usize, places: &[usize]| -> Vec<&str> {
            let name = |&at: &usize| told.strings[told.events[event][at] as usize].as_str();
            places.iter().map(name).collect()
        };
        assert_eq!(names(1, &[8, 13]), ["[story]", "[mapping]"], "before it was told");
        assert_eq!(names(2, &[3]), ["[story]"]);
        assert_eq!(names(3, &[3]), ["[mapping]"]);
        assert_eq!(names(4, &[8, 13]), ["[story]", "[mapping]"]);
        assert_eq!(names(6, &[8]), ["[story]"], "a child's");
    }

    #[test]
    fn text_is_joined_to_lines_that_know_what_they_are() {
        let told = told(&[
            (Kind::Text, &[], "\n[C2] A fresh "),
            (Kind::Text, &[], "heap\n  The break"),
            (Kind::Turn, &[1], ""),
            (Kind::Text, &[], " moves.\n    ok      cells: 1\n    a line\n"),
        ]);
        let lines: Vec<_> =
            told.lines.iter().map(|line| (line.event, line.class, line.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (0, Class::Claim, "[C2] A fresh heap"),
                (2, Class::Sentence, "The break moves."),
                (3, Class::Holds, "cells: 1"),
                (4, Class::Evidence, "a line"),
            ]
        );
        assert_eq!(told.events[1], [Kind::Turn as i64, 1]);
    }

    #[test]
    fn a_snapshot_is_one_event() {
        let told = told(&[
            (Kind::Snapshot, &[7, 0, 9, 1, 3, 50], ""),
            (Kind::SnapshotPages, &[7, 4096, 8192, 3, 1], ""),
            (Kind::Turn, &[1], ""),
            (Kind::SnapshotTables, &[7, 0, 1, 12288], ""),
            (Kind::SnapshotEnd, &[7], ""),
        ]);
        let kind = Kind::Snapshot as i64;
        assert_eq!(told.events[1], [kind, 7, 0, 9, 1, 3, 50, 4, 4096, 8192, 3, 1, 0, 1, 12288]);
    }

    #[test]
    fn addresses_are_signed_and_places_are_numbers_of_strings() {
        let place: &[u64] = &[0, 0xffff_9080_0000_0000, 0, 0, 100, 0];
        let told = told(&[(Kind::HeapCall, place, "src/tour/cells.rs:29")]);
        let expected = [Kind::HeapCall as i64, 0, -0x6f80_0000_0000, 0, 0, 100, 0, 0, 29];
        assert_eq!(told.events[0], expected);
        assert_eq!(told.strings, ["kernel-demo/src/tour/cells.rs"]);
    }
}
