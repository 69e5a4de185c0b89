"""Made code_hifigan_keys.json: names and shapes of a published CodeHiFiGAN generator.

Written out from the facts of the published vocoder of mHuBERT's 1,000 units (its config.json and
the structure of fairseq's modules), not from slmkit's own network: weight norm on every
convolution but the duration predictor's, old-style g and v, g of shape [first dimension, 1, 1].

    python tests/reference/make_code_hifigan_keys.py
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
config = json.loads((HERE / "code_hifigan_config.json").read_text())
keys: dict[str, list[int]] = {}


def normed(name: str, shape: list[int], bias: int) -> None:
    keys[f"{name}.bias"] = [bias]
    keys[f"{name}.weight_g"] = [shape[0], 1, 1]
    keys[f"{name}.weight_v"] = shape


width, hidden = config["embedding_dim"], config["dur_predictor_params"]["var_pred_hidden_dim"]
keys["dict.weight"] = [config["num_embeddings"], width]
keys |= {
    "dur_predictor.conv1.0.weight": [hidden, width, 3],
    "dur_predictor.conv1.0.bias": [hidden],
    "dur_predictor.ln1.weight": [hidden],
    "dur_predictor.ln1.bias": [hidden],
    "dur_predictor.conv2.0.weight": [hidden, hidden, 3],
    "dur_predictor.conv2.0.bias": [hidden],
    "dur_predictor.ln2.weight": [hidden],
    "dur_predictor.ln2.bias": [hidden],
    "dur_predictor.proj.weight": [1, hidden],
    "dur_predictor.proj.bias": [1],
}
channels = config["upsample_initial_channel"]
normed("conv_pre", [channels, config["model_in_dim"], 7], channels)
for stage, kernel in enumerate(config["upsample_kernel_sizes"]):
    normed(f"ups.{stage}", [channels, channels // 2, kernel], channels // 2)
    channels //= 2
    for index, size in enumerate(config["resblock_kernel_sizes"]):
        block = stage * len(config["resblock_kernel_sizes"]) + index
        for convs in ("convs1", "convs2"):
            for layer in range(len(config["resblock_dilation_sizes"][index])):
                name = f"resblocks.{block}.{convs}.{layer}"
                normed(name, [channels, channels, size], channels)
normed("conv_post", [1, channels, 7], 1)
(HERE / "code_hifigan_keys.json").write_text(json.dumps(keys, indent=0) + "\n")
