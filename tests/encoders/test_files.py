"""The files of an encoder are found; what they or a checkpoint describe is checked."""

import json
import shutil
import zipfile

import pytest

from seqtext.encoders import files as encoder_files
from seqtext.encoders.architecture import check_description, describe_encoder
from seqtext.encoders.files import DEFAULT_ENCODER, locate_encoder
from seqtext.errors import UserError
from tests.models.tiny_encoder import write_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("models") / "tiny", [f"w{n}" for n in range(6)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "gpt2"}, "model_type is gpt2"),
        ({"num_hidden_layers": 10**6}, "more than its tensors"),
        ({"hidden_size": 10**9}, "hidden_size is not possible"),
        ({"_attn_implementation": "owner/code"}, "may not have '_attn_implementation'"),
        ({"attn_implementation": "owner/code"}, "may not have 'attn_implementation'"),
        ({"auto_map": {"AutoModel": "own.Code"}}, "may not have 'auto_map'"),
        ({"hidden_act": "a b;"}, "hidden_act is not possible"),
        ({"pad_token_id": 1 << 24}, "pad_token_id=16777216 is not in its vocabulary"),
        ({"pad_token_id": -3}, "pad_token_id=-3 is not in its vocabulary"),
        ({"pad_token_id": "0"}, "pad_token_id=0 is not in its vocabulary"),
        ({"layer_norm_eps": -5}, "layer_norm_eps is not possible"),
        ({"layer_norm_eps": 3}, "layer_norm_eps is not possible"),
        ({"norm_eps": float("nan")}, "norm_eps is not possible"),
        ({"layer_norm_epsilon": "1e-5"}, "layer_norm_epsilon is not possible"),
        ({"rope_parameters": {"full": {"rope_theta": -1}}}, "rope_parameters is not possible"),
        ({"hidden_act": [["gelu"]]}, "hidden_act is not possible"),
    ],
)
def test_untrusted_descriptions_are_checked(folder, change, reason):
    description = describe_encoder(locate_encoder(str(folder)))
    check_description(description, tensors=50)
    with pytest.raises(UserError, match=reason):
        check_description(description | {"config": description["config"] | change}, tensors=50)


@pytest.mark.parametrize(
    "change", [{"first": [99]}, {"last": list(range(9))}, {"digest": 1}, {"more": 1}, {"first": 0}]
)
def test_damaged_descriptions_are_refused(folder, change):
    description = describe_encoder(locate_encoder(str(folder)))
    with pytest.raises(UserError):
        check_description(description | change)


def test_files_are_found_in_packages(folder, tmp_path, monkeypatch):
    package = tmp_path / "an_encoder"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    with zipfile.ZipFile(package / "model.zip", "w") as archive:
        for file in encoder_files.FILES:
            archive.write(folder / file, file)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert locate_encoder("an_encoder").digest == locate_encoder(str(folder)).digest
    monkeypatch.setitem(
        encoder_files.KNOWN_DIGESTS, "an_encoder", encoder_files.KNOWN_DIGESTS[DEFAULT_ENCODER]
    )
    with pytest.raises(UserError, match=r"model.safetensors in .* is not the published one"):
        locate_encoder("an_encoder").read(encoder_files.WEIGHTS)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_package", "is not installed"),
        ("json", "has no config.json"),
        ("owner/encoder", "model.download=true fetches it"),
        ("a/b/c", "no such folder"),
        ("~nosuch/x", "no such folder"),
        ("a/" * 5000, "no such folder"),
        ("a" * 5000, "is not installed"),
        ("a\0b", "no such folder"),
        ("__main__", "is not installed"),
    ],
)
def test_encoders_that_are_not_there(path, reason):
    with pytest.raises(UserError, match=reason) as caught:
        locate_encoder(path)
    assert len(str(caught.value)) < 500


def test_special_tokens_must_be_in_the_vocabulary(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [99]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"lacks its special token \[SEP\]"):
        describe_encoder(locate_encoder(str(tmp_path)))
