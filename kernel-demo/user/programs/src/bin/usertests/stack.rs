//! The stack grows by being touched, up to a limit, and into nothing else.

use core::hint;

use programs::probe;
use runtime::system::view::View;
use runtime::views::{self, ROOM};
use runtime::{PAGE, Verdict, ensure};

use crate::{Case, must_fault};

pub const CASES: [Case; 4] = [
    ("stack-grows", grows),
    ("stack-region-grows", region_grows),
    ("stack-limit", limit),
    ("stack-guard", guard),
];

/// More than a stack may have, and less than what is kept free below it.
const BELOW: usize = 16 << 20;

/// A page of stack for each call.
fn deep(calls: usize) -> usize {
    let room = hint::black_box([calls as u8; PAGE]);
    let deeper = if calls == 0 { 0 } else { deep(calls - 1) };
    deeper + usize::from(hint::black_box(room)[calls % PAGE] == calls as u8)
}

fn grows() -> Verdict {
    ensure!(deep(64) == 65, "64 pages of stack keep what was written to them");
    Ok(())
}

fn region_grows() -> Verdict {
    let mut room = ROOM;
    let len = |room: &mut views::Room| -> Result<usize, runtime::Untrue> {
        Ok(views::region(views::text(View::Maps, room)?, "[stack]").map_or(0, |stack| stack.len()))
    };
    let before = len(&mut room)?;
    ensure!(deep(100) == 101, "a hundred pages");
    let after = len(&mut room)?;
    ensure!(
        after >= 100 * PAGE && after > before,
        "the region has grown from {before} to {after} bytes"
    );
    Ok(())
}

fn limit() -> Verdict {
    must_fault("a stack without end", || deep(usize::MAX))
}

fn guard() -> Verdict {
    let local = 0_u8;
    let address = (&raw const local).addr() - BELOW;
    must_fault("a read far below the stack", || probe::read(address))?;
    // SAFETY: nothing is there.
    must_fault("a write far below the stack", || unsafe { probe::write(address, 1) })
}
