//! The trace tells what happened, in the order in which it happened.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kernel_demo::memory::{Policy, with};
use kernel_demo::story::trace::{CAPACITY, Numbered};
use kernel_demo::testing::probe;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::{PAGE, scratch};

/// The events since the mark. The vector has its room before the trace is asked: making room would
/// make events.
fn since(mark: u64) -> Vec<Numbered> {
    let mut entries = Vec::with_capacity(CAPACITY);
    with(|memory| entries.extend(memory.trace().since(mark)));
    entries
}

fn mark() -> u64 {
    with(|memory| memory.trace().mark())
}

#[case]
fn c12_c13_the_life_of_a_page() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    let (name, start) = (raw.name(), mark());
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk(2 * PAGE as isize) }.or_fail("two pages")?;
    // SAFETY: the byte was granted to this case.
    unsafe { probe::write(base + PAGE + 8, 1) }.or_fail("memory that was granted")?;
    let touched = mark();
    let frame =
        with(|memory| memory.tables().translate(base + PAGE)).or_fail("a mapped page")?.physical;
    // SAFETY: nobody uses the memory.
    unsafe { raw.sbrk(-2 * PAGE as isize) }.or_fail("a break that moves down")?;

    let (page, end) = (base + PAGE, base + 2 * PAGE);
    let all = since(start);
    let lines: Vec<String> = all
        .iter()
        .filter(|entry| entry.sequence < touched)
        .map(|entry| entry.event.to_string())
        .collect();
    ensure_eq!(lines.len(), 7);
    ensure_eq!(lines[0], format!("break   {name} {base:#x} -> {end:#x} (+8192)"));
    ensure_eq!(lines[1], format!("fault   write {:#x} in {name}", page + 8));
    ensure_eq!(lines[2], format!("frame+  {frame:#x} page"));
    for line in &lines[3..6] {
        ensure!(line.starts_with("frame+  0x") && line.ends_with(" table"), "{line}");
    }
    ensure_eq!(lines[6], format!("map     {page:#x} -> {frame:#x}"));

    let lines: Vec<String> = all
        .iter()
        .filter(|entry| entry.sequence >= touched)
        .map(|entry| entry.event.to_string())
        .take(6)
        .collect();
    ensure_eq!(lines[0], format!("break   {name} {end:#x} -> {base:#x} (-8192)"));
    ensure_eq!(lines[1], format!("unmap   {page:#x} -> {frame:#x}"));
    ensure_eq!(lines[2], format!("frame-  {frame:#x} page"));
    for line in &lines[3..6] {
        ensure!(line.starts_with("frame-  0x") && line.ends_with(" table"), "{line}");
    }
    Ok(())
}

#[case]
fn overwritten_events_are_counted() -> CaseResult {
    let (_scratch, raw) = scratch(Policy::Overcommit)?;
    let start = mark();
    for _ in 0..CAPACITY {
        // SAFETY: nobody uses the memory.
        unsafe { raw.sbrk(1) }.or_fail("a byte")?;
    }
    let (now, overwritten) = with(|memory| (memory.trace().mark(), memory.trace().overwritten()));
    ensure_eq!(now - start, CAPACITY as u64);
    ensure_eq!(now - overwritten, CAPACITY as u64);
    Ok(())
}
