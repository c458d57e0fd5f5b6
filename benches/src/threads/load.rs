//! What the threads do.

use std::alloc::Layout;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Load;
use super::contender::Contender;
use super::spsc::{Parcel, Queue};
use crate::random::Random;

/// Operations between two looks at the clock's verdict.
const STEP: usize = 512;

/// One measurement.
pub struct Run {
    pub load: Load,
    pub threads: usize,
    pub budget: Duration,
}

/// Layouts in random order, made before the clock starts.
struct Layouts(Vec<Layout>);

impl Layouts {
    fn new(seed: usize, most: usize) -> Self {
        let mut random = Random::new(seed as u64);
        let layout = |size: usize| {
            Layout::from_size_align(size, if size < 8 { 1 } else { 8 }).expect("a small size")
        };
        Self((0..8192).map(|_| layout(random.log_uniform(1, most))).collect())
    }

    #[inline]
    fn get(&self, index: usize) -> Layout {
        self.0[index % self.0.len()]
    }
}

/// Allocates a block and writes to it.
#[inline]
fn new<C: Contender>(heap: &C, layout: Layout) -> Parcel {
    // SAFETY: no size is 0.
    let block = unsafe { heap.allocate(layout) };
    assert!(!block.is_null(), "out of memory");
    // SAFETY: one byte at least.
    unsafe { block.write(1) };
    (block, layout)
}

#[inline]
fn free<C: Contender>(heap: &C, (block, layout): Parcel) {
    // SAFETY: whoever has a parcel has the block.
    unsafe { heap.deallocate(block, layout) };
}

/// Blocks that go to another thread.
struct Parcels(Vec<Parcel>);

// SAFETY: a block may be used and freed by any thread.
unsafe impl Send for Parcels {}

/// What the threads of a run share.
struct Field<'heap, C> {
    heap: &'heap C,
    is_over: AtomicBool,
    /// Blocks that were allocated and freed.
    done: AtomicU64,
}

impl<C: Contender> Field<'_, C> {
    /// Runs `step` until time is over; it says how many blocks it dealt with.
    fn repeat(&self, mut step: impl FnMut() -> usize) {
        let mut done = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            done += step();
        }
        self.done.fetch_add(done as u64, Ordering::Relaxed);
    }
}

impl Run {
    /// Millions of blocks a second.
    pub fn on<C: Contender>(self, heap: &C) -> f64 {
        let field = Field { heap, is_over: AtomicBool::new(false), done: AtomicU64::new(0) };
        let queues: Vec<_> = (0..self.threads).map(|_| Queue::new()).collect();
        let exchange = Mutex::new(Vec::new());
        let start = Instant::now();
        thread::scope(|scope| {
            for number in 0..self.threads {
                let (field, queues, exchange) = (&field, &queues, &exchange);
                let run = &self;
                scope.spawn(move || {
                    field.heap.begin_thread(number);
                    match run.load {
                        Load::ChurnSmall => churn(field, number, 256),
                        Load::ChurnMedium => churn(field, number, 4096),
                        Load::Remote if number % 2 == 0 => produce(field, number, &queues[number]),
                        Load::Remote => consume(field, &queues[number - 1]),
                        Load::Ring => ring(
                            field,
                            number,
                            &queues[number],
                            &queues[(number + 1) % run.threads],
                        ),
                        Load::Larson => larson(field, number),
                        Load::Xmalloc => xmalloc(field, number, exchange),
                        Load::Exits => exits(field, number, run.threads),
                    }
                    field.heap.end_thread();
                });
            }
            thread::sleep(self.budget);
            field.is_over.store(true, Ordering::Relaxed);
        });
        field.done.into_inner() as f64 / start.elapsed().as_secs_f64() / 1e6
    }
}

fn churn<C: Contender>(field: &Field<'_, C>, number: usize, most: usize) {
    let (layouts, mut random) = (Layouts::new(number + 1, most), Random::new(number as u64 + 100));
    let mut blocks: Vec<_> = (0..4096).map(|index| new(field.heap, layouts.get(index))).collect();
    let mut at = 0;
    field.repeat(|| {
        for _ in 0..STEP {
            let block = &mut blocks[random.bits() as usize % 4096];
            free(field.heap, *block);
            *block = new(field.heap, layouts.get(at));
            at += 1;
        }
        STEP
    });
    blocks.into_iter().for_each(|block| free(field.heap, block));
}

