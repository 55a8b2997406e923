// Requests, their errors, and when to repeat them.

/** The longest time of a timer, in ms. A longer timer would end at once. */
const LONGEST = 2 ** 31 - 1;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export class AuthError extends Error {
    constructor(message, { status = 0, code = "unreachable", fields = [], retryAfter = null, mfa = null, cause } = {}) {
        super(message, { cause });
        Object.assign(this, { name: "AuthError", status, code, fields, retryAfter });
        // Programs that log an error show the properties that are enumerable. A log must have no token.
        Object.defineProperty(this, "mfaToken", { value: mfa?.token ?? null });
        Object.defineProperty(this, "mfaExpiresIn", { value: mfa?.expiresIn ?? null });
    }

    /** The error that an answer reports. A proxy may answer without a code. */
    static async of(response) {
        const body = await response.json().catch(() => null);
        const { error = `The server answered ${response.status}`, code = "unknown", fields } = body ?? {};
        const mfa = body?.mfa_token ? { token: body.mfa_token, expiresIn: body.mfa_expires_in } : null;
        return new AuthError(error, { status: response.status, code, fields, retryAfter: secondsToWait(response), mfa });
    }
}

/** Whether a later try may get another answer. 0 stands for no answer. */
export const isTemporary = ({ status }) => [0, 429, 502, 503, 504].includes(status);

/** The seconds of `Retry-After`, or null. */
function secondsToWait(response) {
    const text = response.headers.get("Retry-After");
    if (!text) return null;
    const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
    return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** The promise, or the rejection that `signal` asks for. */
export function abortable(promise, signal) {
    if (!signal) return promise;
    return new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        if (signal.aborted) abort();
        signal.addEventListener("abort", abort, { once: true });
        promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
}

/** A signal that aborts after this time, which may be infinite. */
export const timeLimit = (ms) => AbortSignal.timeout(Math.min(ms, LONGEST));

export function sleep(ms, signal) {
    let timer;
    const slept = new Promise((resolve) => (timer = setTimeout(resolve, Math.min(ms, LONGEST))));
    return abortable(slept, signal).finally(() => clearTimeout(timer));
}

/**
 * Sends a request that carries a secret. Follows no redirect: a browser may send the body or the headers of a redirected
 * request to another origin, and does not tell where a redirect leads. `timeout`, if given, limits the time until the
 * whole answer has arrived, in ms.
 */
export async function sendSecret(send, request, timeout) {
    const follows = request.redirect === "follow";
    const limit = timeout === undefined ? null : timeLimit(timeout);
    const signal = limit ? AbortSignal.any([request.signal, limit]) : request.signal;
    let response;
    try {
        response = await send(follows ? new Request(request, { redirect: "manual", signal }) : request);
    } catch (cause) {
        request.signal.throwIfAborted();
        const code = limit?.aborted ? "timeout" : "unreachable";
        throw new AuthError("The server cannot be reached; try again later", { code, cause });
    }
    const { type, status } = response;
    if (follows && (type === "opaqueredirect" || REDIRECTS.has(status))) {
        const message = "The server redirects the request, but a token follows no redirect; use the final URL";
        // A browser hides the status.
        throw new AuthError(message, { status: status || 302, code: "redirected" });
    }
    return response;
}

/** The JSON object of an answer of auth-service. Throws the error that the answer reports. */
export async function answerOf(response, signal) {
    try {
        if (!response.ok) throw await AuthError.of(response);
        const answer = await response.json();
        if (answer && typeof answer === "object") return answer;
        throw new AuthError("The answer is no JSON object", { code: "unreadable" });
    } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof AuthError) throw error;
        const code = error?.name === "TimeoutError" ? "timeout" : "unreadable";
        throw new AuthError("No complete answer of the server arrived; try again later", { code, cause: error });
    }
}

/**
 * Repeats `attempt` while `mayRepeat` permits its answer or its error, and the pauses fit into `bound` ms. Honours
 * `Retry-After`. Returns the last answer, or throws the last error.
 */
export async function persist(attempt, mayRepeat, bound, signal) {
    const start = performance.now();
    for (let n = 0; ; n++) {
        const { answer, error } = await attempt().then((answer) => ({ answer }), (error) => ({ error }));
        signal?.throwIfAborted();
        const pause = mayRepeat(error ?? answer ?? {}) ? pauseAfter(error, answer, n) : null;
        if (pause === null || performance.now() - start + pause > bound) {
            if (error) throw error;
            return answer;
        }
        await answer?.body?.cancel();
        await sleep(pause, signal);
    }
}

/** The pause before the next try, in ms. Its random part keeps clients that failed together from coming back together. */
function pauseAfter(error, answer, n) {
    const asked = error ? error.retryAfter : secondsToWait(answer);
    return (asked ?? 0) * 1000 + 20 + Math.random() * Math.min(200 * 2 ** n, 5000);
}
