//! Address spaces: what a process has, what it does not have, and who gives it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address_space::{AddressSpace, Cause, Layout, Limits, USER_END};
use crate::evidence::{Evidence, Missing, Shown, Step};
use crate::memory::layout::{HIGHER_HALF, IMAGE, PAGE_SIZE};
use crate::memory::{Charges, ProcessPages, TheMemory};
use crate::system::Options;
use crate::system::views::View;

use super::ring3::{self, Ring3, options, settings};
use super::watch::{Bytes, Watch};

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "claims::c18_in_a_process",
        claim: "C18",
        text: "With paging an address is what the process's tables say: what worked without is a fault",
        shown_by: "the program realmode, at addresses that every PC has",
        show: realmode,
    },
    Step {
        name: "claims::c19_own_space",
        claim: "C19",
        text: "Every process has an address space of its own",
        shown_by: "the program twins: the same address, different contents",
        show: twins,
    },
    Step {
        name: "claims::c19_segmentation_fault",
        claim: "C19",
        text: "Touching what is not mapped is a segmentation fault: it ends that process and nothing else",
        shown_by: "seven processes that do something wrong, beside two that do not",
        show: segmentation_faults,
    },
    Step {
        name: "claims::c20_layout",
        claim: "C20",
        text: "From low to high: text, data, bss (zeroed), heap, a wide gap, stack; the kernel above, closed",
        shown_by: "the program layout, its map, and two that touch the kernel",
        show: layout,
    },
    Step {
        name: "claims::c21_random_positions",
        claim: "C21",
        text: "The positions are randomised",
        shown_by: "the program layout with a seed, the same again, another, and none",
        show: random_positions,
    },
    Step {
        name: "claims::c22_in_a_process",
        claim: "C22",
        text: "A process has whole pages, each handed out by the kernel",
        shown_by: "the frames of a new process, counted by both sides",
        show: whole_pages,
    },
    Step {
        name: "claims::c23_brk",
        claim: "C23",
        text: "brk adjusts a few fields of the process's memory descriptor, and that is all it does",
        shown_by: "a break moved by 1 GiB over real page tables",
        show: brk,
    },
];

fn realmode(evidence: &mut Evidence<'_>) -> Shown {
    let mut ring3 = Ring3::start(evidence, settings())?;
    // It makes children that are ended, each of which would be reported.
    let pid = ring3.spawn(evidence, "realmode", &[], Options { quiet: true, ..options() })?;
    ring3.run();
    ring3.print(evidence, usize::MAX);
    ring3.expect_true(evidence, pid, 8)?;
    ring3.finish(evidence);
    Ok(())
}

fn twins(evidence: &mut Evidence<'_>) -> Shown {
    ring3::show(evidence, settings(), "twins", 5)?.finish(evidence);
    Ok(())
}

fn segmentation_faults(evidence: &mut Evidence<'_>) -> Shown {
    const WRONG: [(&str, Cause); 7] = [
        ("null", Cause::Null),
        ("unmapped", Cause::Unmapped),
        ("kernel", Cause::Kernel),
        ("text", Cause::WriteToReadOnly),
        ("execute-data", Cause::ExecuteNoExecute),
        ("after-shrink", Cause::GivenBack),
        ("recursion", Cause::StackLimit),
    ];
    let mut ring3 = Ring3::start(evidence, settings())?;
    let twins = ring3.spawn(evidence, "twins", &[], options())?;
    let mut wrong = [None; WRONG.len()];
    for (pid, (case, _)) in wrong.iter_mut().zip(WRONG) {
        *pid = Some(ring3.spawn(evidence, "segv", &[case], options())?);
    }
    let churn = ring3.spawn(evidence, "churn", &["500"], options())?;
    ring3.run();
    evidence.say(format_args!("the report of the first:"));
    let lines: Vec<&str> = ring3.lines().collect();
    let begin =
        lines.iter().position(|line| line.contains("Segmentation fault")).unwrap_or(lines.len());
    lines[begin..].iter().take(6).for_each(|line| evidence.say(format_args!("| {line}")));
    for (pid, (case, cause)) in wrong.into_iter().flatten().zip(WRONG) {
        evidence.say(format_args!("process {pid}: segv {case}"));
        ring3.expect_fault(evidence, pid, cause)?;
    }
    evidence.say(format_args!("those beside them:"));
    for (name, pid) in [("twins", twins), ("churn", churn)] {
        evidence.say(format_args!("process {pid}: {name}"));
        ring3.expect_end(evidence, "  exit status: it has found all to be as it should", pid, 0)?;
    }
    ring3.finish(evidence);
    Ok(())
}

