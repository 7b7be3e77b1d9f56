"""The model as PyTorch trains it: a Qwen2 transformer with float32 weights and bfloat16 matrix products."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Shape:
    """The dimensions of the model. Row lengths are multiples of 32, so every matrix can be stored as Q8_0."""

    n_vocab = 1024
    n_embd = 192
    n_layers = 5
    n_heads = 6
    n_kv_heads = 2
    n_ff = 512
    head_dim = n_embd // n_heads
    rope_base = 10000.0
    rms_eps = 1e-6
    context_length = 1024


class Linear(nn.Module):
    def __init__(self, n_in, n_out, bias, std):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) * std)
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight.bfloat16(), None if self.bias is None else self.bias.bfloat16())


class RmsNorm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + Shape.rms_eps) * self.weight).bfloat16()


def _rotate(x, cos, sin):
    """Rotary embedding in the NEOX layout: dimension i pairs with i + head_dim / 2."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        std = Shape.n_embd**-0.5
        residual_std = std / math.sqrt(2 * Shape.n_layers)
        self.attn_norm, self.ffn_norm = RmsNorm(Shape.n_embd), RmsNorm(Shape.n_embd)
        self.qkv = Linear(Shape.n_embd, (Shape.n_heads + 2 * Shape.n_kv_heads) * Shape.head_dim, True, std)
        self.out = Linear(Shape.n_embd, Shape.n_embd, False, residual_std)
        self.gate_up = Linear(Shape.n_embd, 2 * Shape.n_ff, False, std)
        self.down = Linear(Shape.n_ff, Shape.n_embd, False, residual_std * math.sqrt(Shape.n_embd / Shape.n_ff))

    def attention(self, x, rope, mask):
        n_rows, n_tokens, _ = x.shape
        group = Shape.n_heads // Shape.n_kv_heads
        qkv = self.qkv(x).view(n_rows, n_tokens, -1, Shape.head_dim).transpose(1, 2)
        n_rotated = Shape.n_heads + Shape.n_kv_heads
        rotated = _rotate(qkv[:, :n_rotated], *rope)
        # Head h reads KV head h / group: the queries of a group are stacked, so that K and V need no copies.
        q = rotated[:, : Shape.n_heads].reshape(n_rows, Shape.n_kv_heads, group * n_tokens, Shape.head_dim)
        k, v = rotated[:, Shape.n_heads :], qkv[:, n_rotated:]
        scores = torch.matmul(q * Shape.head_dim**-0.5, k.transpose(2, 3))
        scores = scores.view(n_rows, Shape.n_kv_heads, group, n_tokens, n_tokens) + mask
        probabilities = scores.softmax(-1).view(n_rows, Shape.n_kv_heads, group * n_tokens, n_tokens)
        mixed = torch.matmul(probabilities, v).view(n_rows, Shape.n_heads, n_tokens, Shape.head_dim)
        return self.out(mixed.transpose(1, 2).reshape(n_rows, n_tokens, Shape.n_embd))

    def forward(self, x, rope, mask):
        x = x + self.attention(self.attn_norm(x), rope, mask)
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(Shape.n_vocab, Shape.n_embd) * 0.04)
        self.layers = nn.ModuleList(Layer() for _ in range(Shape.n_layers))
        self.norm = RmsNorm(Shape.n_embd)

    def forward(self, ids, documents):
        """`ids` and `documents` are [n_rows, n_tokens]; a token sees earlier tokens of its own document only.

        Positions run through the row: rotary attention depends on distances alone, and those are right within a
        document.
        Returns logits [n_rows, n_tokens, n_vocab] in float32.
        """
        n_tokens = ids.shape[1]
        angles = torch.arange(n_tokens)[:, None] * Shape.rope_base ** (
            -torch.arange(0, Shape.head_dim, 2) / Shape.head_dim
        )
        rope = angles.cos().bfloat16(), angles.sin().bfloat16()
        visible = (documents[:, :, None] == documents[:, None, :]) & torch.ones(
            n_tokens, n_tokens, dtype=torch.bool
        ).tril()
        mask = torch.zeros(visible.shape, dtype=torch.bfloat16).masked_fill(~visible, -1e9)[:, None, None]
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, rope, mask)
        return F.linear(self.norm(x), self.embedding.bfloat16()).float()

    def gguf_tensors(self):
        """Returns name to float32 numpy array, as the qwen2 architecture names its tensors."""
        return {name: tensor.detach().numpy() for name, tensor in self._named_views().items()}

    def load_gguf_tensors(self, tensors):
        """Takes the weights from name to numpy array."""
        with torch.no_grad():
            for name, view in self._named_views().items():
                view.copy_(torch.from_numpy(tensors[name].copy()))

    def _named_views(self):
        tensors = {"token_embd.weight": self.embedding, "output_norm.weight": self.norm.weight}
        n_q, n_kv = Shape.n_heads * Shape.head_dim, Shape.n_kv_heads * Shape.head_dim
        for index, layer in enumerate(self.layers):
            prefix = f"blk.{index}."
            tensors[prefix + "attn_norm.weight"] = layer.attn_norm.weight
            for name, start, size in (("q", 0, n_q), ("k", n_q, n_kv), ("v", n_q + n_kv, n_kv)):
                tensors[f"{prefix}attn_{name}.weight"] = layer.qkv.weight[start : start + size]
                tensors[f"{prefix}attn_{name}.bias"] = layer.qkv.bias[start : start + size]
            tensors[prefix + "attn_output.weight"] = layer.out.weight
            tensors[prefix + "ffn_norm.weight"] = layer.ffn_norm.weight
            tensors[prefix + "ffn_gate.weight"] = layer.gate_up.weight[: Shape.n_ff]
            tensors[prefix + "ffn_up.weight"] = layer.gate_up.weight[Shape.n_ff :]
            tensors[prefix + "ffn_down.weight"] = layer.down.weight
        return tensors
