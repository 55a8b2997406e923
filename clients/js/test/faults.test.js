// Proxies and servers that fail: which requests the client repeats, and that the tokens stay.

import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryStorage } from "../auth-service.js";
import { PASSWORD, clientOf, proxy, service, signedIn, uniqueEmail, until } from "./servers.js";

const REFRESH = "/refresh-access-token";
const overloaded = (code = "overloaded") => ({
    status: 503,
    headers: { "Retry-After": "1", "Content-Type": "application/json" },
    body: JSON.stringify({ result: "Error occurred", error: "Try again later", code }),
});

/** A session whose access token counts as expired, and whose refreshes fail while `fault` gives an answer. */
async function stale(fault, options) {
    const storage = memoryStorage();
    const front = await proxy({ fault: (request) => (request.path === REFRESH ? fault(request) : null) });
    const made = await signedIn(front.url, { storage, ...options });
    const kept = { ...JSON.parse(storage.get()), at: 0 };
    storage.set(JSON.stringify(kept));
    return { ...made, ...front, storage, kept: () => JSON.parse(storage.get()).refresh_token === kept.refresh_token };
}

const outages = {
    "a 503": overloaded("store_unreachable"),
    "a 429": { ...overloaded("too_many_attempts"), status: 429 },
    "a 502 of a proxy": { status: 502, body: "<html>Bad gateway</html>" },
    "a connection that breaks": "drop",
    "a page of a captive portal": { status: 200, body: "<html>Welcome</html>" },
    "JSON of another server": { status: 200, body: "{}" },
};
for (const [name, answer] of Object.entries(outages)) {
    test(`${name} at a refresh costs a delay`, async () => {
        let count = 0;
        const scene = await stale(() => (count++ < 2 ? answer : null));
        assert.equal((await scene.client.user()).email, scene.email);
        assert.equal(scene.sent(REFRESH).length, 3);
        assert.deepEqual(scene.changes, ["signed-in"]);
    });
    test(`${name} that lasts fails the request and keeps the tokens`, async () => {
        const scene = await stale(() => answer, { retryFor: 300 });
        await assert.rejects(scene.client.user(), ({ name, code }) => name === "AuthError" && code !== "not_signed_in");
        assert.equal(await scene.client.signedIn(), true);
        assert.ok(scene.kept());
        assert.deepEqual(scene.changes, ["signed-in"]);
    });
}

for (const status of [400, 401, 403, 404, 500]) {
    test(`a ${status} of a proxy at a refresh keeps the tokens`, async () => {
        const scene = await stale(() => ({ status, body: "<html>Not for you</html>" }));
        await assert.rejects(scene.client.user(), { status, code: "unknown" });
        assert.ok(scene.kept());
        assert.equal(scene.sent(REFRESH).length, 1);
        assert.deepEqual(scene.changes, ["signed-in"]);
    });
}

test("a removed session needs a sign-in, and the request gives the 401", async () => {
    const { url } = await proxy();
    const { client, changes, email } = await signedIn(url);
    await fetch(`${url}/access-token`, {
        method: "DELETE", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email }),
    });
    assert.equal((await client.fetch(`${url}/user`)).status, 401);
    await until("the listener knows", () => changes.length === 2);
    assert.deepEqual(changes, ["signed-in", "needs-sign-in"]);
    assert.equal(await client.signedIn(), false);
    await client.signIn(email, PASSWORD);
    assert.equal((await client.user()).email, email);
});

test("a lost answer to a rotation costs nothing", async () => {
    let lost = 0;
    const front = await proxy({ onAnswer: ({ path }) => (path === REFRESH && lost++ === 0 ? "drop" : null) });
    const { client, email, changes } = await signedIn(front.url);
    await until("the client has refreshed", async () => (await client.user()) && lost >= 3);
    const spent = front.sent(REFRESH).map(({ body }) => JSON.parse(body).refresh_token);
    assert.equal(spent[0], spent[1]);
    assert.equal((await client.user()).email, email);
    assert.deepEqual(changes, ["signed-in"]);
});

