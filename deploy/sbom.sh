#!/bin/sh
# Prints the software bill of materials of the server: a CycloneDX document with the crates that are linked into the
# program, their licences, the checksums of their sources, and which crate needs which, and the crate whose copy of Swagger UI
# the program contains. The same Cargo.lock gives the same text. Arguments, such as --features otlp or --target TRIPLE, go to
# `cargo tree`.
# The script needs only cargo and awk, so that the build of the image installs nothing more: cargo-cyclonedx would compile
# 117 crates there.
set -eu
cd "$(dirname "$0")/.."
tree=$(cargo tree --locked --package auth-service --edges normal,no-proc-macro --prefix depth --format ' {p}|{l}' "$@")
# build.rs puts files of this crate into the program, so it is a dependency of the build only.
swagger_ui=$(cargo tree --locked --package utoipa-swagger-ui-vendored --edges build --depth 0 --prefix depth --format ' {p}|{l}')
printf '%s\n' "$tree" "1${swagger_ui#0}" | awk '
function unquoted(text) { gsub(/"/, "", text); return text }
function quoted(text) { return "\"" text "\"" }
FILENAME == "Cargo.lock" {
    if ($1 == "name") name = unquoted($3)
    if ($1 == "version") version = unquoted($3)
    if ($1 == "checksum") checksum[name "@" version] = unquoted($3)
    next
}
{
    split($0, halves, "|")
    sub(/ \(\*\)$/, "", halves[2])
    depth = $1 + 0
    split(halves[1], words, " ")
    id = words[2] "@" substr(words[3], 2)
    path[depth] = id
    if (depth > 0 && !((path[depth - 1], id) in edge)) {
        edge[path[depth - 1], id] = 1
        needs[path[depth - 1]] = needs[path[depth - 1]] (needs[path[depth - 1]] == "" ? "" : ", ") quoted(id)
    }
    if (!(id in licence)) {
        # The older form of a licence expression has a slash.
        gsub(/ *\/ */, " OR ", halves[2])
        licence[id] = halves[2]
        order[count++] = id
    }
}
function component(id, type,    at, text) {
    at = index(id, "@")
    text = "{\"type\": " quoted(type) ", \"bom-ref\": " quoted(id) ", \"name\": " quoted(substr(id, 1, at - 1))
    text = text ", \"version\": " quoted(substr(id, at + 1)) ", \"licenses\": [{\"expression\": " quoted(licence[id]) "}]"
    # The crates of this repository are in no registry, and have no checksum.
    if (id in checksum) {
        text = text ", \"hashes\": [{\"alg\": \"SHA-256\", \"content\": " quoted(checksum[id]) "}]"
        text = text ", \"purl\": " quoted("pkg:cargo/" id)
    }
    return text "}"
}
END {
    print "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.6\",\n  \"version\": 1,"
    print "  \"metadata\": {\"component\": " component(order[0], "application") "},"
    print "  \"components\": ["
    for (i = 1; i < count; i++) print "    " component(order[i], "library") (i < count - 1 ? "," : "")
    print "  ],\n  \"dependencies\": ["
    for (i = 0; i < count; i++)
        print "    {\"ref\": " quoted(order[i]) ", \"dependsOn\": [" needs[order[i]] "]}" (i < count - 1 ? "," : "")
    print "  ]\n}"
}' Cargo.lock -
