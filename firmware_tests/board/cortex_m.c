/* cortex_m.c: vector table and reset of Cortex-M with a floating-point unit. */
#include "board.h"

extern uint8_t stack_top[];
_Noreturn void board_start(void);
_Noreturn void board_reset(void);
void board_fault(void);

_Noreturn void board_reset(void)
{
    volatile uint32_t *const access = (volatile uint32_t *)0xE000ED88; /* CPACR: coprocessors 10 and 11 are the FPU */
    *access |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    board_start();
}

void board_fault(void)
{
    board_print("{\"error\": \"fault\"}\n");
    board_exit(1);
}

typedef union vector {
    void (*handler)(void);
    uint8_t *stack;
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = stack_top},     {.handler = board_reset}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
};
