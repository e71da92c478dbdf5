"""Diagonal state space layer: a linear recurrence of complex states, as one long convolution."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.pooling import padding_mask

MIN_STEP, MAX_STEP = 0.001, 0.1  # Δ at the start, log-uniform


class DiagonalStateSpace(nn.Module):
    """S4D (Gu et al., 2022, "On the Parameterization and Initialization of Diagonal SSMs").

    Each feature u is the input of N / 2 complex states: s_t = exp(Δ A) s_(t-1) + B u_t, with
    B = (exp(Δ A) - 1) / A (zero-order hold), and y_t = 2 Re(C s_t). So y is the convolution of u
    with K_t = 2 Re(C B exp(Δ A t)), which the Fourier transform computes for all steps at once.
    The backward direction has its own C; the outputs of both are added.

    Args:
        features: D
        state_size: N, number of real states per feature, even
        bidirectional: whether to add the outputs of a backward pass
    """

    def __init__(self, features: int, state_size: int = 64, bidirectional: bool = True):
        super().__init__()
        half = state_size // 2
        low, high = math.log(MIN_STEP), math.log(MAX_STEP)
        self.log_step = nn.Parameter(torch.empty(features).uniform_(low, high))
        self.log_decay = nn.Parameter(torch.full((features, half), math.log(0.5)))  # S4D-Lin
        self.frequency = nn.Parameter(math.pi * torch.arange(half).float().repeat(features, 1))
        directions = 1 + bidirectional
        self.output = nn.Parameter(torch.randn(directions, features, half, 2) * 0.5**0.5)  # C

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]; values after a text's end are undefined."""
        steps = states.shape[1]
        states = states.masked_fill(padding_mask(lengths, steps)[..., None], 0)
        if torch.compiler.is_exporting():
            return self._scan(states)
        dtype = torch.promote_types(states.dtype, torch.float32)  # no Fourier transform of bfloat16
        with torch.autocast(states.device.type, enabled=False):
            size = _find_fast_size(2 * steps)
            kernel = torch.fft.rfft(self._wrap_kernel(steps, size), size)  # [D, frequencies]
            inputs = states.to(dtype).transpose(1, 2).contiguous()
            outputs = torch.fft.irfft(torch.fft.rfft(inputs, size) * kernel, size)
            return outputs[..., :steps].transpose(1, 2).to(states.dtype)

    def compute_kernel(self, steps: int) -> Tensor:
        """Compute K of each direction and feature, [directions, D, T]."""
        rates, factors = self._discretize()
        powers = (
            rates[..., None] * torch.arange(steps, device=rates.device)
        ).exp()  # [D, states, T]
        return 2 * torch.einsum("kdn,dnt->kdt", factors, powers).real

    def _discretize(self) -> tuple[Tensor, Tensor]:
        """Return Δ A [D, states] and C B [directions, D, states]."""
        step = self.log_step.exp()[:, None]
        continuous = torch.complex(-self.log_decay.exp(), self.frequency)
        rates = continuous * step
        output = torch.view_as_complex(self.output)
        return rates, output * (rates.exp() - 1) / continuous

    def _wrap_kernel(self, steps: int, size: int) -> Tensor:
        """Place the kernel of a circular convolution: [D, size], the backward one's at the end."""
        kernels = self.compute_kernel(steps)
        wrapped = F.pad(kernels[0], (0, size - steps))
        if len(kernels) == 1:
            return wrapped
        backward = kernels[1].flip(1)  # its distances are T - 1, …, 1, 0
        return wrapped + F.pad(backward, (size - steps, 0)).roll(1, 1)

    def _scan(self, inputs: Tensor) -> Tensor:
        """Build the recurrence in real numbers, for ONNX; [B, T, D] → [B, T, D]."""
        from torch._higher_order_ops.scan import scan  # not public yet

        step, decay = self.log_step.exp()[:, None], self.log_decay.exp()
        size = (-decay * step).exp()
        real, imaginary = size * (self.frequency * step).cos(), size * (self.frequency * step).sin()
        # B = (exp(Δ A) - 1) / A, by the conjugate of A
        norm = decay.square() + self.frequency.square()
        b_real = (-(real - 1) * decay + imaginary * self.frequency) / norm
        b_imaginary = (-imaginary * decay - (real - 1) * self.frequency) / norm

        def advance(state: tuple[Tensor, Tensor], inputs: Tensor) -> tuple:
            re, im, u = *state, inputs[..., None]  # [B, D, states], [B, D, 1]
            re, im = (
                real * re - imaginary * im + b_real * u,
                real * im + imaginary * re + b_imaginary * u,
            )
            both = [(c[..., 0] * re - c[..., 1] * im).sum(2) for c in self.output.unbind(0)]
            return (re, im), torch.stack(both)

        start = inputs.new_zeros(inputs.shape[0], *decay.shape)
        rows = inputs.transpose(0, 1)
        outputs = scan(advance, (start, start.clone()), rows)[1][:, 0]
        if len(self.output) == 2:
            outputs = outputs + scan(advance, (start, start.clone()), rows, reverse=True)[1][:, 1]
        return 2 * outputs.transpose(0, 1)


class StateSpaceLayer(nn.Module):
    """Applies layer norm, S4D plus a multiple of its input, GELU and a gated linear unit; residual.

    Args:
        units: D, number of features
        state_size: N
        bidirectional: see `DiagonalStateSpace`
        dropout: dropout rate before and after the gated linear unit
        init: weight initialization of the linear unit
    """

    def __init__(
        self, units: int, state_size: int, bidirectional: bool, dropout: float, init: Init = "keras"
    ):
        super().__init__()
        self.norm = nn.LayerNorm(units)
        self.recurrence = DiagonalStateSpace(units, state_size, bidirectional)
        self.skip = nn.Parameter(torch.randn(units))
        self.output = init_linear_(nn.Linear(units, 2 * units), init)
        self.dropout = dropout

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]"""
        inputs = self.norm(states)
        hidden = F.gelu(self.recurrence(inputs, lengths) + self.skip * inputs)
        hidden = F.dropout(hidden, self.dropout, self.training)
        return states + F.dropout(F.glu(self.output(hidden)), self.dropout, self.training)


def _find_fast_size(least: int) -> int:
    """Return the smallest size 2^i 3^j 5^k of at least `least`: fast for Fourier transforms."""
    size = least
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1
