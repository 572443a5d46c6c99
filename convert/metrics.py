"""Tables of the networks that scores need: public files to folders of `vp_jax.models.metrics`.

===============  ====================================================================================================
kind             files in the source folder
===============  ====================================================================================================
lpips_squeeze    torchvision's ``squeezenet1_1-b8a52dc0.pth`` and LPIPS's ``weights/v0.1/squeeze.pth``
lpips_alex       torchvision's ``alexnet-owt-7be5be79.pth`` and LPIPS's ``weights/v0.1/alex.pth``
lpips_vgg        torchvision's ``vgg16-397923af.pth`` and LPIPS's ``weights/v0.1/vgg.pth``
clip             ``config.json``, ``model.safetensors``, ``vocab.json``, ``merges.txt`` of ``openai/clip-vit-*``
i3d              ``i3d_rgb_imagenet.pt``, or any state of the same names
raft             torchvision's ``raft_large_C_T_SKHT_V2-ff5fadd5.pth``, or another large one
dinov2           ``config.json`` and ``model.safetensors`` of ``facebook/dinov2-base``, small or large
videomae         ``config.json`` and ``model.safetensors`` of ``MCG-NJU/videomae-*``, pretrained or fine-tuned;
                 or a fine-tuned file of VideoMAE-v2, ``vit_g_hybrid_pt_1200e_ssv2_ft.pth``
===============  ====================================================================================================

All weights files of a folder are read together; a source may also be one file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vp_jax.convert.engine import Rule
from vp_jax.convert.files import WEIGHT_SUFFIXES, Tensor, read_tensors
from vp_jax.convert.videomae_v2 import as_videomae
from vp_jax.errors import UserError
from vp_jax.models.metrics.clip import ClipConfig
from vp_jax.models.metrics.description import MetricConfig
from vp_jax.models.metrics.dino import DinoConfig
from vp_jax.models.metrics.i3d import I3DConfig
from vp_jax.models.metrics.lpips import BACKBONES, LpipsConfig
from vp_jax.models.metrics.raft import RaftConfig
from vp_jax.models.metrics.videomae import VideoMaeConfig
from vp_jax.reading import read_json, show


def _both(source: str, target: str, transform: str) -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"{target}/kernel", transform), Rule(rf"{source}\.bias", f"{target}/bias")]


def _batch_norm(source: str, target: str) -> list[Rule]:
    names = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
    return [Rule(rf"{source}\.{theirs}", f"{target}/{ours}") for theirs, ours in names.items()]


LPIPS_RULES = [
    *_both(r"features\.(\d+)", "features{0}", "conv2d"),
    *_both(r"features\.(\d+)\.(squeeze|expand1x1|expand3x3)", "features{0}/{1}", "conv2d"),
    Rule(r"lin(\d)\.model\.1\.weight", "head{0}", "conv2d"),
]
LPIPS_IGNORED = [r"classifier\..*", r"lins\..*", r"scaling_layer\..*"]

_UNIT = r"(Conv3d_1a_7x7|Conv3d_2b_1x1|Conv3d_2c_3x3)"
_BRANCH = (
    r"(Mixed_3b|Mixed_3c|Mixed_4b|Mixed_4c|Mixed_4d|Mixed_4e|Mixed_4f|Mixed_5b|Mixed_5c)\.(b0|b1a|b1b|b2a|b2b|b3b)"
)
I3D_RULES = [
    Rule(rf"{_UNIT}\.conv3d\.weight", "{0}/conv3d/kernel", "conv3d"),
    *_batch_norm(rf"{_UNIT}\.bn", "{0}"),
    Rule(rf"{_BRANCH}\.conv3d\.weight", "{0}/{1}/conv3d/kernel", "conv3d"),
    *_batch_norm(rf"{_BRANCH}\.bn", "{0}/{1}"),
]
I3D_IGNORED = [r"logits\..*", r".*\.num_batches_tracked"]

_ENCODER = r"(feature_encoder|context_encoder)"
_PLACE = rf"{_ENCODER}\.(layer1|layer2|layer3)\.([01])\.(convnormrelu1|convnormrelu2|downsample)"
RAFT_RULES = [
    *_both(rf"{_ENCODER}\.convnormrelu\.0", "{0}/convnormrelu/conv", "conv2d"),
    *_batch_norm(rf"{_ENCODER}\.convnormrelu\.1", "{0}/convnormrelu"),
    *_both(rf"{_PLACE}\.0", "{0}/{1}/{2}/{3}/conv", "conv2d"),
    *_batch_norm(rf"{_PLACE}\.1", "{0}/{1}/{2}/{3}"),
    *_both(rf"{_ENCODER}\.conv", "{0}/conv", "conv2d"),
    *_both(
        r"update_block\.motion_encoder\.(convcorr1|convcorr2|convflow1|convflow2|conv)\.0", "update_block/{0}", "conv2d"
    ),
    *_both(
        r"update_block\.recurrent_block\.(convgru1|convgru2)\.(convz|convr|convq)", "update_block/{0}/{1}", "conv2d"
    ),
    *_both(r"update_block\.flow_head\.conv([12])", "update_block/head{0}", "conv2d"),
    *_both(r"mask_predictor\.convrelu\.0", "mask1", "conv2d"),
    *_both(r"mask_predictor\.conv", "mask2", "conv2d"),
]
RAFT_IGNORED = [r".*\.num_batches_tracked"]


def _norm(source: str, target: str) -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"{target}/scale"), Rule(rf"{source}\.bias", f"{target}/bias")]


def _tower(source: str, target: str) -> list[Rule]:
    layer = rf"{source}\.encoder\.layers\.(\d+)"
    block = f"{target}/{{0}}"
    return [
        *_norm(rf"{layer}\.layer_norm([12])", f"{block}/norm{{1}}"),
        *_both(rf"{layer}\.self_attn\.(q|k|v|out)_proj", f"{block}/to_{{1}}", "linear"),
        *_both(rf"{layer}\.mlp\.fc1", f"{block}/up", "linear"),
        *_both(rf"{layer}\.mlp\.fc2", f"{block}/down", "linear"),
    ]


CLIP_RULES = [
    Rule(r"vision_model\.embeddings\.patch_embedding\.weight", "patches/kernel", "conv2d"),
    Rule(r"vision_model\.embeddings\.class_embedding", "class_token"),
    Rule(r"vision_model\.embeddings\.position_embedding\.weight", "positions"),
    *_norm(r"vision_model\.pre_layrnorm", "norm_in"),
    *_norm(r"vision_model\.post_layernorm", "norm_out"),
    *_tower(r"vision_model", "blocks"),
    Rule(r"visual_projection\.weight", "projection/kernel", "linear"),
    Rule(r"text_model\.embeddings\.token_embedding\.weight", "tokens/embedding"),
    Rule(r"text_model\.embeddings\.position_embedding\.weight", "text_positions"),
    *_norm(r"text_model\.final_layer_norm", "text_norm_out"),
    *_tower(r"text_model", "text_blocks"),
    Rule(r"text_projection\.weight", "text_projection/kernel", "linear"),
]
CLIP_IGNORED = [r"logit_scale", r"(vision|text)_model\.embeddings\.position_ids"]
CLIP_TOKENIZER = ("vocab.json", "merges.txt")
"""Files of the tokenizer, copied beside the weights."""

_CLIP_FIELDS = {
    "vision_config": {
        "image_size": "image",
        "patch_size": "patch",
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "hidden_act": "activation",
    },
    "text_config": {
        "hidden_size": "text_width",
        "num_hidden_layers": "text_layers",
        "num_attention_heads": "text_heads",
        "vocab_size": "vocabulary",
        "max_position_embeddings": "context",
    },
}


def clip_description(values: dict[str, Any]) -> ClipConfig:
    """``config.json`` of ``openai/clip-vit-*`` -> our description; what it leaves out is that of ViT-B/32.

    Raises:
      UserError: a part that is no JSON object, or a value of another type than expected.
    """
    fields: dict[str, Any] = {"embedding": values.get("projection_dim", 512)}
    for part, names in _CLIP_FIELDS.items():
        inner = values.get(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"CLIP config {part} = {show(repr(inner))[:100]}: expected an object")
        fields |= {ours: inner[theirs] for theirs, ours in names.items() if theirs in inner}
    for name, value in fields.items():
        if type(value) is not (str if name == "activation" else int):
            raise UserError(f"CLIP config {name} = {show(repr(value))[:100]}: expected a number, or a name")
    return ClipConfig(**fields)


def lpips_name(key: str) -> str:
    """Name in a state of the ``lpips`` package (``net.slice2.3.weight``) or torchmetrics -> torchvision's."""
    return re.sub(r"^net\.slices?\.?\d\.", "features.", key)


