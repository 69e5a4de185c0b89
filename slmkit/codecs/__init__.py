"""Neural and signal blocks that parts are built from."""
