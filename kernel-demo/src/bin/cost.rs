//! Counts what the system's side of an allocator costs, and powers off. `make cost` boots this with
//! QEMU's clock counting instructions, and reads these lines:
//!
//! ```text
//! cost NAME: INSTRUCTIONS
//! ```
//!
//! Most figures come from a program in ring 3 (`costs`), which looks at the clock before and after.
//! One is the longest stretch of the kernel's work without an interrupt, for each of several loads.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use core::arch::x86_64::_rdtsc;
use core::hint::black_box;

use kernel_demo::address_space::Errno;
use kernel_demo::arch::qemu::Exit;
use kernel_demo::arch::timer;
use kernel_demo::cpu::{self, Lock, request};
use kernel_demo::kernel::{Kernel, KernelSystem};
use kernel_demo::memory::{
    self, Access, Memory, PageFault, PhysicalMap, ProcessPages, Registers, Stop,
};
use kernel_demo::system::console::Output;
use kernel_demo::system::machine::Machine;
use kernel_demo::system::process::Started;
use kernel_demo::system::{Options, Settings, System};
use kernel_demo::words::Status;
use kernel_demo::words::screen::COLUMNS;
use kernel_demo::{println, programs};
use x86_64::instructions::interrupts;

kernel_demo::main!(main);

/// How often each operation is measured.
const ROUNDS: &str = "64";

/// Programs with their arguments.
type Commands = &'static [(&'static str, &'static [&'static str])];

/// Loads under which the kernel works longest, on 128 MiB: each call on a large range; 64 processes
/// with many areas, and many objects.
const LOADS: &[Commands] = &[
    &[("pressure", &["large", "40"]), ("pressure", &["promised", "4"]), ("spin", &["100000"])],
    &[("pressure", &["areas", "900", "62"]), ("pressure", &["objects", "500"])],
    &[("pressure", &["tables", "8"])],
    &[("fuzz", &["1", "20", "500"]), ("fuzz", &["2", "20", "500"])],
];

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
    let output = run("costs", &[ROUNDS])?;
    output.lines().filter(|line| line.starts_with("cost ")).for_each(|line| println!("{line}"));
    println!("cost zero-a-page: {}", zero_a_page());
    for others in [1, 3, 7] {
        println!("cost shoot-down-{others}: {}", shoot_down(others));
    }
    println!("cost lock: {}", lock_again());
    println!("cost request: {}", request_answered());
    println!("cost interrupt: {}", count(interrupts::int3));
    println!("cost fault-mapped: {}", fault_on_mapped_page());
    for commands in LOADS {
        println!("cost interrupts-off: {}", interrupts_off(commands)?);
    }
    Ok(())
}

/// What the program writes; an error if it does not find what it claims.
fn run(name: &'static str, arguments: &[&str]) -> Result<String, String> {
    let settings = Settings { output: Output::Memory(16 << 10), ..Settings::default() };
    let mut system =
        KernelSystem::start(settings).map_err(|errno| alloc::format!("{name}: {errno}"))?;
    let options = Options { seed: Some(1), ..Options::default() };
    let pid = system
        .start_program(name, arguments, options)
        .map_err(|error| alloc::format!("{name}: {error}"))?;
    system.run_on_all_cpus();
    match system.outcome(pid).and_then(|started| started.status) {
        Some(Status::Exited(0)) => Ok(system.output().into()),
        ended => Err(alloc::format!("{name} ended with {ended:?}:\n{}", system.output())),
    }
}

/// What it takes to zero a page that is there.
fn zero_a_page() -> u64 {
    let mut page = Box::new([1_u8; 4096]);
    count(|| black_box(&mut page).fill(0))
}

/// Costs of making so many other CPUs, which answer at once, forget a page.
fn shoot_down(others: usize) -> u64 {
    cpu::with_played(others, || count(|| request::flush_kernel(true)))
}

/// Costs of the kernel's lock on a way through ring 3, if no other CPU wants it.
fn lock_again() -> u64 {
    let lock = Lock::new(());
    let mut held = lock.lock();
    count(|| black_box(&mut held).unlocked(|| ()))
}