_LAYER = r"encoder\.layer\.(\d+)"
DINO_RULES = [
    *_both(r"embeddings\.patch_embeddings\.projection", "patches", "conv2d"),
    Rule(r"embeddings\.cls_token", "class_token"),
    Rule(r"embeddings\.position_embeddings", "positions"),
    *_norm(rf"{_LAYER}\.norm([12])", "blocks/{0}/norm{1}"),
    *_both(rf"{_LAYER}\.attention\.attention\.(query|key|value)", "blocks/{0}/{1}", "linear"),
    *_both(rf"{_LAYER}\.attention\.output\.dense", "blocks/{0}/dense", "linear"),
    Rule(rf"{_LAYER}\.layer_scale([12])\.lambda1", "blocks/{0}/scale{1}"),
    *_both(rf"{_LAYER}\.mlp\.(fc1|fc2)", "blocks/{0}/{1}", "linear"),
    *_norm(r"layernorm", "norm_out"),
]
DINO_IGNORED = [r"embeddings\.mask_token"]
_DINO_FIELDS = {
    "image_size": "image",
    "patch_size": "patch",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
}


def dino_description(values: dict[str, Any]) -> DinoConfig:
    """``config.json`` of ``facebook/dinov2-*`` -> our description; what it leaves out is that of the base model.

    Raises:
      UserError: a model with a gated mlp (the giant one), or a value that is no whole number.
    """
    if values.get("use_swiglu_ffn"):
        raise UserError("DINOv2 config use_swiglu_ffn = true: expected the small, base or large model")
    fields = {ours: values[theirs] for theirs, ours in _DINO_FIELDS.items() if theirs in values}
    for name, value in fields.items():
        if type(value) is not int:
            raise UserError(f"DINOv2 config {name} = {show(repr(value))[:100]}: expected a whole number")
    return DinoConfig(**fields)


