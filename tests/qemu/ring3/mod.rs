//! Programs of a few instructions in ring 3.

pub mod memory;
pub mod registers;
pub mod stops;

use kernel_demo::arch::user;
use kernel_demo::ensure_eq;
use kernel_demo::memory::layout::LOWER_HALF_END;
use kernel_demo::memory::pages::Spot;
use kernel_demo::memory::{
    Access, OutOfFrames, PageFault, Permissions, ProcessPages, Registers, Stop, TheMemory,
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

/// Where all that is mapped lies.
const EVERYWHERE: [(u64, u64); 1] = [(0, LOWER_HALF_END)];

/// A page of a program.
fn spot(pages: &mut ProcessPages, page: u64) -> Spot<'_, TheMemory> {
    pages.spot(page).expect("programs have the lower half")
}

/// A program with a page of text, one of data, and one of stack.
struct Program {
    pages: ProcessPages,
    registers: Registers,
}

impl Program {
    fn try_new(text: &[u8; LEN]) -> Result<Self, OutOfFrames> {
        let mut pages = ProcessPages::new(TheMemory)?;
        for (page, permissions) in [(TEXT, RX), (DATA, RW), (STACK_TOP - PAGE, RW)] {
            spot(&mut pages, page).map_zeroed(permissions)?;
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
        user::run(&mut self.registers, &self.pages)
    }

    /// The word of the program's memory at the address.
    fn word(&mut self, address: u64) -> Result<u64, Failed> {
        let mut bytes = [0; 8];
        ensure_eq!(self.pages.read(address, &mut bytes), 8);
        Ok(u64::from_le_bytes(bytes))
    }
}

fn page_fault(address: u64, access: Access, present: bool) -> Stop {
    Stop::PageFault(PageFault { address, access, present })
}

fn exception(vector: u8, error: u64) -> Stop {
    Stop::Exception { vector, error }
}
