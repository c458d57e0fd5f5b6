//! The ring-3 programs that the image carries are programs.

use kernel_demo::memory::layout::PAGE_SIZE;
use kernel_demo::programs;
use kernel_demo::testing::{CaseResult, Failed, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;

/// Of the ELF format: file types, machines, kinds of segments and what may be done with them.
const POSITION_INDEPENDENT: u16 = 3;
const X86_64: u16 = 62;
const LOAD: u32 = 1;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;

#[case]
fn each_is_found_by_its_name() -> CaseResult {
    ensure!(programs::names().any(|name| name == "hello"), "there is a first program");
    ensure!(programs::names().is_sorted(), "in order");
    for name in programs::names() {
        ensure!(programs::find(name).is_some(), "{name}");
    }
    ensure!(programs::find("hell").is_none() && programs::find("").is_none(), "only whole names");
    Ok(())
}

#[case]
fn each_is_position_independent_and_begins_at_a_page() -> CaseResult {
    for name in programs::names() {
        let image = programs::find(name).or_fail("it is there")?;
        ensure!(image.starts_with(b"\x7fELF"), "{name}");
        ensure_eq!(image.as_ptr().addr() % PAGE_SIZE as usize, 0);
        ensure_eq!(u16::from_le_bytes(bytes(image, 16)?), POSITION_INDEPENDENT);
        ensure_eq!(u16::from_le_bytes(bytes(image, 18)?), X86_64);
    }
    Ok(())
}

#[case]
fn no_segment_is_both_written_and_executed() -> CaseResult {
    for name in programs::names() {
        let image = programs::find(name).or_fail("it is there")?;
        let list = u64::from_le_bytes(bytes(image, 32)?) as usize;
        let (entry_len, count) =
            (u16::from_le_bytes(bytes(image, 54)?), u16::from_le_bytes(bytes(image, 56)?));
        let mut loaded = 0;
        for index in 0..usize::from(count) {
            let entry = list + index * usize::from(entry_len);
            let (kind, flags) = (
                u32::from_le_bytes(bytes(image, entry)?),
                u32::from_le_bytes(bytes(image, entry + 4)?),
            );
            ensure!(
                kind != LOAD || flags & (WRITE | EXECUTE) != WRITE | EXECUTE,
                "{name}: segment {index}"
            );
            loaded += usize::from(kind == LOAD);
        }
        ensure!(loaded >= 3, "{name}: text, constants and data are apart: {loaded} segments");
    }
    Ok(())
}

fn bytes<const LEN: usize>(image: &[u8], at: usize) -> Result<[u8; LEN], Failed> {
    image.get(at..).and_then(|rest| rest.first_chunk()).copied().or_fail("the image is that long")
}
