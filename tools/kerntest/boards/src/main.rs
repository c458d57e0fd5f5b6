//! A test kernel for each platform of `kerntest` that is no PC with a BIOS. `tests/boards.rs` boots
//! it, and checks the verdicts.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kerntest_guest::{
    Balance, Case, CaseResult, Count, Exit, Kernel, Run, Suite, ensure_eq, panicked, qemu, run,
};

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(any(target_arch = "riscv32", target_arch = "riscv64"), path = "riscv.rs")]
#[cfg_attr(target_arch = "x86", path = "multiboot.rs")]
#[cfg_attr(target_os = "uefi", path = "uefi.rs")]
mod board;

/// The board.
struct Board;

impl Kernel for Board {
    fn write(&mut self, text: &str) {
        text.bytes().for_each(board::write);
    }

    fn option<'b>(&mut self, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        return qemu::fw_cfg("kerntest", key, buffer);
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        qemu::semihosting_option(key, buffer)
    }

    fn balance(&mut self) -> Balance {
        let number = board::KEPT.load(core::sync::atomic::Ordering::Relaxed);
        Balance::new(&[Count { leaks: "block", what: "blocks kept", number }])
    }
}

fn passes() -> CaseResult {
    Ok(())
}

fn asserts() -> CaseResult {
    ensure_eq!(2 + 2, 5);
    Ok(())
}

fn panics() {
    panic!("on purpose")
}

fn keeps() {
    board::KEPT.store(3, core::sync::atomic::Ordering::Relaxed);
}

fn waits() {
    loop {
        board::wait();
    }
}

const CASES: &[Case] = &[
    Case { name: "boards::a_passes", run: Run::Function(passes) },
    Case { name: "boards::b_asserts", run: Run::Function(asserts) },
    Case { name: "boards::c_panics", run: Run::Assertions(panics) },
    Case { name: "boards::d_keeps", run: Run::Assertions(keeps) },
    Case { name: "boards::e_waits", run: Run::Assertions(waits) },
    Case { name: "boards::f_passes", run: Run::Function(passes) },
];

/// Runs the cases, and ends the machine.
fn main() -> ! {
    end(run(&mut Board, &Suite::of(CASES)))
}

fn end(exit: Exit) -> ! {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    qemu::isa_debug_exit(exit);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    qemu::semihosting_exit(exit)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    panicked(&mut Board, info);
    end(Exit::Panic)
}
