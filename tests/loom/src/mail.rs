//! The mailbox of an arena: packets, and the list behind them.

use std::ops::Range;
use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;

use crate::mailbox::Mailbox;
use crate::packets::Batch;
use crate::sync::{BATCH, Link, PACKETS};

/// The blocks of a model, and the mailbox of their owner.
struct Mail {
    mailbox: Mailbox,
    blocks: Vec<Link>,
}

// SAFETY: loom looks whether accesses to a block, or a packet, are ordered.
unsafe impl Sync for Mail {}
// SAFETY: as above.
unsafe impl Send for Mail {}

impl Mail {
    fn new(len: usize) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mailbox::new(),
            blocks: (0..len).map(|_| Link::default()).collect(),
        })
    }

    /// Uses a block: sets a bit of its own.
    fn use_block(&self, index: usize) {
        // SAFETY: loom looks whether it is ordered.
        self.blocks[index].contents.with_mut(|contents| unsafe { *contents += 1 << (4 * index) });
    }

    /// Uses some blocks, and frees them together.
    fn free(&self, blocks: Range<usize>) {
        let mut batch = Batch::EMPTY;
        for index in blocks {
            self.use_block(index);
            assert!(batch.add(NonNull::from(&self.blocks[index]).cast()));
        }
        assert!(!batch.is_empty());
        // SAFETY: nobody else frees these blocks.
        unsafe { self.mailbox.send(&batch) };
    }

    /// Takes what was in a block: there is something, and it is the block's own.
    fn contents(&self, block: NonNull<Link>) -> usize {
        let index = self.blocks.iter().position(|other| NonNull::from(other) == block).unwrap();
        // SAFETY: the model keeps its blocks.
        let block = unsafe { block.as_ref() };
        // SAFETY: loom looks whether it is ordered.
        let contents =
            block.contents.with_mut(|contents| unsafe { std::mem::take(&mut *contents) });
        assert_eq!(contents, 1 << (4 * index));
        contents
    }

    /// Takes up so many packets, and all of the list, and uses them again. Returns the sum of what
    /// was in the blocks.
    fn take_up(&self, packets: usize) -> usize {
        let mut sum = 0;
        let take = |block: NonNull<u8>| sum += self.contents(block.cast());
        // SAFETY: each model has one owner.
        unsafe { self.mailbox.packets.take(packets, take) };
        let mut next =
            if self.mailbox.list.is_empty() { None } else { self.mailbox.list.take_all() };
        while let Some(at) = next {
            // SAFETY: it was in the list.
            next = unsafe { Link::read(at) };
            sum += self.contents(at);
        }
        sum
    }
}

/// Each of so many blocks once.
fn each_once(blocks: usize) -> usize {
    (0..blocks).map(|index| 1 << (4 * index)).sum()
}

#[test]
fn what_two_send_in_packets_is_taken_up_once_and_as_they_left_it() {
    // Three threads that all change one word: with more switches between them it takes minutes, not
    // seconds.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let mail = Mail::new(3);
        let others: Vec<_> = [0..2, 2..3]
            .into_iter()
            .map(|range| {
                let mail = Arc::clone(&mail);
                thread::spawn(move || mail.free(range))
            })
            .collect();
        thread::yield_now();
        let meanwhile = mail.take_up(PACKETS);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(mail.mailbox.list.is_empty(), "there were packets enough");
        assert_eq!(meanwhile + mail.take_up(PACKETS), each_once(3));
        assert!(mail.mailbox.is_empty());
    });
}

#[test]
fn what_finds_no_empty_packet_goes_to_the_list() {
    loom::model(|| {
        let mail = Mail::new(PACKETS + 1);
        (0..PACKETS - 1).for_each(|block| mail.free(block..block + 1));
        let others: Vec<_> = (PACKETS - 1..PACKETS + 1)
            .map(|block| {
                let mail = Arc::clone(&mail);
                thread::spawn(move || mail.free(block..block + 1))
            })
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(!mail.mailbox.list.is_empty(), "one more than there are packets");
        assert_eq!(mail.take_up(PACKETS), each_once(PACKETS + 1));
        assert!(mail.mailbox.is_empty());
    });
}

/// A mailbox whose packets are full, and a thread that frees two more blocks, one after the other.
fn full_and_two_on_their_way() -> (Arc<Mail>, thread::JoinHandle<()>) {
    let mail = Mail::new(PACKETS + 2);
    (0..PACKETS).for_each(|block| mail.free(block..block + 1));
    let others = Arc::clone(&mail);
    let other = thread::spawn(move || {
        (PACKETS..PACKETS + 2).for_each(|block| others.free(block..block + 1))
    });
    (mail, other)
}

#[test]
fn a_packet_is_filled_again_while_its_owner_takes_others_up() {
    loom::model(|| {
        let (mail, other) = full_and_two_on_their_way();
        thread::yield_now();
        let meanwhile = mail.take_up(1) + mail.take_up(1);
        other.join().unwrap();
        assert_eq!(meanwhile + mail.take_up(PACKETS), each_once(PACKETS + 2));
        assert!(mail.mailbox.is_empty());
    });
}

#[test]
fn who_is_interrupted_with_a_packet_keeps_nobody_waiting_and_a_child_forgets_the_claim() {
    loom::model(|| {
        let mail = Mail::new(PACKETS + 1);
        let claimed = mail.mailbox.packets.claim();
        assert!(claimed.is_some() && mail.mailbox.is_empty());
        // Who interrupts has one block.
        mail.use_block(PACKETS);
        let block = NonNull::from(&mail.blocks[PACKETS]).cast();
        // SAFETY: nobody else frees this block.
        unsafe { mail.mailbox.list.push(block, block) };
        assert_eq!(mail.take_up(PACKETS), 1 << (4 * PACKETS));
        // What comes behind the claim is in packets as far as there are any, and then in the list.
        (0..PACKETS).for_each(|block| mail.free(block..block + 1));
        assert_eq!(mail.take_up(PACKETS), 1 << (4 * (PACKETS - 1)));
        // A fork: who has claimed the packet is not in the child. What is behind it is found.
        mail.mailbox.packets.forget_claims();
        assert_eq!(mail.take_up(PACKETS), each_once(PACKETS - 1));
        (0..PACKETS).for_each(|block| mail.free(block..block + 1));
        assert!(mail.mailbox.list.is_empty(), "every packet is there again");
        mail.mailbox.packets.forget_claims();
        assert_eq!(mail.take_up(PACKETS), each_once(PACKETS));
    });
}

#[test]
fn a_batch_is_full_with_as_many_blocks_as_a_packet_has() {
    let (blocks, mut batch) = ([0_u64; BATCH], Batch::EMPTY);
    for block in &blocks {
        assert!(batch.add(NonNull::from(block).cast()));
    }
    assert!(!batch.add(NonNull::from(&blocks).cast()) && batch.iter().count() == BATCH);
    batch.clear();
    assert!(batch.is_empty());
}
