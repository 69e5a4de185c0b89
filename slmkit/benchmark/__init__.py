"""SLMTokBench and its rows."""
