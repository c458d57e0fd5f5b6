//! Several CPUs: each has a block, stacks, a timer and handlers of its own; locks and requests.

use alloc::vec;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use brkalloc::{Heap, NoMap};
use kernel_demo::address_space::Cause;
use kernel_demo::arch::timer::Ticking;
use kernel_demo::cpu::request::Of;
use kernel_demo::cpu::{self, Lock, MAX_CPUS, request, work};
use kernel_demo::heap::{HEAP, OneLock};
use kernel_demo::kernel::KernelSystem;
use kernel_demo::memory::Policy;
use kernel_demo::memory::kernel_break::RawBreak;
use kernel_demo::system::console::Output;
use kernel_demo::system::{Options, Settings};
use kernel_demo::testing::{self, CaseResult, Failed, OrFail, on_stack, probe};
use kernel_demo::words::Status;
use kernel_demo::{ensure, ensure_eq};

use x86_64::instructions::interrupts;

use crate::common::case;
use crate::{PAGE, scratch};

/// Runs the closure on all CPUs, and returns what each of them returned, by its number.
fn on_all(each: impl Fn() -> u64 + Sync) -> impl Iterator<Item = u64> {
    let answers = [const { AtomicU64::new(0) }; MAX_CPUS];
    work::on_all(&|| answers[cpu::number()].store(each(), Ordering::Relaxed));
    answers.into_iter().map(AtomicU64::into_inner).take(cpu::online())
}

#[case]
fn each_cpu_does_the_work_once() -> CaseResult {
    for _ in 0..20 {
        let done = [const { AtomicUsize::new(0) }; MAX_CPUS];
        work::on_all(&|| {
            done[cpu::number()].fetch_add(1, Ordering::Relaxed);
        });
        for (number, done) in done.into_iter().enumerate() {
            ensure_eq!((number, done.into_inner()), (number, usize::from(number < cpu::online())));
        }
    }
    Ok(())
}

#[case]
fn a_fault_is_caught_on_the_cpu_that_made_it() -> CaseResult {
    let null = |result: Result<u8, kernel_demo::memory::FaultReport>| {
        u64::from(result.is_err_and(|report| report.cause == Cause::Null))
    };
    let caught = on_all(|| (0..100).map(|_| null(probe::read(8))).sum());
    for (number, caught) in caught.enumerate() {
        ensure_eq!((number, caught), (number, 100));
    }
    Ok(())
}

#[case]
fn each_cpu_borrows_a_stack_with_a_guard_page() -> CaseResult {
    let turn = Lock::new(());
    let caught = on_all(|| {
        // There are not places for many stacks more.
        let _turn = turn.lock();
        on_stack(|bounds| u64::from(probe::read(bounds.guard).is_err())).unwrap_or(0)
    });
    for (number, caught) in caught.enumerate() {
        ensure_eq!((number, caught), (number, 1));
    }
    Ok(())
}

#[case]
fn a_lock_waits_for_other_cpus_and_refuses_its_owner() -> CaseResult {
    const ROUNDS: u64 = 2000;
    let sum = Lock::new(0);
    let refused = on_all(|| {
        let mut refused = 0;
        for _ in 0..ROUNDS {
            let mut sum = sum.lock();
            *sum += 1;
        }
        let _held = sum.lock();
        refused += u64::from(sum.lock_unless_owned().is_none());
        refused
    });
    ensure!(
        refused.into_iter().all(|refused| refused == 1),
        "the owner is told that it is the owner"
    );
    ensure_eq!(*sum.lock(), ROUNDS * cpu::online() as u64);
    Ok(())
}

/// While the others spin with interrupts disabled, a request is answered.
#[case]
fn a_cpu_that_waits_for_a_lock_answers_requests() -> CaseResult {
    let lock = Lock::new(());
    let waiting = AtomicUsize::new(0);
    let before = request::count();
    work::on_all(&|| {
        if cpu::number() == 0 {
            let held = lock.lock();
            while waiting.load(Ordering::Relaxed) + 1 < cpu::online() {
                core::hint::spin_loop();
            }
            for _ in 0..10 {
                request::barrier();
            }
            drop(held);
        } else {
            waiting.fetch_add(1, Ordering::Relaxed);
            drop(lock.lock());
        }
    });
    ensure!(request::count() - before >= 10 * (cpu::online() as u64 - 1), "each was asked");
    Ok(())
}

#[case]
fn all_cpus_make_requests_at_once() -> CaseResult {
    let before = request::count();
    work::on_all(&|| (0..100).for_each(|_| request::barrier()));
    let others = cpu::online() as u64 - 1;
    // One more for each round of work.
    ensure!(request::count() - before >= 100 * others * (others + 1), "each asked each other");
    Ok(())
}

