"""Native kernels: the compiled module `_native`, its types in `_native.pyi` (made by `python -m nanobind.stubgen`)."""
