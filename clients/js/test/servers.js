// The servers of the tests: real replicas, which tests/node/main.rs starts, behind a proxy that can fail.

import { createHmac } from "node:crypto";
import { createServer, request as send } from "node:http";
import { AuthClient, mailLink } from "../auth-service.js";

const replicas = process.env.REPLICAS.split(" ");
export const PASSWORD = "correct horse";
let accounts = 0;

export const uniqueEmail = () => `node-${process.pid}-${accounts++}@example.com`;

/** Waits until `condition` holds. */
export async function until(what, condition) {
    for (const start = Date.now(); !(await condition()); ) {
        if (Date.now() - start > 30_000) throw new Error(`still not true after 30 seconds: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

async function listen(server) {
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    server.unref();
    return `http://127.0.0.1:${server.address().port}`;
}

/** A service of the user, which answers by `answer(request, response)`. */
export function service(answer) {
    return listen(createServer(answer));
}

/**
 * A load balancer without health checks, so its clients meet each replica that is down. It keeps the requests that came.
 * `fault(request)` may return the answer of a proxy that fails: `{ status, headers, body }`, or `"drop"` for no answer.
 * `onAnswer(request)` runs before the answer of a replica is sent; it may return `"drop"`, too.
 */
export async function proxy({ fault = () => null, onAnswer = () => null } = {}) {
    const requests = [];
    let next = 0;
    const server = createServer(async (request, response) => {
        const chunks = await request.toArray();
        const { method, url: path, headers } = request;
        const body = Buffer.concat(chunks).toString();
        const seen = { method, path, headers, body, answered: null };
        requests.push(seen);
        const failure = await fault(seen);
        if (failure === "drop") return request.socket.destroy();
        if (failure) return response.writeHead(failure.status, failure.headers).end(failure.body);
        const replica = new URL(replicas[next++ % replicas.length]);
        const onward = send({ host: replica.hostname, port: replica.port, method, path, headers, agent: false }, async (answer) => {
            const text = Buffer.concat(await answer.toArray().catch(() => []));
            seen.answered = { status: answer.statusCode, body: text.toString() };
            if (!answer.complete || (await onAnswer(seen)) === "drop") return request.socket.destroy();
            response.writeHead(answer.statusCode, answer.rawHeaders).end(text);
        });
        onward.on("error", () => request.socket.destroy());
        onward.end(body);
    });
    const url = await listen(server);
    return { url, requests, sent: (path) => requests.filter((request) => request.path === path) };
}

/** The link in the next mail to this address that has one. */
export async function linkTo(address) {
    let link;
    await until(`a mail with a link to ${address} arrives`, async () => {
        const answer = await fetch(`${process.env.MAILS}/${address}`);
        link = (await answer.text()).match(/https:\S+#token=\S+/)?.[0];
        return link;
    });
    return link;
}

/** The code of an authenticator app (RFC 6238), `ahead` steps of 30 seconds from now. */
export function codeOf(secret, ahead = 0) {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const bits = [...secret].map((character) => alphabet.indexOf(character).toString(2).padStart(5, "0")).join("");
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
    const mac = createHmac("sha1", key).update(step).digest();
    const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, "0");
}

/** A client, and what happened to its session. */
export function clientOf(url, options = {}) {
    const client = new AuthClient({ url, ...options });
    const changes = [];
    client.onChange((change) => changes.push(change));
    return { client, changes };
}

/** A client with a session of a new account. */
export async function signedIn(url, options) {
    const made = clientOf(url, options);
    const email = uniqueEmail();
    await made.client.signUp(email, PASSWORD);
    await made.client.signIn(email, PASSWORD);
    await until("the listener knows", () => made.changes.length === 1);
    return { ...made, email };
}

/** A client with a session of a new account, whose user has used the link in the mail. */
export async function verified(url) {
    const made = await signedIn(url);
    await made.client.verifyEmail(mailLink(await linkTo(made.email)).token);
    return made;
}

/** A client without a session, whose account has a second factor. */
export async function withSecondFactor(url) {
    const { client, email, changes } = await verified(url);
    const { secret } = await client.startTotp(PASSWORD);
    const recoveryCodes = await client.confirmTotp(codeOf(secret));
    await client.signOut();
    await until("the listener knows", () => changes.length === 2);
    return { client, email, changes, secret, recoveryCodes };
}