fn layout(evidence: &mut Evidence<'_>) -> Shown {
    let mut ring3 = Ring3::start(evidence, settings())?;
    let pid = ring3.spawn(evidence, "layout", &[], options())?;
    let maps = ring3.view(evidence, pid, View::Maps)?;
    evidence.say(format_args!("its map before it begins; a heap there is not yet:"));
    maps.lines().for_each(|line| evidence.say(format_args!("| {line}")));
    let with = |permissions: &str| {
        maps.lines().filter(|line| line.split_whitespace().nth(1) == Some(permissions)).count()
    };
    evidence.expect("areas of text, r-x", 1, with("r-xp"));
    evidence.expect_at_least("areas of constants, r--", 1, with("r--p"));
    evidence.expect_at_least("areas of data, bss and stack, rw-", 3, with("rw-p"));
    evidence.expect(
        "areas that are all of these",
        maps.lines().count(),
        with("r-xp") + with("r--p") + with("rw-p"),
    );
    let closed = ["kernel", "kernel-write"];
    let mut touched = [None; 2];
    for (touched, case) in touched.iter_mut().zip(closed) {
        *touched =
            Some(ring3.spawn(evidence, "segv", &[case], Options { quiet: true, ..options() })?);
    }
    ring3.run();
    evidence.say(format_args!("where it finds its own parts:"));
    ring3.print_if(evidence, usize::MAX, |line| !line.contains("about to"));
    ring3.expect_true(evidence, pid, 4)?;
    evidence
        .say(format_args!("a process ends at {USER_END:#x}; the kernel begins at {HIGHER_HALF:#x}, its text is at {IMAGE:#x}"));
    for (pid, case) in touched.into_iter().flatten().zip(closed) {
        evidence.say(format_args!("process {pid}: segv {case}"));
        ring3.expect_fault(evidence, pid, Cause::Kernel)?;
    }
    ring3.finish(evidence);
    Ok(())
}

/// The places that the program layout finds its parts at, with their names.
fn places(
    evidence: &mut Evidence<'_>,
    seed: Option<u64>,
) -> Result<Vec<(String, String)>, Missing> {
    let mut ring3 = Ring3::start(evidence, settings())?;
    let pid = ring3.spawn(evidence, "layout", &[], Options { seed, ..options() })?;
    ring3.run();
    ring3.expect_end(evidence, "exit status of layout", pid, 0)?;
    let places = ring3
        .lines()
        .filter_map(|line| line.split_once(": 0x"))
        .map(|(name, at)| (name.into(), at.into()))
        .collect();
    ring3.finish(evidence);
    Ok(places)
}

fn random_positions(evidence: &mut Evidence<'_>) -> Shown {
    let [first, again, other, chance] = [
        places(evidence, Some(7))?,
        places(evidence, Some(7))?,
        places(evidence, Some(8))?,
        places(evidence, None)?,
    ];
    evidence.say(format_args!(
        "{:10} {:>16} {:>16} {:>16} {:>16}",
        "", "seed 7", "seed 7", "seed 8", "no seed"
    ));
    for (((name, one), (_, two)), ((_, three), (_, four))) in
        first.iter().zip(&again).zip(other.iter().zip(&chance))
    {
        evidence.say(format_args!("{name:10} {one:>16} {two:>16} {three:>16} {four:>16}"));
    }
    let moved = |others: &[(String, String)]| {
        first.iter().zip(others).filter(|(one, other)| one != other).count()
    };
    evidence.expect_at_least("places", 7, first.len());
    evidence.expect("places that the same seed moves", 0, moved(&again));
    evidence.expect("places that another seed moves", first.len(), moved(&other));
    evidence.expect_at_least("places that chance moves", 1, moved(&chance));
    Ok(())
}

/// A figure of the view `status`, in KiB.
fn figure(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| {
        line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
    })
}

