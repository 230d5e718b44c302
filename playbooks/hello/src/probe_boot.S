/* Entry of the probe: it says it is there before anything can go wrong, then goes to 64-bit mode. */

#include "longmode.inc"

ENTRY_NOTE entry

    .text
    .code32
    .globl entry
entry:
    cli
    cld
    movl $stack_top, %esp
    movl $greeting, %esi
    movw $0x3f8, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  ENTER_LONG_MODE entry64

    .code64
entry64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    call probe_main
1:  hlt
    jmp 1b

    .section .rodata
greeting:
    .asciz "unictl-probe 1\nlong-mode begin\n"

    .bss
    .balign 16
    .skip 4096
stack_top:
