use super::*;
use proptest::prelude::*;

const FRAMES: usize = 600;

impl Frames<'_> {
    /// Walks every list and every record, and compares them with the invariants above.
    fn check(&self) {
        let mut free = 0;
        for order in 0..=MAX_ORDER {
            let (mut at, mut prev) = (self.heads[order as usize], NONE);
            assert_eq!(self.nonempty >> order & 1 == 1, at != NONE, "bit of order {order}");
            while at != NONE {
                let frame = self.table[at as usize];
                assert_eq!(frame.state, State::Free(order), "frame {at}");
                assert_eq!(frame.prev, prev, "back link of frame {at}");
                assert_eq!(at % (1 << order), 0, "alignment of block {at}");
                let buddy = self.table.get((at ^ (1 << order)) as usize);
                assert!(
                    order == MAX_ORDER || buddy.map(|b| b.state) != Some(State::Free(order)),
                    "buddies of {at}"
                );
                free += 1 << order;
                (prev, at) = (at, frame.next);
            }
        }
        assert_eq!(self.counts.free, free);
        assert!(self.counts.reserved <= self.counts.free);
        self.check_cover();
    }

    /// Every managed frame belongs to exactly one block.
    fn check_cover(&self) {
        let mut index = 0;
        while index < self.table.len() {
            let order = match self.table[index].state {
                State::Foreign => {
                    index += 1;
                    continue;
                }
                State::Free(order) | State::Used(order) => order,
                State::Inside => panic!("frame {index} belongs to no block"),
            };
            let end = index + (1 << order);
            assert!(
                self.table[index + 1..end].iter().all(|frame| frame.state == State::Inside),
                "block {index}"
            );
            index = end;
        }
    }
}

fn number(frame: PhysFrame) -> usize {
    (frame.start_address().as_u64() / PAGE_SIZE) as usize
}

fn table() -> Vec<Frame> {
    vec![Frame::FOREIGN; FRAMES]
}

#[test]
fn a_range_becomes_the_largest_aligned_blocks() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(3 * PAGE_SIZE, 17 * PAGE_SIZE);
    frames.check();
    let heads: Vec<(usize, State)> =
        (3..17).map(|i| (i, frames.table[i].state)).filter(|x| x.1 != State::Inside).collect();
    assert_eq!(
        heads,
        [(3, State::Free(0)), (4, State::Free(2)), (8, State::Free(3)), (16, State::Free(0))]
    );
    assert_eq!(frames.counts(), Counts { total: 14, free: 14, reserved: 0 });
}

#[test]
fn freed_blocks_merge_until_one_is_left() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 256 * PAGE_SIZE);
    let mut taken: Vec<PhysFrame> = (0..256).map(|_| frames.allocate(0).unwrap()).collect();
    assert_eq!(frames.allocate(0), Err(OutOfFrames { asked: 1, available: 0, injected: false }));
    taken.sort_by_key(|frame| number(*frame) * 97 % 256);
    for frame in taken {
        frames.free(frame, 0).unwrap();
        frames.check();
    }
    assert_eq!(number(frames.allocate(8).unwrap()), 0);
}

#[test]
fn wrong_frees_are_told_apart_and_change_nothing() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(16 * PAGE_SIZE, 32 * PAGE_SIZE);
    let block = frames.allocate(1).unwrap();
    let address = block.start_address().as_u64();
    let before = frames.counts();
    assert_eq!(frames.free(frame_at(0x1000), 0), Err(FreeError::Foreign(0x1000)));
    assert_eq!(frames.free(frame_at(1 << 40), 0), Err(FreeError::Foreign(1 << 40)));
    assert_eq!(
        frames.free(block, 0),
        Err(FreeError::WrongOrder { address, expected: 1, found: 0 })
    );
    assert_eq!(frames.free(block + 1, 0), Err(FreeError::NotInUse(address + PAGE_SIZE)));
    assert_eq!(frames.counts(), before);
    frames.free(block, 1).unwrap();
    assert_eq!(frames.free(block, 1), Err(FreeError::NotInUse(address)));
    frames.check();
}

