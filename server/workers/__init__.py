"""Encode workers: processes of their own, pictures in and state out through shared memory."""
