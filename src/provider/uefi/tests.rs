//! Boot services of the host's memory, in a table as firmware has one.

use std::alloc::{Layout, alloc, dealloc};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Mutex;

use uefi::Status;
use uefi_raw::table::boot::BootServices;
use uefi_raw::table::system::SystemTable;

use super::*;
use crate::heap::Heap;
use crate::provider::SegmentBreak;

/// Pages that the model has granted: address → number.
static GRANTED: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

/// Calls until one is refused.
static REFUSE_AT: Mutex<usize> = Mutex::new(usize::MAX);

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE, PAGE).unwrap()
}

unsafe extern "efiapi" fn allocate_pages(
    kind: uefi_raw::table::boot::AllocateType,
    _: MemoryType,
    pages: usize,
    address: *mut u64,
) -> Status {
    let mut refuse_at = REFUSE_AT.lock().unwrap();
    let Some(left) = refuse_at.checked_sub(1) else { return Status::OUT_OF_RESOURCES };
    *refuse_at = left;
    if kind != uefi_raw::table::boot::AllocateType::ANY_PAGES || pages > 1 << 16 {
        return Status::OUT_OF_RESOURCES;
    }
    // SAFETY: the number of pages is not 0; the address is the caller's variable.
    unsafe { *address = alloc(layout(pages)) as u64 };
    // SAFETY: as before.
    GRANTED.lock().unwrap().insert(unsafe { *address }, pages);
    Status::SUCCESS
}

unsafe extern "efiapi" fn free_pages(address: u64, pages: usize) -> Status {
    if GRANTED.lock().unwrap().remove(&address) != Some(pages) {
        return Status::INVALID_PARAMETER;
    }
    // SAFETY: `allocate_pages` granted this memory, with this layout.
    unsafe { dealloc(address as *mut u8, layout(pages)) };
    Status::SUCCESS
}

/// A service that the break does not use: it ends the test.
unsafe extern "efiapi" fn unused() -> Status {
    std::process::abort()
}

/// A table of boot services all of which are `unused`, except those of pages.
fn boot_services() -> Box<BootServices> {
    const WORDS: usize = size_of::<BootServices>() / size_of::<usize>();
    let words = [unused as *const () as usize; WORDS];
    // SAFETY: the table consists of a header of numbers, and of addresses of functions and data;
    // the break uses the two functions that are set here.
    let mut services =
        unsafe { Box::new(core::mem::transmute::<[usize; WORDS], BootServices>(words)) };
    services.allocate_pages = allocate_pages;
    services.free_pages = free_pages;
    services
}

#[test]
fn pages_are_taken_refused_and_given_back() {
    let mut pages = UefiPages;
    assert_eq!(pages.take(1), Err(BreakError::Refused), "no system table is known yet");

    let services = Box::leak(boot_services());
    let table = Box::leak(Box::new(SystemTable { boot_services: services, ..Default::default() }));
    // SAFETY: the table is valid for ever.
    unsafe { table::set_system_table(table) };

    let segment = pages.take(PAGE + 1).unwrap();
    assert_eq!((segment.len(), segment.cast::<u8>().addr().get() % PAGE), (LEAST, 0));
    assert_eq!(pages.take(usize::MAX), Err(BreakError::OutOfAddresses));
    assert_eq!(pages.take(1 << 30), Err(BreakError::OutOfMemory));
    // SAFETY: the segment is not used.
    unsafe { pages.give_back(segment) };
    assert!(GRANTED.lock().unwrap().is_empty());

    for refused in 0..4 {
        let mut heap = Heap::new(SegmentBreak::new(UefiPages));
        *REFUSE_AT.lock().unwrap() = refused;
        let block = Layout::from_size_align(100_000, 16).unwrap();
        // SAFETY: the heap outlives the blocks, each of which is freed once.
        unsafe {
            let blocks: std::vec::Vec<_> = (0..3).filter_map(|_| heap.allocate(block)).collect();
            assert_eq!((blocks.len(), heap.check()), (refused.min(3), Ok(())));
            blocks.into_iter().for_each(|start| heap.deallocate(start, block));
        }
        *REFUSE_AT.lock().unwrap() = usize::MAX;
        heap.trim(0);
        assert!(GRANTED.lock().unwrap().is_empty(), "all pages are back");
    }

    let empty = Box::leak(Box::new(SystemTable::default()));
    // SAFETY: the table is valid for ever. It is that of a system whose boot services have ended.
    unsafe { table::set_system_table(empty) };
    assert_eq!(pages.take(1), Err(BreakError::Refused));
}
