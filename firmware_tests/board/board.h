/* board.h: what a machine without an operating system gives the program. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* All memory between the program's variables and its stack. */
uint8_t *board_arena(size_t *bytes);
/* Most bytes of stack in use since the start. */
size_t board_stack_bytes(void);
void board_print(const char *words);
_Noreturn void board_exit(int status);

#endif
