//! A machine whose programs are Rust functions, step by step: system calls, touches and faults
//! without a processor.
//!
//! A program is a list of steps. Its image has one page of text for each program; the page's number
//! is the program's, and the byte in it that `rip` points at is the number of the step.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::address_space::Errno;
use crate::memory::layout::{PAGE_SIZE, page_floor};
use crate::memory::pages::tests::machine::Machine as Frames;
use crate::memory::tables::tests::VectorMemory;
use crate::memory::{Access, Memory, PageFault, Pages, Registers, Stop};
use crate::system::machine::Machine;
use crate::system::{Options, Settings, Status, System};
use crate::words::screen::COLUMNS;

/// One step of a program: what it does until it stops for the kernel, or nothing.
pub(crate) type Step = fn(&mut Cpu<'_>) -> Option<Stop>;

/// Notes the result of the call before.
pub(crate) const NOTES: Step = |cpu| {
    let result = cpu.result();
    cpu.note(result)
};

/// Waits for a signal.
pub(crate) const PAUSES: &[Step] = &[|cpu| cpu.call("pause", &[])];

/// Frames of the machine, if a test does not say.
pub const FRAMES: usize = 512;

/// The processor, as a step sees it.
pub(crate) struct Cpu<'a> {
    pub registers: &'a mut Registers,
    pages: &'a mut Pages<VectorMemory>,
    seen: &'a mut Vec<u64>,
    pub rng: &'a mut Rng,
}

impl Cpu<'_> {
    /// Makes a system call. The next step finds the result in `rax`.
    pub fn call(&mut self, name: &str, arguments: &[u64]) -> Option<Stop> {
        self.call_number(System::<ByHand>::call_named(name).number, arguments)
    }

    /// Makes the system call of a number.
    pub fn call_number(&mut self, number: u64, arguments: &[u64]) -> Option<Stop> {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        let registers = &mut self.registers;
        registers.rax = number;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] =
            all;
        Some(Stop::SystemCall)
    }

    /// The result of the latest call.
    pub const fn result(&self) -> u64 {
        self.registers.rax
    }

    /// Notes a number for the test to see.
    pub fn note(&mut self, number: u64) -> Option<Stop> {
        self.seen.push(number);
        None
    }

    /// Writes to memory.
    pub fn store(&mut self, address: u64, bytes: &[u8]) -> Option<Stop> {
        let done = self.pages.write(address, bytes);
        (done < bytes.len()).then(|| self.fault(address + done as u64, Access::Write))
    }

    /// Reads memory into the notes.
    pub fn load(&mut self, address: u64) -> Option<Stop> {
        match self.word(address) {
            Ok(word) => self.note(word),
            Err(stop) => Some(stop),
        }
    }

    /// Reads memory.
    pub fn word(&mut self, address: u64) -> Result<u64, Stop> {
        let mut bytes = [0; 8];
        let done = self.pages.read(address, &mut bytes);
        if done < bytes.len() {
            return Err(self.fault(address + done as u64, Access::Read));
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn fault(&self, address: u64, access: Access) -> Stop {
        Stop::PageFault(PageFault { address, access })
    }

    /// Where the program's text begins.
    pub const fn text(&self) -> u64 {
        page_floor(self.registers.rip)
    }

    /// Goes on at another step.
    pub fn jump(&mut self, step: u64) {
        self.registers.rip = self.text() + step;
    }
}

/// The machine.
pub(crate) struct ByHand {
    pub frames: Frames,
    pub programs: Vec<&'static [Step]>,
    pub seen: Vec<u64>,
    pub keys: VecDeque<u8>,
    pub rng: Rng,
    pub printed: Vec<u8>,
    /// How often interrupts were let in.
    pub let_in: usize,
    /// How often the latest address has faulted in a row.
    faults: (u64, u32),
}

impl Machine for ByHand {
    type Mmu = VectorMemory;

    fn with_memory<R>(&self, action: impl FnOnce(&mut Memory<VectorMemory>) -> R) -> R {
        self.frames.with(action)
    }

    fn reserve_heap(&mut self, _: usize) -> Result<(), Errno> {
        Ok(())
    }

    fn trim_heap(&mut self, _freed: usize) -> bool {
        true
    }

    fn let_interrupts_in(&mut self) {
        self.let_in += 1;
    }

    fn run(&mut self, pages: &mut Pages<VectorMemory>, registers: &mut Registers) -> Stop {
        // As the processor does, fetch first: text that is not mapped is a fault.
        let mut program = [0];
        if pages.read(registers.rip, &mut program) == 0 {
            return Stop::PageFault(PageFault { address: registers.rip, access: Access::Execute });
        }
        let program = self.programs.get(usize::from(program[0])).copied().unwrap_or(&[]);
        loop {
            let step = registers.rip % PAGE_SIZE;
            let before = registers.rip;
            registers.rip += 1;
            let Self { seen, rng, .. } = self;
            let mut cpu = Cpu { registers, pages, seen, rng };
            let stop = match program.get(step as usize) {
                Some(step) => step(&mut cpu),
                None => cpu.call("exit", &[0]),
            };
            match stop {
                Some(Stop::PageFault(fault)) => {
                    let (address, times) = self.faults;
                    self.faults =
                        (fault.address, if address == fault.address { times + 1 } else { 1 });
                    assert!(self.faults.1 < 100, "{fault:?} was served, and is there again");
                    // The instruction can run again.
                    registers.rip = before;
                    return Stop::PageFault(fault);
                }
                Some(stop) => return stop,
                None => {}
            }
        }
    }

    fn program(&self, name: &str) -> Option<(&'static str, &'static [u8])> {
        let number = name.parse().ok()?;
        usize::from(number).lt(&self.programs.len()).then(|| ("by name", &*image(number).leak()))
    }

    fn programs(&self) -> impl Iterator<Item = &'static str> {
        ["by name"].into_iter()
    }

    fn print(&mut self, text: &[u8]) {
        self.printed.extend_from_slice(text);
    }

    fn show(&mut self, row: usize, text: &[u8; COLUMNS], colour: u8) {
        self.printed.extend([row as u8, colour]);
        self.printed.extend(text);
    }

    fn key(&mut self) -> Option<u8> {
        self.keys.pop_front()
    }

    fn entropy(&mut self) -> u64 {
        1
    }
}

