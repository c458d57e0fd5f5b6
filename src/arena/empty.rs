//! Initial values of the lock-free parts. (In a file of their own, because loom's cannot be made at
//! compile time: `tests/loom` has its own.)

use core::ptr;

use super::mailbox::Mailbox;
use super::packets::{Apart, Packet, Packets};
use super::remote::RemoteList;
use super::sync::{AtomicPtr, AtomicUsize, BatchCell, PACKETS};

impl RemoteList {
    /// Returns an empty list.
    pub(super) const fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }
}

impl Packet {
    const fn new() -> Self {
        Self { batch: BatchCell::empty(), state: AtomicUsize::new(0) }
    }
}

impl Packets {
    /// Returns empty packets.
    pub(super) const fn new() -> Self {
        Self {
            head: AtomicUsize::new(0),
            tail: Apart(AtomicUsize::new(0)),
            packets: [const { Packet::new() }; PACKETS],
        }
    }
}

impl Mailbox {
    /// Returns an empty mailbox.
    pub(super) const fn new() -> Self {
        Self { list: RemoteList::new(), packets: Packets::new() }
    }
}
