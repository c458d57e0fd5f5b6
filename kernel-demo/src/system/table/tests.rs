use super::*;
use crate::words::Signal;
use proptest::prelude::*;

type Names = Table<&'static str>;

const OK: Status = Status::Exited(0);

fn table(names: &[&'static str]) -> Names {
    let mut table = Table::new().unwrap();
    for name in names {
        table.insert(Pid::KERNEL, *name);
    }
    table
}

/// Ends a process and returns who is forgotten because of it.
fn end(table: &mut Names, pid: Pid, status: Status) -> Vec<(u32, Status)> {
    let mut forgotten = Vec::new();
    table.end(pid, status, &mut |entry, status| forgotten.push((entry.pid.0, status)));
    forgotten
}

/// `None` without such a child, `Some(None)` when it has not ended.
fn reaped(table: &mut Names, parent: u32, which: Which) -> Option<Option<(u32, Status)>> {
    match table.reap(Pid(parent), which) {
        Children::None => None,
        Children::Running => Some(None),
        Children::Ended(entry, status) => Some(Some((entry.pid.0, status))),
    }
}

/// Numbers of the threads whose turns come next.
fn turns<P>(table: &mut Table<P>, count: usize) -> Vec<u32> {
    (0..count).filter_map(|_| table.next_turn().map(|slot| table.at(slot).pid.0)).collect()
}

#[test]
fn turns_go_round() {
    let mut table = table(&["a", "b", "c"]);
    let first = turns(&mut table, 6);
    assert_eq!(first[..3], first[3..]);
    let mut sorted = first[..3].to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3]);
    table.block(Pid(2), Wait::Input);
    let without = turns(&mut table, 4);
    assert!(
        !without.contains(&2) && without[0] == without[2] && without[0] != without[1],
        "{without:?}"
    );
    assert!(table.has_readers());
    table.wake_readers();
    assert_eq!(turns(&mut table, 3).into_iter().filter(|&pid| pid == 2).count(), 1);
}

#[test]
fn nobody_ready_is_nobodys_turn() {
    let mut table = table(&["a"]);
    table.block(Pid(1), Wait::Child(Which::Any));
    assert_eq!(table.next_turn(), None);
    assert!(!table.has_readers());
    assert_eq!(table.next_turn(), None);
}

#[test]
fn a_child_is_a_zombie_until_its_parent_asks() {
    let mut table = table(&["parent"]);
    let child = table.insert(Pid(1), "child");
    assert_eq!(reaped(&mut table, 1, Which::Any), Some(None));
    assert_eq!(reaped(&mut table, 1, Which::Child(Pid(9))), None);
    assert_eq!(end(&mut table, child, Status::Exited(3)), []);
    assert_eq!(table.get(child).unwrap().state, State::Zombie(Status::Exited(3)));
    assert_eq!(reaped(&mut table, 1, Which::Child(child)), Some(Some((2, Status::Exited(3)))));
    assert!(table.get(child).is_none());
    assert_eq!(reaped(&mut table, 1, Which::Any), None);
}

#[test]
fn who_waits_is_woken_by_the_child_that_it_waits_for() {
    let mut table = table(&["parent"]);
    let first = table.insert(Pid(1), "first");
    let second = table.insert(Pid(1), "second");
    table.block(Pid(1), Wait::Child(Which::Child(second)));
    end(&mut table, first, OK);
    assert_eq!(table.get(Pid(1)).unwrap().state, State::Waiting(Wait::Child(Which::Child(second))));
    end(&mut table, second, Status::Killed(Signal::SIGSEGV));
    assert_eq!(table.get(Pid(1)).unwrap().state, State::Ready);
}

#[test]
fn orphans_become_the_kernels_and_leave_no_zombie() {
    let mut table = table(&["grandparent"]);
    let parent = table.insert(Pid(1), "parent");
    let dead = table.insert(parent, "dead");
    let alive = table.insert(parent, "alive");
    assert_eq!(end(&mut table, dead, Status::Exited(1)), []);
    assert_eq!(end(&mut table, parent, OK), [(3, Status::Exited(1))]);
    assert_eq!(table.get(alive).unwrap().parent, Pid::KERNEL);
    assert_eq!(end(&mut table, alive, Status::Exited(2)), [(4, Status::Exited(2))]);
    assert_eq!(end(&mut table, Pid(1), OK), [(1, OK), (2, OK)]);
    assert_eq!(table.entries().count(), 0);
}

#[test]
fn a_full_table_takes_nobody_and_numbers_are_not_used_again() {
    let mut table = table(&["p"; MAX_PROCESSES]);
    assert_eq!(table.vacancy(), None);
    end(&mut table, Pid(5), OK);
    let next = Pid(MAX_PROCESSES as u32 + 1);
    assert_eq!(
        (table.vacancy(), table.insert(Pid::KERNEL, "next"), table.vacancy()),
        (Some(next), next, None)
    );
}

proptest! {
    /// Whoever starts, waits and ends in whatever order, the table's invariants hold.
    #[test]
    fn random_lives(steps in prop::collection::vec((0..8_u8, 0..20_u32), 1..300)) {
        let mut table = table(&["first"]);
        for (step, number) in steps {
            let pid = Pid(number);
            let found = table.get(pid).map(|entry| (entry.leader, entry.state));
            let group = found.filter(|(_, state)| !matches!(state, State::Zombie(_))).map(|(group, _)| group);
            let others = |table: &Names| table.entries().any(|entry| entry.leader == pid && entry.pid != pid);
            match (step, group) {
                (0, Some(group)) if table.vacancy().is_some() => assert!(table.insert(group, "child") > pid),
                (1, Some(_)) => table.block(pid, Wait::Child(Which::Any)),
                (2, Some(group)) if group == pid && !others(&table) => drop(end(&mut table, pid, OK)),
                (2, Some(group)) if group != pid => table.remove(pid),
                (3, _) => drop(table.reap(pid, Which::Any)),
                (4, Some(group)) if table.vacancy().is_some() => assert!(table.insert_thread(group, "thread") > pid),
                (5, Some(_)) => table.block(pid, Wait::Word(Word::Private(Pid(1), u64::from(number) % 3))),
                (6, _) => {
                    let word = Word::Private(Pid(1), u64::from(number) % 3);
                    let waiting = |table: &Names| {
                        table.entries().filter(|entry| entry.state == State::Waiting(Wait::Word(word))).count() as u64
                    };
                    let before = waiting(&table);
                    let woken = table.wake_waiters(word, 2, &mut |_| ());
                    prop_assert_eq!((woken, waiting(&table)), (before.min(2), before - before.min(2)));
                }
                (7, Some(group)) => table.wake_threads(group),
                _ => {}
            }
            for entry in table.entries() {
                let parent = table.get(entry.parent);
                prop_assert!(entry.parent == Pid::KERNEL || parent.is_some_and(|parent| !matches!(parent.state, State::Zombie(_))));
                prop_assert!(entry.parent != Pid::KERNEL || !matches!(entry.state, State::Zombie(_)));
                prop_assert!(entry.leader == entry.pid || !matches!(entry.state, State::Zombie(_)));
                prop_assert!(table.entries().filter(|other| other.pid == entry.pid).count() == 1);
            }
        }
    }
}