#[case]
fn each_cpu_has_a_timer() -> CaseResult {
    let taken = on_all(|| {
        let _ticking = Ticking::every(1000);
        (0..5).for_each(|_| work::wait_for_interrupt());
        5
    });
    ensure_eq!(taken.sum::<u64>(), 5 * cpu::online() as u64);
    Ok(())
}

/// Two CPUs touch the same pages at the same time: each page is mapped once.
#[case]
fn a_page_that_two_cpus_touch_is_mapped_once() -> CaseResult {
    const PAGES: u64 = 200;
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let base = unsafe { raw.sbrk((PAGES * PAGE) as isize) }.or_fail("pages")?;
    let arrived = AtomicU64::new(0);
    let cpus = cpu::online() as u64;
    let read = on_all(|| {
        let me = cpu::number() as u64;
        let touch = |page| {
            let address = base + page * PAGE + me;
            arrived.fetch_add(1, Ordering::Relaxed);
            while arrived.load(Ordering::Relaxed) < (page + 1) * cpus {
                request::answer();
            }
            // SAFETY: each CPU has a byte of its own in each page of the break.
            let written = unsafe { probe::write(address, me as u8 + 1) };
            u64::from(
                written.is_ok() && probe::read(address).is_ok_and(|byte| byte == me as u8 + 1),
            )
        };
        (0..PAGES).map(touch).sum()
    });
    for (number, read) in read.enumerate() {
        ensure_eq!((number, read), (number, PAGES));
    }
    ensure_eq!(raw.info().faults, PAGES);
    ensure_eq!(raw.info().pages as u64, PAGES);
    Ok(())
}

/// What CPU 1 reads, in order, while CPU 0 takes the page away with this function.
fn foreign_reads(take_away: impl Fn(RawBreak) + Sync) -> Result<[Result<u8, Cause>; 2], Failed> {
    let (_scratch, raw) = scratch(Policy::Strict)?;
    // SAFETY: growing takes nothing away.
    let page = unsafe { raw.sbrk(PAGE as isize) }.or_fail("a page")?;
    let step = AtomicUsize::new(0);
    let reads = Lock::new([Ok(0); 2]);
    let wait_for = |wanted| {
        while step.load(Ordering::Acquire) < wanted {
            request::answer();
            core::hint::spin_loop();
        }
    };
    work::on_all(&|| match cpu::number() {
        0 => {
            // SAFETY: the page is this case's.
            unsafe { probe::write(page, 42) }.ok();
            step.store(1, Ordering::Release);
            wait_for(2);
            take_away(raw);
            step.store(3, Ordering::Release);
            wait_for(4);
        }
        1 => {
            wait_for(1);
            let before = probe::read(page).map_err(|report| report.cause);
            step.store(2, Ordering::Release);
            wait_for(3);
            let after = probe::read(page).map_err(|report| report.cause);
            *reads.lock() = [before, after];
            step.store(4, Ordering::Release);
        }
        _ => {}
    });
    Ok(*reads.lock())
}

fn shrink(raw: RawBreak) {
    // SAFETY: only CPU 1 uses the page, to show what happens then.
    unsafe { raw.sbrk(-(PAGE as isize)) }.ok();
}

#[case]
fn a_page_that_is_taken_away_is_gone_on_all_cpus() -> CaseResult {
    if cpu::online() > 1 {
        let [before, after] = foreign_reads(shrink)?;
        ensure_eq!((before, after), (Ok(42), Err(Cause::GivenBack)));
    }
    Ok(())
}

/// The other CPU reads a frame that is free: what requests are for.
#[case]
fn without_a_request_another_cpu_uses_its_stale_translation() -> CaseResult {
    if cpu::online() > 1 {
        // SAFETY: the other CPU reads one byte of a free frame.
        let [before, after] =
            foreign_reads(|raw| unsafe { request::left_out(Of::Kernel, || shrink(raw)) })?;
        ensure_eq!(before, Ok(42));
        ensure!(after.is_ok(), "it is still reached: {after:?}");
        request::barrier();
    }
    Ok(())
}

/// Ways in which a process changes what another of its threads uses meanwhile.
const CHANGES: [&str; 4] = ["munmap", "mprotect", "brk", "fork"];

/// How the program ends that makes such a change so often.
fn change_meanwhile(tries: &str, change: &str) -> Result<Option<Status>, Failed> {
    let settings = Settings { output: Output::Memory(16 << 10), ..Settings::default() };
    let mut system = KernelSystem::start(settings).or_fail("a system")?;
    let options = Options { seed: Some(1), quiet: true, ..Options::default() };
    let pid = system.start_program("shootdown", &[tries, change], options).or_fail("a process")?;
    system.run_on_all_cpus();
    Ok(system.outcome(pid).and_then(|started| started.status))
}

