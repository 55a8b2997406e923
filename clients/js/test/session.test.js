// What a session does, against real replicas with tokens that live for two seconds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AuthError, memoryStorage } from "../auth-service.js";
import { PASSWORD, clientOf, proxy, service, signedIn, uniqueEmail, until } from "./servers.js";

const REFRESH = "/refresh-access-token";
const tokens = (storage) => JSON.parse(storage.get());
/** Waits until the server refuses the token. */
const expired = (url, token) => until("the token expires", async () =>
    (await fetch(`${url}/user`, { headers: { Authorization: `Bearer ${token}` } })).status === 401);

test("signs up, signs in, reads the profile and signs out", async () => {
    const { url, sent } = await proxy();
    const { client, changes, email } = await signedIn(url);
    assert.equal((await client.user()).email, email);
    assert.equal(await client.signedIn(), true);
    const token = await client.accessToken();
    await client.signOut();
    assert.equal(await client.signedIn(), false);
    assert.equal(await client.accessToken(), null);
    assert.equal(sent("/signout").at(-1).answered.status, 200);
    assert.equal((await fetch(`${url}/user`, { headers: { Authorization: `Bearer ${token}` } })).status, 401);
    await assert.rejects(client.user(), { status: 401, code: "not_signed_in" });
    assert.deepEqual(changes, ["signed-in", "signed-out"]);
});

test("errors have the status, the code, the fields and the message of the answer", async () => {
    const { url, requests } = await proxy();
    const { client } = clientOf(url);
    const error = await client.signUp("nobody", "short").catch((error) => error);
    assert.ok(error instanceof AuthError && error instanceof Error);
    assert.deepEqual([error.name, error.status, error.code, error.retryAfter], ["AuthError", 400, "validation_failed", null]);
    assert.deepEqual(error.fields.map(({ field }) => field), ["email", "password"]);
    await assert.rejects(client.signIn(uniqueEmail(), PASSWORD), { status: 401, code: "invalid_credentials", fields: [] });
    assert.equal(requests.length, 2);
});

