//! Runs a program on address spaces and on the naive model, and compares.

use std::collections::BTreeMap;

use super::Played;
use super::account::Account;
use super::check;
use super::machine::{Memory, Tables};
use super::naive::{Process, World, pages_of};
use super::program::{Op, Program};
use crate::address_space::{
    AddressSpace, AreaKind, Cause, Charge, Layout, Limits, MIN_ADDRESS, MapRequest, ObjectId,
    USER_END, Vma,
};
use crate::words::Permissions;
use crate::words::layout::PAGE_SIZE;

/// Close together, so that random addresses meet: a stack of its full length keeps its gap free
/// even below `mmap_base`.
const LAYOUT: Layout = Layout {
    text: MIN_ADDRESS,
    start_brk: 28 * PAGE_SIZE,
    mmap_base: 440 * PAGE_SIZE,
    stack_top: 720 * PAGE_SIZE,
};

const STACK_LIMIT: u64 = 32 * PAGE_SIZE;
/// The naive model keeps every page, so a break does not go above this many.
const MOST_PAGES: u64 = 2000;

const MOST_PROCESSES: usize = 4;

/// A process, and what the model thinks of it.
struct Pair {
    space: AddressSpace,
    tables: Tables,
    model: Process,
    served: u64,
}

struct Driver {
    account: Account,
    world: World,
    memory: Memory,
    pairs: Vec<Pair>,
}

impl Program {
    /// Runs it.
    ///
    /// # Panics
    ///
    /// When a promise is broken.
    pub fn run(&self) {
        let mut driver = Driver::new(self);
        for (process, op) in &self.ops {
            driver.step(*process, *op);
            driver.compare();
        }
        while let Some(pair) = driver.pairs.pop() {
            driver.end(pair);
        }
        assert_eq!(
            (driver.account.promised(), driver.memory.in_use()),
            (0, 0),
            "something is left over"
        );
    }
}

impl Driver {
    fn new(program: &Program) -> Self {
        let mut account = program.strict.map_or(Account::overcommit(), Account::strict);
        let limits = Limits { data: program.data, stack: STACK_LIMIT, areas: program.areas };
        let (mut space, mut model) =
            (AddressSpace::new(LAYOUT, limits), Process::new(LAYOUT, limits));
        let mut world = World { promised: 0, limit: program.strict, objects: BTreeMap::new() };
        let memory = Memory::default();
        let mut tables = Tables::new(&memory);
        let (r, w, x) = (Permissions::READ, Permissions::WRITE, Permissions::EXECUTE);
        let page = |number: u64| LAYOUT.text + number * PAGE_SIZE;
        for vma in [
            Vma::image(page(0), page(4), r | x, "program", 0),
            Vma::image(page(4), page(6), r | w, "program", 4 * PAGE_SIZE),
            Vma::private(page(6), page(8), r | w, AreaKind::Image),
        ] {
            space.make_room(|_| Ok(())).unwrap();
            space.insert_image(vma, &mut Played(&mut tables, &mut account)).unwrap();
            model.enter(&vma, &mut world);
        }
        space.make_room(|_| Ok(())).unwrap();
        space.insert_stack(2 * PAGE_SIZE, &mut Played(&mut tables, &mut account)).unwrap();
        model.enter(space.vmas().last().unwrap(), &mut world);
        let pair = Pair { space, tables, model, served: 0 };
        Self { account, world, memory, pairs: vec![pair] }
    }