#[case]
fn what_one_thread_changes_is_changed_for_a_thread_on_another_cpu() -> CaseResult {
    for change in CHANGES {
        let status = change_meanwhile("10", change)?;
        ensure!(status == Some(Status::Exited(0)), "{change}: {status:?}");
    }
    Ok(())
}

/// The threads need not run at the same time, so it is tried until they did.
#[case]
fn without_a_request_a_thread_on_another_cpu_uses_what_is_gone() -> CaseResult {
    const MOST_TRIES: usize = 20;
    if cpu::online() > 1 {
        for change in CHANGES {
            // SAFETY: the thread reads a page that is gone, or writes to one of its process; and
            // the kernel runs on tables of its own.
            let status =
                || unsafe { request::left_out(Of::Processes, || change_meanwhile("5", change)) };
            let mut is_stale = false;
            for _ in 0..MOST_TRIES {
                is_stale = is_stale || status()? != Some(Status::Exited(0));
            }
            ensure!(is_stale, "{change}: the thread never used what is gone");
        }
    }
    Ok(())
}

/// Blocks on their way from one CPU to the next.
static PASSED_ON: [Lock<Option<Vec<u8>>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];

/// Blocks that handlers of interrupts have allocated.
static OF_HANDLERS: AtomicUsize = AtomicUsize::new(0);

/// All CPUs allocate and free from the kernel's heap, also what others have allocated, while their
/// timers interrupt them with handlers that allocate.
#[case]
fn the_kernel_heap_serves_all_cpus_and_their_interrupt_handlers() -> CaseResult {
    const ROUNDS: usize = 2000;
    OF_HANDLERS.store(0, Ordering::Relaxed);
    testing::interrupts::on_tick(Some(|| {
        let block = vec![7_u8; 100];
        let whole = black_box(&block).iter().all(|byte| *byte == 7);
        OF_HANDLERS.fetch_add(usize::from(whole), Ordering::Relaxed);
    }));
    let whole = on_all(|| {
        let _ticking = Ticking::every(200);
        let me = cpu::number();
        let mut whole = 0;
        interrupts::enable();
        for round in 0..ROUNDS {
            let filling = (me * 31 + round) as u8;
            let block = vec![filling; 16 + round % 3000];
            whole += u64::from(black_box(&block).iter().all(|byte| *byte == filling));
            let from_another = PASSED_ON[me].lock().take();
            drop(from_another);
            let next = (me + 1) % cpu::online();
            let before = PASSED_ON[next].lock().replace(block);
            drop(before);
        }
        interrupts::disable();
        whole
    });
    testing::interrupts::on_tick(None);
    PASSED_ON.iter().for_each(|passed_on| drop(passed_on.lock().take()));
    for (number, whole) in whole.enumerate() {
        ensure_eq!((number, whole), (number, ROUNDS as u64));
    }
    ensure!(OF_HANDLERS.load(Ordering::Relaxed) > 0, "a handler has allocated");
    HEAP.check().or_fail("the heap is whole")?;
    Ok(())
}

/// The other way to share the kernel's heap.
#[case]
fn a_heap_behind_one_lock_serves_all_cpus() -> CaseResult {
    let (scratch, _) = scratch(Policy::Strict)?;
    let heap = OneLock::from_heap(Heap::with_profile(scratch, NoMap));
    let layout = Layout::from_size_align(100, 8).or_fail("a layout")?;
    let whole = on_all(|| {
        let pair = || {
            // SAFETY: the block is used before it is freed, once, with its own layout.
            unsafe {
                let Some(block) = heap.allocate(layout) else { return 0 };
                block.write_bytes(cpu::number() as u8, 100);
                let whole = block.add(99).read() == cpu::number() as u8;
                heap.deallocate(block, layout);
                u64::from(whole)
            }
        };
        (0..1000).map(|_| pair()).sum()
    });
    for (number, whole) in whole.enumerate() {
        ensure_eq!((number, whole), (number, 1000));
    }
    heap.check().or_fail("the heap is whole")?;
    Ok(())
}

/// Processes that compute have turns on all CPUs.
#[case]
fn processes_run_on_all_cpus() -> CaseResult {
    let settings = Settings { output: Output::Memory(16 << 10), ..Settings::default() };
    let mut system = KernelSystem::start(settings).or_fail("a system")?;
    let pids: Vec<_> = (0..2 * cpu::online())
        .map(|_| system.start_program("spin", &["3000000"], Options::default()))
        .collect::<Result<_, _>>()
        .or_fail("processes")?;
    system.run_on_all_cpus();
    for pid in pids {
        let ended = system.outcome(pid).and_then(|started| started.status);
        ensure_eq!(ended, Some(Status::Exited(0)));
    }
    let turns = system.machine().turns();
    for (number, turns) in turns.into_iter().enumerate().take(cpu::online()) {
        ensure!(turns > 0, "CPU {number} had no turn: {turns:?}");
    }
    Ok(())
}
