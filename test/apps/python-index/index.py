"""A package index (https://peps.python.org/pep-0503/) inside the build container, since tests can reach no real one.

It is there when this returns, at http://127.0.0.1:8111/simple, for user `reader` with password `s3cret`. What it has is made here;
pip and setuptools are the distribution's own wheels: in .apt, or in wheels.json (file name to base64). In lock files SUM(FILE) becomes its checksum.
"""

import base64
import glob
import hashlib
import http.server
import io
import json
import os
import re
import tarfile
import zipfile

TOOLS = os.environ.get("INDEX_TOOLS", "")
WANTED = "Basic " + base64.b64encode(b"reader:s3cret").decode()
files = {}


def wheel(name, version, modules, scripts=(), requires=()):
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)
    parts = dict(modules)
    parts[f"{info}/METADATA"] = metadata
    parts[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if scripts:
        parts[f"{info}/entry_points.txt"] = "[console_scripts]\n" + "".join(f"{one}\n" for one in scripts)
    parts[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*parts, f"{info}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in parts.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    files[f"{name}-{version}-py3-none-any.whl"] = packed.getvalue()


def sdist(name, version, sources):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in sources.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    files[f"{name}-{version}.tar.gz"] = packed.getvalue()


def native(name, source):
    setup = f"from setuptools import Extension, setup\nsetup(name='{name}', version='1.0', ext_modules=[Extension('{name}', ['{name}.c'])])\n"
    build = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    sdist(name, "1.0", {"setup.py": setup, "pyproject.toml": build, f"{name}.c": source, "PKG-INFO": f"Name: {name}\nVersion: 1.0\n"})


# Prints its command line, and gives back as requirements what the lock file holds below its first line.
EXPORTS = """
import sys
def main():
    print(" ".join(["asked:", *sys.argv[1:]]))
    for flag, lock in (("--output", "poetry.lock"), ("--output-file", "uv.lock")):
        if flag in sys.argv:
            open(sys.argv[sys.argv.index(flag) + 1], "w").write(open(lock).read().split("\\n", 1)[1])
"""

ANSWER = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""


def make():
    for version in ("1.0", "2.0"):
        script = f"import wording\ndef main():\n    print(wording.hello, '{version}')\n"
        wheel("greeting", version, {"greeting.py": script}, ["greet = greeting:main"], ["wording"])
    wheel("wording", "1.0", {"wording.py": "hello = 'Hello'\n"})
    wheel("django", "5.0", {"django/__init__.py": ""})
    wheel("gunicorn", "23.0", {"gunicorn/__init__.py": ""})
    native("native", ANSWER)
    native("broken", "#include <no-such-library.h>\n")
    for tool in TOOLS.split():
        name, version = tool.split("==")
        module = name.replace("-", "_")
        wheel(module, version, {f"{module}_tool.py": EXPORTS}, [f"{name} = {module}_tool:main"])
    for path in glob.glob(".apt/usr/share/python-wheels/*.whl"):
        with open(path, "rb") as file:
            files[os.path.basename(path)] = file.read()
    if os.path.exists("wheels.json"):
        with open("wheels.json") as file:
            files.update((name, base64.b64decode(text)) for name, text in json.load(file).items())


def fill_in(path):
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(re.sub(r"SUM\((.*?)\)", lambda found: hashlib.sha256(files[found[1]]).hexdigest(), text))


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        folder, _, name = self.path.strip("/").partition("/")
        if self.headers.get("Authorization") != WANTED:
            return self.answer(401, b"who are you?")
        if folder == "files" and name in files:
            return self.answer(200, files[name])
        found = [path for path in files if folder == "simple" and path.split("-")[0].replace("_", "-") == name]
        links = "".join(f'<a href="/files/{path}#sha256={hashlib.sha256(files[path]).hexdigest()}">{path}</a>\n' for path in found)
        return self.answer(200 if found else 404, links.encode(), "text/html")

    def answer(self, status, body, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


make()
for lock in glob.glob("*.lock"):
    fill_in(lock)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8111), Index)
if os.fork() == 0:
    os.setsid()
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    server.serve_forever()
