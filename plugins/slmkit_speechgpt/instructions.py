"""Task descriptions of cross-modal instructions, in our own words.

The paper had a hundred written for each task; training draws one for each pair, so that the model
answers to the task and not to one sentence.
"""

TRANSCRIBE = (
    "Write down what is said",
    "Turn this speech into text",
    "Transcribe the recording",
    "Please type what you hear",
    "Put the spoken words on paper",
    "Listen and write the sentence",
    "What does the speaker say",
    "Convert the audio to words",
    "Note down the spoken sentence",
    "Give the text of this speech",
    "Tell me in writing what is spoken",
    "Take dictation",
    "Recognize the speech",
    "Make a transcript",
    "Spell out what the voice says",
    "Write the words of this recording",
    "Hear this and put it in text",
    "Show me the words that are spoken",
    "Copy the speech as text",
    "I need the written form of this",
    "Which words were said here",
    "Record in text what you hear",
    "From sound to text please",
    "Please caption this audio",
)

SPEAK = (
    "Read this aloud",
    "Say the sentence",
    "Turn this text into speech",
    "Please speak these words",
    "Pronounce the text",
    "Give this sentence a voice",
    "Convert the words to audio",
    "Let me hear this",
    "Speak what is written",
    "Read the text out loud",
    "Voice the following words",
    "Make speech from this text",
    "Tell me this with your voice",
    "Utter the sentence",
    "Recite these words",
    "I want to hear this sentence",
    "How does this sound when spoken",
    "Say it aloud please",
    "Produce the audio of this text",
    "Synthesize the speech",
    "From text to sound please",
    "Announce the sentence",
    "Please dictate these words",
    "Speak this for me",
)
