//! The report of a fault that nobody can serve: what was done, where, what lies there, and the
//! registers.

use core::fmt;

use super::fault::{Access, Cause};
use super::layout::HIGHER_HALF;
use super::space::Place;

/// The registers of interrupted code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the names are the processor's")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            [("rip", self.rip), ("rsp", self.rsp), ("flg", self.rflags)],
            [("rax", self.rax), ("rbx", self.rbx), ("rcx", self.rcx)],
            [("rdx", self.rdx), ("rsi", self.rsi), ("rdi", self.rdi)],
            [("rbp", self.rbp), ("r8", self.r8), ("r9", self.r9)],
            [("r10", self.r10), ("r11", self.r11), ("r12", self.r12)],
            [("r13", self.r13), ("r14", self.r14), ("r15", self.r15)],
        ];
        for [first, second, third] in rows.map(|row| row.map(|(name, value)| Named(name, value))) {
            write!(f, "\n  {first}  {second}  {third}")?;
        }
        Ok(())
    }
}

/// A register as the report shows it.
struct Named(&'static str, u64);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, value) = self;
        write!(f, "{name:<3} {value:#018x}")
    }
}

/// The exceptions that the kernel tells apart by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// Vector 14.
    PageFault,
    /// Vector 8: a fault while delivering another one, here always a stack with no room left.
    DoubleFault,
    /// Vector 13.
    GeneralProtection,
    /// Vector 6.
    InvalidOpcode,
    /// Vector 0.
    DivideError,
    /// Any other vector.
    Other(u8),
}

impl From<u8> for Exception {
    fn from(vector: u8) -> Self {
        match vector {
            0 => Self::DivideError,
            6 => Self::InvalidOpcode,
            8 => Self::DoubleFault,
            13 => Self::GeneralProtection,
            14 => Self::PageFault,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageFault => f.write_str("page fault"),
            Self::DoubleFault => f.write_str("double fault"),
            Self::GeneralProtection => f.write_str("general protection fault"),
            Self::InvalidOpcode => f.write_str("invalid opcode"),
            Self::DivideError => f.write_str("divide error"),
            Self::Other(vector) => write!(f, "exception {vector}"),
        }
    }
}

/// Everything known about a fault that was not served.
///
/// Printed, the first line is a summary; the lines after it are indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The exception that the processor raised.
    pub exception: Exception,
    /// Why it cannot be served.
    pub cause: Cause,
    /// The address that was touched, for page faults (and double faults that stem from one).
    pub address: Option<u64>,
    /// What was done with it, where the processor tells.
    pub access: Option<Access>,
    /// What lies at the address, where there is one and the memory manager could be asked.
    pub place: Option<Place>,
    /// The processor's error code, 0 where it has none.
    pub error_code: u64,
    /// The registers at the fault.
    pub registers: Registers,
}

impl FaultReport {
    /// The first line of the report: what was done, to which address, and why it could not be.
    pub const fn headline(&self) -> Headline<'_> {
        Headline(self)
    }
}

/// See [`FaultReport::headline`].
pub struct Headline<'report>(&'report FaultReport);

impl fmt::Display for Headline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        write!(f, "{}: {}", report.exception, report.cause)?;
        if let Some(address) = report.address {
            let access = report.access.map_or("access to", |access| match access {
                Access::Read => "read of",
                Access::Write => "write to",
                Access::Execute => "fetch from",
            });
            write!(f, ", {access} {address:#018x}")?;
        }
        write!(f, " by {:#018x}", report.registers.rip)
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline())?;
        match self.place {
            Some(Place::Region(region)) => write!(f, "\n  there: {region}")?,
            Some(Place::Gap { below, above }) => {
                let start = below.map_or(0, |region| region.end);
                let last = above.map_or(u64::MAX, |region| region.start - 1);
                write!(f, "\n  there: {start:#018x}..={last:#018x} --- nothing")?;
                if start < HIGHER_HALF && self.address.is_some_and(|address| address < HIGHER_HALF)
                {
                    f.write_str(" (the lower half is for processes)")?;
                }
                if let Some(region) = below {
                    write!(f, "\n  below: {region}")?;
                }
                if let Some(region) = above {
                    write!(f, "\n  above: {region}")?;
                }
            }
            None => {}
        }
        write!(f, "\n  error code {:#x}{}", self.error_code, self.registers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::{Permissions, Region, RegionKind};
    use super::*;

    fn report() -> FaultReport {
        let rw = Permissions::READ | Permissions::WRITE;
        let region = |name, start, end| Region {
            name,
            start,
            end,
            permissions: rw,
            kind: RegionKind::Fixed,
        };
        FaultReport {
            exception: Exception::PageFault,
            cause: Cause::AboveBreak("kernel heap"),
            address: Some(0xffff_9000_0000_5000),
            access: Some(Access::Write),
            place: Some(Place::Gap {
                below: Some(region("kernel heap", 0xffff_9000_0000_0000, 0xffff_9000_0000_2000)),
                above: Some(region("main stack", 0xffff_a000_0000_1000, 0xffff_a000_0001_1000)),
            }),
            error_code: 2,
            registers: Registers { rip: 0xffff_ffff_8000_1234, rbx: 7, ..Registers::default() },
        }
    }

    #[test]
    fn a_report_says_what_where_and_what_lies_there() {
        let text = report().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "page fault: above the break of kernel heap, write to 0xffff900000005000 by 0xffffffff80001234",
                "  there: 0xffff900000002000..=0xffffa00000000fff --- nothing",
                "  below: 0xffff900000000000..0xffff900000002000 rw- kernel heap",
                "  above: 0xffffa00000001000..0xffffa00000011000 rw- main stack",
                "  error code 0x2",
                "  rip 0xffffffff80001234  rsp 0x0000000000000000  flg 0x0000000000000000",
                "  rax 0x0000000000000000  rbx 0x0000000000000007  rcx 0x0000000000000000",
            ]
        );
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn in_a_region_its_bounds_are_named() {
        let Some(Place::Gap { below, .. }) = report().place else { unreachable!() };
        let report = FaultReport {
            place: below.map(Place::Region),
            cause: Cause::ExecuteNoExecute,
            ..report()
        };
        let text = report.to_string();
        assert!(
            text.contains("\n  there: 0xffff900000000000..0xffff900000002000 rw- kernel heap\n"),
            "{text}"
        );
    }

    #[test]
    fn an_exception_without_an_address_names_none() {
        let report = FaultReport {
            exception: Exception::from(6),
            cause: Cause::Exception,
            address: None,
            access: None,
            place: None,
            ..report()
        };
        assert!(
            report
                .to_string()
                .starts_with("invalid opcode: processor exception by 0xffffffff80001234\n  error")
        );
    }
}
