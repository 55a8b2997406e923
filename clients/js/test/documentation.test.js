// The examples of the README, run as they are, with the URL of a replica.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PASSWORD, clientOf, codeOf, proxy, service, signedIn, uniqueEmail, until, withSecondFactor } from "./servers.js";

const directory = new URL("..", import.meta.url);
const examples = [...readFileSync(new URL("README.md", directory), "utf8").matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
const [quickStart, signInWithFunction, signInInTwoSteps, storageInFile] = examples;

/** Runs an example as the body of an async function, and returns what it prints. */
async function run(example, replacements) {
    const printed = [];
    let code = example.replace(/^import (\{.*?\}) from "auth-service-client";/m, "const $1 = client;");
    for (const [text, value] of Object.entries(replacements)) {
        assert.ok(code.includes(text), `${text} is not in the example`);
        code = code.replaceAll(text, value);
    }
    const body = `return (async () => {${code}})()`;
    const library = await import("../auth-service.js");
    await new Function("client", "console", body)(library, { log: (...words) => printed.push(words.join(" ")) });
    return printed;
}

test("the quick start", async () => {
    const { url } = await proxy();
    const things = await service((request, response) => response.end(JSON.stringify({ token: request.headers.authorization })));
    const email = uniqueEmail();
    const printed = await run(quickStart, {
        "https://auth.example.com": url, "https://api.example.com": things, "ada@example.com": email,
    });
    assert.deepEqual(printed[0], "signed-in");
    assert.equal(printed[1], email);
    assert.match(printed[2], /Bearer ey/);
    assert.equal(printed[3], "signed-out");
});

test("a sign-in asks for a code", async (t) => {
    const { url } = await proxy();
    const { email, secret } = await withSecondFactor(url);
    const asked = [];
    const codes = [codeOf(secret, 100), codeOf(secret, 1)];
    globalThis.prompt = (question) => (asked.push(question), codes.shift());
    t.after(() => delete globalThis.prompt);
    const names = { "https://auth.example.com": url, "ada@example.com": email, "correct horse battery staple": PASSWORD };
    const printed = await run(`${signInWithFunction}; console.log(await auth.signedIn());`, names);
    assert.deepEqual(printed, ["true"]);
    assert.equal(asked.length, 2);
    assert.match(asked[1], /^The code is wrong/);
});

test("a sign-in in two steps", async () => {
    const { url } = await proxy();
    const { email, secret } = await withSecondFactor(url);
    const calls = `await submitPassword("${email}", "${PASSWORD}"); console.log(mfaToken.split(".").length, await auth.signedIn());
        await submitCode("${codeOf(secret, 1)}"); console.log(await auth.signedIn());`;
    assert.deepEqual(await run(signInInTwoSteps + calls, { "https://auth.example.com": url }), ["3 false", "true"]);
});

test("the storage in a file", async (t) => {
    const { url, sent } = await proxy();
    const directory = mkdtempSync(join(tmpdir(), "auth-service-"));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, "session.json");
    const names = { "https://auth.example.com": url, "ada@example.com": uniqueEmail(), '"session.json"': JSON.stringify(path) };
    assert.deepEqual(await run(storageInFile, names), ["true"]);

    // Each client has a storage object of its own, as in processes of their own.
    const [declaration] = storageInFile.match(/const pause.*^}$/ms);
    const files = await import("node:fs/promises");
    const fileStorage = new Function("files", `const { mkdir, readFile, rename, rmdir, writeFile } = files; ${declaration}
        return fileStorage`)(files);
    const sessions = [await signedIn(url, { storage: fileStorage(path) })];
    for (let n = 0; n < 3; n++) sessions.push(clientOf(url, { storage: fileStorage(path) }));
    await until("the clients have refreshed four times", async () => {
        const profiles = await Promise.all(sessions.map(({ client }) => client.user()));
        return profiles.every(({ email }) => email === sessions[0].email) && sent("/refresh-access-token").length >= 4;
    });
    const spent = sent("/refresh-access-token").map(({ body }) => body);
    assert.equal(new Set(spent).size, spent.length);
});
