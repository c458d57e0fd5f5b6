//! Programs of a few instructions in ring 3.

pub mod memory;
pub mod registers;
pub mod stops;

use kernel_demo::address_space::{Decision, PageState};
use kernel_demo::arch::user;
use kernel_demo::ensure_eq;
use kernel_demo::memory::layout::LOWER_HALF_END;
use kernel_demo::memory::tables::Budget;
use kernel_demo::memory::{
    Access, OutOfFrames, PageFault, Permissions, ProcessPages, Registers, Stop, with,
};
use kernel_demo::testing::{Failed, OrFail};

use crate::PAGE;

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
const STACK_TOP: u64 = 0x7FFF_FFFF_F000;
const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);
const RW: Permissions = Permissions::READ.union(Permissions::WRITE);

/// Bytes of every program.
const LEN: usize = 64;

/// The bytes of a program, filled up with breakpoints. It may be loaded anywhere.
macro_rules! program {
    ($($line:literal),+ $(,)?) => {{
        #[unsafe(naked)]
        extern "C" fn code() {
            ::core::arch::naked_asm!("20:", $($line),+, ".fill {len} - (. - 20b), 1, 0xCC", len = const $crate::ring3::LEN)
        }
        // SAFETY: the function is that long, and text is readable.
        unsafe { &*(code as *const ()).cast::<[u8; $crate::ring3::LEN]>() }
    }};
}

pub(crate) use program;

/// The page tables of a program, which give their frames back when they are dropped.
struct Pages(Option<ProcessPages>);

impl Pages {
    fn new() -> Result<Self, OutOfFrames> {
        let pages = with(|memory| {
            let (mut payer, kernel) = memory.payer();
            ProcessPages::new(&mut payer, kernel)
        })?;
        Ok(Self(Some(pages)))
    }

    fn get(&self) -> &ProcessPages {
        self.0.as_ref().expect("they are there until they are dropped")
    }

    fn get_mut(&mut self) -> &mut ProcessPages {
        self.0.as_mut().expect("they are there until they are dropped")
    }

    /// Does to a page what was decided.
    fn apply(
        &mut self,
        page: u64,
        decision: Decision,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let pages = self.get_mut();
        with(|memory| {
            let (mut payer, _) = memory.payer();
            let found = pages.find(payer.pool, page);
            pages.carry_out(&mut payer, found, (decision, permissions), None)
        })
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) {
        let (pages, work) = (self.get_mut(), &mut Budget::unbounded());
        with(|memory| pages.protect(&mut memory.payer().0, (start, end), to, work));
    }

    fn unmap(&mut self, start: u64, end: u64) {
        let (pages, work) = (self.get_mut(), &mut Budget::unbounded());
        with(|memory| pages.unmap(&mut memory.payer().0, start, end, work));
    }

    fn fork(&mut self) -> Result<Self, OutOfFrames> {
        let pages = self.get_mut();
        let child = with(|memory| {
            let (mut payer, kernel) = memory.payer();
            let mut child = pages.begin_fork(&mut payer, kernel)?;
            while !pages.continue_fork(&mut payer, &mut child, [(0, LOWER_HALF_END)]) {}
            Ok(child)
        })?;
        Ok(Self(Some(child)))
    }

    fn state(&mut self, page: u64) -> PageState {
        let pages = self.get_mut();
        with(|memory| pages.find(memory.payer().0.pool, page).state)
    }

    fn load(&mut self, address: u64, bytes: &[u8]) -> usize {
        let pages = self.get_mut();
        with(|memory| pages.load(memory.payer().0.pool, address, bytes))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(pages) = self.0.take() {
            with(|memory| pages.destroy(&mut memory.payer().0));
        }
    }
}

/// A program with a page of text, one of data, and one of stack.
struct Program {
    pages: Pages,
    registers: Registers,
}

impl Program {
    fn try_new(text: &[u8; LEN]) -> Result<Self, OutOfFrames> {
        let mut pages = Pages::new()?;
        for (page, permissions) in [(TEXT, RX), (DATA, RW), (STACK_TOP - PAGE, RW)] {
            pages.apply(page, Decision::MapZeroed, permissions)?;
        }
        assert_eq!(pages.load(TEXT, text), LEN, "the page of text is this program's own");
        Ok(Self {
            pages,
            registers: Registers { rip: TEXT, rsp: STACK_TOP, ..Registers::default() },
        })
    }

    fn new(text: &[u8; LEN]) -> Result<Self, Failed> {
        Self::try_new(text).or_fail("frames for a program")
    }

    fn run(&mut self) -> Stop {
        user::run(&mut self.registers, self.pages.get().root())
    }

    /// The word of the program's memory at the address.
    fn word(&mut self, address: u64) -> Result<u64, Failed> {
        let mut bytes = [0; 8];
        ensure_eq!(self.pages.get_mut().read(address, &mut bytes), 8);
        Ok(u64::from_le_bytes(bytes))
    }
}

fn page_fault(address: u64, access: Access) -> Stop {
    Stop::PageFault(PageFault { address, access })
}

fn exception(vector: u8, error: u64) -> Stop {
    Stop::Exception { vector, error }
}
