from tests.support.runs import home, marathon, models  # noqa: F401
