"""The other data sets, with generated rows in the formats of their sources."""

import bz2
import dataclasses
import hashlib
import socket
import zipfile

import pytest

from seqtext.config.fingerprints import digest_input_files
from seqtext.datasets import imdb
from seqtext.datasets.amazon import Amazon
from seqtext.datasets.clothing import Clothing
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.spam import Spam
from seqtext.datasets.tweets import Tweets
from seqtext.errors import UserError
from tests.conftest import settings_of

STARS = [1, 2, 3, 4, 5, 5, 5]
COLUMNS = ",Clothing ID,Age,Title,Review Text,Rating,Recommended IND,Positive Feedback Count"
MAILS = "text,spam\n" + "".join(
    f'"Subject: mail {n}  say ""hi""\nline two",{n % 2}\n' for n in range(60)
)
TWEETS = "id,label,tweet\n" + "".join(f"{n},{n % 2},@user ð tweet {n}\n" for n in range(60))
CLOTHES = f"{COLUMNS},Division Name\n" + "".join(
    f'{n},7,33,"so, so","{"" if n % 10 == 9 else f"A dress, no. {n}"}",{STARS[n % 7]},1,0,General\n'
    for n in range(140)
)
REVIEWS = "".join(
    f'__label__{1 + n % 2} Title "{n}": text, with: colons __label__2\n' for n in range(60)
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def loaded(kind, folder, **options):
    data = kind(dir=str(folder), cache=str(folder.parent / "cache"), **options)
    data.setup()
    return data


def write(folder, name: str, content: str) -> None:
    """Write a file, zipped with the extra entry of macOS, or compressed, according to its name."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(name.removesuffix(".zip"), content)
            archive.writestr(f"__MACOSX/._{name.removesuffix('.zip')}", b"\0")
    elif name.endswith(".bz2"):
        (folder / name).write_bytes(bz2.compress(content.encode()))
    else:
        (folder / name).write_text(content)


@pytest.mark.parametrize("name", ["emails.csv", "emails.csv.zip"])
def test_spam(folder, name):
    write(folder, name, MAILS)
    data = loaded(Spam, folder)
    assert data.texts[3].as_py() == 'Subject: mail 3  say "hi"\nline two'
    assert data.labels.tolist() == [n % 2 for n in range(60)]


def test_tweets(folder):
    write(folder, "train.csv", TWEETS)
    data = loaded(Tweets, folder)
    assert data.texts[3].as_py() == "@user ð tweet 3"
    assert data.labels.tolist() == [n % 2 for n in range(60)]


@pytest.mark.parametrize("suffix", ["", ".zip"])
def test_clothing_without_the_rows_that_have_no_text(folder, suffix, caplog):
    caplog.set_level("INFO")
    write(folder, f"Womens Clothing E-Commerce Reviews.csv{suffix}", CLOTHES)
    data = loaded(Clothing, folder)
    assert data.labels.tolist() == [STARS[n % 7] - 1 for n in range(140) if n % 10 != 9]
    assert "14 rows without a review are left out" in caplog.text
    assert {"dress", "12"} < set(data.vocabulary.tokens)
    assert "a" not in data.vocabulary.tokens


@pytest.mark.parametrize("suffix", ["", ".bz2"])
def test_amazon(folder, suffix):
    write(folder, f"train.ft.txt{suffix}", REVIEWS)
    write(folder, f"test.ft.txt{suffix}", REVIEWS.replace("Title", "Other"))
    data = loaded(Amazon, folder)
    assert data.texts[3].as_py() == 'Title "3": text, with: colons __label__2'
    assert data.labels.tolist() == [n % 2 for n in range(60)] * 2
    assert data.dataset.rows.official.tolist() == [0] * 60 + [2] * 60


def test_amazon_with_a_line_without_label(folder):
    write(folder, "train.ft.txt", REVIEWS + "no label here\n")
    write(folder, "test.ft.txt", REVIEWS)
    with pytest.raises(UserError, match=r"train\.ft\.txt, row 61, column 'label': 'no label h'"):
        loaded(Amazon, folder)


def test_amazon_with_a_damaged_file(folder):
    write(folder, "train.ft.txt", REVIEWS)
    (folder / "test.ft.txt.bz2").write_bytes(bz2.compress(REVIEWS.encode())[:-20])
    with pytest.raises(UserError, match=r"test\.ft\.txt\.bz2 is damaged"):
        loaded(Amazon, folder)


def test_spam_is_downloaded(folder, server, monkeypatch):
    served, address = server
    (served / "spamham.csv").write_text(MAILS)
    sha = hashlib.sha256(MAILS.encode()).hexdigest()
    genuine = Spam.download_source
    assert genuine.file == Spam.filenames[0]
    local = dataclasses.replace(
        genuine, url=f"{address}/spamham.csv", checksum=f"sha256:{sha}", size=len(MAILS)
    )
    monkeypatch.setattr(Spam, "download_source", local)
    with pytest.raises(UserError, match=r"or set dataset\.download=true"):
        loaded(Spam, folder)
    assert len(loaded(Spam, folder, download=True).labels) == 60
    assert (folder / "emails.csv").read_text() == MAILS
    (served / "spamham.csv").unlink()
    for download in (True, False):  # it is there now
        assert len(loaded(Spam, folder, download=download).labels) == 60


class Haiku(Tweets):
    """Loads a data set of one's own."""

    homepage = "https://haiku.example"


@pytest.mark.parametrize("kind", [Tweets, Clothing, Amazon, Haiku])
@pytest.mark.parametrize("download", [True, False])
def test_sources_without_download_say_why(folder, kind, download):
    with pytest.raises(UserError, match=f"get the file from {kind.homepage}") as failure:
        loaded(kind, folder, download=download)
    has_account = "kaggle.com" in kind.homepage
    assert ("without an account" in str(failure.value)) == has_account
    is_explained = download and not has_account
    assert ("dataset.download=true is not possible" in str(failure.value)) == is_explained


def test_metrics_of_the_classes_that_are_left(folder):
    """Two classes have other metrics than five, and fixed classes are known before reading."""
    write(folder, "Womens Clothing E-Commerce Reviews.csv", CLOTHES)
    options = ("dataset=clothing", f"dataset.dir={folder}", "dataset.drop_labels=[2,3,4]")
    settings = settings_of(*options, f"paths.cache_dir={folder.parent}", "monitor=val/f1")
    assert digest_input_files(settings, {})["data"]
    for monitor in ("val/recall_1", "val/recall_3"):
        with pytest.raises(UserError, match=f"monitor={monitor} is not possible: did you mean"):
            digest_input_files(settings | {"monitor": monitor}, {})


@pytest.mark.parametrize("kind", [Spam, Tweets, Clothing, Amazon, IMDB])
def test_no_network_without_download(folder, kind, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("touched the network"))
    monkeypatch.setattr(imdb, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="does not hold"):
        loaded(kind, folder)


@pytest.mark.parametrize("kind", [Spam, Tweets, Clothing, Amazon])
def test_missing_file_is_named_with_its_page(folder, kind):
    with pytest.raises(UserError) as failure:
        loaded(kind, folder)
    assert kind.filenames[0] in str(failure.value)
    assert kind.homepage in str(failure.value)
    assert str(folder) in str(failure.value)


def test_wrong_label_is_named(folder):
    write(folder, "emails.csv", MAILS + "hello,2\n")
    with pytest.raises(UserError, match=r"emails\.csv, row 61, column 'spam': '2' is none of"):
        loaded(Spam, folder)


@pytest.mark.slow
def test_five_classes_from_beginning_to_end(train, folder, tmp_path):
    write(folder, "Womens Clothing E-Commerce Reviews.csv", CLOTHES)
    status, output, error = train(
        "dataset=clothing",
        f"dataset.dir={folder}",
        f"paths.cache_dir={tmp_path / 'cache'}",
        "model.units=4",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "monitor=val/recall_5",
        "split.val_size=0.3",
    )
    assert status == 0, error
    assert "recall_1" in output
    assert "weighted_f1" in output
    assert len(list(tmp_path.glob("outputs/*/figures/*.png"))) == 3
