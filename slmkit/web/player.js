// Plays what is being spoken while it is still being made, without gaps where the maker keeps up.
// props.value: {id: of the answer, rate: Hz, chunks: [PCM of 16 bits in base64, ...], over: bool}
const state = { id: null, played: 0, at: 0, context: null, sources: [] };

function silence() {
  for (const source of state.sources) source.stop();
  state.sources = [];
}

function play(chunk, rate) {
  const bytes = Uint8Array.from(atob(chunk), (letter) => letter.charCodeAt(0));
  const pcm = new Int16Array(bytes.buffer);
  const buffer = state.context.createBuffer(1, pcm.length, rate);
  buffer.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
  const source = state.context.createBufferSource();
  source.buffer = buffer;
  source.connect(state.context.destination);
  state.at = Math.max(state.at, state.context.currentTime + 0.05);
  source.start(state.at);
  state.at += buffer.duration;
  state.sources.push(source);
}

function follow() {
  const said = props.value;
  if (!said || !said.chunks) return;
  if (said.id !== state.id) {
    silence();
    Object.assign(state, { id: said.id, played: 0, at: 0 });
  }
  if (said.chunks.length > state.played) {
    state.context = state.context || new AudioContext();
    if (state.context.state === "suspended") state.context.resume();
  }
  for (; state.played < said.chunks.length; state.played++) {
    play(said.chunks[state.played], said.rate);
  }
  element.dataset.played = state.played;
}

watch("value", follow);
