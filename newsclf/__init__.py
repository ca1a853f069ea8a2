"""Fine-tune BERT to sort news: a book of notebooks that is a library"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "Predictor": "newsclf.predict.predictor",
    "NewsClassifier": "newsclf.run.estimator",
    "make_config": "newsclf.core.config",
    "run_job": "newsclf.run.job",
    "load_classifier": "newsclf.model.saved",
}
__all__ = list(_PLACES)


def __getattr__(name):
    "Import a name of the package when it is asked for"
    if name not in _PLACES:
        raise AttributeError(f"module 'newsclf' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
