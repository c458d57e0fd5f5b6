//! At boot: the kernel makes page tables of its own and leaves the bootloader's.
//!
//! ```text
//!                       bootloader's tables                kernel's tables
//!   lower half          identity map, its own code         nothing: the first page catches null pointers
//!   physical memory     rwx, to the last device            rw-, to the end of RAM
//!   boot information    rwx                                r--
//!   kernel image        as the linker said, or so          exactly as the linker said
//!   local APIC          nothing                            rw-, not cached
//!   stack               rwx                                another one, rw-
//! ```
//!
//! The bootloader's tables, code and stack become free memory when the kernel runs on its own.
#![allow(unsafe_code)]

use core::slice;

use bootloader::BootInfo;
use bootloader::bootinfo::{MemoryRegion, MemoryRegionType};
use x86_64::registers::control::Cr3;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, Page, PageSize, PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::registers::{ControlRegisters, enable_protections};
use crate::address_space::{AreaKind, Vma};
use crate::memory::frames::{Frame, Frames};
use crate::memory::image;
use crate::memory::pages::flags;
use crate::memory::tables::{Budget, Leaf, Tables};
use crate::memory::{self, Memory, PhysicalMap};
use crate::words::Permissions;
use crate::words::layout::{LOCAL_APIC, PAGE_SIZE, PHYSICAL_MEMORY};
use crate::words::layout::{frame_at, page_ceil, page_floor};

/// A physical address that the bootloader's code uses directly: the last two bytes of the boot
/// sector, where the firmware put it.
pub const LOW_ADDRESS: u64 = 0x7DFE;

/// What lies there: the mark of a boot sector.
pub const BOOT_MARK: u16 = 0xAA55;

/// What the kernel found when it came up, for comparison with what it made.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// The control registers under the bootloader.
    pub registers: ControlRegisters,
    /// What [`LOW_ADDRESS`] translated to: itself, because the bootloader maps low memory one to
    /// one.
    pub low_translation: Option<u64>,
    /// What was read there, through the address itself: [`BOOT_MARK`].
    pub low_value: Option<u16>,
    /// Used entries in the lower half of the bootloader's level-4 table.
    pub lower_half_entries: usize,
    /// Whether the map of all physical memory was executable.
    pub physical_memory_executable: bool,
    /// Pages of the kernel's image.
    pub image_pages: usize,
    /// Pages of the kernel's image whose permissions were not what the linker said.
    pub image_pages_repaired: usize,
}

/// Makes the memory manager: frames from the memory map, page tables as above, and the regions that
/// they map.
///
/// # Safety
///
/// Called once, on the bootloader's page tables and with what it handed over.
pub unsafe fn take_over(boot: &'static BootInfo) -> (Memory<PhysicalMap>, Takeover) {
    assert_eq!(
        boot.physical_memory_offset, PHYSICAL_MEMORY,
        "the manifest and the layout disagree"
    );
    // SAFETY: the bootloader mapped all physical memory there, and the new tables will, too.
    let map = unsafe { PhysicalMap::new() };
    // SAFETY: CR3 holds the bootloader's level-4 table, and the bootloader does not run any more.
    let mut old = unsafe { Tables::existing(Cr3::read().0, map) };
    let ram_end = ram_end(boot);
    // SAFETY: called once.
    let mut frames = unsafe { frames(boot, ram_end) };
    let root = take(&mut frames);
    // SAFETY: the frame was just taken.
    let mut new = unsafe { Tables::new(root, map) };

    let mut takeover = look_around(&mut old);
    enable_protections();
    map_physical_memory(&mut new, &mut frames, ram_end);
    let mut memory = Memory::new(frames, new);
    memory.make_zero_page().expect("there is memory for the zero page");
    let fixed = |name, start, end, permissions| Vma {
        name,
        ..Vma::private(start, end, permissions, AreaKind::Fixed)
    };
    let boot_info = page_floor(boot as *const BootInfo as u64);
    let data = Permissions::READ | Permissions::WRITE;
    let bootloaders = [
        fixed("physical memory", PHYSICAL_MEMORY, PHYSICAL_MEMORY + ram_end, data),
        fixed("boot information", boot_info, boot_info + PAGE_SIZE, Permissions::READ),
    ];
    for area in bootloaders.into_iter().chain(image()) {
        memory.add_area(area).expect("what the bootloader set up does not overlap");
    }
    map_as_before(boot_info, Permissions::READ, &mut old, &mut memory);
    for area in image() {
        for page in (area.start..area.end).step_by(PAGE_SIZE as usize) {
            let right = map_as_before(page, area.permissions, &mut old, &mut memory);
            takeover.image_pages += 1;
            takeover.image_pages_repaired += usize::from(!right);
        }
    }
    (memory, takeover)
}

