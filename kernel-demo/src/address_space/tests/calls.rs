use super::*;

#[test]
fn c23_a_higher_break_changes_fields_and_no_page_table() {
    let mut world = World::new();
    assert_eq!(world.brk(0), 0);
    assert_eq!(world.brk(5), 5);
    assert_eq!(world.areas(), ["32..33 rw-"]);
    assert_eq!(world.brk(PAGE_SIZE), PAGE_SIZE);
    assert_eq!(world.areas(), ["32..33 rw-"]);
    assert_eq!(world.brk(p(100) + 1), p(100) + 1);
    assert_eq!(world.areas(), ["32..133 rw-"]);
    assert_eq!(world.space.find(p(132)).map(|vma| vma.kind), Some(AreaKind::Heap));
    assert_eq!(world.told.take(), [""; 0]);
}

#[test]
fn c13_a_lower_break_unmaps_exactly_what_is_above_its_page() {
    let mut world = World::new();
    world.brk(p(10));
    assert_eq!(world.brk(p(10) - 1), p(10) - 1);
    assert_eq!(world.told.take(), [""; 0]);
    assert_eq!(world.brk(p(3) + 1), p(3) + 1);
    assert_eq!(
        (world.told.take(), world.areas()),
        (vec!["unmap 36..42".into()], vec!["32..36 rw-".into()])
    );
    assert_eq!(world.brk(0), 0);
    assert_eq!((world.told.take(), world.areas()), (vec!["unmap 32..36".into()], vec![]));
}

#[test]
fn a_break_that_cannot_move_stays_and_says_where() {
    let mut world =
        World::with(Limits { data: p(4) + p(10), ..LIMITS }, Account::strict(TABLES + 16));
    world.brk(p(5));
    for (to, why) in [
        (0_u64.wrapping_sub(1), "below its start"),
        (0_u64.wrapping_sub(LAYOUT.start_brk), "address 0"),
        (p(10) + 1, "above the data limit"),
        (p(7), "the account has 5 pages for the heap, 2 more are too many"),
        (u64::MAX - LAYOUT.start_brk, "the last address"),
    ] {
        assert_eq!(world.brk(to), p(5), "{why}");
    }
    assert_eq!(world.brk(p(5) + 1), p(5) + 1, "one page is left");
    assert_eq!((world.account.promised(), world.areas()), (TABLES + 16, vec!["32..38 rw-".into()]));
}

#[test]
fn the_data_limit_of_the_break_counts_the_image_as_it_was_loaded() {
    let mut world = World::with(Limits { data: p(4) + p(10), ..LIMITS }, Account::overcommit());
    world.munmap(20, 24).unwrap();
    assert_eq!(world.space.pages_that(Vma::is_data), 0);
    assert_eq!(world.brk(p(10) + 1), 0);
    assert_eq!(world.brk(p(10)), p(10));
}

#[test]
fn a_mapping_in_the_way_or_a_page_from_it_stops_the_break_and_nothing_else() {
    let mut world = World::new();
    world.map_at(42, 43, R);
    assert_eq!(world.brk(p(9)), p(9), "one page stays free");
    assert_eq!(world.brk(p(9) + 1), p(9));
    assert_eq!(
        world.brk(p(20)),
        p(9),
        "on the other side there is room, but the mapping is in between"
    );
    assert_eq!(world.brk(p(2)), p(2));
    world.munmap(42, 43).unwrap();
    assert_eq!(world.brk(p(20)), p(20));
}

#[test]
fn a_break_keeps_the_gap_of_a_stack() {
    let mut world = World::new();
    let gap = (LAYOUT.stack_top - p(2) - GUARD_GAP - LAYOUT.start_brk) / PAGE_SIZE;
    assert_eq!(world.brk(p(gap)), 0);
    assert_eq!(world.brk(p(gap - 1)), p(gap - 1));
}

