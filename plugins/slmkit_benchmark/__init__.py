"""SLMTokBench as a stage of a recipe."""
