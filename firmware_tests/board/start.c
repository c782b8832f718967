/* start.c: from the reset to main without a C library, and output through semihosting, on all boards. */
#include "board.h"

#include <string.h>

enum { WRITE0 = 4, EXIT = 0x18, APPLICATION_EXIT = 0x20026, PAINT = 0xA5 };

/* from the linker script: addresses, not variables */
extern uint8_t data_load[], data_start[], data_end[], bss_start[], bss_end[], arena_start[], stack_bottom[],
    stack_top[];

int main(void);
_Noreturn void board_start(void);

static void semihosting(uintptr_t operation, uintptr_t argument)
{
#if defined(__aarch64__)
    register uintptr_t r0 __asm__("x0") = operation;
    register uintptr_t r1 __asm__("x1") = argument;
    __asm__ volatile("hlt #0xF000" : "+r"(r0) : "r"(r1) : "memory");
#elif defined(__thumb__)
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt #0xAB" : "+r"(r0) : "r"(r1) : "memory");
#else
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("svc #0x123456" : "+r"(r0) : "r"(r1) : "memory");
#endif
}

void board_print(const char *words) { semihosting(WRITE0, (uintptr_t)words); }

_Noreturn void board_exit(int status)
{
#if defined(__aarch64__)
    const uintptr_t block[] = {APPLICATION_EXIT, (uintptr_t)status};
    semihosting(EXIT, (uintptr_t)block);
#else
    semihosting(EXIT, status == 0 ? APPLICATION_EXIT : 0); /* another reason means failure */
#endif
    for (;;) {}
}

uint8_t *board_arena(size_t *bytes)
{
    *bytes = (size_t)((uintptr_t)stack_bottom - (uintptr_t)arena_start);
    return arena_start;
}

size_t board_stack_bytes(void)
{
    const uint8_t *lowest = stack_bottom;
    while (lowest < stack_top && *lowest == PAINT) lowest++;
    return (size_t)((uintptr_t)stack_top - (uintptr_t)lowest);
}

/* Called by the machine's reset code with a stack and with floating point switched on. */
_Noreturn void board_start(void)
{
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    uint8_t *here = __builtin_frame_address(0);
    memset(stack_bottom, PAINT, (size_t)(here - 256 - stack_bottom));
    board_exit(main());
}
