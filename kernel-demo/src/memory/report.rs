//! The report of a fault that nobody can serve: what was done, where, what lies there, and the
//! registers.

use core::fmt;

use crate::address_space::{Cause, Vma};
use crate::words::Access;
use crate::words::layout::HIGHER_HALF;

/// What lies at an address: the area below it, the one that holds it, and the one above.
pub type Neighbours = [Option<Vma>; 3];

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
    /// Where the segment FS begins. Only a program has one: its thread-local storage.
    pub fs_base: u64,
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
        for [first, second, third] in rows {
            f.write_str("\n")?;
            for (name, value) in [first, second, third] {
                write!(f, "  {name:<3} {value:#018x}")?;
            }
        }
        Ok(())
    }
}

/// An exception of the processor, by its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception(pub u8);

impl Exception {
    /// An invalid opcode.
    pub const INVALID_OPCODE: Self = Self(6);
    /// A fault while delivering another one, here always a stack with no room left.
    pub const DOUBLE_FAULT: Self = Self(8);
    /// A general protection fault.
    pub const GENERAL_PROTECTION: Self = Self(13);
    /// A page fault.
    pub const PAGE_FAULT: Self = Self(14);
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "divide error",
            6 => "invalid opcode",
            8 => "double fault",
            13 => "general protection fault",
            14 => "page fault",
            other => return write!(f, "exception {other}"),
        })
    }
}

/// Everything known about a fault that was not served.
///
/// Printed, it is one line: what was done, to which address, and why it could not be. With `{:#}`
/// indented lines follow.
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
    pub place: Option<Neighbours>,
    /// The processor's error code, 0 where it has none.
    pub error_code: u64,
    /// The registers at the fault.
    pub registers: Registers,
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.cause)?;
        if let Some(address) = self.address {
            let access = self.access.map_or("access to", Access::of);
            write!(f, ", {access} {address:#018x}")?;
        }
        write!(f, " by {:#018x}", self.registers.rip)?;
        if !f.alternate() {
            return Ok(());
        }
        if let Some([_, Some(area), _]) = self.place {
            write!(f, "\n  there: {area}")?;
        } else if let Some([below, None, above]) = self.place {
            let start = below.map_or(0, |area| area.end);
            let last = above.map_or(u64::MAX, |area| area.start - 1);
            write!(f, "\n  there: {start:#018x}..={last:#018x} --- nothing")?;
            if start < HIGHER_HALF && self.address.is_some_and(|address| address < HIGHER_HALF) {
                f.write_str(" (the lower half is for processes)")?;
            }
            for (name, area) in [("below", below), ("above", above)] {
                area.map_or(Ok(()), |area| write!(f, "\n  {name}: {area}"))?;
            }
        }
        write!(f, "\n  error code {:#x}{}", self.error_code, self.registers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address_space::AreaKind;
    use crate::memory::Permissions;

    fn report() -> FaultReport {
        let rw = Permissions::READ | Permissions::WRITE;
        let area = |name, start, end| Vma { name, ..Vma::private(start, end, rw, AreaKind::Fixed) };
        FaultReport {
            exception: Exception::PAGE_FAULT,
            cause: Cause::AboveBreak,
            address: Some(0xffff_9000_0000_5000),
            access: Some(Access::Write),
            place: Some([
                Some(area("kernel heap", 0xffff_9000_0000_0000, 0xffff_9000_0000_2000)),
                None,
                Some(area("main stack", 0xffff_a000_0000_1000, 0xffff_a000_0001_1000)),
            ]),
            error_code: 2,
            registers: Registers { rip: 0xffff_ffff_8000_1234, rbx: 7, ..Registers::default() },
        }
    }

    #[test]
    fn a_report_says_what_where_and_what_lies_there() {
        let text = format!("{:#}", report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "page fault: above the break, write to 0xffff900000005000 by 0xffffffff80001234",
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
        let Some([below, _, _]) = report().place else { unreachable!() };
        let report = FaultReport {
            place: Some([None, below, None]),
            cause: Cause::ExecuteNoExecute,
            ..report()
        };
        let text = format!("{report:#}");
        assert!(
            text.contains("\n  there: 0xffff900000000000..0xffff900000002000 rw- kernel heap\n"),
            "{text}"
        );
    }

    #[test]
    fn an_exception_without_an_address_names_none() {
        let report = FaultReport {
            exception: Exception::INVALID_OPCODE,
            cause: Cause::Exception,
            address: None,
            access: None,
            place: None,
            ..report()
        };
        assert!(
            format!("{report:#}")
                .starts_with("invalid opcode: processor exception by 0xffffffff80001234\n  error")
        );
    }
}
