/*
 * Start code of a kernel from ../../kernels on a bare 32-bit machine: entered by a Multiboot loader, in protected mode
 * without paging. SSE is switched on; main is called with the command line's last word as its argument.
 */
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .globl  _start
_start: cli
        movl    $stack_end, %esp
        lgdt    descriptors_pointer
        ljmp    $0x08, $1f
1:      movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %cr0, %eax
        andl    $~4, %eax               /* EM */
        orl     $2, %eax                /* MP */
        movl    %eax, %cr0
        movl    %cr4, %eax
        orl     $0x600, %eax            /* OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
        fninit
        xorl    %ebp, %ebp
        subl    $12, %esp
        pushl   16(%ebx)                /* the boot information's command line */
        call    start
2:      hlt
        jmp     2b

        .data
        .balign 8
descriptors:
        .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
descriptors_pointer:
        .word   . - descriptors - 1
        .long   descriptors

        .bss
        .balign 16
        .skip   65536
stack_end:

        .section .note.GNU-stack, "", @progbits
