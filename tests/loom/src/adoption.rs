//! A slot that is abandoned: who tidies it up, and who gets it next.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::list::Blocks;
use crate::slot::{Slot, State};

/// A slot, whose arena counts what was taken up.
struct Model {
    slot: Slot<()>,
    blocks: Blocks,
    taken_up: UnsafeCell<usize>,
}

// SAFETY: loom looks whether accesses to the arena are ordered.
unsafe impl Sync for Model {}
// SAFETY: as above.
unsafe impl Send for Model {}

impl Model {
    /// A slot that is attached.
    fn new(blocks: usize) -> Arc<Self> {
        let model = Self {
            slot: Slot::default(),
            blocks: Blocks::new(blocks),
            taken_up: UnsafeCell::new(0),
        };
        assert!(model.slot.change(State::New, State::Attached));
        Arc::new(model)
    }

    /// Whoever is alone with the arena takes up what is there.
    fn use_arena(&self) {
        let more = self.blocks.take_up();
        // SAFETY: loom looks whether anybody else is there.
        self.taken_up.with_mut(|taken_up| unsafe { *taken_up += more });
    }

    fn adopt(&self) {
        if self.slot.state() == State::Abandoned
            && self.slot.change(State::Abandoned, State::Claimed)
        {
            self.slot.set_untidy(false);
            self.use_arena();
            self.slot.release(State::Abandoned);
        }
    }

    /// Somebody who forks, in whose child nobody else is.
    fn fork(&self) {
        if self.slot.change(State::Abandoned, State::Held) {
            self.use_arena();
            assert!(!self.slot.is_untidy());
            self.slot.set_untidy(true);
            self.slot.release(State::Abandoned);
        }
    }

    fn abandon(&self) {
        self.use_arena();
        self.slot.release(State::Abandoned);
    }

    /// True if the slot was attached. If not, somebody tidies it up just now.
    fn attach(&self) -> bool {
        let attached = self.slot.change(State::Abandoned, State::Attached);
        if attached {
            self.use_arena();
        }
        attached
    }
}

#[test]
fn two_adopters_and_the_next_user_are_never_in_the_arena_together() {
    loom::model(|| {
        let model = Model::new(1);
        model.abandon();
        model.blocks.free(0..1);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.adopt())
            })
            .collect();
        thread::yield_now();
        let attached = model.attach();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(attached || model.attach());
        // SAFETY: all threads have ended.
        assert_eq!(model.taken_up.with(|taken_up| unsafe { *taken_up }), 1);
    });
}

#[test]
fn nobody_is_in_a_retired_arena_that_is_held_for_a_fork() {
    loom::model(|| {
        let model = Model::new(1);
        model.abandon();
        model.blocks.free(0..1);
        let forking = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.fork())
        };
        let adopting = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.adopt())
        };
        thread::yield_now();
        let attached = model.attach();
        forking.join().unwrap();
        adopting.join().unwrap();
        assert!(attached || model.attach());
        // SAFETY: all threads have ended.
        assert_eq!(model.taken_up.with(|taken_up| unsafe { *taken_up }), 1);
    });
}

#[test]
fn what_is_freed_while_a_slot_retires_is_found_by_the_next_user() {
    loom::model(|| {
        let model = Model::new(2);
        let freeing = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.blocks.free(0..2))
        };
        let adopting = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.adopt())
        };
        thread::yield_now();
        model.abandon();
        freeing.join().unwrap();
        adopting.join().unwrap();
        assert!(model.attach());
        // SAFETY: all threads have ended.
        assert_eq!(model.taken_up.with(|taken_up| unsafe { *taken_up }), 3);
    });
}

#[test]
fn an_arena_that_is_entered_is_found_whole_by_who_has_only_its_owners_number() {
    loom::model(|| {
        let slot: Arc<Slot<u32>> = Arc::new(Slot::default());
        let arena = Box::into_raw(Box::new(7_u32));
        let other = {
            let slot = Arc::clone(&slot);
            // SAFETY: the arena stays until the end of the model.
            thread::spawn(move || slot.arena(0).map(|arena| unsafe { *arena.as_ref() }))
        };
        slot.set_arena(0, std::ptr::NonNull::new(arena).unwrap());
        assert!(matches!(other.join().unwrap(), None | Some(7)));
        // SAFETY: nobody has it any more.
        drop(unsafe { Box::from_raw(arena) });
    });
}
