//! Areas and break of an address space, as a story tells them.

use core::fmt::Write;

use crate::address_space::{AddressSpace, Storage, Vma};
use crate::story::{self, Kind, Numbers, Text};

/// Tells all areas of the address space `number`, and where its break stands, if that is not what
/// `told` says. Returns what is told.
pub fn tell_areas<T: Storage, const N: usize>(
    space: &AddressSpace<T, N>,
    number: u64,
    told: u64,
) -> u64 {
    let brk = space.break_at(0).map_or(0, |brk| brk.end);
    let digest = digest_of(brk, space.vmas());
    if digest == told {
        return told;
    }
    let begin = |first: usize| (Numbers::new(&[number, brk, first as u64]), Text::new());
    let (mut numbers, mut text) = begin(0);
    for (index, area) in space.vmas().iter().enumerate() {
        if !numbers.has_room(4) {
            story::record(Kind::Areas, numbers.as_slice(), text.as_str());
            (numbers, text) = begin(index);
        }
        let permissions = area.permissions.bits().into();
        numbers.push(&[area.start, area.end, permissions, area.is_shared().into()]);
        // The text takes all that there is room for.
        let _ = writeln!(text, "{}", area.label());
    }
    story::record(Kind::Areas, numbers.as_slice(), text.as_str());
    digest
}

/// A number that changes with the areas and the break: FNV-1a, word by word.
fn digest_of(brk: u64, areas: &[Vma]) -> u64 {
    let words = |area: &Vma| [area.start, area.end, area.permissions.bits().into()];
    let words = areas.iter().flat_map(words).chain([brk]);
    words.fold(0xcbf2_9ce4_8422_2325, |digest, word| {
        // The high half, where addresses differ, reaches the low one by the turn.
        (digest.rotate_left(32) ^ word).wrapping_mul(0x100_0000_01b3)
    })
}
