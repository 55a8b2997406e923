// Several sessions in steady use.

import assert from "node:assert/strict";
import { signedIn } from "./servers.js";

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function openSessions(front) {
    return Promise.all(Array.from({ length: 8 }, () => signedIn(front.url, { retryFor: 60_000 })));
}

/** Uses each session for two requests at a time until `isOver`. Asserts that none has to sign in again. */
export async function useSessions(sessions, isOver) {
    const work = async ({ client, email }) => {
        while (!isOver()) {
            assert.equal((await client.user()).email, email);
            await pause(Math.random() * 100);
        }
    };
    await Promise.all(sessions.flatMap((session) => [work(session), work(session)]));
    for (const { changes } of sessions) assert.deepEqual(changes, ["signed-in"]);
}

/** What the replicas were asked, and how often they failed. */
export function counts({ requests, sent }) {
    const failed = requests.filter(({ answered }) => !answered || answered.status >= 500);
    return { requests: requests.length, refreshes: sent("/refresh-access-token").length, failed: failed.length };
}
