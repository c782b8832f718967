/* model.S: the file MODEL as model_start to model_end, aligned as fg_model_open wants it. */
    .section .rodata.model, "a"
    .balign 64
    .global model_start, model_end
model_start:
    .incbin MODEL
model_end:
    .byte 0
