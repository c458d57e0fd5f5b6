//! A slot whose arena another caller borrows while its owner is idle: are they ever in there
//! together, and does each see what the other did? The steps of a borrower are those of
//! `src/arena/reclaim.rs`.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::atomic::barrier;
use crate::slot::{Slot, State};
use crate::word::SlotWord;

/// An attached slot with one arena, which counts operations.
struct Model {
    slot: Slot<()>,
    word: SlotWord,
    operations: UnsafeCell<usize>,
}

// SAFETY: loom looks whether accesses to the arena are ordered.
unsafe impl Sync for Model {}
// SAFETY: as above.
unsafe impl Send for Model {}

impl Model {
    fn new() -> Arc<Self> {
        let model = Self {
            slot: Slot::default(),
            word: SlotWord::default(),
            operations: UnsafeCell::new(0),
        };
        assert!(model.slot.change(State::New, State::Claimed));
        model.word.put_back();
        model.slot.release(State::Attached);
        Arc::new(model)
    }

    fn use_arena(&self) {
        // SAFETY: loom looks whether anybody else is there.
        self.operations.with_mut(|operations| unsafe { *operations += 1 });
    }

    /// An operation of the owner. True if it was in its arena.
    fn operate(&self) -> bool {
        let resume = || self.word.resume(true, NonNull::dangling(), || self.slot.is_attached());
        let is_inside = self.word.take(true).or_else(resume).is_some();
        if is_inside {
            self.use_arena();
            self.word.put_back();
        }
        is_inside
    }

    /// True if the borrower was in the arena.
    fn borrow(&self, borrower: usize) -> bool {
        if !self.slot.borrow(State::Attached, State::Borrowed, borrower) {
            return false;
        }
        self.word.mark();
        barrier();
        let is_inside = self.word.is_free();
        if is_inside {
            assert!(self.slot.is_borrowed_by(borrower));
            self.use_arena();
        }
        self.slot.end_borrowing();
        is_inside
    }

    /// The owner goes.
    fn abandon(&self) {
        loop {
            if self.slot.change(State::Attached, State::Claimed) {
                self.word.clear();
                self.use_arena();
                return self.slot.release(State::Abandoned);
            }
            self.word.clear();
            if self.slot.change(State::Borrowed, State::Orphaned) {
                return;
            }
            thread::yield_now();
        }
    }

    fn operations(&self) -> usize {
        // SAFETY: all threads have ended.
        self.operations.with(|operations| unsafe { *operations })
    }
}

fn spawn<R: 'static>(
    model: &Arc<Model>,
    run: impl FnOnce(&Model) -> R + 'static,
) -> thread::JoinHandle<R> {
    let model = Arc::clone(model);
    thread::spawn(move || run(&model))
}

/// Runs a model in every order, and says how often an attempt to borrow was successful, and how
/// often it was not.
fn counted(model: impl Fn() -> bool + Sync + Send + 'static) -> [usize; 2] {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNTS: std::sync::Mutex<()> = std::sync::Mutex::new(());
    static OUTCOMES: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    let _one_at_a_time = COUNTS.lock();
    OUTCOMES.iter().for_each(|outcome| outcome.store(0, Ordering::Relaxed));
    loom::model(move || {
        OUTCOMES[usize::from(model())].fetch_add(1, Ordering::Relaxed);
    });
    [1, 0].map(|outcome: usize| OUTCOMES[outcome].load(Ordering::Relaxed))
}

#[test]
fn an_owner_and_a_borrower_are_never_in_an_arena_together() {
    let [yes, no] = counted(|| {
        let model = Model::new();
        let borrower = spawn(&model, |model| model.borrow(1));
        thread::yield_now();
        let inside = usize::from(model.operate()) + usize::from(model.operate());
        let borrowed = borrower.join().unwrap();
        assert_eq!(model.operations(), inside + usize::from(borrowed));
        assert!(model.operate(), "the arena is the owner's again");
        borrowed
    });
    assert!(yes > 0 && no > 0, "an idle arena is borrowed, one in use is not: {yes} {no}");
}

#[test]
fn two_borrowers_are_never_in_an_arena_together() {
    let [yes, _] = counted(|| {
        let model = Model::new();
        let others = [1, 2].map(|number| spawn(&model, move |model| model.borrow(number)));
        let borrowed: usize =
            others.into_iter().map(|other| usize::from(other.join().unwrap())).sum();
        assert_eq!(model.operations(), borrowed);
        assert!(model.operate());
        borrowed == 2
    });
    assert!(yes > 0, "one after the other");
}

#[test]
fn an_arena_that_is_abandoned_while_it_is_borrowed_is_the_next_users() {
    let [yes, no] = counted(|| {
        let model = Model::new();
        let borrower = spawn(&model, |model| model.borrow(1));
        thread::yield_now();
        let inside = usize::from(model.operate());
        model.abandon();
        let attaches = || model.slot.change(State::Abandoned, State::Claimed);
        let was_left = attaches();
        if was_left {
            model.use_arena();
            model.word.put_back();
            model.slot.release(State::Attached);
            model.operate();
        }
        borrower.join().unwrap();
        assert!(was_left || model.slot.is_untidy() && attaches());
        assert!(model.operations() >= inside);
        was_left
    });
    assert!(yes > 0 && no > 0, "{yes} {no}");
}
