"""What all runs share: the published recipe (paper section 4.1). Not a run by itself, see the files beside it."""

from ml_collections import ConfigDict


def base() -> ConfigDict:
    """The recipe of the context encoder: 80,000 steps at 1e-5, batch 8, 49 frames of 480 x 720."""
    config = ConfigDict()
    config.seed = 42
    config.steps = 80_000
    config.mesh = dict(data=1, fsdp=-1, context=1, tensor=1)
    config.distributed = ""  # several hosts: "auto" (TPU pods, Slurm) or "HOST:PORT,COUNT,INDEX"
    config.compilation_cache = ""  # folder: a restart compiles nothing again
    config.model = _model()
    config.data = _data()
    config.loader = _loader()
    config.augment = _augment()
    config.optimizer = _optimizer()
    # timestep_shift above 1: more high noise; min_snr: weights of examples, 5 as in arXiv 2303.09556, 0 for none
    # draws: noises and timesteps of every example
    config.step = dict(hole_weight=1.0, accumulate=1, draws=1, ema_decay=0.9999, timestep_shift=1.0, min_snr=0.0)
    config.ema = False
    config.log_every = 10
    config.boards = "tensorboard"  # wandb as well, with a comma between, or nothing
    config.checkpoints = dict(every=1000, keep=3)
    config.validation = _validation()
    return config


def _validation() -> dict[str, object]:
    """What is looked at during training, and how often."""
    return dict(
        every=1000,  # samples; 0: no validation at all
        loss_every=0,  # held-out loss at fixed timesteps and noise; 0: with the samples
        steps=50,
        guidance=6.0,
        clips=1,
        frames=49,
        kind="",  # kind, path, csv, split: where not empty, validation reads other data than training
        path="",
        csv="",
        split="",
    )


def _model() -> dict[str, object]:
    """What is trained, from which weights, and how it computes."""
    return dict(
        stage="branch",
        checkpoint="",  # folder made by `python -m convert all`
        name="cogvideox-5b-i2v",  # random weights of this, without a checkpoint
        init_from="",  # folder of a trained branch, adapter, VAE or backbone export to continue from
        tokenizer="",  # sentencepiece file, for the backbone stage
        branch_layers=2,
        hint_dropout=0.0,  # joint stage: share of examples without hints
        injection_tokens="background",  # partial, all: ablations
        rank=256,
        alpha=128.0,
        dtype="bfloat16",
        products="",
        attention="",  # the fastest that is there
        remat="nothing_saveable",
        branch_remat="nothing_saveable",
        vae_slicing=False,
        kl_weight=1e-4,  # VAE stage
        vae_crop=(0, 0),  # VAE stage: rows and columns of random crops, 0 for whole pictures
        vae_error="absolute",  # VAE stage: absolute, with sharp edges, or squared
        distill_steps=4,  # distill stage: steps of the student
        distill_substeps=5,  # of the teacher in each of them
        distill_guidance=6.0,  # of the teacher
    )


def _data() -> dict[str, object]:
    """Where training examples come from."""
    return dict(
        kind="vpdata",
        path="",
        csv="",
        split="train",
        clips="",
        min_caption=50,
        synthetic_clips=64,
        synthetic_first=0,
        synthetic_absent=0.2,
        synthetic_look="lit",
    )


def _loader() -> dict[str, object]:
    """Their size, and how they are read."""
    return dict(
        batch_size=8,
        frames=49,
        fps=8.0,
        height=480,
        width=720,
        resize="stretch",
        show_first_frame=True,
        first_frame_dropout=0.0,  # how often frame 0 keeps its hole, as in sampling without a first frame
        cover_cells=False,  # holes grown to whole latent cells, as the sampler's default mode has them
        empty_caption=0.0,
        image_log_sigma=(-3.0, 0.5),
        image_dropout=0.05,
        workers=4,
        threads=1,
        prefetch=2,
        max_bad_rate=0.05,
        min_seen=100,
    )


def _augment() -> dict[str, object]:
    """Masks that are grown or replaced (section 3.1)."""
    return dict(
        grow=0,  # pixels on each side, before anything else; the sampler grows masks too
        probability=0.3,
        p_brush=0.4,
        p_rect=0.1,
        p_ellipse=0.1,
        p_circle=0.1,
        p_random_brush=0.3,
        p_moving_shape=0.0,
        margin_ratio=0.1,
        scale_min=1.1,
        scale_max=1.5,
        kernel=32,
    )


def _optimizer() -> dict[str, object]:
    """AdamW with warm-up and cosine decay."""
    return dict(
        name="adamw",
        lr=1e-5,
        end_lr=0.0,
        warmup=1000,
        cosine_stretch=1.0,  # 8 repeats the reference on 8 GPUs
        decay=1.0,  # share of the run, its last, in which the rate falls
        b1=0.9,
        b2=0.95,
        eps=1e-8,
        weight_decay=1e-4,
        clip=1.0,
        offload=False,  # optimizer state in the host's memory
    )
