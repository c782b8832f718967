/* cortex_a64.S: reset of an AArch64 core in EL1. The MMU is switched on, 1:1, with the second gigabyte (RAM) as normal
 * memory: with the MMU off all memory is device memory, and on real cores unaligned loads fault there. */
    .section .vectors, "ax"
    .global board_reset
board_reset:
    ldr x0, =stack_top
    mov sp, x0
    mov x0, #3 << 20
    msr cpacr_el1, x0               /* floating point and SIMD */
    ldr x0, =0x00FF                 /* attribute 0: normal, write-back; 1: device */
    msr mair_el1, x0
    ldr x0, =0x80803519             /* TCR: 39 bits, 4 KB granule, write-back walks; no TTBR1 */
    msr tcr_el1, x0
    ldr x0, =page_table             /* blocks of 1 GB; what is not listed faults */
    ldr x1, =0x00000405             /* device, access flag */
    str x1, [x0]
    ldr x1, =0x40000701             /* normal, inner shareable, access flag */
    str x1, [x0, #8]
    msr ttbr0_el1, x0
    dsb sy
    isb
    mrs x0, sctlr_el1
    mov x1, #0x1005                 /* MMU, data and instruction cache */
    orr x0, x0, x1
    msr sctlr_el1, x0
    isb
    b board_start

    .section .page_table, "aw", %nobits
    .balign 4096
page_table:
    .space 4096
