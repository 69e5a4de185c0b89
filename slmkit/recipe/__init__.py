"""Recipe file -> checked options -> stages -> run folder -> report."""