    fn step(&mut self, process: usize, op: Op) {
        let index = process % self.pairs.len();
        let Pair { space, tables, model, served } = &mut self.pairs[index];
        let (account, world) = (&mut self.account, &mut self.world);
        let before = tables.snapshot();
        let mut failed = false;
        space.make_room(|_| Ok(())).unwrap();
        match op {
            Op::Brk { to } => {
                let to = to.resolve(space);
                let old = space.current_brk();
                if (MOST_PAGES * PAGE_SIZE..=USER_END).contains(&to) {
                    return;
                }
                let new = space.brk(to, &mut Played(tables, account)).unwrap();
                assert_eq!(new, model.brk(to, world));
                failed = new == old;
            }
            Op::Mmap { hint, len, permissions, flags, object } => {
                let object = object.map(ObjectId);
                let request =
                    MapRequest { hint: hint.resolve(space), len, permissions, flags, object };
                let result = space.mmap(request, &mut Played(tables, account));
                assert_eq!(result, model.mmap(request, world));
                failed = result.is_err();
            }
            Op::Munmap { start, len } => {
                let start = start.resolve(space);
                let result = space.munmap(start, len, &mut Played(tables, account));
                assert_eq!(result, model.munmap(start, len, world));
                failed = result.is_err();
            }
            Op::Mprotect { start, len, permissions } => {
                let start = start.resolve(space);
                let result = space.mprotect(start, len, permissions, &mut Played(tables, account));
                assert_eq!(result, model.mprotect(start, len, permissions, world));
                failed = result.is_err();
            }
            Op::Touch { at, access, value } => {
                let at = at.resolve(space);
                let faults = space.faults();
                let result = tables.access(space, account, (at, access), value);
                assert_ne!(result, Err(Cause::Inconsistent));
                assert_eq!(
                    result.ok(),
                    model.touch((at, access), value, world),
                    "{result:?} at {at:#x}"
                );
                *served += u64::from(tables.snapshot() != before);
                assert!(space.faults() <= faults + 1);
            }
            Op::Fork => self.fork(index),
            Op::Exit if self.pairs.len() > 1 => {
                let pair = self.pairs.swap_remove(index);
                self.end(pair);
            }
            Op::Exit => {}
        }
        if failed {
            assert_eq!(
                self.pairs[index].tables.snapshot(),
                before,
                "a call that fails changes no page table"
            );
        }
    }

    fn fork(&mut self, index: usize) {
        if self.pairs.len() == MOST_PROCESSES {
            return;
        }
        let Pair { space, tables, model, .. } = &mut self.pairs[index];
        let forked = space.fork().and_then(|child| {
            self.account.charge(child.charged())?;
            Ok(child)
        });
        let promised = self.world.promise(0, model.charged());
        assert_eq!(forked.as_ref().err(), promised.as_ref().err());
        if let Ok(space) = forked {
            assert_eq!(space.faults(), 0);
            let (tables, model) = (tables.fork(), model.clone());
            self.pairs.push(Pair { space, tables, model, served: 0 });
        }
    }

    fn end(&mut self, pair: Pair) {
        let Pair { mut space, mut tables, model, .. } = pair;
        assert!(
            space.clear(&mut Played(&mut tables, &mut self.account)) && space.vmas().is_empty()
        );
        self.world.promised -= model.charged();
    }

    /// Whether each process is what the model has page by page.
    fn compare(&mut self) {
        for Pair { space, tables, model, served } in &self.pairs {
            assert_eq!(check(space), Ok(()));
            let pages: BTreeMap<_, _> = space.vmas().iter().flat_map(pages_of).collect();
            let valueless = model
                .pages
                .iter()
                .map(|(at, page)| (*at, super::naive::Page { value: 0, ..*page }));
            assert!(
                pages.iter().map(|(at, page)| (*at, *page)).eq(valueless),
                "{:#?}\n{:#?}",
                space.vmas(),
                model.pages
            );
            assert_eq!(space.vmas().len(), model.areas());
            assert_eq!(space.current_brk(), model.brk);
            assert_eq!(space.pages_that(Vma::is_data), model.data(0, u64::MAX));
            assert_eq!((accounted(space), space.charged()), (model.accounted(), model.charged()));
            assert_eq!(space.faults(), *served);
            for (at, permissions) in tables.mapped() {
                assert_eq!(
                    model.pages.get(&at).map(|page| page.permissions),
                    Some(permissions),
                    "{at:#x} is mapped"
                );
            }
        }
        assert_eq!(self.account.promised(), self.world.promised);
        if self.account.limit().is_some() {
            let kept = self.pairs.iter().map(|pair| accounted(&pair.space)).sum::<u64>();
            assert!(self.memory.in_use() as u64 <= kept, "a frame that nobody promised");
        }
    }
}

/// Pages that are charged.
fn accounted(space: &AddressSpace) -> u64 {
    space.pages_that(|vma| vma.charge == Charge::Pages)
}
