"""VALL-E's transformer, and USLM as it was published."""
