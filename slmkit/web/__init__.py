"""The web page: a run to talk to, or to let read aloud, and a playground for tokenizers.

What happens (`answering`, `reading`, `playground`) knows nothing of the page: functions take waves
and words and give events. Only `page`, its tabs and `server` know gradio.
"""
