"""Drills: hosts of a lab made to fail in every way, with canary guests that would show a second copy. See docs/drills.md."""
