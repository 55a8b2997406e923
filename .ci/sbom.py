"""Checks the software bill of materials that deploy/sbom.sh has printed, against Cargo.lock and the program.

    python3 .ci/sbom.py SBOM PROGRAM

The program contains the paths of its crates for panic messages, so it shows which crates are linked, independently of
`cargo tree`.
"""

import json
import pathlib
import re
import sys

sbom = json.loads(pathlib.Path(sys.argv[1]).read_text())
program = pathlib.Path(sys.argv[2]).read_bytes()
lock = pathlib.Path("Cargo.lock").read_text()
PACKAGE = re.compile(r'name = "(.+)"\nversion = "(.+)"\n(?:source = ".+"\nchecksum = "(.+)"\n)?')
locked = {f"{name}@{version}": checksum for name, version, checksum in PACKAGE.findall(lock)}

problems = []
if (sbom["bomFormat"], sbom["specVersion"]) != ("CycloneDX", "1.6"):
    problems.append("it is no CycloneDX document of version 1.6")
components = {f"{c['name']}@{c['version']}": c for c in sbom["components"]}
if len(components) < 100 or len(components) != len(sbom["components"]):
    problems.append(f"it has {len(sbom['components'])} components, {len(components)} of them different")
for id, component in components.items():
    checksums = [entry["content"] for entry in component.get("hashes", [])]
    if id not in locked or checksums != [locked[id]] * bool(locked[id]):
        problems.append(f"{id} is not in Cargo.lock, or has another checksum there")
    if locked.get(id) and component["purl"] != f"pkg:cargo/{id}":
        problems.append(f"{id} has the URL {component['purl']}")
    if not component["licenses"][0]["expression"]:
        problems.append(f"{id} has no licence")
references = {sbom["metadata"]["component"]["bom-ref"], *(c["bom-ref"] for c in sbom["components"])}
for entry in sbom["dependencies"]:
    if not references.issuperset([entry["ref"], *entry["dependsOn"]]):
        problems.append(f"an edge of {entry['ref']} leads to no component")

names = {component["name"] for component in sbom["components"]}
manifest = pathlib.Path("Cargo.toml").read_text()
table = lambda name: manifest.split(f"\n[{name}]\n")[1].split("\n[")[0]
entries = lambda name: {line.split(" = ")[0]: line for line in table(name).splitlines() if re.match(r"[\w-]+ = ", line)}
needed, for_tests = entries("dependencies"), entries("dev-dependencies")
missing = {name for name, line in needed.items() if "optional = true" not in line} - names
if missing or "axum" not in names:
    problems.append(f"these dependencies of the server are missing: {sorted(missing)}")
if "utoipa-swagger-ui-vendored" not in names:
    problems.append("the crate with Swagger UI is missing, which the program contains for /docs")
# redb and others are dependencies of tests, too, and of one of our crates.
extra = names & {"dhat", "plotters", "rstest"} & set(for_tests)
if extra:
    problems.append(f"only tests use {sorted(extra)}")
PATH = re.compile(rb"index\.crates\.io-\w+/([\w-]+?)-(\d+\.\d+\.\d+[\w.+-]*)/")
linked = {b"@".join(pair).decode() for pair in PATH.findall(program)}
if len(linked) < 20 or linked - set(components):
    problems.append(f"the program has {len(linked)} crates with a path, among them {sorted(linked - set(components))}")
if problems:
    sys.exit("\n".join(f"{sys.argv[1]}: {problem}" for problem in problems))
print(f"SBOM: {len(components)} components, {len(linked)} of them seen in the program")