VIDEOMAE_RULES = [
    *_both(r"embeddings\.patch_embeddings\.projection", "patches", "conv3d"),
    *_norm(rf"{_LAYER}\.layernorm_before", "blocks/{0}/norm1"),
    *_norm(rf"{_LAYER}\.layernorm_after", "blocks/{0}/norm2"),
    Rule(rf"{_LAYER}\.attention\.attention\.(query|key|value)\.weight", "blocks/{0}/{1}/kernel", "linear"),
    Rule(rf"{_LAYER}\.attention\.attention\.(query|value)\.bias", "blocks/{0}/{1}/bias"),
    *_both(rf"{_LAYER}\.attention\.output\.dense", "blocks/{0}/dense", "linear"),
    *_both(rf"{_LAYER}\.intermediate\.dense", "blocks/{0}/fc1", "linear"),
    *_both(rf"{_LAYER}\.output\.dense", "blocks/{0}/fc2", "linear"),
    *_norm(r"layernorm", "norm_out"),  # of a pretrained model; the next is that of a fine-tuned one
    *_norm(r"fc_norm", "norm_out"),
]
VIDEOMAE_IGNORED = [r"decoder\..*", r"encoder_to_decoder\.weight", r"mask_token", r"classifier\..*"]
_VIDEOMAE_FIELDS = {
    "image_size": "image",
    "patch_size": "patch",
    "num_frames": "frames",
    "tubelet_size": "tubelet",
    "hidden_size": "width",
    "intermediate_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
}