#[test]
fn a_lower_break_is_possible_over_holes_and_a_higher_one_fills_up() {
    let mut world = World::new();
    world.brk(p(10));
    world.munmap(34, 36).unwrap();
    world.munmap(40, 42).unwrap();
    assert_eq!(world.brk(p(9)), p(9), "nothing is there any more");
    assert_eq!(world.brk(p(11)), p(11));
    assert_eq!(world.areas(), ["32..34 rw-", "36..40 rw-", "41..43 rw-"]);
    assert_eq!(world.brk(p(1)), p(1));
    assert_eq!(world.areas(), ["32..33 rw-"]);
}

#[test]
fn mappings_go_below_each_other_and_into_the_highest_hole() {
    let mut world = World::new();
    assert_eq!((world.map(3), world.map(2), world.map(5)), (997, 995, 990));
    assert_eq!(world.areas(), ["990..1000 rw-"], "what is alike is one area");
    world.munmap(994, 997).unwrap();
    assert_eq!((world.map(4), world.map(3), world.map(1)), (986, 994, 985));
    assert_eq!(world.told.take(), ["unmap 994..997"]);
}

#[test]
fn a_hint_is_a_wish() {
    let mut world = World::new();
    let at = |hint: u64| MapRequest { hint, ..private(2) };
    assert_eq!(world.mmap(at(p(500) + 7)), Ok(500), "rounded down");
    assert_eq!(world.mmap(at(p(499))), Ok(998), "taken: anywhere");
    assert_eq!(
        world.mmap(at(p(1))),
        Ok(996),
        "raised to MIN_ADDRESS, where the image is: anywhere"
    );
    world.munmap(16, 24).unwrap();
    assert_eq!(world.mmap(at(p(1))), Ok(16));
    assert_eq!(world.mmap(at(USER_END - p(1))), Ok(994), "it would leave user memory");
}

#[test]
fn when_all_below_is_full_the_lowest_gap_above_serves() {
    let mut world = World::new();
    world.map_at(24, 1000, R);
    assert_eq!(world.map(4), 1000);
    assert_eq!(world.map(700), 1004);
    assert_eq!(world.map(100), 2000, "below the stack's gap is no room any more");
    assert_eq!(world.map(38), 1704, "up to the gap exactly");
    assert_eq!(world.mmap(private(1 << 35)), Err(Errno::ENOMEM));
}

#[test]
fn a_fixed_mapping_replaces_what_is_there_unless_told_not_to() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.map_at(503, 505, R);
    assert_eq!(world.areas(), ["500..503 rw-", "503..505 r--", "505..510 rw-"]);
    assert_eq!(
        (world.told.take(), world.account.promised()),
        (vec!["unmap 503..505".into()], TABLES + 10 + 8)
    );
    let flags = private(1).flags | MapFlags::FIXED_NOREPLACE;
    assert_eq!(world.mmap(MapRequest { hint: p(509), flags, ..private(2) }), Err(Errno::EEXIST));
    assert_eq!(world.mmap(MapRequest { hint: p(510), flags, ..private(2) }), Ok(510));
    world.map_at(490, 520, RW);
    assert_eq!(world.areas(), ["490..520 rw-"]);
}

