//! Threads and what the kernel does for them: numbers, thread-local storage, words to wait for, and
//! who ends what. `threads CASE` runs one case in this process, as its children do.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use brkalloc::Cpu;
use fastrand::Rng;
use runtime::system::process::{self, Ending};
use runtime::system::thread::{exit_thread, futex_wait, futex_wake, gettid};
use runtime::system::{Errno, process::getpid};
use runtime::thread::{ThreadSlots, spawn};
use runtime::{Arguments, Untrue, Verdict, claim, ensure, in_child, program};

program!(run, threads);

const THREADS: usize = 6;

/// Steps of each thread of the random life.
const STEPS: usize = 400;

fn run(arguments: Arguments) -> Verdict {
    let steps = arguments.number(0, STEPS);
    // Children first: who forks has one thread.
    let ending = in_child(one_ends_all)?;
    claim!(ending == Ending::Exited(7), "exit_group ends all threads, whatever they do");
    let ending = in_child(one_faults)?;
    claim!(ending == Ending::SEGMENTATION_FAULT, "a fault in one thread ends the process");
    let ending = in_child(the_first_leaves)?;
    claim!(ending == Ending::Exited(0), "the process goes on when its first thread has ended");
    numbers()?;
    ping_pong()?;
    random_lives(steps)
}

fn one_ends_all() -> Verdict {
    let _ = spawn(|| spawn(|| process::exit(7)).map(drop).map_err(Untrue::from))?;
    wait_for_ever()
}

fn one_faults() -> Verdict {
    // SAFETY: nothing is mapped there.
    let _ = spawn(|| unsafe { programs::probe::write(8, 1) })?;
    wait_for_ever()
}

/// Waits for what never comes, but for the end of the process.
fn wait_for_ever() -> ! {
    let never = AtomicU32::new(0);
    loop {
        let _ = futex_wait(&never, 0);
    }
}

fn the_first_leaves() -> Verdict {
    let _ = spawn(|| {
        (0..10).for_each(|_| process::sched_yield());
        exit_thread()
    })?;
    exit_thread()
}

fn numbers() -> Verdict {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        threads.push(spawn(|| {
            // All are there at the same time.
            RUNNING.fetch_add(1, Ordering::AcqRel);
            while RUNNING.load(Ordering::Acquire) < THREADS {
                process::sched_yield();
            }
            (getpid(), gettid(), ThreadSlots.enter())
        })?);
    }
    let mut found: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
    found.push((getpid(), gettid(), ThreadSlots.enter()));
    claim!(found.iter().all(|(pid, ..)| *pid == gettid()), "all threads are of one process");
    let differ = |number: fn(&(usize, usize, usize)) -> usize| {
        let mut numbers: Vec<usize> = found.iter().map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() == THREADS + 1
    };
    claim!(differ(|found| found.1), "each has a number of its own");
    claim!(differ(|found| found.2), "and thread-local storage, in which its slot is");
    Ok(())
}

/// Two threads wake each other in turns: a wake-up that is lost would be the last.
fn ping_pong() -> Verdict {
    const TURNS: u32 = 300;
    static TURN: AtomicU32 = AtomicU32::new(0);
    fn play(mine: u32) {
        loop {
            let turn = TURN.load(Ordering::Acquire);
            if turn >= TURNS {
                break;
            }
            if turn % 2 == mine {
                TURN.store(turn + 1, Ordering::Release);
                futex_wake(&TURN, 1);
            } else {
                let _ = futex_wait(&TURN, turn);
            }
        }
    }
    let other = spawn(|| play(1))?;
    play(0);
    other.join();
    claim!(TURN.load(Ordering::Relaxed) == TURNS, "no wake-up was lost in {TURNS} turns");
    claim!(futex_wait(&TURN, 0) == Err(Errno::EAGAIN), "a word that has changed is not waited for");
    claim!(futex_wake(&TURN, u32::MAX) == 0, "nobody waits there any more");
    Ok(())
}

/// Threads that allocate, free, and pass blocks to each other.
fn random_lives(steps: usize) -> Verdict {
    static BOXES: [spin::Mutex<Vec<Vec<u8>>>; THREADS] =
        [const { spin::Mutex::new(Vec::new()) }; THREADS];
    let mut threads = Vec::new();
    for number in 0..THREADS {
        threads.push(spawn(move || {
            let mut random = Rng::with_seed(number as u64);
            let mut wrong = 0;
            for _ in 0..steps {
                let bits = random.u32(1..17);
                let size = random.usize(1..1 << bits);
                let block = alloc::vec![size as u8; size];
                let place = &BOXES[random.usize(..THREADS)];
                // Who is not alone goes on with its own.
                let other = place.try_lock().map(|mut blocks| {
                    blocks.push(block);
                    let at = random.usize(..blocks.len());
                    if blocks.len() > 8 { blocks.swap_remove(at) } else { Vec::new() }
                });
                wrong += other.iter().filter(|block| !is_intact(block)).count();
            }
            wrong
        })?);
    }
    let wrong: usize = threads.into_iter().map(|thread| thread.join()).sum();
    for place in &BOXES {
        let blocks = core::mem::take(&mut *place.lock());
        ensure!(blocks.iter().all(|block| is_intact(block)), "a block is as it was passed on");
    }
    claim!(wrong == 0, "each block that came from another thread is as that left it");
    claim!(HEAP.check().is_ok(), "the heap is whole");
    Ok(())
}

fn is_intact(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == block.len() as u8)
}
