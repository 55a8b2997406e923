// Where a session is kept, and the lock that one refresh at a time takes.

import { sleep } from "./requests.js";

/** How long a tab keeps the lock after a change, in ms. Meanwhile, the change reaches the storage of the other tabs. */
const SETTLE = 200;
/** The lock of a tab that has died ends after this time, in ms. It is longer than a request may take. */
const LEASE = 60_000;

export function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

const queues = new WeakMap();

/** Runs one function at a time for each storage, among the clients of this page or process. */
export function queued(storage, run) {
    const result = (queues.get(storage) ?? Promise.resolve()).then(run);
    queues.set(storage, result.catch(() => {}));
    return result;
}

/** A set of listeners, each with a function that removes it. */
function listenerSet() {
    const listeners = new Set();
    return {
        notify: () => listeners.forEach((listener) => listener()),
        subscribe(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
        },
    };
}

export function memoryStorage() {
    const { notify, subscribe } = listenerSet();
    let value = null;
    return {
        get: () => value,
        set(text) {
            value = text;
            notify();
        },
        subscribe,
    };
}

export function webStorage(area = globalThis.sessionStorage, key = "auth-service") {
    const { notify, subscribe } = listenerSet();
    const isShared = area === globalThis.localStorage;
    const channel = globalThis.BroadcastChannel && new BroadcastChannel(key);
    const get = () => area.getItem(key);
    channel?.addEventListener("message", ({ data }) => {
        if (!isShared) exchange(data);
        notify();
    });
    // Also tells of changes where there is no BroadcastChannel. A null key means that all keys were removed.
    globalThis.addEventListener?.("storage", (event) => (event.key === key || event.key === null) && notify());

    /** A duplicated tab has a copy of the session storage. The copies of one session follow the newest of them. */
    function exchange(text) {
        const [theirs, ours] = [parse(text), parse(get())];
        if (!theirs || theirs.id !== ours?.id) return;
        if (theirs.count > ours.count) area.setItem(key, text);
        if (theirs.count < ours.count) channel.postMessage(get());
    }

    // The tab that this tab was duplicated from may have refreshed before this tab listened.
    if (!isShared && get()) channel?.postMessage(get());
    const exchanged = isShared ? null : sleep(SETTLE);

    function lock(run, signal) {
        const { locks } = globalThis.navigator;
        return new Promise((resolve, reject) => {
            const hold = async () => {
                await exchanged;
                const before = get();
                await run().then(resolve, reject);
                if (get() !== before) await sleep(SETTLE);
            };
            (locks ? locks.request(key, { signal }, hold) : leased(`${key}.lock`, hold, signal)).catch(reject);
        });
    }

    function set(text) {
        area.setItem(key, text);
        channel?.postMessage(text);
        notify();
    }

    return { get, set, subscribe, lock };
}

/** A lock over the tabs of a page without Web Locks, which browsers offer in secure contexts only. */
async function leased(key, run, signal) {
    const me = `${Date.now()}.${Math.random()}`;
    const owner = () => parse(localStorage.getItem(key));
    const isFree = () => !(Math.abs(Date.now() - owner()?.since) < LEASE);
    do {
        while (!isFree()) await sleep(SETTLE / 4 + Math.random() * (SETTLE / 4), signal);
        localStorage.setItem(key, JSON.stringify({ me, since: Date.now() }));
        // Another tab may write at the same time. The last one to write gets the lock.
        await sleep(SETTLE / 2, signal);
    } while (owner()?.me !== me);
    try {
        await run();
    } finally {
        if (owner()?.me === me) localStorage.removeItem(key);
    }
}
