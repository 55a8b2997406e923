// Sessions while Redis is away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { proxy } from "./servers.js";
import { counts, openSessions, pause, useSessions } from "./steady.js";

test("tokens outlast a Redis that is away for seconds", async (t) => {
    const front = await proxy();
    const sessions = await openSessions(front);
    const redis = Number(process.env.REDIS_PID);
    let goal = Infinity;
    const outage = async () => {
        await pause(500);
        process.kill(redis, "SIGSTOP");
        await pause(5000);
        process.kill(redis, "SIGCONT");
        goal = counts(front).refreshes + 24;
    };
    await Promise.all([useSessions(sessions, () => counts(front).refreshes >= goal), outage()]);
    const { requests, refreshes, failed } = counts(front);
    t.diagnostic(`outage: ${requests} requests, ${refreshes} refreshes, ${failed} failed and were repeated`);
    assert.ok(failed > 0);
});
