//! Watching the memory manager while a step is at work.

use core::fmt;

use crate::evidence::Evidence;
use crate::memory::with;
use crate::story::trace::Event;

/// A point in time: what had happened until then.
#[derive(Clone, Copy)]
pub struct Watch {
    mark: u64,
    used: usize,
}

impl Watch {
    /// From now on.
    pub fn start() -> Self {
        with(|memory| Self { mark: memory.trace().mark(), used: memory.counts().used() })
    }

    /// Frames taken since, less those returned.
    pub fn frames(&self) -> isize {
        with(|memory| memory.counts().used()).cast_signed() - self.used.cast_signed()
    }

    /// How often a break moved since.
    pub fn moves(&self) -> usize {
        self.count(|event| matches!(event, Event::Break { .. }))
    }

    /// Page faults since.
    pub fn faults(&self) -> usize {
        self.count(|event| matches!(event, Event::Fault { .. }))
    }

    /// All that was written down since.
    pub fn events(&self) -> usize {
        self.count(|_| true)
    }

    fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        with(|memory| {
            memory.trace().since(self.mark).filter(|entry| is_meant(&entry.event)).count()
        })
    }

    /// Prints the trace since, but at most `most` lines of it.
    pub fn print(&self, evidence: &mut Evidence<'_>, most: usize) {
        with(|memory| {
            let trace = memory.trace();
            for entry in trace.since(self.mark).take(most) {
                evidence.show(format_args!("{entry}"));
            }
            let lines = trace.since(self.mark).count();
            if lines > most {
                evidence.show(format_args!("          … and {} more", lines - most));
            }
        });
    }
}

/// A number of bytes, as people say it.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match UNITS.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}
