//! The lessons of docs/COURSE.md that a shell can give: text, and commands that it types itself.

use runtime::println;

/// A lesson.
#[derive(Debug)]
pub struct Lesson {
    /// Its number in the course.
    pub number: usize,
    /// What it is about.
    pub title: &'static str,
    /// The claims that it shows.
    pub claims: &'static str,
    /// What is said, and the command that is typed then.
    pub steps: &'static [(&'static str, &'static str)],
    /// A question that the output answers.
    pub question: &'static str,
}

/// All lessons.
const LESSONS: &[Lesson] = &[
    Lesson {
        number: 1,
        title: "Cells and the free list",
        claims: "C1 to C5",
        steps: &[
            ("A program allocates six blocks and frees every other one.", "cells stay &"),
            ("Its heap: a cell for each block, with a header in front.", "heap %"),
            ("It is ended, and all of it is gone.", "kill %"),
        ],
        question: "Which cell does the next `malloc(20000)` get?",
    },
    Lesson {
        number: 4,
        title: "The break, and who else moves it",
        claims: "C8, C11, C14",
        steps: &[
            ("From now on, system calls and page faults are written down.", "trace on"),
            ("The documents' heap moves its break up and, in the end, down.", "simple"),
            ("That is enough.", "trace off"),
            ("A library moves the break of the same process, unasked.", "foreign"),
        ],
        question: "After which `free` does the break come down, and why not after the one before?",
    },
    Lesson {
        number: 5,
        title: "Below the break: pages on first touch",
        claims: "C12, C13",
        steps: &[
            ("Frames before.", "frames"),
            ("A process reserves 5 MiB and touches 32 pages of it.", "lazy 5"),
            ("Another one stays: its break, and what is behind it.", "cells stay &"),
            ("Rss is what was touched of each area.", "smaps %"),
            ("The way from an address to a frame, level by level.", "pt % heap"),
            ("It gives all frames back.", "kill %"),
            ("Frames after.", "frames"),
        ],
        question: "How many frames does a process take that reserves 1 GiB and touches one byte?",
    },
    Lesson {
        number: 6,
        title: "Processes: own memory, shared memory",
        claims: "C16, C19",
        steps: &[
            ("A child costs a copy of the pages that are written, and no others.", "fork"),
            ("Two processes have the same address, and different memory behind it.", "twins"),
            ("One touches what is not its own.", "segv null"),
            ("Nobody else has noticed.", "ps"),
        ],
        question: "Which pages of a shell are still shared with its child a second after `fork`?",
    },
    Lesson {
        number: 7,
        title: "The layout; stacks",
        claims: "C20, C21, C24",
        steps: &[
            ("A process shows its own map, before `malloc`, after it, after `free`.", "maps-story"),
            ("Two processes of one program.", "cells stay &"),
            ("The first one.", "maps %"),
            ("The second one: nothing is where it was.", "cells stay &"),
            ("Compare the addresses.", "maps %"),
            ("Both are ended.", "kill %"),
            ("The other one, too.", "kill %"),
        ],
        question: "Where does the heap end, and what is above it?",
    },
    Lesson {
        number: 9,
        title: "Buckets, bins, mappings",
        claims: "C9, C15",
        steps: &[(
            "A small block above a large one pins the break; a mapping goes back.",
            "pinned",
        )],
        question: "Which requests should have a mapping of their own?",
    },
];

/// The lesson of this number.
pub fn find(number: usize) -> Option<&'static Lesson> {
    LESSONS.iter().find(|lesson| lesson.number == number)
}

/// Lists the lessons.
pub fn list() {
    for Lesson { number, title, claims, .. } in LESSONS {
        println!("  lesson {number:<2} {title} ({claims})");
    }
}
