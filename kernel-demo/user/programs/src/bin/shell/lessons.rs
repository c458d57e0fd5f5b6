//! The lessons of docs/COURSE.md: text, and commands that the shell types itself.

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

/// All lessons, by number.
const LESSONS: &[Lesson] = &[
    Lesson {
        number: 1,
        title: "Cells and the free list",
        claims: "C1 to C5",
        steps: &[
            ("A program allocates six blocks and frees every other one.", "cells stay &"),
            (
                "Its heap: a cell for each block, with a header in front, and one for their list.",
                "heap %",
            ),
            ("It is ended, and all of it is gone.", "kill %"),
        ],
        question: "Which cell does the next `malloc(20000)` get?",
    },
    Lesson {
        number: 2,
        title: "First fit, by hand",
        claims: "C3 to C5",
        steps: &[
            ("The six blocks of lesson 1; then a `malloc(20000)`.", "cells fit stay &"),
            ("The free cell that was long enough is split in two.", "heap %"),
            ("It is ended.", "kill %"),
            (
                "The documents' allocator in C shows its list of cells after each step.",
                "textbook stay &",
            ),
            ("Its heap in the end, read from outside: sizes with headers.", "heap %"),
            ("It is ended.", "kill %"),
        ],
        question: "Ten cells are free, and the last one fits exactly. Which one does first fit take?",
    },
    Lesson {
        number: 3,
        title: "Fragmentation, coalescing, `realloc`",
        claims: "C6, C7",
        steps: &[
            ("Three blocks of six are freed, no two of them neighbours.", "cells stay &"),
            ("Much is free, in pieces.", "heap %"),
            ("It is ended.", "kill %"),
            ("Three neighbours are freed.", "cells joined stay &"),
            ("They are one cell, as long as all of them together.", "heap %"),
            ("It is ended.", "kill %"),
            ("A block grows twice: once nothing is behind it, once a block is.", "cells grow"),
        ],
        question: "Every other block of a full heap is freed: which is the largest request that fits?",
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
        claims: "C12, C13, C22, C23",
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
            ("Two processes have one heap in a mapping that they share.", "shared"),
            ("One touches what is not its own.", "segv null"),
            ("Nobody else has noticed.", "ps"),
        ],
        question: "Which pages of a shell are still shared with its child a second after `fork`?",
    },
    Lesson {
        number: 7,
        title: "The layout; stacks",
        claims: "C18, C20, C21, C24",
        steps: &[
            ("From low to high: text, data, bss, heap, mappings, stack.", "layout"),
            ("A process shows its own map, before `malloc`, after it, after `free`.", "maps-story"),
            ("Two processes of one program.", "cells stay &"),
            ("The first one.", "maps %"),
            ("The second one: nothing is where it was.", "cells stay &"),
            ("Compare the addresses.", "maps %"),
            ("Both are ended.", "kill %"),
            ("The other one, too.", "kill %"),
            ("A stack grows by itself, up to its limit.", "segv recursion"),
            ("What every program could touch when there was no paging.", "realmode"),
        ],
        question: "Where does the heap end, and what is above it?",
    },
    Lesson {
        number: 8,
        title: "Frames",
        claims: "C22",
        steps: &[
            ("Free blocks of frames, each twice as long as those of the order below.", "frames"),
            ("A process writes to every second page of 64.", "touch 64 2"),
            (
                "One byte of each page is read: the pages share a frame of zeros.",
                "pressure tables 1",
            ),
            ("A process stays.", "cells stay &"),
            ("VmRSS is its pages in frames, VmPTE its page tables.", "status %"),
            ("It gives them back.", "kill %"),
            ("Freed blocks have found their other halves again.", "frames"),
        ],
        question: "`touch` wrote to 32 pages and took more frames than that: what are the others for?",
    },
    Lesson {
        number: 9,
        title: "Buckets, bins, mappings",
        claims: "C9, C10, C15, C29",
        steps: &[
            ("Blocks of nine sizes, and what serves each of them.", "strategies"),
            ("A small block above a large one pins the break; a mapping goes back.", "pinned"),
            ("A long random life: blocks of all sizes come, change and go.", "churn 2000"),
        ],
        question: "Which requests should have a mapping of their own?",
    },
    Lesson {
        number: 10,
        title: "Threads",
        claims: "C25, C26, C27",
        steps: &[
            ("Four threads, one heap, one lock: how often does one of them wait?", "one-lock"),
            ("An arena for each thread: the map grows, and no lock is taken.", "thread-arenas"),
            ("What another thread frees goes back to where it came from.", "passed-on"),
        ],
        question: "With an arena for each thread, what do two threads still share?",
    },
    Lesson {
        number: 11,
        title: "Real programs",
        claims: "C17, C28",
        steps: &[
            ("From now on, system calls and page faults are written down.", "trace on"),
            ("A program in C, the same file that runs on Linux: its calls.", "words brk malloc"),
            ("That is enough.", "trace off"),
            ("Another one brings a `malloc` of its own, and nobody minds.", "textbook"),
        ],
        question: "`words` called `malloc` four times, and the break moved once: how can that be?",
    },
    Lesson {
        number: 12,
        title: "What can go wrong",
        claims: "C8, C12, C14, C16, C19",
        steps: &[
            ("Memory is touched that the break has given back.", "segv after-shrink"),
            ("The break moves up as promised; one page too many is touched.", "hungry 1000"),
            ("A library takes memory of the heap away, and the heap notices.", "foreign"),
            ("A ledger refuses to free a block twice, and what is no block.", "shared"),
            ("A program registers a heap that is none.", "liar size stay &"),
            ("Whoever looks at it believes nothing.", "heap %"),
            ("It is ended.", "kill %"),
            ("All others are as they were.", "ps"),
        ],
        question: "Which of these mistakes does a heap notice that has nothing but its headers?",
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
