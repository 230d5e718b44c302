/* Entry of hello by the PVH protocol, and the stubs that interrupts arrive at. */

#include "longmode.inc"

ENTRY_NOTE entry

    .text
    .code32
    .globl entry
entry:
    cli
    cld
    ENTER_LONG_MODE entry64

    .code64
entry64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq $stack_top, %rsp
    movl %ebx, %edi
    call hello_main
1:  hlt
    jmp 1b

/* Vectors 0 to 47, 16 bytes each. Exceptions (below 32) never return, so their error code may lie where it likes. */
    .balign 16
    .globl interrupt_stubs
interrupt_stubs:
    .set vector, 0
    .rept 48
    .balign 16
    pushq $vector
    jmp interrupt_arrives
    .set vector, vector + 1
    .endr

interrupt_arrives:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    movq 72(%rsp), %rdi
    leaq 80(%rsp), %rsi
    movq %rsp, %rax
    andq $-16, %rsp                     /* the ABI wants calls aligned, exceptions with an error code are not */
    pushq %rax
    pushq %rax
    cld
    call interrupt
    popq %rsp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq

    .bss
    .balign 16
    .skip 32768
stack_top:
