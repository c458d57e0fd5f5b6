//! loom's atomics and cells in the place of core's: see `src/arena/sync.rs`.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use crate::mailbox::Mailbox;
use crate::packets::{Apart, Batch, Packet, Packets};
use crate::remote::RemoteList;

/// loom has no compiler fences, and a handler is no thread: what is moved here is nothing.
pub(crate) fn compiler_fence(_: Ordering) {}

/// A block on its way: where the next one is, and what was written into it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    next: UnsafeCell<Option<NonNull<Link>>>,
    pub(crate) contents: UnsafeCell<usize>,
}

impl Link {
    /// # Safety
    ///
    /// As in `src/arena/sync.rs`.
    pub(crate) unsafe fn read(at: NonNull<Self>) -> Option<NonNull<Self>> {
        // SAFETY: the models keep their blocks.
        let link = unsafe { at.as_ref() };
        // SAFETY: loom looks whether it is ordered.
        link.next.with(|next| unsafe { *next })
    }

    /// # Safety
    ///
    /// As in `src/arena/sync.rs`.
    pub(crate) unsafe fn write(at: NonNull<Self>, to: Option<NonNull<Self>>) {
        // SAFETY: the models keep their blocks.
        let link = unsafe { at.as_ref() };
        // SAFETY: loom looks whether it is ordered.
        link.next.with_mut(|next| unsafe { *next = to });
    }
}

impl RemoteList {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// Few, so that models are small and every way is taken.
pub(crate) const BATCH: usize = 2;
pub(crate) const PACKETS: usize = 2;

/// What is in a packet, as in `src/arena/sync.rs`.
#[derive(Debug)]
pub(crate) struct BatchCell<T>(UnsafeCell<T>);

impl<T: Copy> BatchCell<T> {
    /// # Safety
    ///
    /// As in `src/arena/sync.rs`.
    pub(crate) unsafe fn write(&self, batch: &T) {
        // SAFETY: loom looks whether it is ordered.
        self.0.with_mut(|place| unsafe { *place = *batch });
    }

    /// # Safety
    ///
    /// As in `src/arena/sync.rs`.
    pub(crate) unsafe fn read(&self, look: impl FnOnce(&T)) {
        // SAFETY: loom looks whether it is ordered.
        self.0.with(|place| look(unsafe { &*place }));
    }
}

impl Packets {
    pub(crate) fn new() -> Self {
        let packet = |_| Packet {
            batch: BatchCell(UnsafeCell::new(Batch::EMPTY)),
            state: AtomicUsize::new(0),
        };
        Self {
            head: AtomicUsize::new(0),
            tail: Apart(AtomicUsize::new(0)),
            packets: std::array::from_fn(packet),
        }
    }
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self { list: RemoteList::new(), packets: Packets::new() }
    }
}

/// What comes in between.
type Handler = fn();

std::thread_local! {
    /// Steps until somebody comes in between, and what they do.
    static INTERRUPT: Cell<Option<(usize, Handler)>> = const { Cell::new(None) };
}

/// Lets `handler` come after so many steps.
pub(crate) fn interrupt_after(steps: usize, handler: Handler) {
    INTERRUPT.set(Some((steps, handler)));
}

/// Whether the handler has come.
pub(crate) fn was_interrupted() -> bool {
    INTERRUPT.take().is_none()
}

/// A step, before which a handler may come.
pub(crate) fn step() {
    match INTERRUPT.take() {
        Some((0, handler)) => handler(),
        Some((steps, handler)) => INTERRUPT.set(Some((steps - 1, handler))),
        None => {}
    }
}

/// The word of a slot, as in `src/provider/word.rs`, whose steps can be told apart.
#[derive(Debug, Default)]
pub(crate) struct SlotWord {
    what: Cell<Option<NonNull<()>>>,
    state: Cell<WordState>,
}

/// What a word is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WordState {
    #[default]
    Busy,
    Free,
    Held,
}

impl SlotWord {
    pub(crate) fn take(&self) -> Option<NonNull<()>> {
        step();
        if self.state.get() != WordState::Free {
            return None;
        }
        step();
        self.state.set(WordState::Busy);
        step();
        self.what.get()
    }

    pub(crate) fn take_even_if_held(&self) -> Option<NonNull<()>> {
        step();
        if self.state.replace(WordState::Busy) == WordState::Busy {
            return None;
        }
        step();
        self.what.get()
    }

    /// Holds it, in one step, for one who forks and is not interrupted. Whether it is held.
    pub(crate) fn hold(&self) -> bool {
        if self.state.get() == WordState::Free {
            self.state.set(WordState::Held);
        }
        self.is_held()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.state.get() == WordState::Held
    }

    pub(crate) fn let_go(&self) {
        if self.is_held() {
            self.state.set(WordState::Free);
        }
    }

    pub(crate) fn put_back(&self) {
        step();
        self.state.set(WordState::Free);
        step();
    }

    pub(crate) fn put_in(&self, what: NonNull<()>) {
        self.what.set(Some(what));
        self.put_back();
    }
}
