"""SpeechGPT: its templates, data and stages."""
