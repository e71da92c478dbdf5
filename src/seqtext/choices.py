"""Names of the choices that layers offer; without torch, for ``train.py --help``."""

POOLINGS = ("first", "last", "max", "mean", "max_mean", "attention", "attention_per_feature")
ACTIVATIONS = (
    *("tanh", "relu", "sigmoid", "hard_sigmoid", "linear", "elu", "selu", "softplus", "softsign"),
    *("gelu", "silu", "leaky_relu", "softmax"),
)
INITIALIZERS = ("keras", "torch", "he_normal")
SAMPLINGS = ("none", "undersample", "oversample", "class_weights", "balanced_batches")
