"""The one generation loop: text and codes come out as a stream."""
