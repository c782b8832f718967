"""Counts the guest instructions that QEMU executes per frame, by class and function: exact, the same on every machine.

Speed it is not: no caches, no pipeline. But it does not swing with a neighbour's load either, so a change of one
instruction shows. ``pipeline`` looks at what a core could make of the hot loops.

    python -m firmware_tests.counting frames NET.fgm --picture PICTURE.npy     where a frame's instructions go
    python -m firmware_tests.counting budgets [--update]                       the networks with frozen budgets
    python -m firmware_tests.counting rivals NET.fgm SOURCE --engine ncnn       other engines on the same frame
    FRAMEGATE_ASSETS=DIR python -m firmware_tests.counting table               the table in docs/arm.md
    python -m firmware_tests.counting pipeline                                 llvm-mca on the hot loops
"""
