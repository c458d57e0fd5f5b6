//! A system call in a story; and the call by which a program tells of its heap, which there is in a
//! story only.

use core::ops::ControlFlow;

use super::{Call, peek};
use crate::address_space::Errno;
use crate::memory::Mmu;
use crate::story::{self, Kind, Numbers, Text};
use crate::strace::{Outcome, Traced};
use crate::system::machine::Machine;
use crate::system::process::Process;
use crate::system::{Interruption, told};

/// The first argument of [`story::CALL`].
mod what {
    /// A call of the heap begins: heap, kind of call, block, size, new size.
    pub const BEGINS: u64 = 0;
    /// It is done: heap, result.
    pub const DONE: u64 = 1;
    /// Cells changed: heap, index of the first, number of those that go, address of an array with
    /// three words a cell (address, size, state), number of its elements.
    pub const CELLS: u64 = 2;
    /// The program has room for what it tells: address, bytes.
    pub const ROOM: u64 = 3;
}

/// Bytes of a cell in that array.
const CELL: u64 = 24;

/// Cells in a record.
const CELLS: usize = 32;

impl<M: Machine> Call<'_, M> {
    /// Makes a system call, and tells it.
    #[cold]
    pub(super) fn make_and_tell(&mut self) -> ControlFlow<Interruption> {
        let number = self.thread.registers.rax;
        if number == story::CALL {
            self.thread.registers.rax = tell_heap(self.process, self.arguments());
            return ControlFlow::Continue(());
        }
        let pid = self.process.pid;
        let before = self.traced(pid, number);
        if self.thread.pending.is_none() {
            let numbers = self.process.with_callers(&[pid.0.into(), number]);
            story::record(Kind::Called, numbers.as_slice(), "");
        }
        let flow = self.make();
        let result = self.thread.registers.rax;
        let outcome = match flow {
            ControlFlow::Break(Interruption::Waits(_)) => return flow,
            ControlFlow::Break(
                Interruption::Leaves(_) | Interruption::Ends(_) | Interruption::Crashes(_),
            ) => Outcome::Never,
            _ if self.thread.pending.is_some() => return flow,
            _ => Errno::from_result(result).map_or(Outcome::Value(result), Outcome::Error),
        };
        let traced = Traced { program: self.process.name, ..before };
        let mut text = Text::new();
        // The text takes all that there is room for.
        let _ = traced.done(&mut text, &mut peek(&mut self.process.pages), outcome);
        story::record(Kind::Returned, &[pid.0.into(), result], text.as_str());
        self.system.commons.tell_process(self.process);
        flow
    }
}

/// Tells what a program tells of its heap.
fn tell_heap<M: Mmu + Clone>(process: &mut Process<M>, arguments: [u64; 6]) -> u64 {
    let [what, heap, a, b, c, d] = arguments;
    let pid = process.pid.0.into();
    match what {
        what::BEGINS => {
            let numbers = process.with_callers(&[pid, heap, a, b, c, d]);
            story::record(Kind::HeapCall, numbers.as_slice(), "");
        }
        what::DONE => story::record(Kind::HeapDone, &[pid, heap, a], ""),
        what::ROOM => story::record(Kind::Room, &[pid, heap, a], ""),
        what::CELLS => tell_cells(process, [pid, heap, a, b], (c, d)),
        _ => return Errno::EINVAL.to_result(),
    }
    0
}

/// Tells cells that a program has in an array, as far as that can be read. The first record takes
/// the cells out that go; each puts in some of those that come.
fn tell_cells<M: Mmu + Clone>(
    process: &mut Process<M>,
    [pid, heap, mut first, mut gone]: [u64; 4],
    (array, len): (u64, u64),
) {
    let mut numbers = Numbers::new(&[pid, heap, first, gone]);
    let mut told = 0;
    for index in 0..len {
        let at = array.wrapping_add(CELL * index);
        let Some(cell) = told::words::<3>(&mut process.pages, at) else { break };
        if told == CELLS {
            story::record(Kind::Cells, numbers.as_slice(), "");
            (first, gone, told) = (first + CELLS as u64, 0, 0);
            numbers = Numbers::new(&[pid, heap, first, gone]);
        }
        numbers.push(&cell);
        told += 1;
    }
    story::record(Kind::Cells, numbers.as_slice(), "");
}