fn whole_pages(evidence: &mut Evidence<'_>) -> Shown {
    const PAGE_KIB: u64 = PAGE_SIZE >> 10;
    let mut ring3 = Ring3::start(evidence, settings())?;
    let free = ring3.system().machine().frames_free();
    let pid = ring3.spawn(evidence, "hello", &[], options())?;
    let taken = free - ring3.system().machine().frames_free();
    let status = ring3.view(evidence, pid, View::Status)?;
    status.lines().for_each(|line| evidence.say(format_args!("| {line}")));
    let [size, resident, tables] =
        ["VmSize", "VmRSS", "VmPTE"].map(|name| figure(&status, name).ok_or(name));
    let (size, resident) = (evidence.need("a figure", size)?, evidence.need("a figure", resident)?);
    let tables = evidence.need("a figure", tables)?;
    evidence.say(format_args!(
        "a process of {size} KiB, which has not begun: its text and data are there, bss is not, nor most of the stack"
    ));
    evidence.expect(
        "figures that are not whole pages",
        0,
        [size, resident, tables].iter().filter(|kib| *kib % PAGE_KIB != 0).count(),
    );
    evidence.expect_that("not all of its addresses have memory behind them", resident < size);
    evidence.expect(
        "frames that the page allocator has handed out: its pages, and its page tables",
        (resident + tables) / PAGE_KIB,
        taken,
    );
    ring3.run();
    ring3.expect_end(evidence, "exit status", pid, 0)?;
    ring3.finish(evidence);
    Ok(())
}

fn brk(evidence: &mut Evidence<'_>) -> Shown {
    const GIB: u64 = 1 << 30;
    let mut pages = evidence.need("page tables", ProcessPages::new(TheMemory))?;
    let mut account = Charges(TheMemory);
    let root = account.promised();
    let layout = Layout::from_seed(1, 16 * PAGE_SIZE, Limits::default().stack);
    let mut space = AddressSpace::new(layout, Limits::default());
    let start = layout.start_brk;
    let fields = |space: &AddressSpace, account: &Charges<TheMemory>| {
        let (areas, pages, brk) = (space.vmas().len(), space.totals().pages, space.current_brk());
        (areas, pages, brk, account.promised())
    };
    // The first move makes the area; every other one changes it.
    let moved = evidence.need("a break", space.brk(start + PAGE_SIZE, &mut pages, &mut account))?;
    evidence.expect_hex("brk(start + 4096)", start + PAGE_SIZE, moved);
    let before = fields(&space, &account);
    let (watch, tables) = (Watch::start(), pages.table_frames());
    let moved = evidence.need("a break", space.brk(start + GIB, &mut pages, &mut account))?;
    let after = fields(&space, &account);
    evidence.say(format_args!("{:24} {:>18} {:>18}", "field", "before", "after"));
    evidence.say(format_args!("{:24} {:#18x} {:#18x}", "brk", before.2, after.2));
    evidence.say(format_args!("{:24} {:>18} {:>18}", "pages in areas", before.1, after.1));
    evidence.say(format_args!("{:24} {:>18} {:>18}", "frames promised", before.3, after.3));
    evidence.say(format_args!("{:24} {:>18} {:>18}", "areas", before.0, after.0));
    evidence.expect_hex("brk(start + 1 GiB)", start + GIB, moved);
    evidence.expect("areas: the heap's has become longer", before.0, after.0);
    evidence.expect("pages in areas", GIB / PAGE_SIZE, after.1);
    evidence.expect("events in the memory manager: no fault, no page mapped", 0, watch.events());
    evidence.expect("frames taken", 0, watch.frames());
    evidence.expect("page tables more", 0, pages.table_frames() - tables);
    evidence.expect("pages with memory behind them", 0, pages.resident());

    let refused = evidence.need("a break", space.brk(start - 1, &mut pages, &mut account))?;
    evidence.expect_hex(
        "brk(below its start): refused, the answer is where it stands",
        start + GIB,
        refused,
    );
    evidence.expect_that("and no field has changed", fields(&space, &account) == after);
    let moved = evidence.need("a break", space.brk(start, &mut pages, &mut account))?;
    evidence.expect_hex("brk(start)", start, moved);
    evidence.expect("frames promised", 0, account.promised() - root);
    evidence.expect("events of a move down by 1 GiB that nobody touched", 0, watch.events());
    evidence.say(format_args!(
        "so {} of addresses cost as much as one page: a few words in the kernel",
        Bytes(GIB)
    ));
    while !space.clear(&mut pages, &mut account) {}
    Ok(())
}
