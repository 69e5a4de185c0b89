"""Text to speech in a given voice, by any decoding strategy."""
