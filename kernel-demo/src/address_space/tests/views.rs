use super::*;

fn text(write: impl Fn(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).unwrap();
    text
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// A process where every tenth page is mapped, and every other one of these is shared with a child.
fn resident(start: u64, end: u64) -> Resident {
    let multiples = |of: u64| (end / PAGE_SIZE).div_ceil(of) - (start / PAGE_SIZE).div_ceil(of);
    Resident { private: multiples(10) - multiples(20), shared: multiples(20) }
}

fn story() -> World {
    let mut world = World::new();
    world.brk(p(33) + 1);
    world.map_at(500, 510, RW);
    let flags = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    world
        .mmap(MapRequest { hint: p(0x5_5555_5554), flags, object: Some(ObjectId(7)), ..private(3) })
        .unwrap();
    world.munmap(0x5_5555_5554, 0x5_5555_5555).unwrap();
    world
}

#[test]
fn c24_maps_are_written_as_linux_writes_them() {
    let world = story();
    let maps = text(|out| world.space.vmas().iter().try_for_each(|vma| vma.write_map(out)));
    assert_eq!(
        lines(&maps),
        [
            "00010000-00014000 r-xp 00000000 00:00 0                                  program",
            "00014000-00016000 rw-p 00004000 00:00 0                                  program",
            "00016000-00018000 rw-p 00000000 00:00 0 ",
            "00020000-00042000 rw-p 00000000 00:00 0                                  [heap]",
            "001f4000-001fe000 rw-p 00000000 00:00 0 ",
            "007ce000-007d0000 rw-p 00000000 00:00 0                                  [stack]",
            "555555555000-555555557000 rw-s 00001000 00:01 7                          /dev/zero (deleted)",
        ]
    );
}

/// The host's own view of a test process is the oracle for the form.
#[test]
#[cfg(target_os = "linux")]
fn maps_have_the_columns_of_the_host() {
    let world = story();
    let ours = text(|out| world.space.vmas().iter().try_for_each(|vma| vma.write_map(out)));
    let host = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path_column =
        |maps: &str, path: &str| lines(maps).iter().find_map(|line| line.find(path)).unwrap();
    assert_eq!(path_column(&ours, "[stack]"), path_column(&host, "[stack]"));
    let shape = |line: &str| {
        line.split_inclusive(' ').take(5).map(|field| field.ends_with(' ')).collect::<Vec<_>>()
    };
    assert!(lines(&ours).iter().chain(&lines(&host)).all(|line| shape(line) == [true; 5]));
    let smaps = text(|out| {
        let mut vmas = world.space.vmas().iter();
        vmas.try_for_each(|vma| vma.write_smap(resident(vma.start, vma.end), out))
    });
    let host = std::fs::read_to_string("/proc/self/smaps").unwrap();
    for line in lines(&smaps).iter().filter(|line| line.ends_with(" kB")) {
        let (name, amount) = line.split_at(24);
        let name = name.split_once(':').unwrap().0;
        let theirs =
            lines(&host).into_iter().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        assert_eq!((theirs.len(), amount), (line.len(), " kB"));
    }
}

#[test]
fn smaps_tell_what_is_promised_from_what_is_there() {
    let world = story();
    let smaps = text(|out| {
        let mut vmas = world.space.vmas().iter();
        vmas.try_for_each(|vma| vma.write_smap(resident(vma.start, vma.end), out))
    });
    let heap =
        smaps.lines().skip_while(|line| !line.ends_with("[heap]")).take(10).collect::<Vec<_>>();
    assert_eq!(
        heap,
        [
            "00020000-00042000 rw-p 00000000 00:00 0                                  [heap]",
            "Size:                136 kB",
            "KernelPageSize:        4 kB",
            "MMUPageSize:           4 kB",
            "Rss:                  12 kB",
            "Shared_Clean:          0 kB",
            "Shared_Dirty:          8 kB",
            "Private_Clean:         0 kB",
            "Private_Dirty:         4 kB",
            "Anonymous:            12 kB",
        ]
    );
    assert!(smaps.ends_with("Anonymous:             0 kB\n"), "a shared object is nobody's");
}

#[test]
fn status_adds_up() {
    let mut world = story();
    world.munmap(500, 505).unwrap();
    let status = text(|out| world.space.write_status(out, [4, 0], (20, 6)));
    assert_eq!(
        lines(&status),
        [
            "VmSize:\t     204 kB",
            "VmHWM:\t      80 kB",
            "VmRSS:\t      16 kB",
            "RssAnon:\t      16 kB",
            "RssShmem:\t       0 kB",
            "VmData:\t     172 kB",
            "VmStk:\t       8 kB",
            "VmExe:\t      16 kB",
            "VmPTE:\t      24 kB",
        ]
    );
}
