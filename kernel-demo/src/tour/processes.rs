//! Address spaces: what a process has, what it does not have, and who gives it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address_space::{AddressSpace, Cause, Layout, Limits, USER_END};
use crate::evidence::{Evidence, Missing, Shown};
use crate::memory::layout::{HIGHER_HALF, IMAGE, PAGE_SIZE};
use crate::memory::{self, ProcessPages};
use crate::system::Options;
use crate::system::views::View;

use super::ring3::{self, Ring3, options, settings};
use super::watch::Watch;

pub fn realmode(evidence: &mut Evidence<'_>) -> Shown {
    let mut ring3 = Ring3::start(evidence, settings())?;
    // It makes children that are ended, each of which would be reported.
    let pid = ring3.spawn(evidence, "realmode", &[], Options { quiet: true, ..options() })?;
    ring3.run();
    evidence.say(format_args!("The program realmode touches addresses that every PC has."));
    ring3.print(evidence, usize::MAX);
    ring3.expect_true(evidence, pid, 8)?;
    ring3.finish(evidence);
    Ok(())
}

pub fn twins(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "The program twins has two processes with different contents at one address."
    ));
    ring3::show(evidence, settings(), "twins", 5)?.finish(evidence);
    Ok(())
}

pub fn segmentation_faults(evidence: &mut Evidence<'_>) -> Shown {
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
    evidence.say(format_args!(
        "Seven processes do something wrong; this is the first report that the kernel writes."
    ));
    let lines: Vec<&str> = ring3.lines().collect();
    let begin =
        lines.iter().position(|line| line.contains("Segmentation fault")).unwrap_or(lines.len());
    lines[begin..].iter().take(6).for_each(|line| evidence.show(format_args!("| {line}")));
    evidence
        .say(format_args!("Each of them was ended by a segmentation fault, for its own reason."));
    for (pid, (case, cause)) in wrong.into_iter().flatten().zip(WRONG) {
        evidence.show(format_args!("process {pid}: segv {case}"));
        ring3.expect_fault(evidence, pid, cause)?;
    }
    evidence.say(format_args!("The processes beside them found all as it should be."));
    for (name, pid) in [("twins", twins), ("churn", churn)] {
        evidence.show(format_args!("process {pid}: {name}"));
        ring3.expect_end(evidence, "  exit status", pid, 0)?;
    }
    ring3.finish(evidence);
    Ok(())
}

