"""I3D in PyTorch, written from its published facts: the oracle of ours. Names are those of ``i3d_rgb_imagenet.pt``."""

import torch
from torch import nn
from torch.nn import functional

BLOCKS = {
    "Mixed_3b": (192, [64, 96, 128, 16, 32, 32]),
    "Mixed_3c": (256, [128, 128, 192, 32, 96, 64]),
    "Mixed_4b": (480, [192, 96, 208, 16, 48, 64]),
    "Mixed_4c": (512, [160, 112, 224, 24, 64, 64]),
    "Mixed_4d": (512, [128, 128, 256, 24, 64, 64]),
    "Mixed_4e": (512, [112, 144, 288, 32, 64, 64]),
    "Mixed_4f": (528, [256, 160, 320, 32, 128, 128]),
    "Mixed_5b": (832, [256, 160, 320, 32, 128, 128]),
    "Mixed_5c": (832, [384, 192, 384, 48, 128, 128]),
}


def padded(x, kernel, stride):
    """Zeros so that sizes are those of TensorFlow's "same"."""
    pads = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads)


def pooled(x, kernel, stride):
    """Maximum with zeros at the borders."""
    return functional.max_pool3d(padded(x, kernel, stride), kernel, stride)


class Unit3D(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3, momentum=0.01)
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        return functional.relu(self.bn(self.conv3d(padded(x, self.kernel, self.stride))))


class Block(nn.Module):
    """Four branches."""

    def __init__(self, inputs, outputs):
        super().__init__()
        one, three = (1, 1, 1), (3, 3, 3)
        self.b0 = Unit3D(inputs, outputs[0], one)
        self.b1a, self.b1b = Unit3D(inputs, outputs[1], one), Unit3D(outputs[1], outputs[2], three)
        self.b2a, self.b2b = Unit3D(inputs, outputs[3], one), Unit3D(outputs[3], outputs[4], three)
        self.b3b = Unit3D(inputs, outputs[5], one)

    def forward(self, x):
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x))]
        return torch.cat([*branches, self.b3b(pooled(x, (3, 3, 3), (1, 1, 1)))], 1)


class TorchI3D(nn.Module):
    """Up to ``Mixed_5c``, averaged."""

    def __init__(self):
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64, 64, (1, 1, 1))
        self.Conv3d_2c_3x3 = Unit3D(64, 192, (3, 3, 3))
        for name, (inputs, outputs) in BLOCKS.items():
            setattr(self, name, Block(inputs, outputs))
        self.logits = nn.Module()
        self.logits.conv3d = nn.Conv3d(1024, 400, 1)

    def forward(self, x):
        x = pooled(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = pooled(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in BLOCKS:
            if name == "Mixed_4b":
                x = pooled(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = pooled(x, (2, 2, 2), (2, 2, 2))
            x = getattr(self, name)(x)
        return x.mean((2, 3, 4))
