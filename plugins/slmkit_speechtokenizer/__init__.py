"""SpeechTokenizer: codes whose first codebook says what is said."""
