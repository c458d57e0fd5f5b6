//! The busy flag: a handler comes before each step in turn; or another thread, which forks, holds
//! what is free, and looks at it at a later step.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::slot::{LEVELS, Slot};
use crate::sync::{SlotWord, interrupt_after, step, was_interrupted};

/// An arena: two numbers that are equal unless somebody is in it.
#[derive(Default)]
struct Arena {
    first: Cell<usize>,
    second: Cell<usize>,
}

impl Arena {
    /// An operation, with steps in which it can be interrupted.
    fn work(&self) {
        assert_eq!(self.first.get(), self.second.get(), "somebody is in here");
        step();
        self.first.set(self.first.get() + 1);
        step();
        self.second.set(self.first.get());
        step();
    }
}

std::thread_local! {
    static WORDS: [SlotWord; LEVELS] = Default::default();
    static ARENAS: [Arena; LEVELS] = Default::default();
    /// How often each level was used, and how often none was free.
    static USED: Cell<[usize; LEVELS + 1]> = const { Cell::new([0; LEVELS + 1]) };
}

/// An operation at the first level that is free.
fn operate() {
    WORDS.with(|words| {
        let level = (0..LEVELS).find(|&level| {
            let Some(arena) = words[level].take() else { return false };
            ARENAS.with(|arenas| {
                assert_eq!(arena, NonNull::from(&arenas[level]).cast());
                arenas[level].work();
            });
            words[level].put_back();
            true
        });
        let mut used = USED.get();
        used[level.unwrap_or(LEVELS)] += 1;
        USED.set(used);
    });
}

/// An operation that is interrupted itself, where a second handler comes in between.
fn operate_interrupted() {
    SECOND.with(|second| interrupt_after(second.get(), operate));
    operate();
}

std::thread_local!(static SECOND: Cell<usize> = const { Cell::new(0) });

fn begin() {
    WORDS.with(|words| {
        ARENAS.with(|arenas| {
            (0..LEVELS).for_each(|level| words[level].put_in(NonNull::from(&arenas[level]).cast()));
        });
    });
}

#[test]
fn a_handler_may_come_before_any_step_and_never_finds_an_arena_in_between() {
    begin();
    let mut steps = 0;
    loop {
        interrupt_after(steps, operate);
        operate();
        if !was_interrupted() {
            break;
        }
        steps += 1;
    }
    // Two steps before the word is taken, three in the operation, three around it.
    assert!(steps >= 8, "{steps}");
    let [first, second, refused] = USED.get();
    assert_eq!((first + second + refused, refused), (2 * steps + 1, 0));
    assert!(first > second && second > 0, "{first} {second}");
    begin();
    operate();
    ARENAS.with(|arenas| assert_eq!(arenas[0].first.get() + arenas[1].first.get(), 2 * steps + 2));
}

#[test]
fn a_handler_of_a_handler_is_refused_and_breaks_nothing() {
    begin();
    let mut most_steps = 0;
    for first in 0..20 {
        for second in 0..20 {
            SECOND.set(second);
            interrupt_after(first, operate_interrupted);
            operate();
            was_interrupted();
            most_steps = most_steps.max(first);
        }
    }
    assert!(USED.get()[LEVELS] > 0, "both arenas are busy sometimes");
    operate();
    assert_eq!(most_steps, 19);
}

std::thread_local! {
    /// The slot of a model, while it runs.
    static SLOT: Cell<Option<NonNull<Slot<Arena>>>> = const { Cell::new(None) };
    static LOCKED: Cell<bool> = const { Cell::new(false) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// What needs the parent's lock, as `parent.rs` does it: never waits for who was interrupted.
fn with_lock() {
    // SAFETY: the slot of the model that runs.
    let slot = unsafe { SLOT.get().unwrap().as_ref() };
    step();
    if slot.has_lock() {
        REFUSED.set(REFUSED.get() + 1);
        return;
    }
    step();
    slot.set_has_lock(true);
    step();
    assert!(!LOCKED.replace(true), "this would wait for ever");
    step();
    LOCKED.set(false);
    step();
    slot.set_has_lock(false);
    step();
}

#[test]
fn a_handler_never_waits_for_the_lock_of_who_it_interrupted() {
    for steps in 0..8 {
        loom::model(move || {
            let slot: Slot<Arena> = Slot::default();
            assert!(slot.arena(0).is_none());
            slot.word(0);
            SLOT.set(Some(NonNull::from(&slot)));
            interrupt_after(steps, with_lock);
            with_lock();
            was_interrupted();
            assert!(!slot.has_lock() && !LOCKED.get());
            SLOT.set(None);
        });
    }
    assert!(REFUSED.get() > 0, "some handlers come while the lock is held");
}

std::thread_local! {
    /// When the process is copied, in steps after the arenas were held.
    static MOMENT: Cell<usize> = const { Cell::new(0) };
    /// Which arenas were held at that moment.
    static HELD: Cell<Option<[bool; LEVELS]>> = const { Cell::new(None) };
}

/// Another thread holds what is free, and the process is copied some steps later.
fn fork() {
    WORDS.with(|words| words.iter().for_each(|word| _ = word.hold()));
    interrupt_after(MOMENT.get(), copy);
}

/// What the child finds: an arena that is still held is whole. Nothing is held any more then.
fn copy() {
    WORDS.with(|words| {
        ARENAS.with(|arenas| {
            for (word, arena) in words.iter().zip(arenas) {
                assert!(
                    !word.is_held() || arena.first.get() == arena.second.get(),
                    "somebody is in there, and the child does not know"
                );
            }
        });
        HELD.set(Some([0, 1].map(|level| words[level].is_held())));
        words.iter().for_each(SlotWord::let_go);
    });
}

/// An operation of one whose arena is held, and who has waited long enough.
fn operate_although_held() {
    WORDS.with(|words| {
        if let Some(arena) = words[0].is_held().then(|| words[0].take_even_if_held()).flatten() {
            ARENAS.with(|arenas| {
                assert_eq!(arena, NonNull::from(&arenas[0]).cast());
                arenas[0].work();
            });
            words[0].put_back();
        }
    });
}

#[test]
fn what_is_still_held_when_a_process_is_copied_is_whole_in_the_child_whatever_its_thread_does() {
    let mut found = [0; 4];
    for waits in [true, false] {
        for begin_at in 0..24 {
            for moment in 0..24 {
                begin();
                MOMENT.set(moment);
                interrupt_after(begin_at, fork);
                for _ in 0..2 {
                    operate();
                    if !waits {
                        operate_although_held();
                    }
                }
                was_interrupted();
                if let Some([first, second]) = HELD.take() {
                    found[usize::from(first) + 2 * usize::from(second)] += 1;
                }
            }
        }
    }
    let [neither, first, second, both] = found;
    assert!(first + both > 0 && second > 0, "what nobody is in is held: {found:?}");
    assert!(neither + second > 0, "and lost, where somebody is: {found:?}");
}