#[test]
fn a_reserved_frame_is_out_of_reach_of_others_and_cannot_fail() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 8 * PAGE_SIZE);
    let mut promise = Reservation::EMPTY;
    frames.reserve(&mut promise, 6, 0).unwrap();
    assert_eq!(
        frames.reserve(&mut promise, 3, 0),
        Err(OutOfFrames { asked: 3, available: 2, injected: false })
    );
    frames.allocate(0).unwrap();
    frames.allocate(0).unwrap();
    frames.allocate(0).unwrap_err();
    frames.fail_nth(Some(1));
    let taken: Vec<PhysFrame> =
        (0..6).map(|_| frames.allocate_reserved(&mut promise).unwrap()).collect();
    assert_eq!(frames.allocate_reserved(&mut promise), None);
    assert!(frames.failure_pending());
    frames.free(taken[0], 0).unwrap();
    frames.restore(&mut promise);
    assert_eq!((promise.frames(), frames.counts().reserved), (1, 1));
    frames.unreserve(&mut promise, 1);
    assert_eq!(frames.counts(), Counts { total: 8, free: 1, reserved: 0 });
    frames.check();
}

#[test]
fn the_nth_frame_asked_for_fails_once() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 64 * PAGE_SIZE);
    let mut promise = Reservation::EMPTY;
    frames.fail_nth(Some(6));
    frames.allocate(0).unwrap();
    frames.reserve(&mut promise, 4, 0).unwrap();
    assert!(frames.reserve(&mut promise, 4, 0).unwrap_err().injected);
    assert!(!frames.failure_pending());
    frames.reserve(&mut promise, 4, 0).unwrap();
    frames.unreserve(&mut promise, 8);
}

#[test]
fn a_frame_goes_back_with_its_last_owner() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 8 * PAGE_SIZE);
    let before = frames.counts();
    let frame = frames.allocate(0).unwrap();
    let address = frame.start_address().as_u64();
    assert_eq!(frames.owners(frame), 1);
    frames.share(frame).unwrap();
    frames.share(frame).unwrap();
    assert_eq!(frames.free(frame, 0), Err(FreeError::Shared { address, owners: 3 }));
    assert_eq!(
        (frames.release(frame), frames.release(frame), frames.owners(frame)),
        (Ok(2), Ok(1), 1)
    );
    assert_ne!(frames.allocate(0).unwrap(), frame, "it is still somebody's");
    assert_eq!(frames.release(frame), Ok(0));
    assert_eq!((frames.owners(frame), frames.counts().free), (0, before.free - 1));
    assert_eq!(frames.release(frame), Err(FreeError::NotInUse(address)));
    assert_eq!(frames.share(frame), Err(FreeError::NotInUse(address)));
    let block = frames.allocate(1).unwrap();
    assert_eq!(
        (frames.owners(block), frames.share(block).is_err()),
        (0, true),
        "blocks have one owner"
    );
    frames.check();
}

/// Steps on lists that one allocation or one free may take: one for the block, and one for each
/// split or merge.
const MOST_STEPS: usize = MAX_ORDER as usize + 1;

#[test]
fn the_worst_case_splits_and_merges_once_an_order_whatever_the_size_of_memory() {
    for blocks in [1, 16, 256] {
        let len = blocks << MAX_ORDER;
        let mut table = vec![Frame::FOREIGN; len];
        let mut frames = Frames::new(&mut table);
        frames.add(0, len as u64 * PAGE_SIZE);
        frames.list_steps = 0;
        let frame = frames.allocate(0).unwrap();
        assert_eq!(core::mem::take(&mut frames.list_steps), MOST_STEPS);
        frames.free(frame, 0).unwrap();
        assert_eq!(frames.list_steps, MOST_STEPS);
    }
}

#[test]
fn free_blocks_are_counted_by_order_up_to_a_limit() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 7 * PAGE_SIZE);
    assert_eq!([0, 1, 2, 3].map(|order| frames.free_blocks(order, 9)), [1, 1, 1, 0]);
    assert_eq!(frames.free_blocks(0, 0), 0);
}

#[test]
#[should_panic(expected = "managed already")]
fn memory_is_added_once() {
    let mut table = table();
    let mut frames = Frames::new(&mut table);
    frames.add(0, 4 * PAGE_SIZE);
    frames.add(3 * PAGE_SIZE, 5 * PAGE_SIZE);
}

