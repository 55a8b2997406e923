"""Checks the source files: no cycle of imports, outside crates only in their folders, no file over 300 lines.

A file imports the files that its paths name (`crate::`, `super::`, `self::`, or the name of a child), and the files that
it declares with `mod`. The compiler refuses cycles between crates, but allows cycles inside a crate.
"""

import graphlib
import pathlib
import re
import sys

# Outside crates, and the folders of the root package that may use each. deny.toml has the same rule for whole crates.
PLACES = {
    "axum": ["src/http/"],
    "clap": ["src/cli/", "src/config/"],
    "clap_complete": ["src/cli/"],
    "clap_mangen": ["src/cli/"],
    "http_body_util": ["src/http/", "src/trace/otlp/"],
    "hyper": ["src/http/"],
    "hyper_rustls": ["src/trace/otlp/"],
    "hyper_util": ["src/http/", "src/trace/otlp/"],
    "miniz_oxide": ["src/http/"],
    "opentelemetry": ["src/trace/otlp/"],
    "opentelemetry_http": ["src/trace/otlp/"],
    "opentelemetry_otlp": ["src/trace/otlp/"],
    "opentelemetry_sdk": ["src/trace/otlp/"],
    "prometheus_client": [
        "src/audit/metrics.rs",
        "src/http/metrics.rs",
        "src/http/scrape.rs",
        "src/log/",
        "src/metrics/",
        "src/webhooks/metrics.rs",
    ],
    "tower": ["src/http/"],
    "tracing_subscriber": ["src/log/"],
}
LONGEST = 300


def modules(root):
    """Maps each module path of a crate, such as ("store", "redis"), to its file below `src`."""
    found = {}
    for file in sorted(root.rglob("*.rs")):
        path = file.relative_to(root).with_suffix("").parts
        found[path[:-1] if path[-1] in ("mod", "lib") else path] = file
    return found


def without_tests(text):
    """Removes comments, `pub(in …)`, and a test module at the end of the file."""
    text = re.sub(r"//.*|pub\(in [\w:]+\)", "", text)
    return re.split(r"#\[cfg\(test\)\]\s*(?:#\[.*\]\s*)?mod \w+ \{", text)[0]


def expand(path):
    """Returns the paths of a use tree: for a::{b, c::{d, e}}, they are a::b, a::c::d and a::c::e."""
    group = re.search(r"\{([^{}]*)\}", path)
    if not group:
        return [re.sub(r"\s+as\s+\w+|\s", "", part) for part in path.split(",")]
    names = [name for name in group[1].split(",") if name.strip()]
    before = re.split(r"[,{]", path[: group.start()])[-1]
    whole = ",".join(before + name.strip() for name in names)
    return expand(path[: group.start() - len(before)] + whole + path[group.end() :])


def imports(module, text, files):
    """Returns the modules that a file imports."""
    declared = set(re.findall(r"(?<!\[cfg\(test\)\]\n)^\s*(?:pub(?:\(\w+\))? )?mod (\w+);", text, re.M))
    paths = [path for use in re.findall(r"\buse ([^;]+);", text) for path in expand(use)]
    paths += re.findall(r"\b(?:crate|super|self)(?:::\w+)+", re.sub(r"\buse [^;]+;", "", text))
    paths += [f"self::{name}" for name in declared]
    for path in paths:
        names = path.split("::")
        if names[0] in declared:
            names = ["self", *names]
        target = () if names[0] == "crate" else module
        if names[0] not in ("crate", "super", "self"):
            continue
        target = target[: len(target) - names.count("super")]
        target += tuple(name for name in names if name not in ("crate", "super", "self"))
        while target not in files:
            target = target[:-1]
        if target != module:
            yield target


def cycles(root):
    """Returns each cycle between the files of a crate, as a line of text."""
    files = modules(root)
    graph = {module: set(imports(module, without_tests(file.read_text()), files)) for module, file in files.items()}
    # A parent declares its children, so a child that imports its parent closes a cycle.
    for module, imported in graph.items():
        for parent in [other for other in imported if other == module[: len(other)]]:
            yield f"{files[module]} imports its parent {files[parent]}, which declares it"
            imported.remove(parent)
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
            return
        except graphlib.CycleError as error:
            cycle = error.args[1]
            yield " imports ".join(str(files[module]) for module in reversed(cycle))
            graph[cycle[1]].remove(cycle[0])


problems = [cycle for root in [pathlib.Path("src"), *pathlib.Path("crates").glob("*/src")] for cycle in cycles(root)]
for folder in ["src", "crates", "tests", "benches"]:
    for file in sorted(pathlib.Path(folder).rglob("*.rs")):
        text = file.read_text()
        if text.count("\n") > LONGEST:
            problems.append(f"{file} has {text.count(chr(10))} lines; at most {LONGEST} are allowed")
        for crate, places in PLACES.items():
            if folder == "src" and re.search(rf"\b{crate}::", text) and not str(file).startswith(tuple(places)):
                problems.append(f"{file} uses the crate {crate}; only files in {' or '.join(places)} may use it")
if problems:
    sys.exit("\n".join(problems))
