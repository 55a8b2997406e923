// A client of auth-service for browsers and Node 20. README.md shows how to use it, auth-service.d.ts documents each name.

import { AuthError, abortable, isTemporary } from "./requests.js";
import { Session } from "./session.js";
import { memoryStorage, webStorage } from "./storage.js";

export { AuthError, memoryStorage, webStorage };

/** What the links in mails are for, by the first word of their token. */
const PURPOSES = new Map([["reset", "reset-password"], ["verify", "verify-email"], ["change", "change-email"]]);
/** After an error with one of these codes, another code may be right. */
const ASK_AGAIN = ["invalid_code", "validation_failed", "too_many_attempts"];
/** The server did nothing, so even a request that must not run twice may be sent again. */
const nothingDone = ({ code }) => ["overloaded", "no_server_ready"].includes(code);
const unavailable = ({ status }) => status === 503;

function originOf(url) {
    const { origin } = new URL(url, globalThis.location?.href);
    if (origin === "null") throw new TypeError(`${url} has no origin; name an http or https URL`);
    return origin;
}

export function mailLink(url = globalThis.location.href) {
    const token = new URLSearchParams(new URL(url).hash.slice(1)).get("token") ?? "";
    const purpose = PURPOSES.get(token.split("_")[0]);
    return purpose ? { purpose, token } : null;
}

export class AuthClient {
    #session;

    constructor({ url, origins = [], storage = memoryStorage(), timeout = 10_000, retryFor = 20_000, fetch }) {
        this.#session = new Session({
            base: new URL(url, globalThis.location?.href).href.replace(/\/+$/, ""),
            origins: new Set([url, ...origins].map(originOf)),
            storage,
            timeout,
            bound: retryFor,
            fetch: fetch ?? ((request) => globalThis.fetch(request)),
        });
    }

    async signUp(email, password, { signal } = {}) {
        await this.#session.post("/signup", { email, password }, nothingDone, signal);
    }

    async signIn(email, password, { code, signal } = {}) {
        try {
            await this.#session.start("/authenticate", { email, password }, unavailable, signal);
        } catch (error) {
            if (error.code !== "mfa_required" || !code) throw error;
            await this.#askForCode(error, code, signal);
        }
    }

    async signInWithCode(mfa_token, code, { signal } = {}) {
        await this.#session.start("/authenticate/totp", { mfa_token, code }, nothingDone, signal);
    }

    async signOut({ signal } = {}) {
        const session = await this.#session.stored();
        if (!session) return;
        // The tokens leave this device first, whatever happens to the request.
        if (!(await this.#session.end(session, "signed-out"))) return this.signOut({ signal });
        await this.#session.post("/signout", { refresh_token: session.refresh_token }, isTemporary, signal);
    }

    async user({ signal } = {}) {
        const { data } = await this.#session.ask("GET", "/user", undefined, signal);
        if (!data) throw new AuthError("The answer has no profile", { code: "unreadable" });
        return data;
    }

    async changePassword(current_password, new_password, { signal } = {}) {
        await this.#session.ask("PUT", "/user/password", { current_password, new_password }, signal);
    }

    async forgotPassword(email, { signal } = {}) {
        await this.#session.post("/password/forgot", { email }, unavailable, signal);
    }

    async resetPassword(token, new_password, { signal } = {}) {
        await this.#session.post("/password/reset", { token, new_password }, nothingDone, signal);
    }

    async requestVerification({ signal } = {}) {
        await this.#session.ask("POST", "/email/verification", undefined, signal);
    }

    async verifyEmail(token, { signal } = {}) {
        await this.#session.post("/email/verify", { token }, nothingDone, signal);
    }

    async changeEmail(email, password, { signal } = {}) {
        await this.#session.ask("PUT", "/user/email", { email, password }, signal);
    }

    async startTotp(password, { signal } = {}) {
        const { secret, otpauth_url, expires_in } = await this.#session.ask("POST", "/user/totp", { password }, signal);
        return { secret, otpauth_url, expires_in };
    }

    async confirmTotp(code, { signal } = {}) {
        return (await this.#session.ask("POST", "/user/totp/confirm", { code }, signal)).recovery_codes;
    }

    async removeTotp(password, code, { signal } = {}) {
        await this.#session.ask("DELETE", "/user/totp", { password, code }, signal);
    }

    async signedIn() {
        return (await this.#session.stored()) !== null;
    }

    async accessToken({ signal } = {}) {
        return (await this.#session.usable(signal))?.access_token ?? null;
    }

    async fetch(input, init) {
        return this.#session.fetch(new Request(input, init));
    }

    onChange(listener) {
        return this.#session.listen(listener);
    }

    close() {
        this.#session.close();
    }

    /** Asks the caller for codes until one is right, or until no other code can help. */
    async #askForCode(required, ask, signal) {
        for (let refused = null; ; ) {
            const code = await abortable(Promise.resolve(ask(refused)), signal);
            if (code === null || code === undefined) throw required;
            try {
                return await this.signInWithCode(required.mfaToken, code, { signal });
            } catch (error) {
                if (!ASK_AGAIN.includes(error.code)) throw error;
                refused = error;
            }
        }
    }
}
