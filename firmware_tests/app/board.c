/* board.c: golden_run on the network linked into the program (model.S), for machines without an operating system. */
#include "golden.h"

#include "../board/board.h"
#include "text.h"

extern const uint8_t model_start[], model_end[];
int main(void);

int main(void)
{
    char line[GOLDEN_LINE], memory[128];
    size_t bytes;
    uint8_t *arena = board_arena(&bytes);
    const size_t model_bytes = (size_t)(model_end - model_start);
    const int failed = golden_run(model_start, model_bytes, 0xFFFFFFFFu, arena, bytes, line);
    text out = {memory, memory + sizeof memory};
    put(&out, "{\"memory\": {\"words\": ");
    put_number(&out, sizeof(void *) * 8, 10);
    put_field(&out, "model_bytes", model_bytes);
    put_field(&out, "arena_bytes", bytes);
    put_field(&out, "stack_bytes", board_stack_bytes());
    put(&out, "}, \"golden\": ");
    board_print(memory);
    board_print(line);
    board_print("}\n");
    return failed;
}