/// Gives the memory that the bootloader was made of to the page allocator, except for the boot
/// sector's frame: its mark is evidence for C18, and must not depend on which frames were in use.
/// Returns the number of frames.
///
/// # Safety
///
/// Called once, when neither its page tables nor its stack nor its descriptor tables are in use.
pub unsafe fn reclaim(boot: &BootInfo, frames: &mut Frames<'_>) -> usize {
    use MemoryRegionType::{Bootloader, KernelStack, PageTable};
    let before = frames.counts().total;
    let boot_sector = page_floor(LOW_ADDRESS);
    for region in boot.memory_map.iter() {
        if matches!(region.region_type, Bootloader | KernelStack | PageTable) {
            let (start, end) = (region.range.start_addr(), region.range.end_addr());
            if (start..end).contains(&boot_sector) {
                frames.add(start, boot_sector);
                frames.add(boot_sector + PAGE_SIZE, end);
            } else {
                frames.add(start, end);
            }
        }
    }
    frames.counts().total - before
}

/// First physical address after all memory that is not a device's.
fn ram_end(boot: &BootInfo) -> u64 {
    let is_ram = |region: &&MemoryRegion| region.region_type != MemoryRegionType::Reserved;
    boot.memory_map.iter().filter(is_ram).map(|region| region.range.end_addr()).max().unwrap_or(0)
}

/// The page allocator over all usable memory but the part that its table takes.
///
/// # Safety
///
/// Called once.
unsafe fn frames(boot: &BootInfo, ram_end: u64) -> Frames<'static> {
    let records = (ram_end / PAGE_SIZE) as usize;
    let table_size = page_ceil((records * size_of::<Frame>()) as u64);
    let usable =
        || boot.memory_map.iter().filter(|region| region.region_type == MemoryRegionType::Usable);
    let home = usable()
        .map(|region| region.range)
        .max_by_key(|range| range.end_addr() - range.start_addr());
    let home = home.expect("the memory map has usable memory").start_addr();
    let records_ptr = VirtAddr::new(PhysicalMap::address(home)).as_mut_ptr::<Frame>();
    for index in 0..records {
        // SAFETY: the record lies in the table.
        let record = unsafe { records_ptr.add(index) };
        // SAFETY: the memory is usable, mapped, and used for nothing else, now or later.
        unsafe { record.write(Frame::FOREIGN) };
    }
    // SAFETY: as above, and every record is initialised.
    let mut frames = Frames::new(unsafe { slice::from_raw_parts_mut(records_ptr, records) });
    for range in usable().map(|region| region.range) {
        let taken = if range.start_addr() == home { table_size } else { 0 };
        frames.add(range.start_addr() + taken, range.end_addr());
    }
    frames
}

/// What the bootloader's tables map.
fn look_around(old: &mut Tables<PhysicalMap>) -> Takeover {
    let low = old.translate(LOW_ADDRESS).map(|there| there.physical);
    let low_value = low.map(|_| {
        let mark = VirtAddr::new(LOW_ADDRESS).as_ptr::<u16>();
        // SAFETY: the address is mapped, to memory that is not free yet.
        unsafe { mark.read_volatile() }
    });
    let physical = old.translate(PHYSICAL_MEMORY).map(|there| there.flags);
    Takeover {
        registers: ControlRegisters::read(),
        low_translation: low,
        low_value,
        lower_half_entries: old
            .root_table()
            .iter()
            .take(256)
            .filter(|entry| !entry.is_unused())
            .count(),
        physical_memory_executable: physical
            .is_some_and(|flags| !flags.contains(PageTableFlags::NO_EXECUTE)),
        image_pages: 0,
        image_pages_repaired: 0,
    }
}

