//! The C library's functions that copy and fill memory, in place of its own: they clear the trap
//! flag while they work, so that a copy of a megabyte is a few instructions, and as many on every
//! processor.

use std::arch::global_asm;

global_asm!(
    ".globl memcpy",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "pushfq",
    "pushfq",
    "and qword ptr [rsp], ~0x100",
    "popfq",
    "rep movsb",
    "popfq",
    "ret",
    // Overlapping such that the source would be overwritten before it is read: from the end.
    ".globl memmove",
    "memmove:",
    "mov rax, rdi",
    "sub rax, rsi",
    "cmp rax, rdx",
    "jae memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "lea rdi, [rdi + rcx - 1]",
    "lea rsi, [rsi + rcx - 1]",
    "pushfq",
    "pushfq",
    "and qword ptr [rsp], ~0x100",
    "popfq",
    "std",
    "rep movsb",
    "popfq",
    "ret",
    ".globl memset",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "pushfq",
    "pushfq",
    "and qword ptr [rsp], ~0x100",
    "popfq",
    "rep stosb",
    "popfq",
    "mov rax, r8",
    "ret",
);

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    #[test]
    fn memory_is_copied_and_filled() {
        let mut bytes: Vec<u8> = (0..100).collect();
        let len = black_box(60);
        bytes.copy_within(..len, 10);
        assert!(bytes[10..70].iter().copied().eq(0..60));
        bytes.copy_within(10..10 + len, 5);
        assert!(bytes[5..65].iter().copied().eq(0..60));
        let copy = black_box(&bytes).clone();
        assert!(copy.iter().eq(&bytes));
        bytes[..len].fill(black_box(7));
        assert!(bytes[..60].iter().all(|&byte| byte == 7) && bytes[60] == 55);
    }
}
