"""Sample trees: what a manifests.tgz holds, as {path: bytes}."""
import random

_WORDS = ("cluster profile pack kubernetes addon layer version release image "
          "registry namespace endpoint node network storage policy").split()


def text(seed, size):
    """Text that compresses like YAML does, the same for the same seed."""
    rng = random.Random(str(seed))
    lines = [f"# {seed}"]
    length = len(lines[0]) + 1
    while length < size:
        line = f"{rng.choice(_WORDS)}-{rng.randrange(10**6)}: " \
               f"{rng.choice(_WORDS)} {rng.getrandbits(48):012x}"
        lines.append(line)
        length += len(line) + 1
    return ("\n".join(lines)[:max(size - 1, 0)] + "\n").encode()[:size]


def binary(seed, size):
    return random.Random(str(seed)).randbytes(size)


def release(version, files=30, max_size=6000):
    """One release as the platform publishes it.

    roar/nickfury/versions.yaml is in each and differs; roar/shared/ is the
    same in each; roar/nickfury/<version>/ is its own.
    """
    rng = random.Random(f"sizes of {version}")
    tree = {
        "roar/nickfury/versions.yaml":
            f"versions:\n- name: {version}\n".encode(),
        f"roar/nickfury/{version}/version.yaml":
            f"version: {version}\n".encode(),
    }
    for number in range(files // 3):
        tree[f"roar/shared/pack-{number:04}.yaml"] = \
            text(f"shared {number}", 200 + 37 * number % max_size)
    for number in range(files - files // 3):
        tree[f"roar/nickfury/{version}/manifests/{number % 7}/m-{number:04}"
             ".yaml"] = text(f"{version} {number}", rng.randrange(max_size))
    return tree


def operators_own(files=20):
    """0.0.0: the operator's migrated SCAR, the base of the overlay."""
    tree = release("0.0.0", files)
    tree["operator/own.yaml"] = b"kept: from the old server\n"
    return tree
