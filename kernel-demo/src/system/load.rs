//! A program becomes a process.
//!
//! What the image's file holds is copied into frames when the program is loaded; what is zero at
//! first (bss, stack) is not there until it is touched.

use alloc::boxed::Box;
use core::mem;

use fastrand::Rng;

use super::image::{Image, Segment};
use super::machine::Machine;
use super::process::{Options, Process, Room, Slot, Started, Thread, Turn};
use super::start::Start;
use super::table::Pid;
use super::usage::Usage;
use super::{Commons, System};
use crate::address_space::{AddressSpace, AreaKind, Decision, Errno, Layout, Limits, Vma};
use crate::memory::layout::{PAGE_SIZE, page_ceil, page_floor};
use crate::memory::{Pages, Registers};
use crate::story::{self, Kind};

/// Bytes of a segment that are loaded between two moments at which interrupts are taken.
const AT_ONCE: usize = 8 * PAGE_SIZE as usize;

impl<M: Machine> System<M> {
    /// Starts a program, given its ELF file. It runs when [`run`](Self::run) is called.
    ///
    /// # Errors
    ///
    /// `ENOEXEC` for an image that cannot run here; or says what is missing. Nothing has changed.
    pub fn spawn(
        &mut self,
        name: &'static str,
        file: &[u8],
        arguments: &[&str],
        options: Options,
    ) -> Result<Pid, Errno> {
        let image = Image::parse(file)?;
        let pid = self.table.vacancy().ok_or(Errno::EAGAIN)?;
        self.started.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let loaded = self.commons.load(pid, name, &image, arguments, options)?;
        self.table.insert(Pid::KERNEL, Slot::new(name, loaded));
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
    pub(super) fn load(
        &mut self,
        pid: Pid,
        name: &'static str,
        image: &Image<'_>,
        arguments: &[&str],
        options: Options,
    ) -> Result<Turn<M::Mmu>, Errno> {
        let seed = options.seed.unwrap_or_else(|| self.machine.entropy());
        let default = Limits::default();
        let data = options.data_limit.unwrap_or(default.data);
        let stack = options.stack_limit.unwrap_or(default.stack);
        let layout = Layout::from_seed(seed, image.span(), stack);
        let room = (Room::take(&mut self.machine)?, Room::take(&mut self.machine)?);
        let pages = self.machine.with_memory(|memory| {
            let (mut payer, kernel) = memory.payer();
            Pages::new(&mut payer, kernel)
        })?;
        let space = AddressSpace::new(layout, Limits { data, stack, ..default });
        let process = Process::new((pid, name), (space, pages), options);
        let mut process = room.0.fill(process);
        process.tell_made(Pid::KERNEL);
        match self.fill(&mut process, image, arguments, seed) {
            Ok(registers) => {
                if story::is_on() {
                    process.tell_areas();
                    self.tell_snapshot(&mut process);
                }
                Ok((process, room.1.fill(Thread::new(pid, registers))))
            }
            Err(errno) => {
                self.dismantle(process);
                Err(errno)
            }
        }
    }

    /// Puts the image and the first bytes of the stack into a new address space. Returns the
    /// registers that the program begins with.
    fn fill(
        &mut self,
        process: &mut Process<M::Mmu>,
        image: &Image<'_>,
        arguments: &[&str],
        seed: u64,
    ) -> Result<Registers, Errno> {
        /// Interrupts on; the bit that is always set.
        const FLAGS: u64 = 0x202;
        /// Bytes of stack below what the program finds there; more when it touches it.
        const STACK: u64 = 4 * PAGE_SIZE;
        let layout = process.space.layout();
        image.segments().try_for_each(|segment| self.load_segment(process, &segment))?;
        // They look random, and follow from the seed.
        let mut random = [0; 16];
        Rng::with_seed(seed).fill(&mut random);
        let start = Start {
            name: process.name,
            arguments,
            entry: layout.text + image.entry(),
            headers: image.headers().map(|headers| headers.at(layout.text)),
            random,
            story: story::is_on().then_some(story::CALL),
        };
        let stack = start.lay_out(layout.stack_top).map_err(|_| Errno::ENOMEM)?;
        // As in Linux, a quarter of the stack is for them at most.
        if stack.bytes.len() as u64 > process.space.limits().stack / 4 {
            return Err(Errno::E2BIG);
        }
        process.space.make_room(|bytes| self.machine.reserve_heap(bytes))?;
        let len = stack.bytes.len() as u64 + STACK;
        self.with_space(process, |space, mapped| space.insert_stack(len, mapped))?;
        self.copy_out(process, stack.pointer, &stack.bytes).map_err(|_| Errno::ENOMEM)?;
        Ok(Registers {
            rip: start.entry,
            rsp: stack.pointer,
            rflags: FLAGS,
            ..Registers::default()
        })
    }

    /// Maps a segment, with what the file has of it.
    fn load_segment(
        &mut self,
        process: &mut Process<M::Mmu>,
        segment: &Segment<'_>,
    ) -> Result<(), Errno> {
        let Segment { bytes, permissions, offset, .. } = *segment;
        let base = process.space.layout().text;
        let (start, end) = segment.pages();
        let file_end = page_ceil(segment.start + bytes.len() as u64).max(start);
        let (from, to) = (base + start, base + file_end);
        let of_file = Vma::image(from, to, permissions, process.name, page_floor(offset));
        let zeroed = Vma::private(to, base + end, permissions, AreaKind::Image);
        for vma in [of_file, zeroed].into_iter().filter(|vma| vma.start < vma.end) {
            process.space.make_room(|bytes| self.machine.reserve_heap(bytes))?;
            self.with_space(process, |space, mapped| space.insert_image(vma, mapped))?;
        }
        let first = base + segment.start;
        let at = |page: u64| bytes.len().min(page.saturating_sub(first) as usize);
        for part in (from..to).step_by(AT_ONCE) {
            let end = to.min(part + AT_ONCE as u64);
            self.machine.let_interrupts_in();
            self.with_space(process, |_, mapped| {
                for page in (part..end).step_by(PAGE_SIZE as usize) {
                    mapped.carry_out(page, Decision::MapZeroed, permissions)?;
                }
                mapped.pages.load(mapped.payer.pool, part.max(first), &bytes[at(part)..at(end)]);
                Ok::<_, Errno>(())
            })?;
        }
        Ok(())
    }

    /// Gives back a slice of what a process has. `false` if it has to be called again to finish.
    pub(super) fn give_up(&mut self, process: &mut Process<M::Mmu>) -> bool {
        self.with_space(process, |space, mapped| space.clear(mapped)) && self.collect()
    }

    /// Takes a process apart: its memory goes back to the system.
    pub(super) fn dismantle(&mut self, mut process: Box<Process<M::Mmu>>) {
        while !self.give_up(&mut process) {
            self.machine.let_interrupts_in();
        }
        let bytes = size_of::<Process<M::Mmu>>() + process.space.heap_bytes();
        self.destroy(process);
        self.machine.let_interrupts_in();
        let mut freed = bytes;
        while !self.machine.trim_heap(mem::take(&mut freed)) {
            self.machine.let_interrupts_in();
        }
        self.machine.let_interrupts_in();
    }

    /// Frees a process that has given up its memory, and what the kernel notes about it.
    #[allow(clippy::boxed_local, reason = "the box is freed before the heap is trimmed")]
    fn destroy(&mut self, process: Box<Process<M::Mmu>>) {
        let space = process.space_number();
        let Process { pages, .. } = *process;
        self.machine.with_memory(|memory| pages.destroy(&mut memory.payer().0));
        story::tell(Kind::Gone, [space]);
    }
}