#[test]
fn mmap_has_an_error_for_each_mistake() {
    let mut world = World::with(Limits { data: p(8), ..LIMITS }, Account::strict(TABLES + 14));
    let ok = private(1);
    let fixed = |hint| MapRequest { hint, flags: ok.flags | MapFlags::FIXED, ..ok };
    let shared = MapFlags::SHARED | MapFlags::ANONYMOUS;
    for (request, errno) in [
        (MapRequest { len: 0, ..ok }, Errno::EINVAL),
        (MapRequest { flags: MapFlags::ANONYMOUS, ..ok }, Errno::EINVAL),
        (MapRequest { flags: MapFlags::PRIVATE, ..ok }, Errno::EINVAL),
        (MapRequest { flags: ok.flags | shared, object: Some(ObjectId(1)), ..ok }, Errno::EINVAL),
        (MapRequest { flags: shared, ..ok }, Errno::EINVAL),
        (MapRequest { permissions: Permissions::all(), ..ok }, Errno::EACCES),
        (MapRequest { len: u64::MAX, ..ok }, Errno::ENOMEM),
        (MapRequest { len: USER_END, ..ok }, Errno::ENOMEM),
        (fixed(p(500) + 1), Errno::EINVAL),
        (fixed(USER_END), Errno::ENOMEM),
        (fixed(0_u64.wrapping_sub(PAGE_SIZE)), Errno::ENOMEM),
        (fixed(p(15)), Errno::EPERM),
        (private(5), Errno::ENOMEM),
        (private(4), Errno::ENOMEM),
    ] {
        assert_eq!(world.mmap(request), Err(errno), "{request:?}");
    }
    assert_eq!(
        (world.areas(), world.told.take(), world.account.promised()),
        (vec![], vec![], TABLES + 10)
    );
    assert_eq!(world.map(3), 997, "the account has room for 3 and a table, the data limit for 4");
}

#[test]
fn c16_a_shared_mapping_is_charged_to_nobody_here_and_never_joined_out_of_order() {
    let mut world = World::new();
    let shared = |object| MapRequest {
        flags: MapFlags::SHARED | MapFlags::ANONYMOUS,
        object: Some(ObjectId(object)),
        ..private(4)
    };
    let before = world.account.promised();
    assert_eq!(
        (world.mmap(shared(1)), world.mmap(shared(1)), world.mmap(shared(2))),
        (Ok(996), Ok(992), Ok(988))
    );
    assert_eq!((world.account.promised(), world.areas().len()), (before + 1, 3), "a table");
    world.munmap(997, 998).unwrap();
    assert_eq!(
        world.space.find(p(999)).map(|vma| vma.sharing),
        Some(Sharing::Shared(ObjectId(1), 2))
    );
    world.told.take();
    world.munmap(988, 994).unwrap();
    assert_eq!(
        world.told.take(),
        ["unmap 988..992", "unmap 992..994", "release 2 (4)", "release 1 (2)"]
    );
}

#[test]
fn munmap_takes_any_range_and_splits() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.map_at(520, 530, R);
    world.munmap(503, 504).unwrap();
    world.munmap(509, 521).unwrap();
    assert_eq!(world.areas(), ["500..503 rw-", "504..509 rw-", "521..530 r--"]);
    world.munmap(600, 700).unwrap();
    let told = ["unmap 503..504", "unmap 509..510", "unmap 520..521"];
    assert_eq!(world.told.take(), told);
    for (start, len) in [
        (p(500) + 1, 1),
        (p(500), 0),
        (p(500), u64::MAX),
        (USER_END, 1),
        (0_u64.wrapping_sub(PAGE_SIZE), p(1)),
    ] {
        assert_eq!(
            world.space.munmap(start, len, &mut Played(&mut world.told, &mut world.account)),
            Err(Errno::EINVAL)
        );
    }
    world.space.munmap(0, USER_END, &mut Played(&mut world.told, &mut world.account)).unwrap();
    assert_eq!((world.space.vmas().len(), world.account.promised()), (0, 0));
}

#[test]
fn mprotect_splits_and_merges() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    world.mprotect(503, 505, R).unwrap();
    assert_eq!(world.areas(), ["500..503 rw-", "503..505 r--", "505..510 rw-"]);
    world.mprotect(503, 510, R).unwrap();
    assert_eq!(world.areas(), ["500..503 rw-", "503..510 r--"]);
    world.mprotect(500, 510, NONE).unwrap();
    world.mprotect(500, 510, RW).unwrap();
    assert_eq!(world.areas(), ["500..510 rw-"]);
    assert_eq!(
        world.told.take(),
        [
            "protect 503..505 r--",
            "protect 503..510 r--",
            "protect 500..510 ---",
            "protect 500..510 rw-"
        ]
    );
}