/// A system with so many frames, on which these programs can be run.
pub(crate) fn system(
    frames: usize,
    settings: Settings,
    programs: &[&'static [Step]],
) -> System<ByHand> {
    let programs = programs.to_vec();
    let (seen, keys, rng, printed) = (Vec::new(), VecDeque::new(), Rng::with_seed(0), Vec::new());
    System::new(
        ByHand {
            frames: Frames::new(frames),
            programs,
            seen,
            keys,
            rng,
            printed,
            let_in: 0,
            faults: (0, 0),
        },
        settings,
    )
    .unwrap()
}

/// The image of the program of that number: a page of text and one of data, the second half of
/// which is bss.
pub fn image(program: u8) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value) in [(16, 3_u16), (18, 62), (52, 64), (54, 56), (56, 2)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file[20] = 1;
    file[32] = 64;
    for (flags, offset, address, in_file, in_memory) in
        [(5_u32, 0x1000_u64, 0_u64, 0x1000_u64, 0x1000_u64), (6, 0x2000, 0x1000, 0x800, 0x2000)]
    {
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        for word in [offset, address, address, in_file, in_memory, 0x1000] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    file.resize(0x1000, 0);
    file.resize(0x2000, program);
    file.resize(0x2800, 0xdd);
    file
}

/// Where the data of the image lies, from its text on.
pub const DATA: u64 = 0x1000;

/// Runs these programs together. Returns how each ended, and the system, which must have given all
/// frames back.
pub(crate) fn run_with(
    settings: Settings,
    options: Options,
    programs: &[&'static [Step]],
) -> (Vec<Status>, System<ByHand>) {
    let mut system = system(FRAMES, settings, programs);
    let statuses = run_in(&mut system, options);
    (statuses, system)
}

/// Runs all programs of the machine in this system.
pub(crate) fn run_in(system: &mut System<ByHand>, options: Options) -> Vec<Status> {
    let before = system.machine().frames.counts();
    let count = system.machine().programs.len() as u8;
    let pids: Vec<_> = (0..count)
        .map(|number| system.spawn("by hand", &image(number), &["argument"], options).unwrap())
        .collect();
    system.run();
    assert_eq!(system.machine().frames.counts(), before, "frames after all have ended");
    assert_eq!(system.promised(), 0, "pages promised after all have ended");
    pids.into_iter().map(|pid| system.outcome(pid).unwrap().status.unwrap()).collect()
}

/// The same, with nothing special.
pub(crate) fn run(programs: &[&'static [Step]]) -> (Vec<Status>, System<ByHand>) {
    let output = crate::system::console::Output::Memory(1 << 16);
    run_with(
        Settings { output, ..Settings::default() },
        Options { seed: Some(1), ..Options::default() },
        programs,
    )
}
