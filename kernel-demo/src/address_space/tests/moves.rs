use super::*;

/// Makes the pages from `old` on, so many, into so many.
fn to(old: u64, old_pages: u64, new_pages: u64, flags: RemapFlags) -> RemapRequest {
    RemapRequest { old: p(old), old_len: p(old_pages), new_len: p(new_pages), flags, new: 0 }
}

/// The same at a fixed place.
fn there(old: u64, old_pages: u64, new_pages: u64, new: u64) -> RemapRequest {
    RemapRequest {
        new: p(new),
        ..to(old, old_pages, new_pages, RemapFlags::MAYMOVE | RemapFlags::FIXED)
    }
}

const STAY: RemapFlags = RemapFlags::empty();
const MAYMOVE: RemapFlags = RemapFlags::MAYMOVE;

#[test]
fn shorter_is_unmapped_and_longer_grows_where_it_is() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    assert_eq!(world.mremap(to(500, 10, 4, STAY)), Ok(500));
    assert_eq!(world.mremap(to(500, 4, 4, STAY)), Ok(500));
    assert_eq!(world.mremap(to(500, 4, 20, MAYMOVE)), Ok(500), "there is room, so it stays");
    assert_eq!(
        world.mremap(to(510, 10, 11, STAY)),
        Ok(510),
        "a part at the end of its area grows too"
    );
    assert_eq!(
        (world.areas(), world.told.take()),
        (vec!["500..521 rw-".into()], vec!["unmap 504..510".into()])
    );
    assert_eq!(world.account.promised(), 10 + 21);
}

#[test]
fn without_room_it_moves_if_it_may() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.map_at(511, 512, R);
    assert_eq!(world.mremap(to(500, 10, 12, STAY)), Err(Errno::ENOMEM));
    assert_eq!(world.mremap(to(500, 10, 12, MAYMOVE)), Ok(988));
    assert_eq!(world.told.take(), ["unmap 988..1000", "shift 500 -> 988 (10)", "unmap 500..510"]);
    assert_eq!(
        world.mremap(to(990, 2, 3, MAYMOVE)),
        Ok(985),
        "what goes on behind it is in the way"
    );
    assert_eq!(world.areas(), ["511..512 r--", "985..990 rw-", "992..1000 rw-"]);
    assert_eq!(world.account.promised(), 10 + 13);
}

#[test]
fn a_fixed_place_is_cleared_first() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.map_at(600, 610, R);
    assert_eq!(world.mremap(there(502, 4, 3, 605)), Ok(605));
    assert_eq!(world.told.take(), ["unmap 605..608", "shift 502 -> 605 (3)", "unmap 502..506"]);
    assert_eq!(
        world.areas(),
        ["500..502 rw-", "506..510 rw-", "600..605 r--", "605..608 rw-", "608..610 r--"]
    );
}

#[test]
fn heap_and_stack_that_move_are_mappings() {
    let mut world = World::new();
    world.brk(p(4));
    assert_eq!(world.mremap(there(33, 1, 1, 500)), Ok(500));
    assert_eq!(world.mremap(there(1998, 2, 2, 501)), Ok(501));
    assert_eq!(world.areas(), ["32..33 rw-", "34..36 rw-", "500..503 rw-"]);
    assert_eq!(world.space.totals().stack, 0);
    assert_eq!(world.mremap(there(20, 2, 2, 700)), Ok(700));
    assert_eq!(
        world.space.find(p(701)).map(|vma| (vma.name, vma.offset)),
        Some((Name::new("program"), p(4)))
    );
}

#[test]
fn without_a_frame_for_a_page_table_nothing_moves() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.map_at(511, 512, RW);
    let before = (world.areas(), world.account.promised());
    world.told.out_of_frames = true;
    assert_eq!(world.mremap(to(500, 10, 12, MAYMOVE)), Err(Errno::ENOMEM));
    assert_eq!((world.areas(), world.account.promised()), before);
    assert_eq!(world.mremap(there(500, 10, 12, 511)), Err(Errno::ENOMEM));
    assert_eq!(
        (world.areas(), world.account.promised()),
        (vec!["500..510 rw-".into()], before.1 - 1),
        "what lay there is gone"
    );
}

#[test]
fn mremap_has_an_error_for_each_mistake() {
    let mut world =
        World::with(Limits { data: p(4) + p(12), areas: 7, ..LIMITS }, Account::strict(10 + 11));
    world.map_at(500, 510, RW);
    world.map_at(510, 512, R);
    let shared = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    world
        .mmap(MapRequest { hint: p(600), flags: shared, object: Some(ObjectId(1)), ..private(2) })
        .unwrap();
    let before = (world.areas(), world.account.promised());
    world.told.take();
    for (request, errno) in [
        (to(500, 1, 1, RemapFlags::FIXED), Errno::EINVAL),
        (RemapRequest { old: p(500) + 1, ..to(500, 1, 2, MAYMOVE) }, Errno::EINVAL),
        (to(500, 0, 1, MAYMOVE), Errno::EINVAL),
        (to(500, 1, 0, MAYMOVE), Errno::EINVAL),
        (RemapRequest { new_len: u64::MAX, ..to(500, 1, 1, MAYMOVE) }, Errno::EINVAL),
        (RemapRequest { old_len: USER_END, ..to(500, 1, 1, MAYMOVE) }, Errno::EINVAL),
        (there(500, 4, 4, 503), Errno::EINVAL),
        (there(500, 4, 4, 497), Errno::EINVAL),
        (RemapRequest { new: p(700) + 1, ..there(500, 4, 4, 0) }, Errno::EINVAL),
        (RemapRequest { new: USER_END, ..there(500, 4, 4, 0) }, Errno::EINVAL),
        (to(600, 2, 3, MAYMOVE), Errno::EINVAL),
        (to(700, 1, 1, MAYMOVE), Errno::EFAULT),
        (to(508, 4, 5, MAYMOVE), Errno::EFAULT),
        (there(508, 4, 4, 700), Errno::EFAULT),
        (there(500, 4, 4, 15), Errno::EPERM),
        (to(500, 10, 12, MAYMOVE), Errno::ENOMEM),
        (to(500, 10, 13, MAYMOVE), Errno::ENOMEM),
        (there(501, 1, 1, 700), Errno::ENOMEM),
    ] {
        assert_eq!(world.mremap(request), Err(errno), "{request:?}");
    }
    assert_eq!(
        (world.areas(), world.account.promised(), world.told.take()),
        (before.0, before.1, vec![])
    );
    assert_eq!(
        world.mremap(to(500, 10, 11, MAYMOVE)).map_err(|errno| errno.name()),
        Err("ENOMEM"),
        "the list is full"
    );
    world.munmap(600, 602).unwrap();
    assert_eq!(world.mremap(to(500, 10, 11, MAYMOVE)), Ok(989));
}

#[test]
fn what_a_move_splits_needs_room_in_the_list() {
    for (room, moved) in [(1, Err(Errno::ENOMEM)), (2, Err(Errno::ENOMEM)), (3, Ok(605))] {
        let mut world = World::with(Limits { areas: 6 + room, ..LIMITS }, Account::overcommit());
        world.map_at(500, 510, RW);
        world.map_at(600, 610, R);
        assert_eq!(world.mremap(there(502, 4, 3, 605)), moved);
        assert_eq!(world.areas().len(), if moved.is_ok() { 5 } else { 2 });
    }
}
