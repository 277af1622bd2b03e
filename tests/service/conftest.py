from tests.support.runs import home, models  # noqa: F401
