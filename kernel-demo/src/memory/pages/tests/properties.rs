//! Random programs of a few processes, compared with the model after each step, with frames refused
//! now and then.

use proptest::prelude::*;
use proptest::sample::Index;

use super::machine::{Object, Pages};
use super::model::{Holds, Model, Page, tables};
use super::{Machine, Process, RW, RX};
use crate::address_space::{Decision, PageState};
use crate::words::Permissions;
use crate::words::layout::{LOWER_HALF_END, PAGE_SIZE};

/// The pages that programs use lie in runs of this many, each across the border of two tables of
/// some level, or at an end.
const RUN: u64 = 8;
const RUNS: [u64; 5] = [
    PAGE_SIZE,
    (2 << 20) - RUN / 2 * PAGE_SIZE,
    (1 << 30) - RUN / 2 * PAGE_SIZE,
    (512 << 30) - RUN / 2 * PAGE_SIZE,
    LOWER_HALF_END - RUN * PAGE_SIZE,
];

const MOST_PROCESSES: usize = 4;

/// One step of a process. Steps that make no sense where they come are left out.
#[derive(Clone, Debug)]
enum Step {
    /// An access to a page: the fault that it ends in is served.
    Touch {
        page: u64,
        write: bool,
        permissions: Permissions,
    },
    /// The zero page gives way to a copy of it.
    CopyZeroPage {
        page: u64,
    },
    TouchObject {
        page: u64,
        index: u64,
        permissions: Permissions,
    },
    Unmap {
        page: u64,
        len: u64,
    },
    Protect {
        page: u64,
        len: u64,
        to: Permissions,
    },
    Fork,
    Exit,
    Read {
        address: u64,
        len: usize,
    },
    Write {
        address: u64,
        len: usize,
        value: u8,
    },
}

fn page() -> impl Strategy<Value = u64> {
    (0..RUNS.len(), 0..RUN).prop_map(|(run, page)| RUNS[run] + page * PAGE_SIZE)
}

fn permissions() -> impl Strategy<Value = Permissions> {
    prop_oneof![4 => Just(RW), 1 => Just(RX), 1 => Just(Permissions::READ), 1 => Just(Permissions::empty())]
}

/// A range that begins at a page, perhaps with an end far away.
fn len() -> impl Strategy<Value = u64> {
    prop_oneof![4 => (1..RUN).prop_map(|pages| pages * PAGE_SIZE), 1 => Just(1 << 31)]
}

fn address() -> impl Strategy<Value = u64> {
    (page(), prop_oneof![Just(0), Just(1), 4080..PAGE_SIZE])
        .prop_map(|(page, offset)| page + offset)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (page(), any::<bool>(), permissions()).prop_map(|(page, write, permissions)| Step::Touch { page, write, permissions }),
        1 => page().prop_map(|page| Step::CopyZeroPage { page }),
        3 => (page(), 0..4_u64, permissions()).prop_map(|(page, index, permissions)| Step::TouchObject { page, index, permissions }),
        2 => (page(), len()).prop_map(|(page, len)| Step::Unmap { page, len }),
        2 => (page(), len(), permissions()).prop_map(|(page, len, to)| Step::Protect { page, len, to }),
        2 => Just(Step::Fork),
        1 => Just(Step::Exit),
        4 => (address(), 1..40_usize).prop_map(|(address, len)| Step::Read { address, len }),
        6 => (address(), 1..40_usize, 1..=u8::MAX).prop_map(|(address, len, value)| Step::Write { address, len, value }),
    ]
}

