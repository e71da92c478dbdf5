"""Measure Keras on TensorFlow for compare.py, in its own environment (make .venv-keras/installed).

Answers each JSON line on standard input with one on standard output. The first line has the
settings of a run, from which the network is built as in the studies; each further one measures an
epoch of random texts, with or without XLA, in a policy of Keras: float32 or mixed_bfloat16.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["ABSL_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CELLS = {
    "SimpleRNN": layers.SimpleRNN,
    "LSTM": layers.LSTM,
    "GRU": layers.GRU,
    "lstm": layers.LSTM,
    "gru": layers.GRU,
}


def network(settings: dict, vocabulary: int, words: int, classes: int) -> keras.Model:
    """Build a model: ids [B, T] → a probability [B, 1] for two classes, [B, C] for more."""
    model, embedding = settings["model"], settings["embedding"]
    ids = layers.Input((words,), dtype="int32")
    trained = not embedding.get("freeze", False)
    vectors = layers.Embedding(vocabulary, embedding["dim"], trainable=trained)(ids)
    kind = model["_target_"].rpartition(".")[2]
    if model.get("pooling") == "attention_per_feature":
        features = attention(model, vectors)
    elif kind in ("SimpleRNN", "LSTM", "GRU"):
        features = recurrent(CELLS[kind], model, vectors)
    else:
        features = {"DualRNN": dual_rnn, "CNN": cnn}[kind](model, vectors)
    features = head(model, features)
    if classes == 2:
        output = layers.Dense(1, activation="sigmoid", dtype="float32")(features)
    else:
        output = layers.Dense(classes, activation="softmax", dtype="float32")(features)
    return keras.Model(ids, output)


def recurrent(cell: type, model: dict, states):
    """Build stacked recurrent layers, with the last state or the maximum over time."""
    states = layers.Dropout(model["embedding_dropout"])(states)
    widths = model["units"]
    widths = widths if isinstance(widths, list) else [widths] * model["layers"]
    for n, units in enumerate(widths):
        last = n == len(widths) - 1
        layer = cell(
            units,
            activation=model["activation"],
            dropout=of_layer(model["variational_dropout"], n),
            recurrent_dropout=of_layer(model["recurrent_dropout"], n),
            return_sequences=not last or model["pooling"] == "max",
        )
        states = (layers.Bidirectional(layer) if model["bidirectional"] else layer)(states)
        if model["batch_norm"]:
            states = layers.BatchNormalization()(states)
        if not last:
            states = layers.Dropout(of_layer(model["inter_layer_dropout"], n))(states)
    return layers.GlobalMaxPooling1D()(states) if model["pooling"] == "max" else states


def dual_rnn(model: dict, vectors):
    """Build the dual RNN of study 1."""
    options = {name: model[name] for name in ("units", "recurrent_dropout")}
    options["dropout"] = model["variational_dropout"]
    first, second = (CELLS[model["cell"]](**options)(vectors) for _ in range(2))
    return layers.Concatenate()([layers.Dense(1, activation="sigmoid")(first), second])


def cnn(model: dict, states):
    """Build the CNN of study 2."""
    for filters, width in zip(model["filters"], model["kernel_sizes"], strict=True):
        states = layers.Conv1D(filters, width, padding="same", activation="relu")(states)
        states = layers.BatchNormalization()(states)
        states = layers.MaxPooling1D(model["pool_size"])(states)
    return layers.GlobalMaxPooling1D()(states)


def attention(model: dict, vectors):
    """Build the attention of study 2: a weight for each feature of each word."""
    states = layers.Bidirectional(layers.LSTM(model["units"], return_sequences=True))(vectors)
    scores = layers.Dense(states.shape[-1], activation="tanh")(states)
    weights = layers.Softmax(axis=1)(scores)
    return keras.ops.sum(weights * states, axis=1)


def head(model: dict, features):
    """Build the dense layers before the output layer."""
    features = layers.Dropout(model["head_dropout"])(features)
    widths = model["head_units"] or []
    for n, width in enumerate(widths if isinstance(widths, list) else [widths]):
        activation, l2 = of_layer(model["head_activation"], n), of_layer(model["head_l2"], n)
        penalty = keras.regularizers.L2(l2) if l2 else None
        features = layers.Dense(width, activation=activation, kernel_regularizer=penalty)(features)
        if of_layer(model["head_batch_norm"], n):
            features = layers.BatchNormalization()(features)
        features = layers.Dropout(of_layer(model["head_units_dropout"], n))(features)
    return features


def of_layer(option, number: int):
    return option[number] if isinstance(option, list) else option


def compiled(settings: dict, model: keras.Model, xla: bool) -> keras.Model:
    optimizer, clipping = settings["optimizer"], settings["trainer"]["gradient_clip_val"]
    model.compile(
        keras.optimizers.Adam(optimizer["lr"], epsilon=optimizer["eps"], clipnorm=clipping),
        "binary_crossentropy" if model.output_shape[1] == 1 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=xla,
    )
    return model


class Clock(keras.callbacks.Callback):
    """Measure the seconds of the last epoch's training batches."""

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._began


class Peer:
    """A network in each policy, compiled with and without XLA, and random texts."""

    def __init__(self, settings, vocabulary, words, classes, batch, steps, policies=("float32",)):
        rng = np.random.default_rng(0)
        self.ids = rng.integers(2, vocabulary, size=(batch * steps, words), dtype=np.int32)
        self.labels = rng.integers(classes, size=batch * steps)
        self.batch = batch
        shape = vocabulary, words, classes
        self.models = {}
        for policy in policies:
            keras.mixed_precision.set_global_policy(policy)
            for xla in (False, True):
                self.models[policy, xla] = compiled(settings, network(settings, *shape), xla)

    def parameters(self) -> int:
        """Return the number of trainable parameters."""
        model = next(iter(self.models.values()))
        return sum(int(np.prod(w.shape)) for w in model.trainable_weights)

    def seconds(self, xla: bool, policy: str = "float32") -> float:
        """Return the seconds of one epoch."""
        clock = Clock()
        options = {"batch_size": self.batch, "verbose": 0, "callbacks": [clock]}
        self.models[policy, xla].fit(self.ids, self.labels, **options)
        return clock.seconds


def share_cores() -> None:
    """Set the number of threads."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def main() -> None:
    share_cores()
    peer = None
    print(json.dumps({"keras": keras.__version__, "tensorflow": tf.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "network" in asked:
            peer = Peer(**asked["network"])
            answer = {"parameters": peer.parameters()}
        else:
            answer = {"seconds": peer.seconds(**asked)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
