//! A system call in a story; and the call by which a program tells of its heap, which there is in a
//! story only.

use core::ops::ControlFlow;

use super::{arguments, peek};
use crate::address_space::Errno;
use crate::memory::Mmu;
use crate::story::{self, Kind, Numbers, Text};
use crate::system::machine::Machine;
use crate::system::process::{Process, Thread};
use crate::system::strace::{Outcome, Traced};
use crate::system::{Interruption, System, told};

/// The first argument of [`story::CALL`].
mod what {
    /// A call of the heap begins: heap, kind of call, block, size, new size.
    pub const BEGINS: u64 = 0;
    /// It is done: heap, result.
    pub const DONE: u64 = 1;
    /// Cells changed: heap, index of the first, number of those that go, address of an array with
    /// three words a cell (address, size, state), number of its elements.
    pub const CELLS: u64 = 2;
}

/// Bytes of a cell in that array.
const CELL: u64 = 24;

/// Cells in a record.
const CELLS: usize = 32;

impl<M: Machine> System<M> {
    /// Makes a system call, and tells it.
    #[cold]
    pub(super) fn told_call(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
    ) -> ControlFlow<Interruption> {
        let number = thread.registers.rax;
        if number == story::CALL {
            thread.registers.rax = tell_heap(process, thread);
            return ControlFlow::Continue(());
        }
        let before = thread.registers;
        if thread.pending.is_none() {
            let numbers = process.with_callers(&[process.pid.0.into(), number]);
            story::record(Kind::Called, numbers.as_slice(), "");
        }
        let flow = self.make_call(process, thread);
        let outcome = match flow {
            ControlFlow::Break(Interruption::Waits(_)) => return flow,
            ControlFlow::Break(
                Interruption::Leaves(_) | Interruption::Ends(_) | Interruption::Crashes(_),
            ) => Outcome::Never,
            _ if thread.pending.is_some() => return flow,
            _ => outcome(thread.registers.rax),
        };
        let signature = Self::signature(number);
        let (pid, arguments) = (process.pid.0, arguments(&before));
        let traced = Traced { pid, signature, number, arguments, program: process.name };
        let mut text = Text::new();
        // The text takes all that there is room for.
        let _ = traced.done(&mut text, &mut peek(&mut process.pages), outcome);
        let numbers = [process.pid.0.into(), thread.registers.rax];
        story::record(Kind::Returned, &numbers, text.as_str());
        self.commons.tell_process(process);
        flow
    }
}

/// What a result means.
fn outcome(result: u64) -> Outcome {
    let errno = Errno::ALL.iter().find(|errno| errno.to_result() == result);
    errno.map_or(Outcome::Value(result), |errno| Outcome::Error(errno.name(), errno.text()))
}

/// Tells what a program tells of its heap.
fn tell_heap<M: Mmu + Clone>(process: &mut Process<M>, thread: &Thread) -> u64 {
    let [what, heap, a, b, c, d] = arguments(&thread.registers);
    let pid = process.pid.0.into();
    match what {
        what::BEGINS => {
            let numbers = process.with_callers(&[pid, heap, a, b, c, d]);
            story::record(Kind::HeapCall, numbers.as_slice(), "");
        }
        what::DONE => story::record(Kind::HeapDone, &[pid, heap, a], ""),
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
