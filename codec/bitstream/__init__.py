"""The bitstream: bytes from and to commands, by SPEC.md."""
