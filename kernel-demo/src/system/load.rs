//! A program becomes a process.
//!
//! What the image's file holds is copied into frames when the program is loaded; what is zero at
//! first (bss, stack) is not there until it is touched.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use fastrand::Rng;

use super::image::{Image, ImageError, Segment};
use super::machine::Machine;
use super::memory::Mapped;
use super::process::{Options, Process, Room, Slot, Started};
use super::start::Start;
use super::table::Pid;
use super::usage::Usage;
use super::{Commons, System};
use crate::address_space::{AddressSpace, Errno, Layout, Limits, Name, Vma};
use crate::memory::layout::{PAGE_SIZE, page_ceil, page_floor};
use crate::memory::{Pages, Registers};

/// Why a program was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The image is none that can run here.
    Image(ImageError),
    /// There is no memory for it, or no room in the process table.
    Errno(Errno),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => write!(f, "{} ({error})", Errno::ENOEXEC),
            Self::Errno(errno) => write!(f, "{errno} ({})", errno.text()),
        }
    }
}

impl From<Errno> for SpawnError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ImageError> for SpawnError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl<M: Machine> System<M> {
    /// Starts a program, given its ELF file. It runs when [`run`](Self::run) is called.
    ///
    /// # Errors
    ///
    /// Says what is missing. Nothing has changed.
    pub fn spawn(
        &mut self,
        name: &'static str,
        file: &[u8],
        arguments: &[&str],
        options: Options,
    ) -> Result<Pid, SpawnError> {
        let image = Image::parse(file)?;
        let pid = self.table.vacancy().ok_or(Errno::EAGAIN)?;
        self.started.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let process = self.commons.load(pid, name, &image, arguments, options)?;
        self.table.insert(Pid::KERNEL, Slot { process: Some(process), used: Usage::default() });
        self.started.push(Started {
            pid,
            name,
            status: None,
            usage: Usage::default(),
            crash: None,
        });
        Ok(pid)
    }
}

impl<M: Machine> Commons<M> {
    /// A process that is about to begin with the program, not yet in the table.
    fn load(
        &mut self,
        pid: Pid,
        name: &'static str,
        image: &Image<'_>,
        arguments: &[&str],
        options: Options,
    ) -> Result<Box<Process<M::Reach>>, Errno> {
        let seed = options.seed.unwrap_or_else(|| self.machine.entropy());
        let default = Limits::default();
        let (data, stack) = (
            options.data_limit.unwrap_or(default.data),
            options.stack_limit.unwrap_or(default.stack),
        );
        let layout = Layout::from_seed(seed, image.span(), stack);
        let room = Room::take(&mut self.machine)?;
        let pages = Pages::new(self.machine.reach()).map_err(|_| Errno::ENOMEM)?;
        let mut process = room.fill(Process {
            pid,
            name,
            space: AddressSpace::new(layout, Limits { data, stack, ..default }),
            pages,
            registers: Registers::default(),
            pending: None,
            text: String::new(),
            ending: None,
            options,
            switches: Usage::default(),
            children: Usage::default(),
        });
        let loaded = self.fill(&mut process, image, arguments, seed);
        match loaded {
            Ok(()) => Ok(process),
            Err(errno) => {
                self.dismantle(process);
                Err(errno)
            }
        }
    }

    /// Puts the image and the first bytes of the stack into a new address space.
    fn fill(
        &mut self,
        process: &mut Process<M::Reach>,
        image: &Image<'_>,
        arguments: &[&str],
        seed: u64,
    ) -> Result<(), Errno> {
        /// Interrupts on; the bit that is always set.
        const FLAGS: u64 = 0x202;
        /// Bytes of stack below what the program finds there; more when it touches it.
        const STACK: u64 = 4 * PAGE_SIZE;
        let layout = process.space.layout();
        for segment in image.segments() {
            self.map(process, layout.text, segment)?;
        }
        let start = Start {
            name: process.name,
            arguments,
            entry: layout.text + image.entry(),
            headers: image.headers().map(|headers| headers.at(layout.text)),
            random: random_bytes(seed),
        };
        let stack = start.lay_out(layout.stack_top).map_err(|_| Errno::ENOMEM)?;
        // As in Linux, a quarter of the stack is for them at most.
        if stack.bytes.len() as u64 > process.space.limits().stack / 4 {
            return Err(Errno::E2BIG);
        }
        process.space.insert_stack(stack.bytes.len() as u64 + STACK, &mut self.account)?;
        self.copy_out(process, stack.pointer, &stack.bytes).map_err(|_| Errno::ENOMEM)?;
        process.registers = Registers {
            rip: start.entry,
            rsp: stack.pointer,
            rflags: FLAGS,
            ..Registers::default()
        };
        Ok(())
    }

    /// Maps a segment, with what the file has of it.
    fn map(
        &mut self,
        process: &mut Process<M::Reach>,
        base: u64,
        segment: &Segment<'_>,
    ) -> Result<(), Errno> {
        let (start, end) = segment.pages();
        let file_end = page_ceil(segment.start + segment.bytes.len() as u64).max(start);
        let (permissions, name) = (segment.permissions, Name::new(process.name));
        if start < file_end {
            let vma = Vma::image(
                base + start,
                base + file_end,
                permissions,
                name,
                page_floor(segment.offset),
            );
            process.space.insert_image(vma, &mut self.account)?;
        }
        if file_end < end {
            let vma = Vma::private(
                base + file_end,
                base + end,
                permissions,
                crate::address_space::Kind::Image,
            );
            process.space.insert_image(vma, &mut self.account)?;
        }
        for page in (base + start..base + file_end).step_by(PAGE_SIZE as usize) {
            let mut spot = process.pages.spot(page).expect("areas lie in the lower half");
            spot.map_zeroed(permissions).map_err(|_| Errno::ENOMEM)?;
        }
        process.pages.load(base + segment.start, segment.bytes);
        Ok(())
    }

    /// Gives back a slice of what a process has. `false` if it has to be called again to finish.
    pub(super) fn give_up(&mut self, process: &mut Process<M::Reach>) -> bool {
        let mapped = &mut Mapped::new(&mut process.pages, &mut self.objects);
        process.space.clear(mapped, &mut self.account) && self.objects.collect()
    }

    /// Takes a process apart: its memory goes back to the system.
    pub(super) fn dismantle(&mut self, mut process: Box<Process<M::Reach>>) {
        while !self.give_up(&mut process) {}
    }
}

/// Bytes that look random and follow from the seed.
fn random_bytes(seed: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
