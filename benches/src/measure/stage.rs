//! Brings a subject and a workload together, both with their types known at compile time.

use std::hint::black_box;
use std::ptr::NonNull;

use super::{Failure, Outcome};
use crate::memory::{self, Pages};
use crate::subject::{self, Subject};
use crate::workload::{self, Workload};

/// What is done with the two.
pub(super) trait Act {
    /// Its figures.
    type Figures;

    /// Does it. The subject is in the state that the workload begins with.
    fn act<S: Subject, W: Workload>(
        self,
        subject: &mut S,
        workload: &mut W,
    ) -> Outcome<Self::Figures>;
}

/// Makes both, on pages that are present, and does `act`.
pub(super) fn on<A: Act>(
    subject: subject::Name,
    workload: workload::Name,
    act: A,
) -> Outcome<A::Figures> {
    let region = memory::region(workload.region(), Pages::Present).map_err(Failure::because)?;
    workload.visit(OnWorkload { subject, region, act }).map_err(Failure::because)?
}

struct OnWorkload<A> {
    subject: subject::Name,
    region: NonNull<[u8]>,
    act: A,
}

impl<A: Act> workload::Visitor for OnWorkload<A> {
    type Output = Outcome<A::Figures>;

    fn visit<W: Workload>(self, workload: W) -> Self::Output {
        self.subject.visit(OnSubject { workload, region: self.region, act: self.act })
    }
}

struct OnSubject<W, A: Act> {
    workload: W,
    region: NonNull<[u8]>,
    act: A,
}

impl<W: Workload, A: Act> subject::Visitor for OnSubject<W, A> {
    type Output = Outcome<A::Figures>;

    fn visit<S: Subject>(mut self) -> Self::Output {
        // SAFETY: a fresh region, used by nobody else, never given back.
        let mut subject = unsafe { S::new(self.region) };
        let subject = black_box(&mut subject);
        self.workload.begin(subject)?;
        self.act.act(subject, &mut self.workload)
    }
}

/// One pass. A function of its own, so that all figures are those of the same machine code.
#[inline(never)]
pub(super) fn pass<S: Subject, W: Workload>(subject: &mut S, workload: &mut W) -> Outcome<()> {
    Ok(workload.pass(subject)?)
}
