"""One fingerprint of the package's source: the ledger, the caches and nox compare it."""

import hashlib
from pathlib import Path


def package_digest(root):
    """Return the hash of every Python file below ``root/src/dlref``, in order of their paths."""
    digest = hashlib.sha256()
    package = Path(root) / "src" / "dlref"
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
