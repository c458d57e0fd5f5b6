//! The trace: what the memory manager did lately, in a fixed ring.
//!
//! ```text
//!    sequence  event   what
//!          12  break   scratch 1 0xffff908000000000 -> 0xffff908000004000 (+16384)
//!          13  fault   write 0xffff908000000010 in scratch 1
//!          14  frame+  0x345000 table
//!          15  frame+  0x346000 page
//!          16  map     0xffff908000000000 -> 0x346000
//!          17  unmap   0xffff908000000000 -> 0x346000
//!          18  frame-  0x346000 page
//! ```
//!
//! Every event has a number, counted from 0 at boot, and one line of text, the same on every run
//! that does the same. Tests assert on the lines, the tour prints them, tools read them: the form
//! is an interface. When the ring is full the oldest event is overwritten, and the count of those
//! lost is kept. Recording is constant time and allocates nothing.

use core::fmt;

use super::Kind;
use crate::words::Access;

/// Events the ring holds.
pub const CAPACITY: usize = 512;

/// What a frame is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Memory behind a page.
    Page,
    /// A page table.
    Table,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::Table => "table",
        })
    }
}

/// Something that happened to memory. Addresses are virtual for pages and breaks, physical for
/// frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A break moved.
    Break {
        /// Name of its region.
        region: &'static str,
        /// Where it stood.
        old: u64,
        /// Where it stands.
        new: u64,
    },
    /// A page fault that is about to be served.
    Fault {
        /// Name of the area.
        region: &'static str,
        /// What the instruction did.
        access: Access,
        /// The address it touched.
        address: u64,
    },
    /// A frame left the page allocator.
    FrameTaken {
        /// Its physical address.
        frame: u64,
        /// What for.
        purpose: Purpose,
    },
    /// A frame went back to the page allocator.
    FrameReturned {
        /// Its physical address.
        frame: u64,
        /// What it was used for.
        purpose: Purpose,
    },
    /// A page was mapped to a frame.
    Map {
        /// Address of the page.
        page: u64,
        /// Address of the frame.
        frame: u64,
    },
    /// A page is no longer mapped.
    Unmap {
        /// Address of the page.
        page: u64,
        /// Address of the frame it was mapped to.
        frame: u64,
    },
}

impl Event {
    /// Sends it as a record. What is mapped, page tables tell themselves.
    #[cold]
    fn tell(&self) {
        let (kind, numbers, region) = match *self {
            Self::Break { region, old, new } => (Kind::Break, [old, new], region),
            Self::Fault { region, access, address } => {
                (Kind::Fault, [address, access as u64], region)
            }
            Self::FrameTaken { frame, purpose } => (Kind::FrameTaken, [frame, purpose as u64], ""),
            Self::FrameReturned { frame, purpose } => {
                (Kind::FrameReturned, [frame, purpose as u64], "")
            }
            Self::Map { .. } | Self::Unmap { .. } => return,
        };
        super::record(kind, &numbers, region);
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Break { region, old, new } => {
                let by = new.wrapping_sub(old).cast_signed();
                write!(f, "break   {region} {old:#x} -> {new:#x} ({by:+})")
            }
            Self::Fault { region, access, address } => {
                write!(f, "fault   {access} {address:#x} in {region}")
            }
            Self::FrameTaken { frame, purpose } => write!(f, "frame+  {frame:#x} {purpose}"),
            Self::FrameReturned { frame, purpose } => write!(f, "frame-  {frame:#x} {purpose}"),
            Self::Map { page, frame } => write!(f, "map     {page:#x} -> {frame:#x}"),
            Self::Unmap { page, frame } => write!(f, "unmap   {page:#x} -> {frame:#x}"),
        }
    }
}

/// An event and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Events recorded before this one since boot.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}  {}", self.sequence, self.event)
    }
}

/// The ring of events.
///
/// # Invariants
///
/// Event `n` is in slot `n % CAPACITY` until event `n + CAPACITY` overwrites it.
pub struct Trace {
    ring: [Option<Event>; CAPACITY],
    next: u64,
}

impl Trace {
    /// An empty trace.
    pub const EMPTY: Self = Self { ring: [None; CAPACITY], next: 0 };

    /// Records an event.
    pub fn record(&mut self, event: Event) {
        self.ring[self.next as usize % CAPACITY] = Some(event);
        self.next += 1;
    }

    /// Records an event, and tells it, if a story is told.
    pub fn tell(&mut self, event: Event) {
        if super::is_on() {
            event.tell();
        }
        self.record(event);
    }

    /// The number the next event will have. Keep it, and ask [`since`](Self::since) later.
    pub const fn mark(&self) -> u64 {
        self.next
    }

    /// Events overwritten since boot.
    pub const fn overwritten(&self) -> u64 {
        self.next.saturating_sub(CAPACITY as u64)
    }

    /// The events from number `mark` on that are still in the ring, oldest first.
    pub fn since(&self, mark: u64) -> impl Iterator<Item = Numbered> + '_ {
        (mark.max(self.overwritten())..self.next).filter_map(|sequence| {
            Some(Numbered { sequence, event: self.ring[sequence as usize % CAPACITY]? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_stable_line() {
        let mut trace = Trace::EMPTY;
        let (page, frame) = (0xffff_9080_0000_0000, 0x34_6000);
        trace.record(Event::Break { region: "scratch 1", old: page, new: page + 0x4000 });
        trace.record(Event::Fault {
            region: "scratch 1",
            access: Access::Write,
            address: page + 0x10,
        });
        trace.record(Event::FrameTaken { frame: 0x34_5000, purpose: Purpose::Table });
        trace.record(Event::FrameTaken { frame, purpose: Purpose::Page });
        trace.record(Event::Map { page, frame });
        trace.record(Event::Unmap { page, frame });
        trace.record(Event::FrameReturned { frame, purpose: Purpose::Page });
        trace.record(Event::Break { region: "scratch 1", old: page + 0x4000, new: page + 1 });
        let lines: Vec<String> = trace.since(0).map(|entry| entry.to_string()).collect();
        assert_eq!(
            lines,
            [
                "       0  break   scratch 1 0xffff908000000000 -> 0xffff908000004000 (+16384)",
                "       1  fault   write 0xffff908000000010 in scratch 1",
                "       2  frame+  0x345000 table",
                "       3  frame+  0x346000 page",
                "       4  map     0xffff908000000000 -> 0x346000",
                "       5  unmap   0xffff908000000000 -> 0x346000",
                "       6  frame-  0x346000 page",
                "       7  break   scratch 1 0xffff908000004000 -> 0xffff908000000001 (-16383)",
            ]
        );
    }

    #[test]
    fn a_full_ring_loses_the_oldest_and_counts_them() {
        let mut trace = Trace::EMPTY;
        let event = |n: u64| Event::FrameTaken { frame: n, purpose: Purpose::Table };
        for n in 0..CAPACITY as u64 + 10 {
            assert_eq!(trace.mark(), n);
            trace.record(event(n));
        }
        assert_eq!(trace.overwritten(), 10);
        assert_eq!(trace.since(0).count(), CAPACITY);
        assert_eq!(trace.since(0).next(), Some(Numbered { sequence: 10, event: event(10) }));
        assert_eq!(trace.since(520).map(|entry| entry.sequence).collect::<Vec<_>>(), [520, 521]);
        assert_eq!(trace.since(trace.mark()).count(), 0);
    }
}
