//! Search through all programs, by depth: the first one that fails is a shortest one.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::fresh::{Granted, assert_all_free};
use super::image::Fresh;
use super::world::{Action, Snapshot, World};
use super::yard::Yard;
use crate::common::profile::Variant;

/// Hasher of images, which are hashes.
#[derive(Default)]
struct OfImage(u64);

impl Hasher for OfImage {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("an image is one number");
    }

    fn write_u64(&mut self, image: u64) {
        self.0 = image;
    }
}

/// Set of images.
type Images = HashSet<u64, BuildHasherDefault<OfImage>>;

/// A program: the last action, and the number of the program without it.
#[derive(Clone, Copy)]
struct Program {
    before: u32,
    last: Option<Action>,
}

/// Result of a search.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Number of worlds that are not alike.
    pub worlds: usize,
    /// Number of actions of the longest programs of which all were run.
    pub depth: usize,
}

/// Search through all programs.
pub struct Search<'a, P: Variant> {
    world: World<'a, P>,
    start: Snapshot<'a, P>,
    /// World from which all programs of one more action are run.
    reached: Snapshot<'a, P>,
    fresh: Fresh,
    granted: Granted,
    /// Programs that lead to worlds which are not alike, the shortest first.
    programs: Vec<Program>,
    seen: Images,
    /// Worlds in which all was freed.
    drained: Images,
    /// Actions of the program that runs.
    actions: Vec<Action>,
}

impl<'a, P: Variant> Search<'a, P> {
    /// A search from the world on which `prelude` leads a fresh one.
    pub fn new(yard: &'a Yard, prelude: impl FnOnce(&mut World<'a, P>)) -> Self {
        let mut world = World::new(yard);
        let fresh = Fresh::new(&mut world);
        let granted = Granted::new(&mut world);
        prelude(&mut world);
        world.verify();
        let (start, reached) = (world.save(), world.save());
        Self {
            world,
            start,
            reached,
            fresh,
            granted,
            programs: vec![Program { before: 0, last: None }],
            seen: Images::default(),
            drained: Images::default(),
            actions: Vec::new(),
        }
    }

    /// Runs all programs of at most `depth` actions, as far as there is time: so many seconds. If
    /// one fails, its actions are shown.
    pub fn run_all(&mut self, depth: usize, seconds: Option<usize>) -> Found {
        let verdict = catch_unwind(AssertUnwindSafe(|| self.run_all_inside(depth, seconds)));
        verdict.unwrap_or_else(|panic| {
            println!("the program that failed: {:?}", self.actions);
            resume_unwind(panic)
        })
    }

    fn run_all_inside(&mut self, most: usize, seconds: Option<usize>) -> Found {
        let begin = Instant::now();
        let limit = seconds.map(|seconds| Duration::from_secs(seconds as u64));
        let (mut first, mut runs) = (0, 1);
        let mut found = Found { worlds: 1, depth: 0 };
        self.note_new();
        for depth in 1..=most {
            let last = self.programs.len();
            let next = (first..last).find(|&before| {
                let (ran, new) = self.run_longer(before, depth < most);
                runs += ran;
                found.worlds += new;
                limit.is_some_and(|limit| begin.elapsed() >= limit)
            });
            first = last;
            let seconds = begin.elapsed().as_secs_f32();
            println!("  depth {depth}: {} worlds of {runs} programs, {seconds:.1} s", found.worlds);
            if let Some(next) = next.filter(|next| next + 1 < last) {
                println!("  no time for programs that begin with one of {}", last - next - 1);
                break;
            }
            found.depth = depth;
        }
        found
    }

    /// Runs all programs that are longer than another one by an action. Returns their number, and
    /// how many of them lead to new worlds, which are kept if longer ones follow.
    fn run_longer(&mut self, before: usize, are_kept: bool) -> (usize, usize) {
        self.reach(before);
        let mut next = Vec::new();
        self.world.for_each_action(|action| next.push(action));
        self.world.save_to(&mut self.reached);
        let mut new = 0;
        for &action in &next {
            self.actions.push(action);
            self.world.restore(&self.reached);
            self.world.step(action);
            if self.note_new() {
                new += 1;
                if are_kept {
                    self.programs.push(Program { before: before as u32, last: Some(action) });
                }
            }
            self.actions.pop();
        }
        (next.len(), new)
    }

    /// Runs a program.
    fn reach(&mut self, number: usize) {
        self.actions.clear();
        let mut program = self.programs[number];
        while let Some(last) = program.last {
            self.actions.push(last);
            program = self.programs[program.before as usize];
        }
        self.actions.reverse();
        self.world.restore(&self.start);
        self.actions.iter().for_each(|&action| self.world.step(action));
    }

    /// Verifies the world if it is like none before, and what is left of it once all is freed, if
    /// that is. Returns whether it is.
    fn note_new(&mut self) -> bool {
        self.world.assert_all_filled();
        let image = self.fresh.image_of(&self.world);
        if !self.seen.insert(image) {
            return false;
        }
        self.world.verify();
        self.granted.drain(&mut self.world, image);
        if self.drained.insert(self.fresh.image_of(&self.world)) {
            self.world.verify();
            assert_all_free(&self.world);
        }
        true
    }
}

/// Returns the number that a variable of the environment holds.
pub fn variable(name: &str) -> Option<usize> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; expected a number")))
}
