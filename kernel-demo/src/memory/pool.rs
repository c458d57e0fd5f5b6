//! Frames with an account that pays for them: every one has a purpose, and all of it is traced.

use core::fmt;

use x86_64::structures::paging::PhysFrame;

use super::frames::{Frames, FreeError, OutOfFrames, Reservation};
use crate::story::trace::{Event, Purpose, Trace};

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
/// `reservation + pages + tables = charged`, with each shared frame counted once and its further
/// charges still reserved. So the reservation is never empty while a charge is not used.
#[derive(Debug)]
pub struct Account {
    policy: Policy,
    /// Frames that the payer leaves available, for others.
    floor: usize,
    charged: u64,
    reservation: Reservation,
    pages: usize,
    tables: usize,
}

impl Account {
    /// An account to which nothing is promised.
    pub const fn new(policy: Policy, floor: usize) -> Self {
        let reservation = Reservation::EMPTY;
        Self { policy, floor, charged: 0, reservation, pages: 0, tables: 0 }
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

    /// Frames in use for pages.
    pub const fn pages(&self) -> usize {
        self.pages
    }

    /// Frames in use for page tables.
    pub const fn tables(&self) -> usize {
        self.tables
    }

    const fn used(&mut self, purpose: Purpose) -> &mut usize {
        match purpose {
            Purpose::Page => &mut self.pages,
            Purpose::Table => &mut self.tables,
        }
    }
}

/// All frames, and the trace of what becomes of them.
pub struct Pool {
    /// The page allocator.
    pub frames: Frames<'static>,
    /// The latest events.
    pub trace: Trace,
    zero_page: Option<PhysFrame>,
}

impl Pool {
    /// A pool of these frames. Until there is a zero page, no process can run.
    pub const fn new(frames: Frames<'static>) -> Self {
        Self { frames, trace: Trace::EMPTY, zero_page: None }
    }

    /// Makes a frame, which is all zero and stays for good, the one that processes read zeroes
    /// from until they write.
    pub const fn set_zero_page(&mut self, frame: PhysFrame) {
        self.zero_page = Some(frame);
    }

    /// Whether the frame is the one of zeroes. It is not counted.
    pub fn is_zero_page(&self, frame: PhysFrame) -> bool {
        self.zero_page == Some(frame)
    }

    /// The frame that all processes read zeroes from.
    ///
    /// # Panics
    ///
    /// Before it was made.
    pub const fn zero_page(&self) -> PhysFrame {
        self.zero_page.expect("the zero page was made when the kernel came up")
    }
}

/// All frames, and the account that pays for what is done with them.
pub struct Payer<'a> {
    /// All frames.
    pub pool: &'a mut Pool,
    /// Who pays.
    pub account: &'a mut Account,
}

impl Payer<'_> {
    /// Promises the account so many frames more. Under [`Policy::Overcommit`] they are counted, and
    /// that is all.
    ///
    /// # Errors
    ///
    /// The promise could not be kept. Nothing has changed.
    pub fn charge(&mut self, frames: u64) -> Result<(), OutOfFrames> {
        let Self { pool: Pool { frames: all, .. }, account } = self;
        let asked = usize::try_from(frames).unwrap_or(usize::MAX);
        let available = all.counts().available();
        let charged = account.charged.checked_add(frames);
        let charged = charged.ok_or(OutOfFrames { asked, available, injected: false })?;
        if account.policy == Policy::Strict {
            all.reserve(&mut account.reservation, asked, account.floor)?;
        }
        account.charged = charged;
        Ok(())
    }

    /// Takes back the promise of so many frames, which are not in use any more.
    ///
    /// # Panics
    ///
    /// When so many were not promised, or are in use.
    pub fn uncharge(&mut self, frames: u64) {
        let Self { pool, account } = self;
        account.charged = account.charged.checked_sub(frames).expect("what goes was charged");
        if account.policy == Policy::Strict {
            pool.frames.unreserve(&mut account.reservation, frames as usize);
        }
    }

    /// Makes sure of frames that [`take`](Self::take) takes: out of those that are promised under
    /// [`Policy::Strict`], where it cannot fail.
    ///
    /// # Errors
    ///
    /// The policy is [`Policy::Overcommit`], and so many frames are not available.
    #[inline]
    pub fn set_aside(&mut self, frames: usize) -> Result<(), OutOfFrames> {
        let Self { pool, account } = self;
        match account.policy {
            Policy::Strict => Ok(()),
            Policy::Overcommit if frames == 0 => Ok(()),
            Policy::Overcommit => {
                pool.frames.reserve(&mut account.reservation, frames, account.floor)
            }
        }
    }

    /// Frames that were set aside are not needed.
    pub fn put_back(&mut self, frames: usize) {
        if self.account.policy == Policy::Overcommit {
            self.pool.frames.unreserve(&mut self.account.reservation, frames);
        }
    }

    /// Takes one of the frames that were set aside, with one owner.
    ///
    /// # Panics
    ///
    /// When there is none: less was set aside, or promised, than is needed.
    pub fn take(&mut self, purpose: Purpose) -> PhysFrame {
        let Self { pool, account } = self;
        let frame = pool.frames.allocate_reserved(&mut account.reservation);
        let frame = frame.expect("every frame needed was set aside");
        *account.used(purpose) += 1;
        pool.trace.tell(Event::FrameTaken { frame: frame.start_address().as_u64(), purpose });
        frame
    }

    /// Gives a frame one owner more.
    #[inline]
    pub fn share(&mut self, frame: PhysFrame) {
        self.pool.frames.share(frame).unwrap_or_else(|error| disagree(&error));
    }

    /// Takes so many owners away from a frame, which keeps one at least. Returns how many are left.
    pub fn disown(&mut self, frame: PhysFrame, owners: u32) -> u32 {
        self.pool.frames.disown(frame, owners).unwrap_or_else(|error| disagree(&error))
    }

    /// Takes one owner away from a frame. If that was the last one, the frame goes back, and is
    /// promised again under [`Policy::Strict`].
    #[inline]
    pub fn release(&mut self, frame: PhysFrame, purpose: Purpose) {
        let Self { pool, account } = self;
        if pool.frames.release(frame).unwrap_or_else(|error| disagree(&error)) == 0 {
            *account.used(purpose) -= 1;
            let frame = frame.start_address().as_u64();
            pool.trace.tell(Event::FrameReturned { frame, purpose });
            if account.policy == Policy::Strict {
                pool.frames.restore(&mut account.reservation);
            }
        }
    }
}

fn disagree(error: &FreeError) -> ! {
    panic!("page tables and page allocator disagree: {error:?}")
}