fn map_physical_memory(new: &mut Tables<PhysicalMap>, frames: &mut Frames<'_>, ram_end: u64) {
    let data = flags(PHYSICAL_MEMORY, Permissions::READ | Permissions::WRITE);
    for start in (0..ram_end).step_by(Size2MiB::SIZE as usize) {
        let page = Page::<Size2MiB>::containing_address(VirtAddr::new(PhysicalMap::address(start)));
        let frame = PhysFrame::<Size2MiB>::containing_address(PhysAddr::new(start));
        let (parents, mut mapper) =
            (PageTableFlags::PRESENT | PageTableFlags::WRITABLE, new.mapper());
        let supply = &mut Supply(frames);
        // SAFETY: through this map the kernel reaches frames that it owns, and nothing else.
        let mapped = unsafe { mapper.map_to_with_table_flags(page, frame, data, parents, supply) };
        mapped.expect("the new tables map nothing else there").ignore();
    }
}

/// The areas of the running kernel's image.
fn image() -> impl Iterator<Item = Vma> {
    unsafe extern "C" {
        /// The linker's name for the start of the ELF header.
        static __ehdr_start: u8;
    }
    let start = &raw const __ehdr_start;
    // SAFETY: the first segment starts with the header, and is mapped by whole pages.
    image::areas(unsafe { slice::from_raw_parts(start, PAGE_SIZE as usize) })
}

/// Maps a page to the frame that the old tables map it to. Returns whether its permissions were
/// those before.
fn map_as_before(
    page: u64,
    permissions: Permissions,
    old: &mut Tables<PhysicalMap>,
    memory: &mut Memory<PhysicalMap>,
) -> bool {
    const MATTERS: PageTableFlags = PageTableFlags::WRITABLE.union(PageTableFlags::NO_EXECUTE);
    let found = old.translate(page);
    let found = found.unwrap_or_else(|| panic!("the bootloader did not map {page:#x}"));
    let leaf = Leaf { frame: frame_at(found.physical), flags: flags(page, permissions) };
    // SAFETY: the page is mapped to the same frame as before, with permissions that its owner asked
    // for.
    unsafe { map(memory, page, leaf) };
    found.flags & MATTERS == leaf.flags & MATTERS
}

/// Maps a page of the kernel's own tables for good, or until [`unmap`].
///
/// # Safety
///
/// Accesses to the page are accesses to the frame: the caller answers for both.
pub(super) unsafe fn map(memory: &mut Memory<PhysicalMap>, page: u64, leaf: Leaf) {
    let (mut payer, pages) = memory.payer();
    let mut walk = pages.tables.walk(page);
    payer.set_aside(walk.missing()).expect("there is memory for the kernel's page tables");
    // SAFETY: as the caller says.
    unsafe { pages.tables.enter(&mut payer, &mut walk, page, leaf) };
}

/// Takes back what [`map`] did. The frame stays its owner's.
pub(super) fn unmap(memory: &mut Memory<PhysicalMap>, page: u64) {
    let (mut payer, pages) = memory.payer();
    let range = (page, page + PAGE_SIZE);
    pages.tables.unmap(&mut payer, range, &mut Budget::unbounded(), &mut |_, _, _| {});
}

/// Maps the registers of the local APIC, where each CPU finds its own.
pub fn map_local_apic() {
    let (registers, flags) = ApicBase::read();
    assert!(flags.contains(ApicBaseFlags::LAPIC_ENABLE), "the local APIC is enabled");
    let data = Permissions::READ | Permissions::WRITE;
    let leaf = Leaf {
        frame: registers,
        flags: memory::pages::flags(LOCAL_APIC, data) | PageTableFlags::NO_CACHE,
    };
    memory::with(|memory| {
        let area = Vma::private(LOCAL_APIC, LOCAL_APIC + PAGE_SIZE, data, AreaKind::Fixed);
        memory.add_area(Vma { name: "local APIC", ..area }).expect("nothing else is there");
        // SAFETY: the frame is a device's, which `cpu::apic` owns.
        unsafe { map(memory, LOCAL_APIC, leaf) };
    });
}

/// Frames for the first page tables.
struct Supply<'a, 't>(&'a mut Frames<'t>);

// SAFETY: each frame was taken from the page allocator and is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Supply<'_, '_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.0.allocate(0).ok()
    }
}

fn take(frames: &mut Frames<'_>) -> PhysFrame {
    frames.allocate(0).expect("there is memory for the kernel's page tables")
}
