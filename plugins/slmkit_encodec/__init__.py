"""EnCodec, 24 kHz mono and 48 kHz stereo."""
