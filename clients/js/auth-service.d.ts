/** The codes of errors: those of auth-service, those of its load balancer, and those of this client. */
export type ErrorCode =
    // 400
    | "validation_failed" | "invalid_json" | "invalid_body" | "invalid_mail_token" | "query_not_allowed" | "ambiguous_token"
    | "invalid_host" | "invalid_request"
    // 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431
    | "invalid_credentials" | "mfa_required" | "invalid_mfa_token" | "invalid_code" | "invalid_client" | "token_missing"
    | "invalid_token" | "token_expired" | "token_reused" | "wrong_password" | "wrong_code" | "not_owner"
    | "email_not_verified" | "token_not_found" | "user_not_found" | "session_not_found" | "route_not_found"
    | "issuer_not_set" | "mail_not_configured" | "totp_not_enabled" | "totp_not_started" | "method_not_allowed"
    | "request_timeout" | "email_taken" | "totp_already_enabled" | "body_too_large" | "unsupported_media_type"
    | "unsupported_encoding" | "too_many_attempts" | "too_many_headers" | "bad_request"
    // 500 to 504
    | "internal_error" | "unsupported_transfer_coding" | "overloaded" | "no_signing_key" | "hashing_unavailable" | "deadline_exceeded"
    | "shutting_down" | "store_unreachable" | "store_timeout" | "store_loading" | "store_read_only"
    | "store_out_of_memory" | "store_disk_failed" | "store_not_replicated" | "store_refused" | "store_not_permitted"
    | "store_busy" | "store_cluster_down" | "store_newer_version" | "store_unavailable" | "not_replicated"
    | "server_lost" | "no_server_ready" | "server_timeout"
    // This client: no connection, no answer in time, an answer that is not auth-service's, no code in the answer, a
    // redirect, and a call that needs a session.
    | "unreachable" | "timeout" | "unreadable" | "unknown" | "redirected" | "not_signed_in";

/** A field that the server did not accept. */
export interface FieldError {
    readonly field: string;
    readonly message: string;
}

/** Why a call failed. A call that was aborted fails with the reason of its signal instead. */
export class AuthError extends Error {
    readonly name: "AuthError";
    /** The HTTP status, or 0 if no answer arrived. */
    readonly status: number;
    readonly code: ErrorCode;
    /** With `validation_failed`: all fields that are wrong. Otherwise empty. */
    readonly fields: readonly FieldError[];
    /** The seconds to wait before the next try, or null if the server did not say. */
    readonly retryAfter: number | null;
    /** With `mfa_required`: the token for `signInWithCode`. Otherwise null. Programs that log the error do not show it. */
    readonly mfaToken: string | null;
    /** With `mfa_required`: for how many seconds `mfaToken` is valid. Otherwise null. */
    readonly mfaExpiresIn: number | null;
    constructor(message: string, about?: {
        status?: number; code?: ErrorCode; fields?: readonly FieldError[]; retryAfter?: number | null;
        mfa?: { token: string; expiresIn: number } | null; cause?: unknown;
    });
    /** The error that an answer reports. Reads the body of the answer. */
    static of(response: Response): Promise<AuthError>;
}

