import inspect
import pickle

from beautyrec import errors


def test_the_tree_in_the_docstring_names_every_error() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == errors.__name__]
    assert len(classes) > 10
    for item in classes:
        assert item.__name__ in (errors.__doc__ or "")
        assert issubclass(item, errors.BeautyrecError)


def test_a_missing_extra_says_how_to_install_it_also_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(errors.MissingExtraError("lightfm", "hybrid")))  # noqa: S301
    assert (error.package, error.extra) == ("lightfm", "hybrid")
    assert "pip install 'beautyrec[hybrid]'" in str(error)
