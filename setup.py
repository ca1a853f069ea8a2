"Build newsclf from the facts in settings.ini."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
names = "offline", "openvino", "onnx", "serve", "tensorboard", "wandb", "learn", "dev"
extras = {name: cfg[f"{name}_requirements"].split() for name in names}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    author=cfg["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["newsclf", "newsclf.*"]),
    package_data={
        "newsclf": ["sample/*", "py.typed"],
        "newsclf.evaluate": ["templates/*.html.j2", "templates/report.css"],
        "newsclf.serve": ["page/*"],
    },
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": ["newsclf=newsclf._modidx:d"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    zip_safe=False)