/// Costs of an interrupt by a request in the kernel, and of its answer.
fn request_answered() -> u64 {
    // Interrupts that have waited are taken first.
    timer::let_in();
    let nothing = count(timer::let_in);
    request::wake(0);
    count(timer::let_in) - nothing
}

/// What the memory manager does about a fault on a page that is mapped, because another CPU was
/// faster.
fn fault_on_mapped_page() -> u64 {
    let there = black_box(Box::new(1_u8));
    let address = (&raw const *there).addr() as u64;
    let fault = PageFault { address, access: Access::Write };
    count(|| {
        let served = memory::with(|memory| memory.page_fault(&fault));
        served.expect("the page is mapped, and may be written to");
    })
}

/// Instructions of the closure.
fn count(closure: impl FnOnce()) -> u64 {
    let begun = now();
    closure();
    now() - begun
}

/// The most instructions between two moments at which an interrupt is taken, while these programs
/// run.
fn interrupts_off(commands: Commands) -> Result<u64, String> {
    let settings = Settings { output: Output::Memory(16 << 10), ..Settings::default() };
    let machine = Counting { kernel: Kernel::new(), since: now(), longest: 0 };
    let mut system = System::new(machine, settings).map_err(|errno| alloc::format!("{errno}"))?;
    for (name, arguments) in commands {
        let options = Options { seed: Some(1), quiet: true, ..Options::default() };
        let image = programs::find(name).ok_or("no such program")?;
        let started = system.spawn(name, image, arguments, options);
        started.map_err(|error| alloc::format!("{name}: {error}"))?;
    }
    system.machine().since = now();
    system.run();
    // A load that was refused what it asks for is none.
    let failed = |started: &&Started| started.status != Some(Status::Exited(0));
    if let Some(Started { name, status, .. }) = system.started().iter().find(failed) {
        return Err(alloc::format!("{name} ended with {status:?}:\n{}", system.output()));
    }
    Ok(system.machine().longest)
}

/// The machine, with a look at the clock whenever interrupts are disabled and enabled.
struct Counting {
    kernel: Kernel,
    /// When the kernel was entered.
    since: u64,
    longest: u64,
}

impl Counting {
    fn interrupts_are_taken(&mut self) {
        self.longest = self.longest.max(now() - self.since);
    }
}

impl Machine for Counting {
    type Mmu = PhysicalMap;

    fn with_memory<R>(&self, action: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> R {
        self.kernel.with_memory(action)
    }

    fn reserve_heap(&mut self, bytes: usize) -> Result<(), Errno> {
        self.kernel.reserve_heap(bytes)
    }

    fn trim_heap(&mut self, freed: usize) -> bool {
        self.kernel.trim_heap(freed)
    }

    fn let_interrupts_in(&mut self) {
        self.interrupts_are_taken();
        self.kernel.let_interrupts_in();
        self.since = now();
    }

    fn run(&mut self, pages: &mut ProcessPages, registers: &mut Registers) -> Stop {
        self.interrupts_are_taken();
        let stop = self.kernel.run(pages, registers);
        self.since = now();
        stop
    }

    fn print(&mut self, text: &[u8]) {
        self.kernel.print(text);
    }

    fn show(&mut self, row: usize, text: &[u8; COLUMNS], colour: u8) {
        self.kernel.show(row, text, colour);
    }

    fn key(&mut self) -> Option<u8> {
        self.kernel.key()
    }

    fn entropy(&mut self) -> u64 {
        self.kernel.entropy()
    }

    fn program(&self, name: &str) -> Option<(&'static str, &'static [u8])> {
        self.kernel.program(name)
    }

    fn programs(&self) -> impl Iterator<Item = &'static str> {
        self.kernel.programs()
    }
}

#[allow(unsafe_code, reason = "the counter of the processor is read by an intrinsic")]
fn now() -> u64 {
    // SAFETY: every x86_64 processor has the counter.
    unsafe { _rdtsc() }
}