test("Retry-After is honoured, and one beyond the bound fails at once", async () => {
    const times = [];
    const scene = await stale(() => (times.push(performance.now()), times.length < 2 ? overloaded() : null));
    await scene.client.user();
    assert.ok(times[1] - times[0] >= 1000, `${times}`);
    const far = await stale(() => ({ ...overloaded(), headers: { "Retry-After": "3600" } }));
    await assert.rejects(far.client.user(), { status: 503, retryAfter: 3600 });
    assert.equal(far.sent(REFRESH).length, 1);
});

test("only what is safe is repeated", async () => {
    const { url } = await proxy();
    const counts = {};
    const api = await service((request, response) => {
        const count = (counts[request.method] = (counts[request.method] ?? 0) + 1);
        if (request.url === "/dropped" && count === 1) return request.socket.destroy();
        response.writeHead(count === 1 ? 503 : 200).end();
    });
    const { client } = await signedIn(url, { origins: [api] });
    assert.equal((await client.fetch(api)).status, 200);
    assert.equal((await client.fetch(api, { method: "POST", body: "x" })).status, 503);
    assert.equal((await client.fetch(api, { method: "DELETE" })).status, 503);
    assert.deepEqual(counts, { GET: 2, POST: 1, DELETE: 1 });
    await assert.rejects(client.fetch(`${api}/dropped`, { method: "PUT", body: "x" }), { code: "unreachable", status: 0 });
    assert.equal(counts.PUT, 1);
});

test("a sign-in is repeated after a 503, and a sign-up only if nothing was done", async () => {
    let answers = [];
    const { url, sent } = await proxy({ fault: () => answers.shift() });
    const { client } = clientOf(url);
    const email = uniqueEmail();
    answers = [overloaded("store_timeout")];
    await assert.rejects(client.signUp(email, PASSWORD), { status: 503, code: "store_timeout", retryAfter: 1 });
    answers = [overloaded("overloaded")];
    await client.signUp(email, PASSWORD);
    assert.equal(sent("/signup").length, 3);
    answers = [overloaded("store_timeout")];
    await client.signIn(email, PASSWORD);
    assert.equal(sent("/authenticate").length, 2);
    answers = ["drop"];
    await assert.rejects(client.signIn(email, PASSWORD), { status: 0, code: "unreachable" });
    answers = [{ ...overloaded("too_many_attempts"), status: 429 }];
    await assert.rejects(client.signIn(email, PASSWORD), { status: 429, retryAfter: 1 });
    assert.equal(sent("/authenticate").length, 4);
});