fn produce<C: Contender>(field: &Field<'_, C>, number: usize, queue: &Queue) {
    let layouts = Layouts::new(number + 1, 256);
    let (mut at, mut waiting) = (0, None);
    field.repeat(|| {
        for _ in 0..STEP {
            let block = waiting.take().unwrap_or_else(|| new(field.heap, layouts.get(at)));
            // SAFETY: this thread is the one that puts in.
            if unsafe { queue.put(block) } {
                at += 1;
            } else {
                waiting = Some(block);
                thread::yield_now();
                break;
            }
        }
        // The one who frees counts.
        0
    });
    waiting.into_iter().for_each(|block| free(field.heap, block));
}

fn consume<C: Contender>(field: &Field<'_, C>, queue: &Queue) {
    field.repeat(|| take_all(field, queue));
}

/// Frees what is there, up to a step.
fn take_all<C: Contender>(field: &Field<'_, C>, queue: &Queue) -> usize {
    for done in 0..STEP {
        // SAFETY: this thread is the one that takes out.
        let Some(block) = (unsafe { queue.take() }) else {
            thread::yield_now();
            return done;
        };
        free(field.heap, block);
    }
    STEP
}

fn ring<C: Contender>(field: &Field<'_, C>, number: usize, from: &Queue, to: &Queue) {
    let layouts = Layouts::new(number + 1, 256);
    let (mut at, mut waiting) = (0, None);
    field.repeat(|| {
        for _ in 0..STEP {
            let block = waiting.take().unwrap_or_else(|| new(field.heap, layouts.get(at)));
            // SAFETY: this thread is the one that puts in.
            if !unsafe { to.put(block) } {
                waiting = Some(block);
                break;
            }
            at += 1;
        }
        take_all(field, from)
    });
    waiting.into_iter().for_each(|block| free(field.heap, block));
}

fn larson<C: Contender>(field: &Field<'_, C>, number: usize) {
    const BLOCKS: usize = 1000;
    const LIFE: usize = 20_000;
    let layouts = Layouts::new(number + 1, 512);
    let mut blocks: Vec<_> = (0..BLOCKS).map(|index| new(field.heap, layouts.get(index))).collect();
    let mut random = Random::new(number as u64 + 100);
    let mut generation = 0;
    // This thread has its number again when the other has ended.
    field.repeat(|| {
        generation += 1;
        let heritage = Parcels(std::mem::take(&mut blocks));
        let seed = random.bits();
        field.heap.end_thread();
        let back = thread::scope(|scope| {
            let next = scope.spawn(|| {
                field.heap.begin_thread(number);
                let Parcels(mut blocks) = { heritage };
                let mut random = Random::new(seed);
                for at in 0..LIFE {
                    let block = &mut blocks[random.bits() as usize % BLOCKS];
                    free(field.heap, *block);
                    *block = new(field.heap, layouts.get(at));
                }
                field.heap.end_thread();
                Parcels(blocks)
            });
            next.join().expect("no thread panics")
        });
        blocks = back.0;
        LIFE
    });
    blocks.into_iter().for_each(|block| free(field.heap, block));
}

fn xmalloc<C: Contender>(field: &Field<'_, C>, number: usize, exchange: &Mutex<Vec<Parcels>>) {
    const BATCH: usize = 64;
    let layouts = Layouts::new(number + 1, 512);
    let mut at = 0;
    field.repeat(|| {
        let batch =
            Parcels((0..BATCH).map(|index| new(field.heap, layouts.get(at + index))).collect());
        at += BATCH;
        let others = {
            let mut exchange = exchange.lock().expect("no thread panics");
            exchange.push(batch);
            if exchange.len() > 64 { Some(exchange.swap_remove(at % 64)) } else { None }
        };
        others.map_or(0, |Parcels(blocks)| {
            blocks.iter().for_each(|&block| free(field.heap, block));
            blocks.len()
        })
    });
}

fn exits<C: Contender>(field: &Field<'_, C>, number: usize, threads: usize) {
    const BLOCKS: usize = 200;
    let layouts = Layouts::new(number + 1, 1024);
    let mut at = 0;
    field.repeat(|| {
        at += BLOCKS;
        let left = thread::scope(|scope| {
            let next = scope.spawn(|| {
                field.heap.begin_thread(threads + number);
                let mut blocks: Vec<_> =
                    (0..BLOCKS).map(|index| new(field.heap, layouts.get(at + index))).collect();
                blocks.drain(..BLOCKS / 2).for_each(|block| free(field.heap, block));
                field.heap.end_thread();
                Parcels(blocks)
            });
            next.join().expect("no thread panics")
        });
        left.0.into_iter().for_each(|block| free(field.heap, block));
        BLOCKS
    });
}
