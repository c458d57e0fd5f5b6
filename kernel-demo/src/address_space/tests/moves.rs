use super::*;

/// Makes the pages from `old` on, so many, into so many.
fn to(old: u64, old_pages: u64, new_pages: u64) -> RemapRequest {
    RemapRequest { old: p(old), old_len: p(old_pages), new_len: p(new_pages) }
}

#[test]
fn shorter_is_unmapped_and_longer_grows_where_it_is() {
    let mut world = World::new();
    world.map_at(500, 510, RW);
    assert_eq!(world.mremap(to(500, 10, 4)), Ok(500));
    assert_eq!(world.mremap(to(500, 4, 4)), Ok(500));
    assert_eq!(world.mremap(to(500, 4, 20)), Ok(500), "there is room, so it stays");
    assert_eq!(world.mremap(to(510, 10, 11)), Ok(510), "a part at the end of its area grows too");
    assert_eq!(
        (world.areas(), world.told.take()),
        (vec!["500..521 rw-".into()], vec!["unmap 504..510".into()])
    );
    assert_eq!(world.account.promised(), TABLES + 1 + 10 + 21);
}

#[test]
fn mremap_has_an_error_for_each_mistake() {
    let mut world = World::with(
        Limits { data: p(4) + p(12), areas: 7, ..LIMITS },
        Account::strict(TABLES + 1 + 10 + 11),
    );
    world.map_at(500, 510, RW);
    world.map_at(510, 512, R);
    let shared = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    let object = Some(ObjectId(1));
    world.munmap(510, 512).unwrap();
    world.mmap(MapRequest { hint: p(600), flags: shared, object, ..private(2) }).unwrap();
    let before = (world.areas(), world.account.promised());
    world.told.take();
    for (request, errno) in [
        (RemapRequest { old: p(500) + 1, ..to(500, 1, 2) }, Errno::EINVAL),
        (to(500, 0, 1), Errno::EINVAL),
        (to(500, 1, 0), Errno::EINVAL),
        (RemapRequest { new_len: u64::MAX, ..to(500, 1, 1) }, Errno::EINVAL),
        (RemapRequest { old_len: USER_END, ..to(500, 1, 1) }, Errno::EINVAL),
        (to(600, 2, 3), Errno::EINVAL),
        (to(700, 1, 1), Errno::EFAULT),
        (to(508, 4, 5), Errno::EFAULT),
        (to(500, 5, 6), Errno::ENOMEM),
        (to(500, 10, 12), Errno::ENOMEM),
        (to(500, 10, 13), Errno::ENOMEM),
        (to(500, 10, 101), Errno::ENOMEM),
    ] {
        assert_eq!(world.mremap(request), Err(errno), "{request:?}");
    }
    assert_eq!(
        (world.areas(), world.account.promised(), world.told.take()),
        (before.0, before.1, vec![])
    );
    assert_eq!(world.mremap(to(500, 10, 11)), Ok(500));
}