/** Where the client keeps the session. All clients on one storage share one session. */
export interface SessionStorage {
    /** The text of the last `set`, or null. */
    get(): string | null | Promise<string | null>;
    /** Keeps the text. It contains the tokens. */
    set(text: string): void | Promise<void>;
    /** Calls `listener` after each change, also by other clients. Returns a function that ends this. */
    subscribe?(listener: () => void): () => void;
    /**
     * Calls `run` while no other client calls a function under the lock of this storage, and settles as `run` does.
     * Rejects with `signal.reason` if the lock is not free until the signal aborts. Without this method, the client
     * locks the storage object within this page or process only.
     */
    lock?<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** Keeps the session in this object. A reload of the page loses the session. */
export function memoryStorage(): SessionStorage;

/**
 * Keeps the session in `sessionStorage` (the default: a reload of the tab keeps it) or `localStorage` (all tabs share
 * it). Tabs refresh one at a time. `key` is the name of the item, the default is `auth-service`.
 */
export function webStorage(area?: Storage, key?: string): SessionStorage;

export interface Options {
    /** Where auth-service answers, such as `https://app.example.com/auth`. In a page, it may be relative. */
    url: string | URL;
    /** Further origins that get the access token, such as `https://api.example.com`. The origin of `url` gets it anyway. */
    origins?: readonly (string | URL)[];
    /** The default is a new `memoryStorage()`. */
    storage?: SessionStorage;
    /**
     * How long each try of the client's own requests to auth-service may take, in ms. The default is 10,000. The method
     * `fetch` limits a refresh only: give it a signal.
     */
    timeout?: number;
    /** For how long failed tries are repeated, in ms. The default is 20,000. */
    retryFor?: number;
    /** Sends a request in place of the global `fetch`. */
    fetch?: (request: Request) => Promise<Response>;
}

export interface CallOptions {
    /** Aborts the call. */
    signal?: AbortSignal;
}

export interface SignInOptions extends CallOptions {
    /**
     * Asks the user for a code, if the account has a second factor: six digits of the authenticator app, or a recovery
     * code. `refused` is null at first. If the server refuses a code, the function is called again with the error, which
     * has the code `invalid_code`, `validation_failed` (no code has this form) or `too_many_attempts` (wait for
     * `retryAfter` seconds). Return null to give up: the call then rejects with `mfa_required`.
     */
    code?: (refused: AuthError | null) => string | null | undefined | Promise<string | null | undefined>;
}

/** A second factor that waits for its first code. */
export interface TotpSetup {
    /** For users who type the secret into their app. */
    readonly secret: string;
    /** The same secret, for a QR code. */
    readonly otpauth_url: string;
    /** The seconds that are left for `confirmTotp`. */
    readonly expires_in: number;
}

/** What the page in the link of a mail has to do. */
export interface MailLink {
    /** `reset-password` asks for `resetPassword`, the other two ask for `verifyEmail`. */
    readonly purpose: "reset-password" | "verify-email" | "change-email";
    /** Works once. */
    readonly token: string;
}

/** Reads the link from a mail that has opened the page, or `url`. Null if the fragment of the URL has no token. */
export function mailLink(url?: string | URL): MailLink | null;

export interface Profile {
    readonly email: string;
    /** Never changes. */
    readonly id: string;
    /** RFC 3339. */
    readonly created_at: string;
    /** Missing with `EMAIL_VERIFICATION=off`. */
    readonly email_verified?: boolean;
    /** Missing without a second factor. */
    readonly totp_enabled?: true;
}

/**
 * What happened to the session, here or in another tab. `needs-sign-in`: the server says that the session is over. An
 * outage never ends a session.
 */
export type Change = "signed-in" | "signed-out" | "needs-sign-in";

/** A session of one user. Every method that calls a server may reject with an `AuthError`. */
export class AuthClient {
    constructor(options: Options);
    /** Creates an account. Does not sign in. Repeated only if the server says that it did nothing. */
    signUp(email: string, password: string, options?: CallOptions): Promise<void>;
    /**
     * Opens a session, in place of the current one. Repeated after a 503. If the account has a second factor, either
     * pass `code`, or catch the error `mfa_required` and call `signInWithCode`.
     */
    signIn(email: string, password: string, options?: SignInOptions): Promise<void>;
    /**
     * The second step of a sign-in: `mfaToken` comes from the error `mfa_required`. After `invalid_code`, the same token
     * works with another code. After `invalid_mfa_token`, begin with the password again.
     */
    signInWithCode(mfaToken: string, code: string, options?: CallOptions): Promise<void>;
    /**
     * Forgets the tokens at once, and then ends the session at the server. If the promise rejects, this device is signed
     * out, but the server may not know.
     */
    signOut(options?: CallOptions): Promise<void>;
    /** The profile of the user. */
    user(options?: CallOptions): Promise<Profile>;
    /** Changes the password, and ends all other sessions of the user. */
    changePassword(currentPassword: string, newPassword: string, options?: CallOptions): Promise<void>;
    /** Sends a link to this email that resets the password. Resolves even if there is no such account. */
    forgotPassword(email: string, options?: CallOptions): Promise<void>;
    /** Sets a new password by the token of a link, and ends all sessions of the user. Signs nobody in. */
    resetPassword(token: string, newPassword: string, options?: CallOptions): Promise<void>;
    /** Sends another link that verifies the email of the user. Sends nothing if the email is verified. */
    requestVerification(options?: CallOptions): Promise<void>;
    /** Verifies an email by the token of a link, or completes a change of the email, which ends all sessions of the user. */
    verifyEmail(token: string, options?: CallOptions): Promise<void>;
    /** Sends a link to the new email. The email changes when somebody gives its token to `verifyEmail`. */
    changeEmail(email: string, password: string, options?: CallOptions): Promise<void>;
    /** Begins to set up a second factor. It counts after `confirmTotp` only. */
    startTotp(password: string, options?: CallOptions): Promise<TotpSetup>;
    /** Turns the second factor on, with a code of the app. Returns the recovery codes, which nobody can ask for again. */
    confirmTotp(code: string, options?: CallOptions): Promise<string[]>;
    /** Removes the second factor, with a code of the app or a recovery code. */
    removeTotp(password: string, code: string, options?: CallOptions): Promise<void>;
    /** Whether there is a session. Asks no server. */
    signedIn(): Promise<boolean>;
    /** An access token that is good for a while, or null without a session. */
    accessToken(options?: CallOptions): Promise<string | null>;
    /**
     * Like the global `fetch`, but adds the access token to requests to `url` and `origins`, refreshes an expired token,
     * and repeats a request once after a 401. GET, HEAD and OPTIONS are also repeated after 429, 502, 503, 504 and
     * network errors. Rejects with an `AuthError` if no answer arrives, if a needed refresh fails, or with the code
     * `redirected` if the server redirects a request that carries the token. A session that is over gives the 401. A
     * request that gets no token is a request of the global `fetch`.
     */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /** Calls `listener` after each change of the session. Returns a function that ends this. */
    onChange(listener: (change: Change) => void): () => void;
    /** Ends all listening. */
    close(): void;
}
