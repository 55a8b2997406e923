// The session of one user: its tokens, their refresh, and requests with them.

import { AuthError, abortable, answerOf, isTemporary, persist, sendSecret, timeLimit } from "./requests.js";
import { parse, queued } from "./storage.js";

/** A refresh that fails with one of these codes means that the session is over. All other failures leave the tokens alone. */
const GONE = { 401: ["invalid_token", "token_expired", "token_reused"], 404: ["token_not_found"] };
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

const uniqueId = () => `${Date.now()}.${Math.random()}`;

export class Session {
    #base;
    #origins;
    #storage;
    #timeout;
    #bound;
    #fetch;
    #refreshing = null;
    #listeners = new Set();
    /** The id of the session that the listeners know of: null for none, undefined before the first look. */
    #known;
    /** The access token that was seen last, and when, by the monotonic clock. */
    #seen = { token: null, at: 0 };
    /** The id of the session that this client has ended. */
    #ended;
    #ready;
    #unsubscribe;

    /** `base` has no slash at its end. `origins` may get the access token. The times are in ms. */
    constructor({ base, origins, storage, timeout, bound, fetch }) {
        this.#base = base;
        this.#origins = origins;
        this.#storage = storage;
        this.#timeout = timeout;
        this.#bound = bound;
        this.#fetch = fetch;
        this.#ready = this.#look();
        this.#unsubscribe = storage.subscribe?.(() => this.#look());
    }

