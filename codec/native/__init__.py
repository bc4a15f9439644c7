"""Native kernels: the compiled module `_native`.

Its types are in `_native.pyi`, made by `python -m nanobind.stubgen -m codec.native._native -o codec/native/_native.pyi`
after each change of a binding. `SPLATCALL_ISA=base|avx2|avx512` forces an instruction set. Calls name their number of
threads: the process has one pool for each number asked for, made at first use (and anew after a fork), asleep between
calls. A call that finds its pool busy does its work on the calling thread alone. No result depends on the number.
"""
