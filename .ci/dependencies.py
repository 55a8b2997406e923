"""Checks, without the net, what licence each crate in Cargo.lock has and where it comes from. Called by test.sh."""

import collections
import json
import re
import subprocess
import sys

# A new one is a decision: does the product, as we ship it, meet its terms?
LICENCES = {"Apache-2.0", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "Unicode-3.0", "Zlib"}
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def is_allowed(licence):
    """Whether an SPDX expression can be met with LICENCES alone; old crates write `/` for OR."""
    words = re.findall(r"[()]|[\w.+-]+(?: WITH [\w.-]+)?", (licence or "none").replace("/", " OR "))
    terms = [w.lower() if w in ("AND", "OR") else w if w in "()" else str(w in LICENCES) for w in words]
    return eval(" ".join(terms))  # only True, False, and, or and brackets are left


metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version", "1"]))
own = set(metadata["workspace_members"])
crates = [package for package in metadata["packages"] if package["id"] not in own]
problems = []
versions = collections.defaultdict(set)
for crate in crates:
    name = f"{crate['name']} {crate['version']}"
    versions[crate["name"]].add(crate["version"])
    if crate["source"] != CRATES_IO:
        problems.append(f"{name} comes from {crate['source'] or crate['manifest_path']}, not from crates.io")
    if not is_allowed(crate["license"]):
        problems.append(f"{name} has the licence {crate['license']}, which is not in {sys.argv[0]}")
if problems:
    sys.exit("\n".join(problems))
print(f"  {len(crates)} crates, all from crates.io, licences allowed")
twice = [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()) if len(found) > 1]
if twice:
    print(f"  in several versions: {', '.join(twice)}")
print("  security advisories and yanked versions need the net: the hosted CI workflow runs cargo audit")
