"""The run folder after a process was killed."""

import os

import pytest

from seqtext.run_dir import RunDir, RunDirInUse


def test_the_lock_removes_unfinished_files(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    left = [tmp_path / ".0123456789abcdef.new", tmp_path / "checkpoints" / ".00ff00ff00ff00ff.new"]
    written_now = tmp_path / ".fedcba9876543210.new"
    of_user = tmp_path / ".notes.new"
    for file in (*left, written_now, of_user):
        file.write_text("")
    for file in (*left, of_user):
        os.utime(file, (0, 0))
    run_dir = RunDir(tmp_path)
    run_dir.lock(resume=True)
    assert not any(file.exists() for file in left)
    assert written_now.exists()
    assert of_user.exists()
    run_dir.unlock()


def test_a_locked_folder_keeps_its_files(tmp_path):
    file = tmp_path / ".0123456789abcdef.new"
    owner = RunDir(tmp_path)
    owner.lock(resume=True)
    file.write_text("")
    os.utime(file, (0, 0))
    with pytest.raises(RunDirInUse):
        RunDir(tmp_path).lock(resume=True)
    assert file.exists()
    owner.unlock()
