"""What the benches share: a folder that vanishes, programs that end."""
import contextlib
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "integration"))


@contextlib.contextmanager
def bench(program=None):
    """Takes the program from the command line, unless it is given; gives
    (folder, stack), where the stack's callbacks run at the end."""
    if not program and len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PROGRAM")
    os.environ["SPECMAN"] = os.path.abspath(program or sys.argv[1])
    folder = tempfile.mkdtemp(prefix="specman-bench-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder, stack
