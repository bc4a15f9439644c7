"""Load test: real aiortc peers that call each other through a server, with locust's statistics."""
