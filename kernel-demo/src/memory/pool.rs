//! The page allocator as the rest of the memory manager uses it: single frames, every one with a
//! purpose, all of it traced.

use core::fmt;

use x86_64::structures::paging::PhysFrame;

use super::breaks::{BreakRegion, Policy};
use super::frames::{Frames, OutOfFrames, Reservation};
use super::trace::{Event, Purpose, Trace};

/// Frames and the trace of what becomes of them.
pub struct Pool {
    /// The page allocator.
    pub frames: Frames<'static>,
    /// The latest events.
    pub trace: Trace,
}

impl Pool {
    /// Takes a frame for a break: out of its reservation under [`Policy::Strict`], where it cannot
    /// fail.
    ///
    /// # Errors
    ///
    /// The policy is [`Policy::Overcommit`], and no frame is available.
    pub fn take_for(
        &mut self,
        brk: &mut BreakRegion,
        purpose: Purpose,
    ) -> Result<PhysFrame, OutOfFrames> {
        match brk.policy() {
            Policy::Strict => Ok(self.take_reserved(&mut brk.reservation, purpose)),
            Policy::Overcommit => self.take(purpose),
        }
    }

    /// Gives a frame of a break back: into its reservation under [`Policy::Strict`].
    pub fn give_back(&mut self, brk: &mut BreakRegion, frame: PhysFrame, purpose: Purpose) {
        match brk.policy() {
            Policy::Strict => self.record_returned(frame, purpose, |frames| {
                frames.free_reserved(&mut brk.reservation, frame)
            }),
            Policy::Overcommit => self.give(frame, purpose),
        }
    }

    /// Takes a frame that was reserved.
    ///
    /// # Panics
    ///
    /// When the reservation is empty: its holder reserved less than it needs.
    pub fn take_reserved(&mut self, reservation: &mut Reservation, purpose: Purpose) -> PhysFrame {
        let frame =
            self.frames.allocate_reserved(reservation).expect("every frame needed was reserved");
        self.record_taken(frame, purpose);
        frame
    }

    /// Takes a frame that nobody promised.
    ///
    /// # Errors
    ///
    /// None is available.
    pub fn take(&mut self, purpose: Purpose) -> Result<PhysFrame, OutOfFrames> {
        let frame = self.frames.allocate(0)?;
        self.record_taken(frame, purpose);
        Ok(frame)
    }

    /// Takes one owner away from a frame, and gives it back for good if that was the last one.
    #[inline]
    pub fn release(&mut self, frame: PhysFrame, purpose: Purpose) {
        match self.frames.release(frame) {
            Ok(0) => self
                .trace
                .record(Event::FrameReturned { frame: frame.start_address().as_u64(), purpose }),
            Ok(_) => {}
            Err(error) => disagree(error),
        }
    }

    /// Gives a frame one owner more.
    pub fn share(&mut self, frame: PhysFrame) {
        if let Err(error) = self.frames.share(frame) {
            disagree(error);
        }
    }

    /// Gives a frame back for good.
    pub fn give(&mut self, frame: PhysFrame, purpose: Purpose) {
        self.record_returned(frame, purpose, |frames| frames.free(frame, 0));
    }

    fn record_taken(&mut self, frame: PhysFrame, purpose: Purpose) {
        self.trace.record(Event::FrameTaken { frame: frame.start_address().as_u64(), purpose });
    }

    fn record_returned<E: fmt::Display>(
        &mut self,
        frame: PhysFrame,
        purpose: Purpose,
        free: impl FnOnce(&mut Frames<'static>) -> Result<(), E>,
    ) {
        self.trace.record(Event::FrameReturned { frame: frame.start_address().as_u64(), purpose });
        if let Err(error) = free(&mut self.frames) {
            disagree(error);
        }
    }
}

fn disagree(error: impl fmt::Display) -> ! {
    panic!("page tables and page allocator disagree: {error}")
}
