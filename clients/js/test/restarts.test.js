// Sessions while the replicas restart one after the other, by SIGTERM and by SIGKILL.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { proxy } from "./servers.js";
import { counts, openSessions, useSessions } from "./steady.js";

test("no session is lost while the replicas restart", async (t) => {
    const front = await proxy();
    const sessions = await openSessions(front);
    writeFileSync(process.env.READY, "");
    await useSessions(sessions, () => existsSync(process.env.RESTARTED) && counts(front).refreshes >= 16);
    const { requests, refreshes, failed } = counts(front);
    t.diagnostic(`restarts: ${requests} requests, ${refreshes} refreshes, ${failed} failed and were repeated`);
    assert.ok(failed > 0);
});