    /** What the storage has of the session. Null without a session. */
    async stored() {
        await this.#ready;
        const session = parse(await this.#storage.get());
        return session?.refresh_token ? session : null;
    }

    /** Starts a session, in place of the current one, with the tokens that a POST to this route gives. */
    async start(path, body, mayRepeat, signal) {
        await this.#ready;
        const at = performance.now();
        const answer = await this.post(path, body, mayRepeat, signal);
        await this.#write({ id: uniqueId(), count: 0 }, answer, at);
    }

    /** Forgets the tokens, unless another tab has replaced them. Returns whether it did. */
    async end(session, reason) {
        if (!this.#isCurrent(session, await this.stored())) return false;
        this.#ended = session.id;
        await this.#storage.set(JSON.stringify({ id: session.id, count: session.count + 1, ended: reason }));
        await this.#look();
        return true;
    }

    listen(listener) {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
    }

    close() {
        this.#unsubscribe?.();
        this.#listeners.clear();
    }

    /** Sends a request with the token, if its origin may get the token. `timeout`, if given, limits each try. */
    async fetch(request, timeout) {
        const mayCarry = this.#origins.has(new URL(request.url).origin) && !request.headers.has("Authorization");
        const session = mayCarry ? await this.usable(request.signal) : null;
        if (!session) return timeout === undefined ? this.#fetch(request) : sendSecret(this.#fetch, request, timeout);
        let response = await this.#send(request, session.access_token, timeout);
        if (response.status === 401) {
            const renewed = await abortable(this.#refresh(session.access_token), request.signal);
            // Another session may belong to another user, who has not asked for this.
            if (renewed?.id !== session.id) return response;
            await response.body?.cancel();
            response = await this.#send(request, renewed.access_token, timeout);
        }
        await this.#takeOver(session.id, request.url, response);
        return response;
    }

    /** The JSON answer of a route that needs an access token. */
    async ask(method, path, body, signal) {
        if (!(await this.stored())) throw new AuthError("Sign in first", { status: 401, code: "not_signed_in" });
        return answerOf(await this.fetch(this.#request(method, path, body, { signal }), this.#timeout), signal);
    }

    /** The JSON answer of a route that takes no access token. */
    post(path, body, mayRepeat, signal) {
        return persist(() => this.#postOnce(path, body, signal), mayRepeat, this.#bound, signal);
    }

    async #postOnce(path, body, signal) {
        // A sign-out survives the page that closes.
        const options = { credentials: "omit", keepalive: path === "/signout", signal };
        const request = this.#request("POST", path, body, options);
        return answerOf(await sendSecret(this.#fetch, request, this.#timeout), signal);
    }

    #request(method, path, body, options) {
        const json = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
        return new Request(this.#base + path, { method, ...json, ...options });
    }

    /** Sends a request with this token. Repeats it after a temporary failure if its method is safe. */
    #send(request, token, timeout) {
        const attempt = () => {
            const copy = request.clone();
            copy.headers.set("Authorization", `Bearer ${token}`);
            return sendSecret(this.#fetch, copy, timeout);
        };
        const mayRepeat = (outcome) => SAFE_METHODS.includes(request.method) && isTemporary(outcome);
        return persist(attempt, mayRepeat, this.#bound, request.signal);
    }

    /** The session with an access token that is not about to expire. Null without a session. */
    async usable(signal) {
        const session = await this.stored();
        if (!session) return null;
        const left = session.life - this.#age(session);
        const margin = Math.min(session.life / 4, 30_000);
        if (left > margin) return session;
        const refreshed = this.#refresh(session.access_token);
        if (left <= margin / 4) return abortable(refreshed, signal);
        // The token is good for a while, so the request need not wait. A later request meets the failure again.
        refreshed.catch(() => {});
        return session;
    }

    /**
     * The age of the access token in ms. The monotonic clock is right while this client knows the token. The clock of the
     * machine counts the time before, and the time that the machine slept. If somebody set it back, it counts nothing.
     */
    #age({ access_token, at }) {
        if (this.#seen.token !== access_token) this.#seen = { token: access_token, at: performance.now() };
        return Math.max(performance.now() - this.#seen.at, Date.now() - at);
    }

    /** The session with another access token than `stale`. Null if the session is over. All callers share one refresh. */
    #refresh(stale) {
        const attempt = () => this.#lock(() => this.#spend(stale));
        this.#refreshing ??= persist(attempt, isTemporary, this.#bound).finally(() => (this.#refreshing = null));
        return this.#refreshing;
    }

    /** Refreshes once, unless another tab has done so and its token has not expired during a long wait for the lock. */
    async #spend(stale) {
        const session = await this.stored();
        if (!session || (session.access_token !== stale && this.#age(session) < session.life)) return session;
        const at = performance.now();
        try {
            const answer = await this.#postOnce("/refresh-access-token", { refresh_token: session.refresh_token });
            return this.#isCurrent(session, await this.stored()) ? await this.#write(session, answer, at) : this.stored();
        } catch (error) {
            if (!GONE[error.status]?.includes(error.code)) throw error;
            return (await this.end(session, "needs-sign-in")) ? null : this.stored();
        }
    }

    /** Takes over the access token that auth-service sends with an answer. Other services cannot replace the token. */
    async #takeOver(id, url, response) {
        const access_token = url.startsWith(`${this.#base}/`) && response.headers.get("Access-Token");
        if (!access_token) return;
        const write = async () => {
            const session = await this.stored();
            // The new token may expire together with the one that it replaces, so it counts as just as old.
            if (session?.id === id) await this.#write(session, { access_token }, performance.now() - this.#age(session));
        };
        // The request has succeeded, so a storage that fails must not hide the answer. The next 401 brings a refresh.
        await this.#lock(write).catch(() => {});
    }

    /** Runs one function at a time over all clients of the storage, because a write must not undo another one. */
    async #lock(run) {
        const signal = timeLimit(this.#bound + this.#timeout);
        try {
            return await (this.#storage.lock ? this.#storage.lock(run, signal) : queued(this.#storage, run));
        } catch (cause) {
            if (cause !== signal.reason) throw cause;
            throw new AuthError("Another tab does not finish its refresh; try again later", { code: "timeout", cause });
        }
    }

    #isCurrent(session, stored) {
        return stored?.id === session.id && stored.refresh_token === session.refresh_token;
    }

    /** Keeps the tokens of an answer to a request that was sent at `at`. */
    async #write(session, { access_token, refresh_token = session.refresh_token, expires_in }, at) {
        if (!access_token || !refresh_token) throw new AuthError("The answer has no token", { code: "unreadable" });
        // A storage that takes its time may have given the session just before its end.
        if (session.id === this.#ended) return null;
        const life = expires_in === undefined ? session.life : expires_in * 1000;
        const sent = Date.now() - (performance.now() - at);
        const next = { ...session, count: session.count + 1, access_token, refresh_token, life, at: sent };
        this.#seen = { token: access_token, at };
        await this.#storage.set(JSON.stringify(next));
        await this.#look();
        return next;
    }

    /** Tells the listeners what has changed in the storage. */
    async #look() {
        let stored;
        try {
            stored = parse(await this.#storage.get());
        } catch {
            return; // A storage that fails says nothing about the session. The caller of a method gets the error.
        }
        const [id, known] = [stored?.refresh_token ? stored.id : null, this.#known];
        this.#known = id;
        if (known === undefined || known === id) return;
        const change = id ? "signed-in" : (stored?.ended ?? "signed-out");
        for (const listener of this.#listeners) queueMicrotask(() => listener(change));
    }
}
