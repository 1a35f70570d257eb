"""pipfile.py PIPFILE_LOCK: prints its packages as pip's requirements (https://pip.pypa.io/en/stable/reference/requirements-file-format/)."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    lock = json.load(file)

for number, source in enumerate(lock.get("_meta", {}).get("sources", [])):
    # PyPI is whatever index the build uses.
    if "//pypi.org/" not in source["url"]:
        print("--extra-index-url" if number else "--index-url", source["url"])

for name, entry in lock.get("default", {}).items():
    extras = "[" + ",".join(entry["extras"]) + "]" if entry.get("extras") else ""
    marker = " ; " + entry["markers"] if entry.get("markers") else ""
    place = entry.get("path") or entry.get("file")
    if "git" in entry:
        subdirectory = "#subdirectory=" + entry["subdirectory"] if entry.get("subdirectory") else ""
        print(f"{name}{extras} @ git+{entry['git']}@{entry['ref']}{subdirectory}{marker}")
    elif place:
        print(("-e " if entry.get("editable") else "") + place + extras + marker)
    else:
        print(name + extras + entry["version"] + marker, *(f"--hash={value}" for value in entry.get("hashes", [])))
