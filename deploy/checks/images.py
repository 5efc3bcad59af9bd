"""Images that are the ones that were tested: from a named registry, by digest or by a version."""

import re
from collections.abc import Iterator

from deploy.checks.objects import Tree

NAMES = {"sonoba", "sonoba-pretrain"}
IMAGE = re.compile(
    r"(?P<registry>[a-z0-9.-]+(?::\d+)?)/(?P<path>[a-z0-9._/-]+?)"
    r"(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def image_breaches(tree: Tree) -> Iterator[str]:
    """Yield images without a registry, a version or a name of ours; a placeholder has neither."""
    for pod in tree.pods:
        for container in pod.containers:
            yield from (f"{pod.name}: {fault}" for fault in faults(container["image"]))


def faults(image: str) -> Iterator[str]:
    """Yield what is wrong with the name of one image."""
    found = IMAGE.fullmatch(image)
    if found is None or not re.search(r"[.:]|^localhost$", found["registry"]):
        yield f"expected an image with a registry, got {image}"
        return
    if found["tag"] in (None, "latest") and not found["digest"]:
        yield f"expected an image with a digest or a tag that stays, got {image}"
    if (name := found["path"].rpartition("/")[2]) not in NAMES:
        yield f"expected an image of {' or '.join(sorted(NAMES))}, got {name}"
