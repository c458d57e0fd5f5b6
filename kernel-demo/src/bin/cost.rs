//! Counts what the system's side of an allocator costs, and powers off. `make cost` boots this with
//! QEMU's clock counting instructions, and reads these lines:
//!
//! ```text
//! cost NAME: INSTRUCTIONS
//! around PAGES KIND: faults FAULTS, frames FRAMES, instructions INSTRUCTIONS
//! ```
//!
//! All but one figure come from programs in ring 3 (`costs`, `touch`), who look at the clock before
//! and after.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use core::arch::x86_64::_rdtsc;
use core::hint::black_box;

use kernel_demo::arch::qemu::Exit;
use kernel_demo::println;
use kernel_demo::system::around::FaultAround;
use kernel_demo::system::console::Output;
use kernel_demo::system::status::Status;
use kernel_demo::system::{KernelSystem, Options, Settings};

kernel_demo::main!(main);

/// How often each operation is measured.
const ROUNDS: &str = "64";

/// How many pages a fault brings in.
const WINDOWS: [u64; 5] = [1, 2, 4, 8, 16];

/// Programs that touch 1024 pages, all or every 32nd of them.
const KINDS: [(&str, [&str; 2]); 2] = [("dense", ["1024", "1"]), ("sparse", ["1024", "32"])];

fn main() -> Exit {
    match measure() {
        Ok(()) => Exit::Passed,
        Err(reason) => {
            println!("FAILED: {reason}");
            Exit::Failed
        }
    }
}

fn measure() -> Result<(), String> {
    let output = run("costs", &[ROUNDS], FaultAround::OFF)?;
    output.lines().filter(|line| line.starts_with("cost ")).for_each(|line| println!("{line}"));
    println!("cost zero-a-page: {}", zero_a_page());
    for pages in WINDOWS {
        let around = FaultAround::pages(pages).ok_or("no power of two")?;
        for (kind, arguments) in KINDS {
            let output = run("touch", &arguments, around)?;
            let [faults, frames, instructions] = ["faults: ", "frames: ", "ticks: "].map(|key| {
                output.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("unknown")
            });
            println!(
                "around {pages} {kind}: faults {faults}, frames {frames}, instructions {instructions}"
            );
        }
    }
    Ok(())
}

/// What the program writes; an error if it does not find what it claims.
fn run(
    name: &'static str,
    arguments: &[&str],
    fault_around: FaultAround,
) -> Result<String, String> {
    let settings =
        Settings { output: Output::Memory(16 << 10), fault_around, ..Settings::default() };
    let mut system =
        KernelSystem::start(settings).map_err(|errno| alloc::format!("{name}: {errno}"))?;
    let options = Options { seed: Some(1), ..Options::default() };
    let pid = system
        .start_program(name, arguments, options)
        .map_err(|error| alloc::format!("{name}: {error}"))?;
    system.run();
    match system.outcome(pid).and_then(|started| started.status) {
        Some(Status::Exited(0)) => Ok(system.output().into()),
        ended => Err(alloc::format!("{name} ended with {ended:?}:\n{}", system.output())),
    }
}

/// What it takes to zero a page that is there.
fn zero_a_page() -> u64 {
    let mut page = Box::new([1_u8; 4096]);
    let begun = now();
    black_box(&mut page).fill(0);
    now() - begun
}

#[allow(unsafe_code)]
fn now() -> u64 {
    // SAFETY: every x86_64 processor has the counter.
    unsafe { _rdtsc() }
}
