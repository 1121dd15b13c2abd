"""Two small networks that know drawn figures: where heads and things are, and which way one looks.

They are trained on the simulator's pictures only (`gaze-robot train figures`), for people who are
drawn; what they make of photographs has no value.

B pictures   h, w cells of 8 pixels
"""


import torch
from torch import nn

STRIDE = 8
WIDTH = 320
"""Pictures are brought to this width before `SceneNet` reads them."""

CROP = 40
"""Side of the square around a head that `FaceNet` reads, pixels."""

MARGIN = 1.3
"""That square's side over the height of the head."""

_KAPPA = (0.5, 400.0)
"""Concentration of a direction, of next to nothing and of 3 degrees."""


class _Layer(nn.Sequential):
    """3 x 3 convolution, batch norm, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False),
                         nn.BatchNorm2d(after), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.layer = _Layer(width, width, dilation=dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.layer(x)
        return out


class SceneNet(nn.Module):
    """A picture in, for each of its cells heads and things (Zhou et al. 2019, objects as points).

    Channels out: head, its x and y from the cell's middle and log width and height; thing, the
    same with one size. In cells; the first of each are logits.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Layer(3, width // 3, 2), _Layer(width // 3, width * 2 // 3, 2),
            _Layer(width * 2 // 3, width, 2), _Residual(width, 1), _Residual(width, 2),
            _Residual(width, 4), nn.Conv2d(width, 9, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, 3, 8 h, 8 w) float, of `normal`, to (B, 9, h, w)."""
        out: torch.Tensor = self.layers(pictures)
        return out


class FaceNet(nn.Module):
    """The square around a head in, where its owner looks out, eyes included."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Layer(3, 16), _Layer(16, 24, 2), _Layer(24, 32), _Layer(32, 48, 2), _Layer(48, 64, 2),
            nn.Flatten(), nn.Linear(64 * 25, 48), nn.ReLU(), nn.Linear(48, 4))

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Judge.

        Args:
            crops: (B, 3, CROP, CROP) float, of `normal`.

        Returns:
            (B, 3) unit vectors right, down and away from the camera, as seen along the line to
            the head; and (B,) concentrations of von Mises-Fisher distributions around them.
        """
        out = self.layers(crops)
        kappa = _KAPPA[0] + nn.functional.softplus(out[:, 3])
        return nn.functional.normalize(out[:, :3], dim=1), kappa.clamp_max(_KAPPA[1])


class FigureNet(nn.Module):
    """Both, as they are kept in one file."""

    def __init__(self) -> None:
        super().__init__()
        self.scene, self.face = SceneNet(), FaceNet()


def normal(pictures: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float of mean 0 and spread 1 each: light is no news."""
    x = pictures.permute(0, 3, 1, 2).float()
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) / (x.std(dim=(1, 2, 3), keepdim=True) + 4.0)
