//! Starting the other CPUs.
//!
//! ```text
//!   this CPU                                     another CPU
//!   writes the trampoline, below 1 MiB
//!   INIT, start-up ×2, to all ─────────────────► real mode, at the trampoline
//!                                                protected and long mode, the kernel's tables
//!                                                a number, its stack, `start_here`
//!   waits until all are online ◄──────────────── segments, handlers, local APIC: online
//!   takes the trampoline away                    waits for work (`cpu::work`)
//! ```
//!
//! The trampoline lies in the frame of the boot sector, which is no other memory's. The kernel's
//! tables map it where it is while CPUs start, because the instruction that enables paging goes on
//! at the same address.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::{offset_of, size_of};
use core::{ptr, slice};

use spin::Once;
use x86_64::VirtAddr;
use x86_64::registers::control::{Cr0, Cr3, Cr4Flags, Efer, EferFlags};

use super::paging;
use super::{MAIN_STACK, fatal_stacks, set_up_cpu};
use crate::arch::{gdt, qemu, trap};
use crate::cpu::{self, MAX_CPUS, apic, work};
use crate::memory::tables::Leaf;
use crate::memory::{self, PhysicalMap, pages};
use crate::words::Permissions;
use crate::words::layout::{PAGE_SIZE, frame_at, page_floor};

/// Physical address of the trampoline: the start of the boot sector's frame.
const TRAMPOLINE: u64 = page_floor(paging::LOW_ADDRESS);

/// Where in the frame the values are that the trampoline needs.
const VALUES: usize = 0x400;

/// What the trampoline needs, behind its code.
#[repr(C)]
struct Values {
    /// A table without segments but for 64-bit code, and what `lgdt` wants to know of it.
    segments: [u64; 2],
    table: [u16; 3],
    _alignment: u16,
    cr0: u32,
    cr3: u32,
    cr4: u32,
    efer: u32,
    entry: u64,
    /// CPUs that have taken a number.
    count: u64,
    /// Ends of their stacks, by number; the first one's is not needed.
    stacks: [u64; MAX_CPUS],
}

global_asm!(
    ".pushsection .rodata.trampoline, \"a\"",
    ".global trampoline, trampoline_end",
    ".code16",
    "trampoline:",
    "cli",
    "xorw %ax, %ax",
    "movw %ax, %ds",
    "lgdtl {values} + {table}",
    "movl {values} + {cr4}, %eax",
    "movl %eax, %cr4",
    "movl {values} + {cr3}, %eax",
    "movl %eax, %cr3",
    "movl $0xC0000080, %ecx",
    "movl {values} + {efer}, %eax",
    "xorl %edx, %edx",
    "wrmsr",
    "movl {values} + {cr0}, %eax",
    "movl %eax, %cr0",
    "ljmpl $8, $({start} + 2f - trampoline)",
    ".code64",
    "2:",
    "xorl %eax, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "movl $1, %edi",
    "lock xaddq %rdi, {values} + {count}",
    "incq %rdi",
    "movq {values} + {stacks}(, %rdi, 8), %rsp",
    "xorl %ebp, %ebp",
    "callq *{values} + {entry}",
    "ud2",
    "trampoline_end:",
    ".popsection",
    start = const TRAMPOLINE,
    values = const TRAMPOLINE as usize + VALUES,
    table = const offset_of!(Values, table),
    cr0 = const offset_of!(Values, cr0),
    cr3 = const offset_of!(Values, cr3),
    cr4 = const offset_of!(Values, cr4),
    efer = const offset_of!(Values, efer),
    entry = const offset_of!(Values, entry),
    count = const offset_of!(Values, count),
    stacks = const offset_of!(Values, stacks),
    options(att_syntax),
);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

/// Ends of the stacks for fatal exceptions, of each CPU that is started.
static FATAL_STACKS: Once<[[VirtAddr; gdt::FATAL_STACKS]; MAX_CPUS]> = Once::new();

/// Starts the other CPUs that the machine has, [`MAX_CPUS`] in all at most, and waits until each is
/// online.
pub(super) fn start() {
    let cpus = usize::from(qemu::cpus()).min(MAX_CPUS);
    if cpus <= 1 {
        return;
    }
    let none = VirtAddr::zero();
    FATAL_STACKS.call_once(|| {
        core::array::from_fn(|cpu| {
            if (1..cpus).contains(&cpu) { fatal_stacks() } else { [none; gdt::FATAL_STACKS] }
        })
    });
    let mut stacks = [0; MAX_CPUS];
    for stack in &mut stacks[1..cpus] {
        let added = memory::with(|memory| memory.add_stack(MAIN_STACK));
        *stack = added.expect("there is memory for the stacks of all CPUs").top;
    }
    write_trampoline(stacks);
    let all = Permissions::READ | Permissions::WRITE | Permissions::EXECUTE;
    let leaf = Leaf { frame: frame_at(TRAMPOLINE), flags: pages::flags(TRAMPOLINE, all) };
    // SAFETY: the frame is no other memory's, and is mapped by physical memory's map already.
    memory::with(|memory| unsafe { paging::map(memory, TRAMPOLINE, leaf) });
    apic::start_others((TRAMPOLINE / PAGE_SIZE) as u8);
    while cpu::online() < cpus {
        cpu::request::answer();
        core::hint::spin_loop();
    }
    memory::with(|memory| paging::unmap(memory, TRAMPOLINE));
}

/// Writes the trampoline and its values to where CPUs start.
fn write_trampoline(stacks: [u64; MAX_CPUS]) {
    let start = &raw const trampoline;
    let len = (&raw const trampoline_end).addr() - start.addr();
    assert!(len <= VALUES, "the trampoline fits below its values");
    assert!(VALUES + size_of::<Values>() <= (paging::LOW_ADDRESS % PAGE_SIZE) as usize);
    let values = Values {
        // Nothing, and 64-bit code of ring 0.
        segments: [0, 0x00AF_9B00_0000_FFFF],
        table: [15, (TRAMPOLINE as usize + VALUES) as u16, 0],
        _alignment: 0,
        cr0: Cr0::read_raw() as u32,
        cr3: u32::try_from(Cr3::read().0.start_address().as_u64())
            .expect("the first tables lie below 4 GiB"),
        // No table of another size, and nothing that needs what is not set up yet.
        cr4: Cr4Flags::PHYSICAL_ADDRESS_EXTENSION.bits() as u32,
        efer: (Efer::read() - EferFlags::LONG_MODE_ACTIVE).bits() as u32,
        entry: start_here as *const () as u64,
        count: 0,
        stacks,
    };
    let frame = PhysicalMap::address(TRAMPOLINE) as usize;
    let to = ptr::with_exposed_provenance_mut::<u8>(frame);
    // SAFETY: the code lies between the two symbols; the frame is mapped, and nothing else uses it
    // up to the boot sector's code, which has run.
    unsafe {
        to.copy_from_nonoverlapping(slice::from_raw_parts(start, len).as_ptr(), len);
        to.add(VALUES).cast::<Values>().write(values);
    }
}

/// Where another CPU comes from the trampoline, on the kernel's own tables and its own stack.
extern "C" fn start_here(number: u64) -> ! {
    // SAFETY: the trampoline gives each number once.
    unsafe { cpu::take_number(number as usize) };
    let fatal_stacks = FATAL_STACKS.get().expect("they were made")[number as usize];
    trap::load(&super::HANDLERS);
    // SAFETY: the stacks were made for this CPU.
    unsafe { set_up_cpu(fatal_stacks) };
    work::forever()
}
