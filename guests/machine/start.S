/*
 * Start code of programs for the bare machine. Two ways in, one way on:
 *
 *   _start      64-bit mode, memory mapped one to one: how doppel enters an ELF executable
 *   pvh_start   32-bit protected mode, no paging: how QEMU's -kernel does (the PVH boot protocol of Xen)
 *
 * main(nothing, command line) is called with a stack, flat segments, SSE switched on and interrupts off. When it returns the
 * machine is reset.
 */
        .section .note.Xen, "a", @note
        .long   4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   pvh_start

        .text
        .globl  _start, interrupt_table, tick
        .code32
pvh_start:
        cld
        movl    24(%ebx), %esi          /* the command line, of the start information */
        movl    $page_tables, %edi      /* PML4, PDPT, four directories of 2 MiB pages */
        movl    %edi, %cr3
        leal    0x1003(%edi), %eax
        movl    %eax, (%edi)
        leal    0x2003(%edi), %eax
        xorl    %ecx, %ecx
1:      movl    %eax, 0x1000(%edi,%ecx,8)
        addl    $0x1000, %eax
        incl    %ecx
        cmpl    $4, %ecx
        jne     1b
        movl    $0x83, %eax
        xorl    %ecx, %ecx
2:      movl    %eax, 0x2000(%edi,%ecx,8)
        addl    $0x200000, %eax
        incl    %ecx
        cmpl    $2048, %ecx
        jne     2b
        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax       /* PG */
        movl    %eax, %cr0
        lgdt    descriptors_pointer
        ljmp    $0x10, $1f

        .code64
_start:
        movl    0x228(%rsi), %esi       /* the command line, of Linux's boot parameters */
1:      cli
        lgdt    descriptors_pointer
        movl    $0x18, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $stack_end, %esp
        pushq   $0x10
        pushq   $1f
        lretq
1:      movq    %cr0, %rax
        andl    $~4, %eax               /* EM */
        orl     $2, %eax                /* MP */
        movq    %rax, %cr0
        movq    %cr4, %rax
        orl     $0x600, %eax            /* OSFXSR, OSXMMEXCPT */
        movq    %rax, %cr4
        xorl    %ebp, %ebp
        call    main
        movw    $0xcf9, %dx
        movb    $0x02, %al
        outb    %al, %dx
        movb    $0x06, %al
        outb    %al, %dx
2:      hlt
        jmp     2b

/* The local APIC's timer: counts, and ends the interrupt. */
tick:
        incq    ticks(%rip)
        pushq   %rax
        movl    $0xfee000b0, %eax
        movl    $0, (%rax)
        popq    %rax
        iretq

        .data
        .balign 8
descriptors:
        .quad   0, 0
        .quad   0x00af9b000000ffff
        .quad   0x00cf93000000ffff
descriptors_pointer:
        .word   . - descriptors - 1
        .quad   descriptors

        .bss
        .balign 4096
page_tables:
        .skip   6 * 4096
        .skip   16384
stack_end:

        .section .note.GNU-stack, "", @progbits
