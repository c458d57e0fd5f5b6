//! Processes on the machine that this kernel runs on, with all its CPUs.

use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::address_space::Errno;
use crate::arch::timer::{self, Ticking};
use crate::arch::{entropy, serial, user, vga};
use crate::cpu::{self, Lock, MAX_CPUS, request, work};
use crate::heap::{self, HEAP};
use crate::memory::PhysicalMap;
use crate::memory::{self, BreakId, Memory, ProcessPages, Registers, Stop};
use crate::programs;
use crate::system::machine::Machine;
use crate::system::run::Next;
use crate::system::table::Pid;
use crate::system::{Options, Settings, System};
use crate::words::screen::COLUMNS;

/// Microseconds from one tick of the timer to the next: the longest turn of a process when others
/// are ready.
const TICK: u32 = 5_000;

/// Bytes of processes that have ended that stay with the kernel's heap before it is trimmed.
const HEAP_SLACK: usize = 64 << 10;

/// The processor, the timer, the kernel's heap and the serial port.
#[derive(Debug)]
pub struct Kernel {
    _ticking: Ticking,
    /// Bytes of the kernel's heap that ended processes have freed since it was trimmed.
    freed: usize,
    turns: [u64; MAX_CPUS],
}

/// Processes on this machine.
pub type KernelSystem = System<Kernel>;

impl KernelSystem {
    /// A system without processes.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's heap has no room for it.
    pub fn start(settings: Settings) -> Result<Self, Errno> {
        Self::new(Kernel::new(), settings)
    }

    /// Starts one of the programs in the kernel's image. It runs when
    /// [`run_on_all_cpus`](Self::run_on_all_cpus) is called.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is no program of that name, and what [`spawn`](Self::spawn) says.
    /// Nothing has changed.
    pub fn start_program(
        &mut self,
        name: &'static str,
        arguments: &[&str],
        options: Options,
    ) -> Result<Pid, Errno> {
        let image = programs::find(name).ok_or(Errno::ENOENT)?;
        self.spawn(name, image, arguments, options)
    }

    /// Runs all processes until the last has ended, on all CPUs.
    pub fn run_on_all_cpus(&mut self) {
        let shared = Shared { system: Lock::new(self), idle: AtomicU64::new(0) };
        work::on_all(&|| shared.work());
    }
}

impl Kernel {
    /// The machine, with the timer ticking.
    #[allow(clippy::new_without_default, reason = "it starts the timer")]
    pub fn new() -> Self {
        Self { _ticking: Ticking::every(TICK), freed: 0, turns: [0; MAX_CPUS] }
    }

    /// How many turns threads had on each CPU.
    pub const fn turns(&self) -> [u64; MAX_CPUS] {
        self.turns
    }

    /// Frames that no process has: those that are free, and those behind the kernel's heap, which
    /// come and go with what the kernel notes about processes.
    pub fn frames_of_no_process(&self) -> u64 {
        memory::with(|memory| {
            let heap =
                memory.break_info(BreakId::KERNEL_HEAP).map_or(0, |heap| heap.pages + heap.tables);
            (memory.counts().free + heap) as u64
        })
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        HEAP.trim(0);
    }
}

impl Machine for Kernel {
    type Mmu = PhysicalMap;

    fn with_memory<R>(&self, action: impl FnOnce(&mut Memory<PhysicalMap>) -> R) -> R {
        memory::with(action)
    }

    fn reserve_heap(&mut self, bytes: usize) -> Result<(), Errno> {
        if !memory::with(|memory| memory.reserve_is_whole()) {
            return Err(Errno::ENOMEM);
        }
        // What is freed stays at hand in this CPU's arena.
        let mut room = Vec::<u8>::new();
        room.try_reserve_exact(bytes).map_err(|_| Errno::ENOMEM)?;
        black_box(&room);
        Ok(())
    }

    fn trim_heap(&mut self, freed: usize) -> bool {
        self.freed += freed;
        if self.freed < HEAP_SLACK {
            return true;
        }
        let is_done = heap::trim_slice();
        if is_done {
            self.freed = 0;
        }
        is_done
    }

    fn let_interrupts_in(&mut self) {
        timer::let_in();
    }

    fn run(&mut self, pages: &mut ProcessPages, registers: &mut Registers) -> Stop {
        user::run(registers, pages.root())
    }

    fn program(&self, name: &str) -> Option<(&'static str, &'static [u8])> {
        programs::find_named(name)
    }

    fn programs(&self) -> impl Iterator<Item = &'static str> {
        programs::names()
    }

    fn print(&mut self, text: &[u8]) {
        serial::write_bytes(text);
    }

    fn show(&mut self, row: usize, text: &[u8; COLUMNS], colour: u8) {
        vga::show(row, text, colour);
    }

    fn key(&mut self) -> Option<u8> {
        serial::read_byte()
    }

    fn entropy(&mut self) -> u64 {
        entropy::number()
    }
}

/// A system that all CPUs work on: the kernel's lock. Who has it is in the kernel; it is free in
/// ring 3, and between two turns.
struct Shared<'a> {
    system: Lock<&'a mut KernelSystem>,
    /// CPUs that wait for something to do, a bit each.
    idle: AtomicU64,
}

impl Shared<'_> {
    /// What each CPU does until all processes have ended.
    fn work(&self) {
        let number = cpu::number();
        // The first CPU's timer ticks already.
        let _ticking = (number > 0).then(|| Ticking::every(TICK));
        let mut system = self.system.lock();
        loop {
            match system.next() {
                Next::Run(mut running) => loop {
                    self.wake_one(&system);
                    let (registers, root) = (&mut running.thread.registers, running.root);
                    let stop = system.unlocked(|| user::run(registers, root));
                    match system.stopped(running, stop) {
                        Some(goes_on) => running = goes_on,
                        None => break system.machine().turns[number] += 1,
                    }
                },
                Next::Again => {}
                Next::Wait => {
                    self.idle.fetch_or(1 << number, Ordering::Relaxed);
                    system.unlocked(work::wait_for_interrupt);
                    self.idle.fetch_and(!(1 << number), Ordering::Relaxed);
                    continue;
                }
                Next::Nothing => break,
            }
            self.wake_one(&system);
            system.unlocked(timer::let_in);
        }
        let idle = self.idle.load(Ordering::Relaxed);
        (0..MAX_CPUS).filter(|cpu| idle >> cpu & 1 == 1).for_each(request::wake);
    }

    /// Wakes a CPU that waits, if there is a thread for it.
    fn wake_one(&self, system: &KernelSystem) {
        let idle = self.idle.load(Ordering::Relaxed);
        if idle != 0 && system.is_ready() {
            request::wake(idle.trailing_zeros() as usize);
        }
    }
}
