/*
 * Entry into the bare-metal checks: from a boot loader that enters ELF files in 64-bit mode, at `start64`, or from one
 * that knows the PVH note (QEMU) in 32-bit protected mode, at `start32`, which goes on to 64-bit mode.
 */
        .section .note.pvh, "a", @note
        .long 4, 4, 18                  /* name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long start32

        .section .text.start, "ax"
        .code32
start32:
        cli
        movl $boot_pml4, %edi
        movl $boot_pdpt + 3, (%edi)
        movl $boot_pdpt, %edi
        movl $boot_pd + 3, (%edi)
        movl $boot_pd + 4096 + 3, 8(%edi)
        movl $boot_pd + 8192 + 3, 16(%edi)
        movl $boot_pd + 12288 + 3, 24(%edi)
        movl $boot_pd, %edi
        movl $0x83, %eax
        movl $2048, %ecx
1:      movl %eax, (%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b
        movl %cr4, %eax
        orl $0x20, %eax
        movl %eax, %cr4
        movl $boot_pml4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80010001, %eax
        movl %eax, %cr0
        lgdt boot_gdtr
        ljmp $8, $start64

        .code64
        .globl start64
start64:
        cli
        movq $boot_stack_top, %rsp
        xorl %ebp, %ebp
        call checks
1:      hlt
        jmp 1b

/* Interrupt entries: one for each vector, of 16 bytes. Vectors with an error code have it pushed already. */
        .globl vectors
        .balign 16
vectors:
        .set vector, 0
        .rept 256
        .balign 16
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
        nop
        nop
        .else
        pushq $0
        .endif
        pushq $vector
        jmp common
        .set vector, vector + 1
        .endr

        .balign 16
common:
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, %rdi
        movq %rsp, %rbx
        andq $-16, %rsp
        cld
        call interrupt
        movq %rbx, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp
        iretq

/* int attempt(void (*body)(void *), void *argument): 0, or 1 when `body` ended in an exception. */
        .globl attempt
attempt:
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, recover_rsp
        movq $1f, recover_rip
        movq %rdi, %rax
        movq %rsi, %rdi
        call *%rax
        xorl %eax, %eax
        jmp 2f
1:      movl $1, %eax
2:      movq $0, recover_rip
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        ret

/* void to_user(uint64_t rip, uint64_t cs, uint64_t rsp, uint64_t ss): comes back by an exception or interrupt. */
        .globl to_user
to_user:
        pushq %rcx
        pushq %rdx
        pushq $0x202
        pushq %rsi
        pushq %rdi
        iretq

/* SYSCALL comes here: notes what it got, and returns to the program by SYSRET. */
        .globl system_call
system_call:
        movq %rcx, seen_rcx
        movq %r11, seen_r11
        pushfq
        popq seen_flags
        movw %cs, seen_cs
        movw %ss, seen_ss
        sysretq

        .globl shadow_sti, shadow_sti_cli
/* The interrupt that waits is taken behind the instruction after STI, or not at all when that is CLI. */
shadow_sti:
        xorl %eax, %eax
        sti
        incl %eax
        incl %eax
        nop
        cli
        ret
shadow_sti_cli:
        sti
        cli
        ret

        .section .rodata
        .balign 8
boot_gdt:
        .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
        .word 23
        .long boot_gdt

        .section .bss
        .balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 16384
boot_stack: .skip 16384
boot_stack_top:
        .globl recover_rsp, recover_rip, seen_rcx, seen_r11, seen_flags, seen_cs, seen_ss
recover_rsp: .skip 8
recover_rip: .skip 8
seen_rcx: .skip 8
seen_r11: .skip 8
seen_flags: .skip 8
seen_cs: .skip 8
seen_ss: .skip 8
        .section .note.GNU-stack, "", @progbits