#[test]
fn what_was_writable_stays_charged_and_what_becomes_writable_is() {
    let mut world = World::with(LIMITS, Account::strict(TABLES + 10 + 6));
    world.map_at(500, 510, R);
    assert_eq!(world.account.promised(), TABLES + 10);
    assert_eq!(world.mprotect(500, 507, RW), Err(Errno::ENOMEM));
    world.mprotect(500, 506, RW).unwrap();
    world.mprotect(500, 510, R).unwrap();
    assert_eq!(
        (world.account.promised(), world.areas()),
        (TABLES + 16, vec!["500..506 r--".into(), "506..510 r--".into()])
    );
    world.mprotect(500, 506, RX).unwrap();
    world.mprotect(500, 506, RW).unwrap();
    assert_eq!(world.account.promised(), TABLES + 16);
}

#[test]
fn mprotect_that_fails_changes_nothing() {
    let mut world = World::with(Limits { data: p(8), ..LIMITS }, Account::overcommit());
    world.map_at(500, 505, R);
    world.map_at(506, 510, R);
    let before = world.areas();
    let protect = |world: &mut World, start: u64, len: u64, to| {
        world.space.make_room(|_| Ok(())).unwrap();
        world.space.mprotect(start, len, to, &mut Played(&mut world.told, &mut world.account))
    };
    assert_eq!(protect(&mut world, p(500) + 1, 1, R), Err(Errno::EINVAL));
    assert_eq!(protect(&mut world, p(500), 0, RW), Ok(()));
    assert_eq!(protect(&mut world, p(500), u64::MAX, RW), Err(Errno::ENOMEM));
    assert_eq!(protect(&mut world, p(500), p(1), Permissions::all()), Err(Errno::EACCES));
    assert_eq!(world.mprotect(500, 510, NONE), Err(Errno::ENOMEM), "there is a hole");
    assert_eq!(world.mprotect(510, 511, NONE), Err(Errno::ENOMEM), "nothing is there");
    assert_eq!(world.mprotect(500, 505, RW), Err(Errno::ENOMEM), "four pages of data are left");
    assert_eq!((world.areas(), world.told.take()), (before, vec![]));
    world.mprotect(500, 504, RW).unwrap();
}

#[test]
fn a_full_list_refuses_what_needs_room_and_nothing_else() {
    let mut world = World::with(Limits { areas: 6, ..LIMITS }, Account::overcommit());
    world.map_at(500, 510, RW);
    assert_eq!(world.brk(p(1)), p(1));
    let before = (world.areas(), world.account.promised());
    assert_eq!(world.mmap(private(1)), Err(Errno::ENOMEM));
    assert_eq!(world.brk(p(2)), p(1));
    assert_eq!(world.munmap(503, 504), Err(Errno::ENOMEM));
    assert_eq!(world.mprotect(509, 510, R), Err(Errno::ENOMEM));
    assert_eq!((world.areas(), world.account.promised()), before);
    assert_eq!(world.told.take(), [""; 0]);
    world.munmap(509, 510).unwrap();
    world.mprotect(500, 509, R).unwrap();
    assert_eq!(world.brk(0), 0);
    let fixed = MapRequest {
        hint: p(503),
        permissions: NONE,
        flags: private(1).flags | MapFlags::FIXED,
        ..private(1)
    };
    assert_eq!(
        world.mmap(fixed),
        Err(Errno::ENOMEM),
        "one place is left, and one area would become three"
    );
    assert_eq!(world.munmap(503, 504), Ok(()), "now there is room");
}