def videomae_description(values: dict[str, Any]) -> VideoMaeConfig:
    """``config.json`` of ``MCG-NJU/videomae-*`` -> our description; what it leaves out is as transformers has it.

    Raises:
      UserError: a model without biases of queries and values, with another activation, or a value of another type.
    """
    for name, expected in (("qkv_bias", True), ("qv_bias", True), ("hidden_act", "gelu"), ("num_channels", 3)):
        if values.get(name, expected) != expected:
            raise UserError(f"VideoMAE config {name} = {show(repr(values[name]))[:100]}: expected {expected!r}")
    fields = {ours: values[theirs] for theirs, ours in _VIDEOMAE_FIELDS.items() if theirs in values}
    for name, value in fields.items():
        if type(value) is not int:
            raise UserError(f"VideoMAE config {name} = {show(repr(value))[:100]}: expected a whole number")
    epsilon, pooled = values.get("layer_norm_eps", VideoMaeConfig.epsilon), values.get("use_mean_pooling", True)
    if type(epsilon) is not float or type(pooled) is not bool:
        raise UserError("VideoMAE config layer_norm_eps, use_mean_pooling: expected a number, and true or false")
    # the norm of a mean is not one that the config of transformers speaks of
    last = values.get("fc_norm_eps", VideoMaeConfig.epsilon_out) if pooled else epsilon
    return VideoMaeConfig(**fields, epsilon=epsilon, epsilon_out=last, pooled=pooled)


def videomae_name(key: str) -> str:
    """Name in a published file (``videomae.encoder.layer.0.attention.attention.q_bias``) -> transformers' of today."""
    key = re.sub(r"\.(q|v)_bias$", lambda found: {"q": ".query.bias", "v": ".value.bias"}[found[1]], key)
    return key.removeprefix("videomae.")


def _same_name(key: str) -> str:
    return key


def _same_layout(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return dict(tensors), dict(values)


@dataclasses.dataclass(frozen=True)
class MetricKind:
    """A network on the command line.

    Attributes:
      rules, ignored: its table.
      describe: values of ``config.json`` (empty where the source has none) -> description.
      rename: names in the file -> names in the table.
      beside: files to copy into the folder.
      adapt: tensors and values of a source of another layout -> those that the table is about.
    """

    rules: list[Rule]
    ignored: list[str]
    describe: Callable[[dict[str, Any]], MetricConfig]
    rename: Callable[[str], str] = _same_name
    beside: tuple[str, ...] = ()
    adapt: Callable[[Mapping[str, Tensor], Mapping[str, Any]], tuple[dict[str, Tensor], dict[str, Any]]] = _same_layout


def _lpips_kind(net: str) -> MetricKind:
    # the backbone's layers are those of its net: the rules of the others match nothing
    return MetricKind(LPIPS_RULES, LPIPS_IGNORED, lambda values: LpipsConfig(net), lpips_name)


METRICS: dict[str, MetricKind] = {
    **{f"lpips_{net}": _lpips_kind(net) for net in BACKBONES},
    "clip": MetricKind(CLIP_RULES, CLIP_IGNORED, clip_description, beside=CLIP_TOKENIZER),
    "i3d": MetricKind(I3D_RULES, I3D_IGNORED, lambda values: I3DConfig()),
    "raft": MetricKind(RAFT_RULES, RAFT_IGNORED, lambda values: RaftConfig()),
    "dinov2": MetricKind(DINO_RULES, DINO_IGNORED, dino_description),
    "videomae": MetricKind(VIDEOMAE_RULES, VIDEOMAE_IGNORED, videomae_description, videomae_name, adapt=as_videomae),
}
"""Networks of scores by their names on the command line."""


def read_metric(source: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of all weights files of a source, and the values of its ``config.json`` (empty without one).

    Raises:
      UserError: no weights, unreadable files, or two files with tensors of one name.
    """
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    else:
        files = [source]
    if not files:
        raise UserError(f"no weights in {show(source)}: expected files that end with {', '.join(WEIGHT_SUFFIXES)}")
    tensors: dict[str, Tensor] = {}
    for path in files:
        found = read_tensors(path)
        double = sorted(set(found) & set(tensors))
        if double:
            raise UserError(f"{show(path)} has {double[0]} a second time: leave one copy of the weights in the folder")
        tensors |= found
    config = (source if source.is_dir() else source.parent) / "config.json"
    return tensors, read_json(config, "the JSON file of the original checkpoint") if config.is_file() else {}
