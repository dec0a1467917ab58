"""What an exception says, in one line."""


def words(error: BaseException) -> str:
    """Its type and its text; its type alone where it cannot say what it is. Never raises."""
    name = type(error).__name__
    try:
        return "%s: %s" % (name, error)
    except Exception:
        return name
