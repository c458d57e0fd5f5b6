//! The page allocator as the rest of the memory manager uses it: single frames, every one with a
//! purpose, all of it traced.

use core::fmt;

use x86_64::structures::paging::PhysFrame;

use super::frames::{Frames, OutOfFrames, Reservation};
use super::trace::{Event, Purpose, Trace};

/// Whether promised frames are set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A promise sets as many frames aside as it can come to need: touching what was promised
    /// cannot fail.
    Strict,
    /// A promise costs nothing: touching may fail.
    Overcommit,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Overcommit => "overcommit",
        })
    }
}

/// Frames that were promised to one payer: a break of the kernel's, or all processes together.
///
/// # Invariants
///
/// Each frame in use for the payer is charged at least once. Under [`Policy::Strict`],
/// `reservation + frames in use = charged`, with each shared frame counted once and its further
/// charges still reserved. So the reservation is never empty while a charge is not used.
#[derive(Debug)]
pub struct Account {
    policy: Policy,
    /// Frames that the payer leaves available, for others.
    floor: usize,
    charged: u64,
    reservation: Reservation,
}

impl Account {
    /// An account to which nothing is promised.
    pub const fn new(policy: Policy, floor: usize) -> Self {
        Self { policy, floor, charged: 0, reservation: Reservation::EMPTY }
    }

    /// Whether promised frames are set aside.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Frames that the payer leaves available.
    pub const fn floor(&self) -> usize {
        self.floor
    }

    /// Frames that are promised.
    pub const fn charged(&self) -> u64 {
        self.charged
    }

    /// Frames that are promised and not in use.
    pub const fn reserved(&self) -> usize {
        self.reservation.frames()
    }
}

/// Frames and the trace of what becomes of them.
pub struct Pool {
    /// The page allocator.
    pub frames: Frames<'static>,
    /// The latest events.
    pub trace: Trace,
}

impl Pool {
    /// Promises the account so many frames more. Under [`Policy::Overcommit`] they are counted, and
    /// that is all.
    ///
    /// # Errors
    ///
    /// The promise could not be kept. Nothing has changed.
    pub fn charge(&mut self, account: &mut Account, frames: u64) -> Result<(), OutOfFrames> {
        let asked = usize::try_from(frames).unwrap_or(usize::MAX);
        let charged = account.charged.checked_add(frames);
        let available = self.frames.counts().available();
        let charged = charged.ok_or(OutOfFrames { asked, available, injected: false })?;
        if account.policy == Policy::Strict {
            self.frames.reserve(&mut account.reservation, asked, account.floor)?;
        }
        account.charged = charged;
        Ok(())
    }

    /// Takes back the promise of so many frames, which are not in use any more.
    ///
    /// # Panics
    ///
    /// When so many were not promised, or are in use.
    pub fn uncharge(&mut self, account: &mut Account, frames: u64) {
        account.charged = account.charged.checked_sub(frames).expect("what goes was charged");
        if account.policy == Policy::Strict {
            self.frames.unreserve(&mut account.reservation, frames as usize);
        }
    }

    /// Takes a frame for an account: one that was promised under [`Policy::Strict`], where it
    /// cannot fail.
    ///
    /// # Errors
    ///
    /// The policy is [`Policy::Overcommit`], and no frame is available above the account's floor.
    pub fn take_for(
        &mut self,
        account: &mut Account,
        purpose: Purpose,
    ) -> Result<PhysFrame, OutOfFrames> {
        if account.policy == Policy::Strict {
            return Ok(self.take_reserved(&mut account.reservation, purpose));
        }
        let frame = self.frames.allocate_above(0, account.floor)?;
        self.record_taken(frame, purpose);
        Ok(frame)
    }

    /// Takes one owner away from a frame of an account. If that was the last one, the frame goes
    /// back, and is promised again under [`Policy::Strict`].
    #[inline]
    pub fn release(&mut self, account: &mut Account, frame: PhysFrame, purpose: Purpose) {
        match self.frames.release(frame) {
            Ok(0) => {
                let frame = frame.start_address().as_u64();
                self.trace.record(Event::FrameReturned { frame, purpose });
                if account.policy == Policy::Strict {
                    self.frames.restore(&mut account.reservation);
                }
            }
            Ok(_) => {}
            Err(error) => disagree(error),
        }
    }

    /// Sets frames aside that [`take_set_aside`](Self::take_set_aside) takes: out of those that are
    /// promised under [`Policy::Strict`], where it cannot fail.
    ///
    /// # Errors
    ///
    /// The policy is [`Policy::Overcommit`], and so many frames are not available.
    pub fn set_aside(&mut self, account: &mut Account, frames: usize) -> Result<(), OutOfFrames> {
        match account.policy {
            Policy::Strict => Ok(()),
            Policy::Overcommit => {
                self.frames.reserve(&mut account.reservation, frames, account.floor)
            }
        }
    }

    /// Takes one of the frames that were set aside.
    pub fn take_set_aside(&mut self, account: &mut Account, purpose: Purpose) -> PhysFrame {
        self.take_reserved(&mut account.reservation, purpose)
    }

    /// Frames that were set aside are not needed.
    pub fn put_back(&mut self, account: &mut Account, frames: usize) {
        if account.policy == Policy::Overcommit {
            self.frames.unreserve(&mut account.reservation, frames);
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
