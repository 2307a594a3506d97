"""What pyproject.toml cannot say: the folder conf is installed as vaelab/conf, beside the packages below src."""

from setuptools import find_packages, setup

setup(packages=[*find_packages("src"), "vaelab.conf"], package_dir={"": "src", "vaelab.conf": "conf"})
