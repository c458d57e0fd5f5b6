//! What is measured, the least that it can take, and the most that it may.

/// Something to measure.
pub(super) struct Operation {
    /// Its name, for people.
    pub(super) what: &'static str,
    /// Which lines of the kernel make up the figure: what they say is added up, and divided.
    pub(super) figure: fn(&Lines<'_>) -> Option<f64>,
    /// The least that a correct path needs, by what it has to do: the sum of [`step`]s.
    pub(super) least: u64,
    /// What it may take at most: a test holds it to that.
    pub(super) most: u64,
}

/// What the steps of a path take at least, in instructions; from the code, leaving out all that is
/// not needed on this path.
mod step {
    /// Into the kernel and back: 16 registers out and in again, instruction pointer, flags and
    /// stack, two loads of CR3, the kernel's own registers, the instructions that change rings;
    /// a jump by the vector, and by the number of a call.
    pub const STOP: u64 = 80;
    /// The program's side of a call: the number, `syscall`, a look at the result.
    pub const CALL: u64 = 5;
    /// Finding an area among eight, by halves.
    pub const FIND_AREA: u64 = 20;
    /// The checks of `brk` and the change of its fields: limits, account, the area's end, sums.
    pub const MOVE_BREAK: u64 = 30;
    /// Down the four levels of page tables.
    pub const WALK: u64 = 20;
    /// Taking a frame from a list or putting it back, and counting it.
    pub const FRAME: u64 = 15;
    /// Writing an entry, flushing it, counting the page.
    pub const ENTRY: u64 = 8;
    /// What a fault means, when its area is known.
    pub const DECIDE: u64 = 15;
    /// Zeroing a page, eight bytes at a time with one instruction that repeats.
    pub const ZERO: u64 = 512;
    /// Copying one likewise.
    pub const COPY: u64 = 512;
    /// Finding room for an area, entering it, taking it out again.
    pub const AREA: u64 = 60;
    /// Putting one process at the end of the line, and taking the first.
    pub const SWITCH: u64 = 20;
    /// A store, the CPU's number, an exchange, and a look at what it found.
    pub const LOCK: u64 = 6;
    /// Asking a CPU: whether it is meant, a number, three accesses to the local APIC, a look at the
    /// answer.
    pub const ASK: u64 = 15;
    /// Into the kernel from itself and back: 15 registers out and in again, a jump by the vector.
    pub const INTERRUPT: u64 = 45;
    /// Answering: the number, CR3, and the end of the interrupt.
    pub const ANSWER: u64 = 10;

