//! Whether an address space is in order.

use crate::address_space::{AddressSpace, Charge, MIN_ADDRESS, USER_END, tables_of};
use crate::words::Permissions;

/// Whether the invariants hold. Says which one does not.
pub fn check(space: &AddressSpace) -> Result<(), &'static str> {
    let areas = space.vmas();
    let ranges = areas.iter().filter(|vma| vma.charge != Charge::Nothing);
    let tables = tables_of(None, None, ranges.map(|vma| (vma.start, vma.end)));
    let pages = space.pages_that(|vma| vma.charge == Charge::Pages);
    let pairs = || areas.windows(2);
    let both = Permissions::WRITE | Permissions::EXECUTE;
    let brk = space.break_at(0).expect("a process has a break");
    let rules = [
        (areas.iter().all(|vma| vma.start < vma.end), "an area is empty"),
        (
            areas.iter().all(|vma| (vma.start | vma.end).is_multiple_of(4096)),
            "an area is not page-aligned",
        ),
        (pairs().all(|pair| pair[0].end <= pair[1].start), "areas overlap or are not sorted"),
        (!pairs().any(|pair| pair[0].continues_in(&pair[1])), "two neighbours should be one"),
        (areas.len() <= space.limits().areas, "more areas than the limit"),
        (tables + pages == space.charged(), "what is charged is not what the areas need"),
        (areas.first().is_none_or(|vma| vma.start >= MIN_ADDRESS), "an area lies too low"),
        (areas.last().is_none_or(|vma| vma.end <= USER_END), "an area lies beyond user memory"),
        (
            !areas.iter().any(|vma| vma.permissions.contains(both)),
            "an area is writable and executable",
        ),
        (brk.base <= brk.end && brk.end <= brk.high_water, "the break is out of order"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
}