#[derive(Clone, Debug)]
enum Op {
    Allocate(u8),
    Free(usize),
    FreeTwice(usize),
    Reserve(usize),
    Unreserve(usize),
    TakeReserved,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..=MAX_ORDER).prop_map(Op::Allocate),
        8 => (0..4_u8).prop_map(Op::Allocate),
        8 => any::<usize>().prop_map(Op::Free),
        1 => any::<usize>().prop_map(Op::FreeTwice),
        2 => (0..40_usize).prop_map(Op::Reserve),
        2 => (0..40_usize).prop_map(Op::Unreserve),
        3 => Just(Op::TakeReserved),
    ]
}

/// The naive model: one flag a frame, and the blocks handed out.
struct Model {
    used: Vec<bool>,
    blocks: Vec<(PhysFrame, u8)>,
}

impl Model {
    fn take(&mut self, frame: PhysFrame, order: u8) {
        let first = number(frame);
        assert_eq!(first % (1 << order), 0, "block {first} of order {order} is not aligned");
        for flag in &mut self.used[first..first + (1 << order)] {
            assert!(!*flag, "block {first} of order {order} was handed out twice");
            *flag = true;
        }
        self.blocks.push((frame, order));
    }

    fn give(&mut self, index: usize) -> (PhysFrame, u8) {
        let (frame, order) = self.blocks.swap_remove(index % self.blocks.len());
        let first = number(frame);
        self.used[first..first + (1 << order)].fill(false);
        (frame, order)
    }

    fn free_frames(&self) -> usize {
        self.used.iter().filter(|used| !**used).count()
    }

    /// Whether an aligned run of `2^order` free frames exists.
    fn has_block(&self, order: u8) -> bool {
        self.used.chunks_exact(1 << order).any(|run| run.iter().all(|used| !used))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_naive_model(start in 0..40_u64, end in 300..FRAMES as u64, ops in prop::collection::vec(op(), 1..120)) {
        let mut table = table();
        let mut frames = Frames::new(&mut table);
        frames.add(start * PAGE_SIZE, end * PAGE_SIZE);
        let untouched = frames.counts();
        let used = (0..FRAMES as u64).map(|frame| frame < start || frame >= end).collect();
        let mut model = Model { used, blocks: Vec::new() };
        let mut promise = Reservation::EMPTY;
        for op in ops {
            let available = model.free_frames() - promise.frames();
            frames.list_steps = 0;
            match op {
                Op::Allocate(order) => {
                    let expected = available >= 1 << order && model.has_block(order);
                    let block = frames.allocate(order);
                    prop_assert_eq!(block.is_ok(), expected, "order {}", order);
                    if let Ok(frame) = block {
                        model.take(frame, order);
                    }
                }
                Op::Free(index) if !model.blocks.is_empty() => {
                    let (frame, order) = model.give(index);
                    prop_assert_eq!(frames.free(frame, order), Ok(()));
                }
                Op::FreeTwice(index) if !model.blocks.is_empty() => {
                    let (frame, order) = model.give(index);
                    prop_assert_eq!(frames.free(frame, order), Ok(()));
                    let address = frame.start_address().as_u64();
                    prop_assert_eq!(frames.free(frame, order), Err(FreeError::NotInUse(address)));
                }
                Op::Free(_) | Op::FreeTwice(_) => {}
                Op::Reserve(count) => {
                    prop_assert_eq!(frames.reserve(&mut promise, count, 0).is_ok(), count <= available);
                }
                Op::Unreserve(count) => {
                    let count = count.min(promise.frames());
                    frames.unreserve(&mut promise, count);
                }
                Op::TakeReserved => {
                    let expected = promise.frames() > 0;
                    let frame = frames.allocate_reserved(&mut promise);
                    prop_assert_eq!(frame.is_some(), expected);
                    if let Some(frame) = frame {
                        model.take(frame, 0);
                    }
                }
            }
            prop_assert!(frames.list_steps <= MOST_STEPS);
            prop_assert_eq!(frames.counts().free, model.free_frames());
            prop_assert_eq!(frames.counts().reserved, promise.frames());
            frames.check();
        }
        let left = promise.frames();
        frames.unreserve(&mut promise, left);
        while !model.blocks.is_empty() {
            let (frame, order) = model.give(0);
            frames.free(frame, order).unwrap();
        }
        frames.check();
        prop_assert_eq!(frames.counts(), untouched);
    }
}
