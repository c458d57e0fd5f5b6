//! Lab 9: the list through which remote frees reach their owner. One thread; the models of
//! `list.rs` and `mail.rs` try several.

use std::ptr::NonNull;

use crate::remote::{Chain, RemoteList};
use crate::sync::Link;

/// Runs a test where loom's atomics work.
fn alone(test: impl Fn() + Sync + Send + 'static) {
    loom::model(test);
}

/// Returns blocks that nobody uses.
fn blocks<const N: usize>() -> [Link; N] {
    std::array::from_fn(|_| Link::default())
}

/// Frees blocks together: the first one first.
fn free(list: &RemoteList, blocks: &[Link]) {
    let mut chain = Chain::EMPTY;
    for block in blocks {
        // SAFETY: the test's block, which nobody uses or lists.
        unsafe { chain.add(NonNull::from(block)) };
    }
    chain.send(list);
}

/// Takes everything out. Returns the numbers of the blocks.
fn take(list: &RemoteList, blocks: &[Link]) -> Vec<Option<usize>> {
    let mut found = Vec::new();
    let mut next = list.take_all();
    while let Some(at) = next {
        found.push(blocks.iter().position(|block| NonNull::from(block) == at));
        assert!(found.len() <= blocks.len(), "the links lead in a circle");
        // SAFETY: the block was on the list.
        next = unsafe { Link::read(at) };
    }
    found
}

#[test]
fn a_chain_is_taken_out_whole_the_last_block_first() {
    alone(|| {
        let (list, blocks) = (RemoteList::new(), blocks::<3>());
        assert!(list.is_empty());
        free(&list, &blocks);
        assert!(!list.is_empty());
        assert_eq!(take(&list, &blocks), [Some(2), Some(1), Some(0)]);
        assert!(list.is_empty());
        assert_eq!(take(&list, &blocks), []);
    });
}

#[test]
fn what_was_on_the_list_before_stays_behind_a_chain() {
    alone(|| {
        let (list, blocks) = (RemoteList::new(), blocks::<5>());
        free(&list, &blocks[..2]);
        free(&list, &blocks[2..3]);
        free(&list, &blocks[3..]);
        let expected = [4, 3, 2, 1, 0].map(Some);
        assert_eq!(take(&list, &blocks), expected);
    });
}

#[test]
fn a_chain_that_was_sent_is_empty() {
    alone(|| {
        let (list, blocks) = (RemoteList::new(), blocks::<2>());
        let mut chain = Chain::EMPTY;
        chain.send(&list);
        assert!(list.is_empty(), "a chain without blocks was sent");
        // SAFETY: the test's block, which nobody uses or lists.
        unsafe { chain.add(NonNull::from(&blocks[0])) };
        chain.send(&list);
        assert_eq!(take(&list, &blocks), [Some(0)]);
        chain.send(&list);
        assert_eq!(take(&list, &blocks), [], "the chain was sent twice");
        // SAFETY: the test's block, which is on no list any more.
        unsafe { chain.add(NonNull::from(&blocks[1])) };
        chain.send(&list);
        assert_eq!(take(&list, &blocks), [Some(1)]);
    });
}
