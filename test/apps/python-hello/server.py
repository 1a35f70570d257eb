import os
import platform
import sys
from wsgiref.simple_server import make_server


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Hello from Python {platform.python_version()} in {sys.prefix}\n".encode()]


make_server("", int(os.environ["PORT"]), app).serve_forever()
