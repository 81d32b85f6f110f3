"""What may stand in no line of specman's: passwords, tokens, keys of all tests of
a file, told here by whatever makes them. Each log and each command's output is
searched for them when it ends."""
_values = {"PRIVATE KEY"}
_sets = []


def hide(*values):
    _values.update(value.rstrip("\n") for value in values if value)


def watch(values):
    """A set that grows while tests run."""
    _sets.append(values)


def check(output):
    found = sorted(value for value in _values.union(*_sets)
                   if value in output)
    if found:
        raise AssertionError(f"secrets {found} stand in:\n{output[-20000:]}")
