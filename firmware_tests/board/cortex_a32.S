/* cortex_a32.S: reset of a 32-bit Cortex-A with NEON. The MMU is switched on, 1:1, with the second gigabyte (RAM) as
 * normal memory: with the MMU off all memory is strongly ordered, and on real cores unaligned loads fault there. */
    .syntax unified
    .arm
    .section .vectors, "ax"
    .global board_reset
board_reset:
    ldr sp, =stack_top
    ldr r0, =page_table             /* 4096 sections of 1 MB */
    mov r1, #0
    ldr r2, =0x00000C06             /* device, read and write, shareable */
    ldr r3, =0x00001C0E             /* normal, write-back, read and write */
1:  cmp r1, #0x400
    movlo r4, r2
    movhs r4, r3
    cmp r1, #0x800
    movhs r4, r2
    orr r4, r4, r1, lsl #20
    str r4, [r0, r1, lsl #2]
    add r1, r1, #1
    cmp r1, #0x1000
    blo 1b
    mcr p15, 0, r0, c2, c0, 0       /* TTBR0 */
    mov r1, #1
    mcr p15, 0, r1, c3, c0, 0       /* DACR: domain 0 is a client */
    mov r1, #0
    mcr p15, 0, r1, c8, c7, 0       /* TLBIALL */
    dsb
    mrc p15, 0, r1, c1, c0, 0
    bic r1, r1, #2                  /* no alignment faults */
    orr r1, r1, #1                  /* MMU */
    orr r1, r1, #1 << 2             /* data cache */
    orr r1, r1, #1 << 12            /* instruction cache */
    mcr p15, 0, r1, c1, c0, 0
    isb
    mrc p15, 0, r1, c1, c0, 2
    orr r1, r1, #0xF << 20          /* CPACR: coprocessors 10 and 11 are VFP and NEON */
    mcr p15, 0, r1, c1, c0, 2
    isb
    mov r1, #1 << 30
    vmsr fpexc, r1
    b board_start

    .section .page_table, "aw", %nobits
    .balign 16384
page_table:
    .space 16384
