//! The table of contents: the claims in order, each with the steps that show it.

use super::{
    arenas, breaks, buckets, cells, compare, edge, guarded, host, machine, processes, programs,
    threads,
};
use crate::evidence::{Chapter, Claim, Evidence, Shown, Step};

/// All claims that this kernel shows, by chapter.
pub const CHAPTERS: [Chapter; 4] = [
    Chapter { title: "The heap", claims: HEAP },
    Chapter { title: "The break, and mappings", claims: BREAK },
    Chapter { title: "The operating system", claims: SYSTEM },
    Chapter { title: "Threads, and real programs", claims: THREADS },
];

const fn step(name: &'static str, show: fn(&mut Evidence<'_>) -> Shown) -> Step {
    Step { name, show }
}

const HEAP: &[Claim] = &[
    Claim {
        number: "C1",
        text: "A cell is a header and a payload; payloads are 16-byte aligned",
        shown_by: "cells of 1, 24 and 100 bytes",
        steps: &[step("claims::c1_header_and_payload", cells::header_and_payload)],
    },
    Claim {
        number: "C2",
        text: "A fresh heap is one free cell that covers all of it",
        shown_by: "the cells of a heap that asked for 16 KiB",
        steps: &[step("claims::c2_one_free_cell", cells::one_free_cell)],
    },
    Claim {
        number: "C3",
        text: "malloc splits the requested size off a free cell; the rest is a new free cell",
        shown_by: "the cells before and after a malloc",
        steps: &[step("claims::c3_splitting", cells::splitting)],
    },
    Claim {
        number: "C4",
        text: "malloc searches freed memory first, and only then asks the system",
        shown_by: "two mallocs, and what the break did",
        steps: &[step("claims::c4_searching_first", cells::searching_first)],
    },
    Claim {
        number: "C5",
        text: "free puts the cell on a free list; the next malloc that fits gets it back",
        shown_by: "a block freed and allocated again",
        steps: &[step("claims::c5_coming_back", cells::coming_back)],
    },
    Claim {
        number: "C6",
        text: "Heaps fragment; adjacent free cells are coalesced",
        shown_by: "every other block freed, then the rest",
        steps: &[step("claims::c6_coalescing", cells::coalescing)],
    },
    Claim {
        number: "C7",
        text: "calloc checks and zeroes; realloc keeps the block, or moves and copies",
        shown_by: "dirty memory, and a block with a wall behind it",
        steps: &[step("claims::c7_calloc_and_realloc", cells::calloc_and_realloc)],
    },
    Claim {
        number: "C8",
        text: "Freeing the cell that ends at the break gives the memory back",
        shown_by: "1 MiB allocated, touched and freed",
        steps: &[step("claims::c8_giving_back", edge::giving_back)],
    },
    Claim {
        number: "C9",
        text: "Buckets are zones of equal cells; a request is rounded up to the next bucket",
        shown_by: "slabs of 64 bytes, and a block above the last bucket",
        steps: &[step("claims::c9_buckets", buckets::buckets)],
    },
    Claim {
        number: "C10",
        text: "No design is the best one: speed, overhead and fragmentation trade",
        shown_by: "four heaps with the same blocks; a fixed heap and a break",
        steps: &[
            step("claims::c10_trade", compare::trade),
            step("claims::c10_side_by_side", compare::side_by_side),
        ],
    },
];

const BREAK: &[Claim] = &[
    Claim {
        number: "C11",
        text: "sbrk reports the break and moves it by bytes; a failure changes nothing",
        shown_by: "a break moved up, down, and too far",
        steps: &[step("claims::c11_sbrk", breaks::sbrk)],
    },
    Claim {
        number: "C12",
        text: "Moving the break reserves addresses and takes no memory; the first touch does",
        shown_by: "1 GiB granted and touched, in the kernel and in a process",
        steps: &[
            step("claims::c12_first_touch", breaks::first_touch),
            step("claims::c12_policies", breaks::policies),
            step("claims::c12_kernel_heap", breaks::kernel_heap),
            step("claims::c12_in_a_process", programs::lazy),
        ],
    },
    Claim {
        number: "C13",
        text: "Moving the break down gives the pages back",
        shown_by: "a break moved down; its pages touched again",
        steps: &[step("claims::c13_giving_back", breaks::giving_back)],
    },
    Claim {
        number: "C14",
        text: "The break is shared: other code may move it between two calls of the heap",
        shown_by: "a break moved up, down, and by a library in a process",
        steps: &[
            step("claims::c14_moved_up", edge::moved_up),
            step("claims::c14_moved_down", edge::moved_down),
            step("claims::c14_in_a_process", programs::foreign),
        ],
    },
    Claim {
        number: "C15",
        text: "A small live block above a large free one pins the break; a mapping goes back",
        shown_by: "the program pinned: 8 MiB at the break, then on a mapping",
        steps: &[step("claims::c15_pinned", programs::pinned)],
    },
    Claim {
        number: "C16",
        text: "mmap also shares memory between processes, and a heap may live in it",
        shown_by: "two processes with one heap; a block that is overrun by a byte",
        steps: &[
            step("claims::c16_shared", programs::shared),
            step("claims::c16_checking_allocator", guarded::overflow),
        ],
    },
    Claim {
        number: "C17",
        text: "A system-call trace of any program shows its brk calls",
        shown_by: "the program simple, traced, beside one that is not",
        steps: &[step("claims::c17_trace", programs::trace)],
    },
];

const SYSTEM: &[Claim] = &[
    Claim {
        number: "C18",
        text: "Without paging every address is a physical one; with paging the tables decide",
        shown_by: "address 0x7dfe, before and after; the program realmode",
        steps: &[
            step("claims::c18_physical_addresses", machine::physical_addresses),
            step("claims::c18_in_a_process", processes::realmode),
        ],
    },
    Claim {
        number: "C19",
        text: "A process has an address space of its own; a segmentation fault ends it alone",
        shown_by: "the program twins; seven processes that do something wrong",
        steps: &[
            step("claims::c19_own_space", processes::twins),
            step("claims::c19_segmentation_fault", processes::segmentation_faults),
        ],
    },
    Claim {
        number: "C20",
        text: "From low to high: text, data, bss, heap, a wide gap, stack; above, the kernel",
        shown_by: "the program layout, its map, and two that touch the kernel",
        steps: &[step("claims::c20_layout", processes::layout)],
    },
    Claim {
        number: "C21",
        text: "The positions are randomised",
        shown_by: "the program layout with seeds, and without one",
        steps: &[step("claims::c21_random_positions", processes::random_positions)],
    },
    Claim {
        number: "C22",
        text: "Memory is handed out in pages, and only the kernel hands them out",
        shown_by: "a frame taken and returned; the frames of a new process",
        steps: &[
            step("claims::c22_pages", machine::pages),
            step("claims::c22_in_a_process", processes::whole_pages),
        ],
    },
    Claim {
        number: "C23",
        text: "brk changes a few fields of the memory descriptor, and does nothing else",
        shown_by: "a break moved by 1 GiB over real page tables",
        steps: &[step("claims::c23_brk", processes::brk)],
    },
    Claim {
        number: "C24",
        text: "A map before malloc, after it, and after free tells the story",
        shown_by: "the program maps-story, which prints its own map",
        steps: &[step("claims::c24_maps", programs::maps)],
    },
];

const THREADS: &[Claim] = &[
    Claim {
        number: "C25",
        text: "One lock makes an allocator correct under threads, and slow: each waits for it",
        shown_by: "two played CPUs, four threads, on a heap behind a lock that counts",
        steps: &[
            step("claims::c25_one_lock", arenas::one_lock),
            step("claims::c25_threads_wait", threads::one_lock),
        ],
    },
    Claim {
        number: "C26",
        text: "Arenas for each CPU let all of them allocate at the same time",
        shown_by: "the same on a heap of arenas; the map around malloc in two threads",
        steps: &[
            step("claims::c26_an_arena_each", arenas::an_arena_each),
            step("claims::c26_in_a_process", threads::an_arena_each),
        ],
    },
    Claim {
        number: "C27",
        text: "A freed block returns to the bin of the arena that it came from",
        shown_by: "a block that the other CPU frees, blocks that a thread frees",
        steps: &[
            step("claims::c27_back_to_its_arena", arenas::back_to_its_arena),
            step("claims::c27_in_a_process", threads::back_to_its_arena),
        ],
    },
    Claim {
        number: "C28",
        text: "Preloaded as a shared library, the allocator serves existing programs",
        shown_by: "a program of the host, its calls and statistics",
        steps: &[step("claims::c28_preloaded", host::preloaded)],
    },
    Claim {
        number: "C29",
        text: "Production allocators add strategies by size to the simple one",
        shown_by: "what serves each of nine sizes, and the locks that three take",
        steps: &[
            step("claims::c29_which_serves_which", threads::strategies),
            step("claims::c29_strategies", arenas::strategies),
        ],
    },
];
