"""A codec that hums along: what a package outside slmkit looks like."""
