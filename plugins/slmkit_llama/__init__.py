"""The lean Llama backbone."""
