"""Copy conf/ into the package when a wheel is built; pyproject.toml says everything else."""

from pathlib import Path
from shutil import copytree, rmtree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConf(build_py):
    """Adds conf/ to the modules, as seqtext/conf."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable installation reads the checkout's conf/
            copy = Path(self.build_lib, "seqtext", "conf")
            rmtree(copy, ignore_errors=True)  # of an earlier build, with other files
            copytree("conf", copy)


setup(cmdclass={"build_py": BuildWithConf})
