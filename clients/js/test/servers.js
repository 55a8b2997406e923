// The servers of the tests: real replicas, which tests/node/main.rs starts, behind a proxy that can fail.

import { createServer, request as send } from "node:http";
import { AuthClient } from "../auth-service.js";

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