test("a signal aborts the wait of one caller, and the others get the refreshed token", async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const scene = await stale(() => held);
    const controller = new AbortController();
    const aborted = assert.rejects(scene.client.user({ signal: controller.signal }), /enough/);
    const waiting = scene.client.user();
    await until("the refresh is on its way", () => scene.sent(REFRESH).length === 1);
    controller.abort(new Error("enough"));
    await aborted;
    release();
    assert.equal((await waiting).email, scene.email);
    assert.equal(scene.sent(REFRESH).length, 1);
    await assert.rejects(scene.client.fetch(`${scene.url}/user`, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a server that never answers is a timeout, and the tokens stay", async () => {
    const never = new Promise(() => {});
    const { url, storage, kept } = await stale(() => never);
    // The sign-in may take longer.
    const { client } = clientOf(url, { storage, timeout: 100, retryFor: 50 });
    await assert.rejects(client.user(), { status: 0, code: "timeout" });
    assert.ok(kept());
});

test("a profile that never comes is a timeout, and is asked for again", async () => {
    let lost = 1;
    const never = new Promise(() => {});
    const { url, sent } = await proxy({ fault: ({ path }) => (path === "/user" && lost-- > 0 ? never : null) });
    const storage = memoryStorage();
    const { email } = await signedIn(url, { storage });
    const { client } = clientOf(url, { storage, timeout: 500 });
    assert.equal((await client.user()).email, email);
    assert.ok(sent("/user").length >= 2);
    lost = Infinity;
    const { client: impatient } = clientOf(url, { storage, timeout: 100, retryFor: 50 });
    await assert.rejects(impatient.user(), { name: "AuthError", status: 0, code: "timeout" });
    await assert.rejects(client.user({ signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
});

for (const body of ["<html>Welcome</html>", "{}", "null", "7"]) {
    test(`a profile that is ${body} is an error`, async () => {
        const { url } = await proxy({ fault: ({ path }) => (path === "/user" ? { status: 200, body } : null) });
        const { client } = await signedIn(url);
        await assert.rejects(client.user(), { name: "AuthError", status: 0, code: "unreadable" });
        assert.equal(await client.signedIn(), true);
    });
}

test("without a bound, the client repeats for ever only what it may repeat", async () => {
    let count = 0;
    const scene = await stale(() => (count++ < 2 ? overloaded() : null), { retryFor: Infinity, timeout: Infinity });
    assert.equal((await scene.client.user()).email, scene.email);
    await assert.rejects(scene.client.changePassword("a wrong password", "another password"), { code: "wrong_password" });
});

test("a storage that fails does not hide an answer with a new token", async () => {
    const storage = memoryStorage();
    const renewing = { status: 200, headers: { "Access-Token": "a.b.c" }, body: JSON.stringify({ data: { email: "of the answer" } }) };
    const { url } = await proxy({ fault: ({ path }) => (path === "/user" ? renewing : null) });
    const { client } = await signedIn(url, { storage });
    storage.set = () => assert.fail("the storage is full");
    assert.equal((await client.user()).email, "of the answer");
});

test("a request of an ended session is not repeated in the session that replaced it", async () => {
    const { url } = await proxy();
    const storage = memoryStorage();
    const bodies = [];
    const api = await service(async (request, response) => {
        bodies.push(Buffer.concat(await request.toArray()).toString());
        await other.client.signIn(other.email, PASSWORD);
        response.writeHead(401).end();
    });
    const other = await signedIn(url, { storage });
    const { client, email } = await signedIn(url, { storage, origins: [api] });
    assert.notEqual(email, other.email);
    const answer = await client.fetch(api, { method: "POST", body: "a secret of the first user" });
    assert.equal(answer.status, 401);
    assert.equal(bodies.length, 1);
    assert.equal((await client.user()).email, other.email);
});

test("a sign-out while a slow storage is read leaves no tokens here", async () => {
    const memory = memoryStorage();
    let release;
    const released = new Promise((resolve) => (release = resolve));
    let [isNextHeld, isHeld] = [false, false];
    const get = async () => {
        const text = memory.get();
        if (isNextHeld) {
            [isNextHeld, isHeld] = [false, true];
            await released;
        }
        return text;
    };
    const storage = { ...memory, get };
    const front = await proxy({ onAnswer: ({ path }) => void (isNextHeld ||= path === REFRESH) });
    const { client } = await signedIn(front.url, { storage });
    memory.set(JSON.stringify({ ...JSON.parse(memory.get()), at: 0 }));
    const waiting = client.fetch(`${front.url}/user`);
    // The refresh reads the storage for the last time before it writes the tokens.
    await until("the refresh reads the storage", () => isHeld);
    await client.signOut();
    const kept = [];
    memory.subscribe(() => kept.push(memory.get()));
    release();
    assert.equal((await waiting).status, 401);
    assert.equal(await client.signedIn(), false);
    assert.deepEqual(kept, []);
});

test("a sign-out during a refresh and during an outage leaves no tokens here", async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const scene = await stale(() => held);
    const waiting = scene.client.fetch(`${scene.url}/user`);
    await until("the refresh is on its way", () => scene.sent(REFRESH).length === 1);
    await scene.client.signOut();
    release();
    assert.equal((await waiting).status, 401);
    assert.equal(await scene.client.signedIn(), false);

    const down = await proxy({ fault: ({ path }) => (path === "/signout" ? overloaded("store_unreachable") : null) });
    const { client, changes } = await signedIn(down.url, { retryFor: 100 });
    await assert.rejects(client.signOut(), { status: 503 });
    assert.equal(await client.signedIn(), false);
    assert.deepEqual(changes, ["signed-in", "signed-out"]);
});
