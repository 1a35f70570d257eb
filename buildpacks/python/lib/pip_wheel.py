"""pip_wheel.py VERSION FOLDER < indexes: fetches pip's wheel and prints its path.

From the first of the indexes (one URL a line, https://peps.python.org/pep-0503/) that has pip: this version, else the newest.
The checksum is the index's own. Users and passwords of URLs are sent, never printed.
"""

import base64
import hashlib
import html.parser
import http.client
import os
import re
import sys
import urllib.parse
import urllib.request

MOST = 32 * 1024 * 1024
SECONDS = 15
WHEEL = re.compile(r"pip-(\d+(?:\.\d+)+)-py3-none-any\.whl$")


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.urls = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "a" and found.get("href") and "data-yanked" not in found:
            self.urls.append(found["href"])


def fetch(url, credentials):
    request = urllib.request.Request(url)
    if credentials:
        # Not sent on to where a redirect leads.
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        body = answer.read(MOST + 1)
        if len(body) > MOST:
            raise ValueError("the answer is too long")
        return answer.geturl(), body


def split(url):
    parts = urllib.parse.urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl(), urllib.parse.unquote(user)


def find(index, wanted):
    url, credentials = split(index)
    page, body = fetch(url.rstrip("/") + "/pip/", credentials)
    links = Links()
    links.feed(body.decode("utf-8", "replace"))
    wheels = {}
    for link in links.urls:
        target, _, checksum = urllib.parse.urljoin(page, link).partition("#")
        version = WHEEL.search(urllib.parse.urlsplit(target).path)
        if version:
            wheels[version[1]] = target, checksum
    if not wheels:
        raise ValueError("it has no wheel of pip")
    version = wanted if wanted in wheels else max(wheels, key=lambda text: [int(part) for part in text.split(".")])
    target, checksum = wheels[version]
    same = urllib.parse.urlsplit(target).netloc == urllib.parse.urlsplit(url).netloc
    _, wheel = fetch(target, credentials if same else "")
    if checksum.startswith("sha256=") and hashlib.sha256(wheel).hexdigest() != checksum[len("sha256="):]:
        raise ValueError(f"pip {version} does not have the checksum that the index names")
    return f"pip-{version}-py3-none-any.whl", wheel


def main(wanted, folder):
    for index in dict.fromkeys(line.strip() for line in sys.stdin if line.strip()):
        try:
            name, wheel = find(index, wanted)
        except (OSError, ValueError, http.client.HTTPException) as error:
            print(f"{split(index)[0]}: {error}", file=sys.stderr)
            continue
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(wheel)
        print(path)
        return 0
    return 1


sys.exit(main(*sys.argv[1:]))