    pub const FAULT: u64 = STOP + FIND_AREA + DECIDE + WALK + FRAME + ENTRY;
    /// A page that is touched and unmapped again.
    pub const PAGE: u64 = FAULT + ZERO + ENTRY + FRAME;
    /// Three calls and two switches; 150 pages shared and let go of again, under eight tables that
    /// are zeroed first; three pages that are written to by both, so that each is copied for
    /// one and left to the other.
    pub const FORK: u64 = 3 * (STOP + CALL)
        + 2 * SWITCH
        + 150 * (2 * ENTRY + FRAME)
        + 8 * (ZERO + 2 * FRAME)
        + 3 * (2 * FAULT + COPY);
    /// `mmap` and `munmap` of a range, without its pages.
    pub const RANGE: u64 = 2 * (STOP + CALL + FIND_AREA) + AREA + WALK;
}

/// All that is measured.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        what: "null system call",
        figure: |lines| lines.cost("null-call"),
        least: step::STOP + step::CALL,
        most: 215,
    },
    Operation {
        what: "brk up by a page",
        figure: |lines| lines.cost("brk-up"),
        least: step::STOP + step::CALL + step::FIND_AREA + step::MOVE_BREAK,
        most: 680,
    },
    Operation {
        what: "brk down by a page that nobody touched",
        figure: |lines| lines.cost("brk-down"),
        least: step::STOP + step::CALL + step::FIND_AREA + step::MOVE_BREAK + step::WALK,
        most: 970,
    },
    Operation {
        what: "demand-zero fault, without the zeroing",
        figure: |lines| Some(lines.cost("fault-write")? - lines.plain("zero-a-page")?),
        least: step::FAULT,
        most: 730,
    },
    Operation {
        what: "demand-zero fault",
        figure: |lines| lines.cost("fault-write"),
        least: step::FAULT + step::ZERO,
        most: 1310,
    },
    Operation {
        what: "fault of a read: the zero page",
        figure: |lines| lines.cost("fault-read"),
        least: step::FAULT - step::FRAME,
        most: 600,
    },
    Operation {
        what: "fault of a write after it",
        figure: |lines| lines.cost("fault-write-after-read"),
        least: step::FAULT + step::ZERO,
        most: 1325,
    },
    Operation {
        what: "copy-on-write fault",
        figure: |lines| lines.cost("fault-copy-on-write"),
        least: step::FAULT + step::COPY,
        most: 1340,
    },
    Operation {
        what: "mmap, touch, munmap of a page",
        figure: |lines| lines.cost("map-touch-unmap-4k"),
        least: step::RANGE + step::PAGE,
        most: 3950,
    },
    Operation {
        what: "mmap, touch, munmap of 1 MiB",
        figure: |lines| lines.cost("map-touch-unmap-1m"),
        least: step::RANGE + 256 * step::PAGE,
        most: 390_000,
    },
    Operation {
        what: "context switch, by a call that yields",
        figure: |lines| Some(lines.cost("yield-to-another-and-back")? / 2.0),
        least: step::STOP + step::CALL + step::SWITCH,
        most: 480,
    },
    Operation {
        what: "fork, exit and wait, of 150 pages",
        figure: |lines| lines.cost("fork-exit-wait"),
        least: step::FORK,
        most: 53_500,
    },
    // Neither is the sum of steps: the bound is what is promised, and a path that pauses more often
    // would only take longer.
    Operation {
        what: "longest stretch with interrupts off, under load",
        figure: |lines| lines.highest("interrupts-off"),
        least: 25_000,
        most: 50_000,
    },
    // Of each CPU what it executes, without what it waits.
    Operation {
        what: "the kernel's lock, given up and taken again",
        figure: |lines| lines.plain("lock"),
        least: step::LOCK,
        most: 40,
    },
    Operation {
        what: "shoot-down of a page, to ask 1 other CPU",
        figure: |lines| lines.plain("shoot-down-1"),
        least: step::ASK,
        most: 180,
    },
    Operation {
        what: "shoot-down of a page, to ask 3 others",
        figure: |lines| lines.plain("shoot-down-3"),
        least: 3 * step::ASK,
        most: 250,
    },
    Operation {
        what: "shoot-down of a page, to ask 7 others",
        figure: |lines| lines.plain("shoot-down-7"),
        least: 7 * step::ASK,
        most: 390,
    },
    Operation {
        what: "an interrupt of another CPU, to answer it",
        figure: |lines| lines.plain("request"),
        least: step::INTERRUPT + step::ANSWER,
        most: 90,
    },
    Operation {
        what: "fault on a page that another CPU has mapped",
        figure: |lines| Some(lines.plain("interrupt")? + lines.plain("fault-mapped")?),
        least: step::INTERRUPT + step::FIND_AREA + step::WALK,
        most: 420,
    },
];

/// What the kernel wrote.
pub(super) struct Lines<'a>(pub(super) &'a str);

impl Lines<'_> {
    /// The figure of that name, without what measuring takes.
    fn cost(&self, name: &str) -> Option<f64> {
        Some(self.plain(name)? - self.plain("nothing")?)
    }

    /// The figure of that name as it is.
    fn plain(&self, name: &str) -> Option<f64> {
        self.all(name).next()
    }

    /// The highest figure of that name.
    fn highest(&self, name: &str) -> Option<f64> {
        self.all(name).reduce(f64::max)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = f64> {
        self.0.lines().filter_map(move |line| {
            line.strip_prefix("cost ")?.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok()
        })
    }
}