pub fn layout(evidence: &mut Evidence<'_>) -> Shown {
    let mut ring3 = Ring3::start(evidence, settings())?;
    let pid = ring3.spawn(evidence, "layout", &[], options())?;
    let maps = ring3.view(evidence, pid, View::Maps)?;
    evidence
        .say(format_args!("The program layout is loaded and has not begun: there is no heap yet."));
    maps.lines().for_each(|line| evidence.show(format_args!("| {line}")));
    let with = |permissions: &str| {
        maps.lines().filter(|line| line.split_whitespace().nth(1) == Some(permissions)).count()
    };
    evidence.expect("areas of text, r-x", 1, with("r-xp"));
    evidence.expect_at_least("areas of constants, r--", 1, with("r--p"));
    evidence.expect_at_least("areas of data, bss and stack, rw-", 3, with("rw-p"));
    evidence.expect(
        "areas of the map, none of another kind",
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
    evidence.say(format_args!("The program runs, and says where it finds its parts."));
    ring3.print_if(evidence, usize::MAX, |line| !line.contains("about to"));
    ring3.expect_true(evidence, pid, 4)?;
    evidence.say(format_args!("The kernel lies above, and is closed to processes."));
    evidence.show(format_args!("a process ends at {USER_END:#x}"));
    evidence.show(format_args!("the kernel begins at {HIGHER_HALF:#x}, its text at {IMAGE:#x}"));
    for (pid, case) in touched.into_iter().flatten().zip(closed) {
        evidence.show(format_args!("process {pid}: segv {case}"));
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
    ring3.ensure_end(evidence, "exit status of layout", pid, 0)?;
    let places = ring3
        .lines()
        .filter_map(|line| line.split_once(": 0x"))
        .map(|(name, at)| (name.into(), at.into()))
        .collect();
    ring3.finish(evidence);
    Ok(places)
}

pub fn random_positions(evidence: &mut Evidence<'_>) -> Shown {
    let [first, again, other, chance] = [
        places(evidence, Some(7))?,
        places(evidence, Some(7))?,
        places(evidence, Some(8))?,
        places(evidence, None)?,
    ];
    evidence.say(format_args!("The program layout runs four times, and says where its parts are."));
    evidence.show(format_args!(
        "{:10} {:>16} {:>16} {:>16} {:>16}",
        "", "seed 7", "seed 7", "seed 8", "no seed"
    ));
    for (((name, one), (_, two)), ((_, three), (_, four))) in
        first.iter().zip(&again).zip(other.iter().zip(&chance))
    {
        evidence.show(format_args!("{name:10} {one:>16} {two:>16} {three:>16} {four:>16}"));
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

pub fn whole_pages(evidence: &mut Evidence<'_>) -> Shown {
    const PAGE_KIB: u64 = PAGE_SIZE >> 10;
    let mut ring3 = Ring3::start(evidence, settings())?;
    let free = ring3.system().machine().frames_of_no_process();
    let pid = ring3.spawn(evidence, "hello", &[], options())?;
    let taken = free - ring3.system().machine().frames_of_no_process();
    let status = ring3.view(evidence, pid, View::Status)?;
    evidence.say(format_args!(
        "The kernel hands a process its memory, page by page: this one is loaded and has not begun."
    ));
    status.lines().for_each(|line| evidence.show(format_args!("| {line}")));
    let [size, resident, tables] =
        ["VmSize", "VmRSS", "VmPTE"].map(|name| figure(&status, name).ok_or(name));
    let (size, resident) = (evidence.need("a figure", size)?, evidence.need("a figure", resident)?);
    let tables = evidence.need("a figure", tables)?;
    evidence.expect(
        "sizes of these that are not whole pages",
        0,
        [size, resident, tables].iter().filter(|kib| *kib % PAGE_KIB != 0).count(),
    );
    evidence.expect_that(
        "VmRSS < VmSize: bss and most of the stack have addresses, and no memory yet",
        resident < size,
    );
    evidence.expect(
        "frames that the kernel has handed out for it, which are VmRSS + VmPTE",
        (resident + tables) / PAGE_KIB,
        taken,
    );
    ring3.run();
    ring3.ensure_end(evidence, "exit status", pid, 0)?;
    ring3.finish(evidence);
    Ok(())
}

pub fn brk(evidence: &mut Evidence<'_>) -> Shown {
    const GIB: u64 = 1 << 30;
    let made = memory::with(|memory| {
        let (mut payer, kernel) = memory.payer();
        ProcessPages::new(&mut payer, kernel)
    });
    let mut pages = evidence.need("page tables", made)?;
    let promised = || memory::with(|memory| memory.processes().charged());
    let root = promised();
    let layout = Layout::from_seed(1, 16 * PAGE_SIZE, Limits::default().stack);
    let mut space = AddressSpace::new(layout, Limits::default());
    let start = layout.start_brk;
    let fields = |space: &AddressSpace| {
        let (areas, pages, brk) =
            (space.vmas().len(), space.pages_that(|_| true), space.current_brk());
        (areas, pages, brk, promised())
    };
    let brk = |space: &mut AddressSpace, pages: &mut ProcessPages, to: u64| {
        space.make_room(|_| Ok(()))?;
        memory::with(|memory| space.brk(to, &mut memory.mapped(pages, None)))
    };
    // The first move makes the area; every other one changes it.
    let moved = evidence.need("a break", brk(&mut space, &mut pages, start + PAGE_SIZE))?;
    evidence.say(format_args!(
        "A process calls brk for the first time, so the kernel notes an area for its heap: one page."
    ));
    evidence.expect_hex("brk(start + 4096)", start + PAGE_SIZE, moved);
    let before = fields(&space);
    let (watch, tables) = (Watch::start(), pages.table_frames());
    let moved = evidence.need("a break", brk(&mut space, &mut pages, start + GIB))?;
    let after = fields(&space);
    evidence.say(format_args!(
        "brk moves the break up by 1 GiB: two addresses change, and the sums that follow from them."
    ));
    evidence
        .show(format_args!("{:24} {:#x} -> {:#x}", "break, end of the area", before.2, after.2));
    evidence.show(format_args!("{:24} {} -> {}", "pages in areas", before.1, after.1));
    evidence.show(format_args!("{:24} {} -> {}", "frames promised", before.3, after.3));
    evidence.expect_hex("brk(start + 1 GiB)", start + GIB, moved);
    evidence.expect("areas: the heap's has become longer", before.0, after.0);
    evidence.expect("pages in areas", GIB / PAGE_SIZE, after.1);
    evidence.say(format_args!(
        "The call does nothing else: no frame is taken, and no page or page table is made."
    ));
    evidence.expect("events in the memory manager: no fault, no page mapped", 0, watch.events());
    evidence.expect("frames taken", 0, watch.frames());
    evidence.expect("page tables more", 0, pages.table_frames() - tables);
    evidence.expect("pages with memory behind them", 0, pages.resident());

    let refused = evidence.need("a break", brk(&mut space, &mut pages, start - 1))?;
    evidence.say(format_args!(
        "A move below the start is refused: the answer is where the break stays."
    ));
    evidence.expect_hex("brk(start - 1)", start + GIB, refused);
    evidence.expect_that("and no field has changed", fields(&space) == after);
    let moved = evidence.need("a break", brk(&mut space, &mut pages, start))?;
    evidence.say(format_args!(
        "The break moves down by 1 GiB that nobody has touched: nothing is there to give back."
    ));
    evidence.expect_hex("brk(start)", start, moved);
    evidence.expect("frames promised", 0, promised() - root);
    evidence.expect("events in the memory manager", 0, watch.events());
    memory::with(|memory| {
        while !space.clear(&mut memory.mapped(&mut pages, None)) {}
        pages.destroy(&mut memory.payer().0);
    });
    Ok(())
}