test("many requests share one refresh, and the tokens of the sign-in last for more than one life", async () => {
    const { url, sent } = await proxy();
    const storage = memoryStorage();
    const { client, changes } = await signedIn(url, { storage });
    for (const count of [1, 2]) {
        await expired(url, tokens(storage).access_token);
        const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${url}/user`)));
        assert.deepEqual(answers.map(({ status }) => status), Array(20).fill(200));
        assert.equal(sent(REFRESH).length, count);
    }
    assert.deepEqual(changes, ["signed-in"]);
});

test("clients on one storage share one refresh, and never spend a refresh token twice", async () => {
    const { url, sent } = await proxy();
    const storage = memoryStorage();
    const first = await signedIn(url, { storage });
    const others = [1, 2, 3, 4].map(() => clientOf(url, { storage }));
    for (let count = 1; count <= 3; count++) {
        await expired(url, tokens(storage).access_token);
        const profiles = await Promise.all([first, ...others].map(({ client }) => client.user()));
        assert.deepEqual(new Set(profiles.map(({ email }) => email)), new Set([first.email]));
        assert.equal(sent(REFRESH).length, count);
    }
    const spent = sent(REFRESH).map(({ body }) => JSON.parse(body).refresh_token);
    assert.equal(new Set(spent).size, 3);
    await others[0].client.signOut();
    await until("the others know", () => others.every(({ changes }) => changes.at(-1) === "signed-out"));
    assert.equal(await first.client.signedIn(), false);
});

test("refreshes early, by expires_in, also if the clock of the client is wrong", async (t) => {
    const { url, sent, requests } = await proxy();
    const { client } = await signedIn(url);
    const now = Date.now;
    t.after(() => (Date.now = now));
    for (const hours of [-5, 0, 5]) {
        const before = sent(REFRESH).length;
        Date.now = () => now() + hours * 3_600_000;
        await until("the client has refreshed twice", async () => {
            await client.user();
            return sent(REFRESH).length >= before + 2;
        });
    }
    assert.deepEqual(requests.filter(({ path, answered }) => path === "/user" && answered?.status !== 200), []);
});

test("a refused token is refreshed, and the request is repeated once with its body", async () => {
    const { url, sent } = await proxy();
    const bodies = [];
    const api = await service(async (request, response) => {
        bodies.push([request.headers.authorization, Buffer.concat(await request.toArray()).toString()]);
        response.writeHead(bodies.length === 1 ? 401 : 200).end();
    });
    const { client } = await signedIn(url, { origins: [api] });
    const answer = await client.fetch(`${api}/things`, { method: "POST", body: "a thing" });
    assert.equal(answer.status, 200);
    assert.deepEqual(bodies.map(([, body]) => body), ["a thing", "a thing"]);
    assert.notEqual(bodies[0][0], bodies[1][0]);
    assert.equal(sent(REFRESH).length, 1);
});

test("a service that always answers 401 gets two requests, and the session stays", async () => {
    const { url } = await proxy();
    let count = 0;
    const api = await service((request, response) => (count++, response.writeHead(401).end("no")));
    const { client, changes } = await signedIn(url, { origins: [api] });
    const answer = await client.fetch(api);
    assert.deepEqual([answer.status, await answer.text(), count], [401, "no", 2]);
    assert.equal((await client.user()).email.startsWith("node-"), true);
    assert.deepEqual(changes, ["signed-in"]);
});

test("no other origin gets the token, and a redirect takes it nowhere", async () => {
    const { url } = await proxy();
    const stolen = [];
    const stranger = await service((request, response) => (stolen.push(request.headers), response.end("hello")));
    const statuses = [301, 302, 303, 307, 308];
    const api = await service((request, response) => {
        response.writeHead(Number(request.url.slice(1)), { Location: `${stranger}/` }).end();
    });
    const { client } = await signedIn(url, { origins: [api] });
    assert.equal(await (await client.fetch(stranger)).text(), "hello");
    assert.equal(stolen.length, 1);
    for (const status of statuses) {
        for (const method of ["GET", "POST"]) {
            await assert.rejects(client.fetch(`${api}/${status}`, { method }), { code: "redirected", status });
        }
    }
    assert.equal((await client.fetch(`${api}/302`, { redirect: "manual" })).status, 302);
    assert.equal(stolen.length, 1);
    assert.equal("authorization" in stolen[0], false);
    // Neither do the passwords and refresh tokens of the client's own requests.
    const away = await proxy({ fault: () => ({ status: 307, headers: { Location: stranger } }) });
    await assert.rejects(clientOf(away.url).client.signIn("ada@example.com", PASSWORD), { code: "redirected", status: 307 });
    assert.equal(stolen.length, 1);
    assert.throws(() => clientOf(url, { origins: ["data:text/plain,x"] }), TypeError);
});

test("a token in the header Access-Token is taken over from auth-service alone", async () => {
    const { url } = await proxy();
    const storage = memoryStorage();
    const api = await service((request, response) => response.writeHead(200, { "Access-Token": "forged" }).end());
    const { client, changes } = await signedIn(url, { origins: [api], storage });
    await client.fetch(api);
    assert.notEqual(tokens(storage).access_token, "forged");
    // The server renews an expired token if the request brings the refresh token.
    const { access_token, refresh_token } = tokens(storage);
    await expired(url, access_token);
    const headers = { Authorization: `Bearer ${access_token}`, "Refresh-Token": refresh_token };
    const renewal = await fetch(`${url}/user`, { headers });
    const renewed = renewal.headers.get("Access-Token");
    assert.ok(renewed);
    const renewing = await proxy({ fault: () => ({ status: 200, headers: { "Access-Token": renewed }, body: "{}" }) });
    const other = clientOf(renewing.url, { storage });
    storage.set(JSON.stringify({ ...tokens(storage), at: Date.now() }));
    await other.client.fetch(`${renewing.url}/user`);
    assert.equal(tokens(storage).access_token, renewed);
    assert.equal(tokens(storage).refresh_token, refresh_token);
    assert.deepEqual(changes, ["signed-in"]);
});

test("a token that is taken over is no younger than the one that it replaces", async () => {
    const { url, sent } = await proxy({
        fault: ({ path }) => (path === "/user" ? { status: 200, headers: { "Access-Token": "a.b.c" }, body: "{}" } : null),
    });
    const storage = memoryStorage();
    await signedIn(url, { storage });
    storage.set(JSON.stringify({ ...tokens(storage), life: 60_000, at: Date.now() - 40_000 }));
    const { client } = clientOf(url, { storage });
    await client.fetch(`${url}/user`);
    assert.equal(tokens(storage).access_token, "a.b.c");
    assert.ok(Date.now() - tokens(storage).at >= 40_000);
    assert.equal(sent(REFRESH).length, 0);
    storage.set(JSON.stringify({ ...tokens(storage), at: Date.now() - 59_000 }));
    assert.notEqual(await clientOf(url, { storage }).client.accessToken(), "a.b.c");
});

test("after a password change, this session goes on and the others end", async () => {
    const { url, sent } = await proxy();
    const storage = memoryStorage();
    const { client, email, changes } = await signedIn(url, { storage });
    const other = clientOf(url);
    await other.client.signIn(email, PASSWORD);
    await client.changePassword(PASSWORD, "another password");
    // Services that follow the revocation feed refuse the access token from before the change.
    assert.equal(tokens(storage).access_token, JSON.parse(sent("/user/password")[0].answered.body).access_token);
    assert.equal((await client.user()).email, email);
    const answer = await other.client.fetch(`${url}/user`);
    assert.equal(answer.status, 401);
    await until("the other client knows", () => other.changes.at(-1) === "needs-sign-in");
    assert.equal(await other.client.signedIn(), false);
    await assert.rejects(client.changePassword("a wrong password", "x"), ({ status }) => status === 400 || status === 403);
    assert.deepEqual(changes, ["signed-in"]);
});