#[test]
fn what_is_more_than_the_limit_from_the_start_may_become_less() {
    let mut world = World::with(Limits { data: p(1), ..LIMITS }, Account::overcommit());
    assert_eq!(world.space.pages_that(Vma::is_data), 4);
    world.mprotect(20, 22, R).unwrap();
    world.map_at(22, 24, R);
    assert_eq!(world.mprotect(20, 22, RW), Err(Errno::ENOMEM));
    world.mprotect(20, 21, RW).unwrap();
}

#[test]
fn an_image_is_refused_where_it_cannot_be() {
    let mut world = World::with(Limits { areas: 5, ..LIMITS }, Account::strict(TABLES + 12));
    let mut insert = |start: u64, end: u64, permissions| {
        world.space.make_room(|_| Ok(())).unwrap();
        world.space.insert_image(
            Vma::private(start, end, permissions, AreaKind::Image),
            &mut Played(&mut world.told, &mut world.account),
        )
    };
    assert_eq!(insert(p(100), p(100), R), Err(Errno::EINVAL));
    assert_eq!(insert(p(100) + 1, p(101), R), Err(Errno::EINVAL));
    assert_eq!(insert(p(15), p(16), R), Err(Errno::EINVAL));
    assert_eq!(insert(USER_END - p(1), USER_END + p(1), R), Err(Errno::EINVAL));
    assert_eq!(insert(p(100), p(101), Permissions::all()), Err(Errno::EACCES));
    assert_eq!(insert(p(23), p(25), R), Err(Errno::EEXIST));
    assert_eq!(insert(p(100), p(103), R), Err(Errno::ENOMEM));
    assert_eq!(insert(p(100), p(102), RX), Ok(()));
    assert_eq!(insert(p(200), p(201), NONE), Err(Errno::ENOMEM));
    assert_eq!(
        world.space.insert_stack(u64::MAX, &mut Played(&mut world.told, &mut world.account)),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        world.space.insert_stack(p(3), &mut Played(&mut world.told, &mut world.account)),
        Err(Errno::EEXIST)
    );
}

#[test]
fn a_child_has_the_same_and_is_charged_for_all_of_it() {
    let mut world = World::with(LIMITS, Account::strict(2 * (TABLES + 1 + 17) - 1));
    world.brk(p(5) + 3);
    world.map(1);
    let charged = world.space.fork().unwrap().charged();
    assert!(world.account.charge(charged).is_err());
    assert_eq!(world.account.promised(), TABLES + 1 + 17);
    world.munmap(999, 1000).unwrap();
    let mut account = Account::strict(TABLES + 16);
    let mut child = world.space.fork().unwrap();
    account.charge(child.charged()).unwrap();
    assert_eq!(child.vmas(), world.space.vmas());
    assert_eq!(
        (child.current_brk(), child.layout(), child.limits()),
        (LAYOUT.start_brk + p(5) + 3, LAYOUT, LIMITS)
    );
    assert_eq!((child.faults(), account.promised()), (0, TABLES + 16));
    assert!(child.clear(&mut Played(&mut world.told, &mut account)));
    assert_eq!(account.promised(), 0);
    assert_eq!(
        world.told.take(),
        [
            "unmap 999..1000",
            "unmap 16..20",
            "unmap 20..22",
            "unmap 22..24",
            "unmap 32..38",
            "unmap 1998..2000",
        ]
    );
}

#[test]
fn the_nearest_area_is_found_from_both_sides() {
    let world = World::new();
    let nearest = |address| world.space.nearest(address).map(|vma| vma.start / PAGE_SIZE);
    assert_eq!(nearest(0), Some(16));
    assert_eq!(nearest(p(21)), Some(20));
    assert_eq!((nearest(p(24)), nearest(p(30))), (Some(22), Some(22)));
    assert_eq!(
        (nearest(p(1998) - 1), nearest(p(2000)), nearest(u64::MAX)),
        (Some(1998), Some(1998), Some(1998))
    );
    assert_eq!(AddressSpace::new(LAYOUT, LIMITS).nearest(p(5)), None);
}