/// The machine and the model, side by side.
struct World {
    machine: Machine,
    object: Object,
    processes: Vec<Process>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let machine = Machine::new(1024);
        let object = Object::new(machine.clone(), 8).unwrap();
        let processes = vec![Process::new(Pages::new(machine.clone()).unwrap())];
        Self { machine, object, processes, model: Model::new() }
    }

    /// Makes a step on both sides. Where frames are refused, the model stays as it is.
    fn step(&mut self, at: usize, step: &Step) {
        let Self { object, processes, model, .. } = self;
        let pages = &mut processes[at].pages;
        match *step {
            Step::Touch { page, write, permissions } => {
                touch(pages, model, at, page, write, permissions)
            }
            Step::TouchObject { page, index, permissions }
                if model.state(at, page) == PageState::Missing =>
            {
                let mapped = pages.map_object(page, object, index, permissions).is_ok();
                // The object may have its frame even if it could not be mapped.
                if object.resident() as usize > model.object.len() {
                    let fresh = model.fresh();
                    model.object.insert(index, fresh);
                }
                if mapped {
                    let (holds, writable) = (
                        Holds::Object(model.object[&index]),
                        permissions.contains(Permissions::WRITE),
                    );
                    model.processes[at].insert(page, Page { holds, permissions, writable });
                }
            }
            Step::CopyZeroPage { page } if model.state(at, page) == PageState::ZeroPage => {
                if pages.apply(page, Decision::Copy, RW).is_ok() {
                    let holds = Holds::Private(model.fresh());
                    model.processes[at]
                        .entry(page)
                        .and_modify(|page| *page = Page { holds, writable: true, ..*page });
                }
            }
            Step::Unmap { page, len } => {
                let end = page.saturating_add(len).min(LOWER_HALF_END);
                pages.unmap_all(page, end);
                model.processes[at].retain(|at, _| !(page..end).contains(at));
            }
            Step::Protect { page, len, to } => {
                let end = page.saturating_add(len).min(LOWER_HALF_END);
                pages.protect(page, end, to);
                let within: Vec<u64> =
                    model.processes[at].range(page..end).map(|(page, _)| *page).collect();
                within.into_iter().for_each(|page| model.protect(at, page, to));
            }
            Step::Fork if model.processes.len() < MOST_PROCESSES => {
                if let Ok(child) = pages.fork() {
                    processes.push(Process::new(child));
                    model.fork(at);
                }
            }
            Step::Exit if model.processes.len() > 1 => {
                processes.remove(at);
                model.processes.remove(at);
            }
            Step::Read { address, len } => {
                let mut buffer = vec![0; len];
                let done = pages.read(address, &mut buffer);
                assert_eq!(buffer[..done], model.read(at, address, len));
            }
            Step::Write { address, len, value } => {
                let bytes: Vec<u8> = (0..len as u8).map(|at| value.wrapping_add(at)).collect();
                assert_eq!(pages.write(address, &bytes), model.write(at, address, &bytes));
            }
            Step::CopyZeroPage { .. } | Step::TouchObject { .. } | Step::Fork | Step::Exit => {}
        }
    }

    fn compare(&mut self) {
        assert_eq!(self.machine.counts().used(), self.model.frames());
        for (at, process) in self.processes.iter_mut().enumerate() {
            process.settle();
            let (pages, space) = (&mut process.pages, &self.model.processes[at]);
            for page in RUNS.iter().flat_map(|run| (0..RUN).map(move |page| run + page * PAGE_SIZE))
            {
                assert_eq!(
                    pages.state(page),
                    self.model.state(at, page),
                    "{page:#x} of process {at}"
                );
            }
            let resident = pages.resident_in(0, LOWER_HALF_END);
            assert_eq!(resident, self.model.resident(at));
            assert_eq!(pages.resident(), resident.private + resident.shared);
            assert!(pages.inner().peak() >= pages.resident());
            assert_eq!(pages.inner().table_frames() as usize, tables(space.keys().copied()));
        }
        self.machine.all_settled();
    }
}

/// What the address space decides about an access to private memory, done on both sides.
fn touch(
    pages: &mut Pages,
    model: &mut Model,
    at: usize,
    page: u64,
    write: bool,
    permissions: Permissions,
) {
    let there = model.processes[at].get(&page).copied();
    let permissions = there.map_or(permissions, |there| there.permissions);
    if write && !permissions.contains(Permissions::WRITE) {
        return;
    }
    let becomes = match (model.state(at, page), write) {
        (PageState::Missing, false) => pages
            .apply(page, Decision::MapZeroPage, permissions)
            .ok()
            .map(|()| Page { holds: Holds::Zero, permissions, writable: false }),
        (PageState::Missing | PageState::ZeroPage, true) => pages
            .apply(page, Decision::MapZeroed, permissions)
            .ok()
            .map(|()| Page { holds: Holds::Private(model.fresh()), permissions, writable: true }),
        (PageState::Shared, true) => {
            let Some(Page { holds: Holds::Private(number), .. }) = there else {
                unreachable!("only private contents are copied")
            };
            pages.apply(page, Decision::Copy, RW).ok().map(|()| Page {
                holds: Holds::Private(model.copied(number)),
                permissions,
                writable: true,
            })
        }
        (PageState::Own, true) => {
            pages.apply(page, Decision::MakeWritable, RW).unwrap();
            there.map(|there| Page { writable: true, ..there })
        }
        (PageState::ZeroPage | PageState::Shared | PageState::Own, false) => None,
    };
    if let Some(becomes) = becomes {
        model.processes[at].insert(page, becomes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(
        steps in prop::collection::vec((any::<Index>(), step(), prop::option::weighted(0.3, 1..6_usize)), 1..80),
    ) {
        let mut world = World::new();
        for (at, step, refused) in &steps {
            world.machine.fail_nth(*refused);
            world.step(at.index(world.processes.len()), step);
            world.machine.fail_nth(None);
            world.compare();
        }
        let World { machine, object, processes, .. } = world;
        drop((object, processes));
        prop_assert_eq!(machine.counts().used(), 1, "the zero page is left");
    }
}
