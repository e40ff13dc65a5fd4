"""Tiny models with random weights, and items; nothing is downloaded.

Names are taken from `transformers` where they are used: only then is it really loaded.
"""

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from skmissing.encoders import AudioEncoder, ImageEncoder, TextEncoder, VideoEncoder

ENCODERS = [TextEncoder, ImageEncoder, AudioEncoder, VideoEncoder]
LOCAL = {"local_files_only": True, "device": "cpu"}
WORDS = "a the cat dog sat ran on mat hill red blue big small and then slept".split()
CHAT = (
    "<start>{% for m in messages %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} then{% endif %}"
)
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def make_tokenizer(max_length, first, last, **special):
    tokens = ["[PAD]", "[UNK]", first, last]
    vocabulary = {word: i for i, word in enumerate([*tokens, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(t, vocabulary[t]) for t in (first, last)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def make_bert(folder, seed=0):
    """Save a BERT of width 16, for up to 24 tokens."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 4,
        max_position_embeddings=24,
        initializer_range=0.5,
        **SIZES,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer = make_tokenizer(
        24, "[CLS]", "[SEP]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)


def make_llama(folder):
    """Save a decoder-only language model of width 16, whose tokenizer pads left."""
    torch.manual_seed(4)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS) + 4,
        max_position_embeddings=24,
        initializer_range=0.5,
        **SIZES,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = make_tokenizer(24, "<start>", "<end>", padding_side="left")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("$A")
    tokenizer.save_pretrained(folder)


def make_llava(folder):
    """Save a language model of width 16 that reads images of 16 x 16 pixels."""
    torch.manual_seed(5)
    text = transformers.LlamaConfig(
        vocab_size=len(WORDS) + 5,
        max_position_embeddings=30,
        initializer_range=0.5,
        **SIZES,
    )
    vision = transformers.CLIPVisionConfig(image_size=16, patch_size=8, **SIZES)
    config = transformers.LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=len(WORDS) + 4,
        vision_feature_layer=-1,
    )
    model = transformers.LlavaForConditionalGeneration(config)
    model.model.multi_modal_projector.apply(make_wide)
    model.save_pretrained(folder)
    tokenizer = make_tokenizer(
        30, "<start>", "<end>", padding_side="left", bos_token="<start>"
    )
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    transformers.LlavaProcessor(
        make_image_processor(),
        tokenizer,
        patch_size=8,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=CHAT,
    ).save_pretrained(folder)


def make_wide(layer):
    """Draw weights of an order of magnitude at which images matter."""
    if isinstance(layer, torch.nn.Linear):
        torch.nn.init.normal_(layer.weight, std=0.5)


def make_clip(folder):
    """Save a CLIP of width 12, for up to 20 tokens and images of 16 x 16 pixels."""
    torch.manual_seed(1)
    text = {
        **SIZES,
        "vocab_size": len(WORDS) + 4,
        "max_position_embeddings": 20,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
    }
    vision = {**SIZES, "image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(
        text_config=text,
        vision_config=vision,
        projection_dim=12,
        initializer_factor=8.0,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    make_tokenizer(
        20, "<start>", "<end>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)
    make_image_processor().save_pretrained(folder)


def make_image_processor():
    return transformers.CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )


def make_resnet(folder):
    """Save a convolutional network, whose output is a map instead of tokens."""
    torch.manual_seed(2)
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(folder)
    make_image_processor().save_pretrained(folder)


def make_wavlm(folder, norm="layer"):
    """Save a WavLM of width 16 with one frame per 10 samples."""
    torch.manual_seed(3)
    config = transformers.WavLMConfig(
        conv_dim=(8, 8),
        conv_kernel=(10, 3),
        conv_stride=(5, 2),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        initializer_range=0.3,
        **SIZES,
    )
    transformers.WavLMModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(
        do_normalize=norm == "layer", return_attention_mask=norm == "layer"
    ).save_pretrained(folder)


MAKERS = {
    "llava": make_llava,
    "bert": make_bert,
    "clip": make_clip,
    "llama": make_llama,
    "resnet": make_resnet,
    "wavlm": make_wavlm,
    "wavlm-group": lambda folder: make_wavlm(folder, norm="group"),
}


def make_texts(n, seed=0, longest=15):
    rng = np.random.RandomState(seed)
    return [" ".join(rng.choice(WORDS, rng.randint(1, longest))) for _ in range(n)]


def make_images(n, seed=0):
    rng = np.random.RandomState(seed)
    return [
        rng.randint(0, 256, (*rng.randint(17, 40, size=2), 3)).astype(np.uint8)
        for _ in range(n)
    ]


def make_sounds(n, seed=0):
    rng = np.random.RandomState(seed)
    return [(rng.standard_normal(rng.randint(100, 500)), 16000) for _ in range(n)]
