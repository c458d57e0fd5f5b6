//! Several CPUs: each has a block, stacks, a timer and handlers of its own; locks and requests.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use kernel_demo::address_space::Cause;
use kernel_demo::arch::on_stack;
use kernel_demo::arch::timer::Ticking;
use kernel_demo::cpu::{self, Lock, MAX_CPUS, request, work};
use kernel_demo::testing::{CaseResult, probe};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;

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
