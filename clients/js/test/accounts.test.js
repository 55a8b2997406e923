// Links in mails, and the second factor, against real replicas that send real mails.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { AuthError, mailLink, memoryStorage } from "../auth-service.js";
import { PASSWORD, clientOf, codeOf, linkTo, proxy, signedIn, uniqueEmail, until, verified, withSecondFactor } from "./servers.js";

const NEW_PASSWORD = "another horse";
const TOTP = "/authenticate/totp";
const failureOf = (promise) => promise.then(() => assert.fail("the call succeeds"), (error) => error);

test("reads the link that has opened the page", () => {
    const page = "https://app.example.com/account?from=mail";
    const purposes = { reset: "reset-password", verify: "verify-email", change: "change-email" };
    for (const [kind, purpose] of Object.entries(purposes)) {
        assert.deepEqual(mailLink(`${page}#token=${kind}_a-b_c`), { purpose, token: `${kind}_a-b_c` });
    }
    for (const fragment of ["", "#token=", "#token=constructor_a", "#token=abc", "#reset_abc"]) {
        assert.equal(mailLink(new URL(page + fragment)), null);
    }
});

test("a link verifies the email, and a newer link replaces it", async () => {
    const { url } = await proxy();
    const { client, email } = await signedIn(url);
    assert.equal((await client.user()).email_verified, false);
    const [first] = [mailLink(await linkTo(email)), await client.requestVerification()];
    const second = mailLink(await linkTo(email));
    assert.deepEqual([first.purpose, second.purpose], ["verify-email", "verify-email"]);
    await assert.rejects(client.verifyEmail(first.token), { status: 400, code: "invalid_mail_token" });
    await client.verifyEmail(second.token);
    await until("the profile knows", async () => (await client.user()).email_verified);
    await assert.rejects(client.verifyEmail(second.token), { status: 400, code: "invalid_mail_token" });
});

test("a link sets a new password, and ends all sessions", async () => {
    const { url } = await proxy();
    const { client, email, changes } = await signedIn(url);
    const other = clientOf(url);
    await linkTo(email); // The link of the sign-up.
    await other.client.forgotPassword(uniqueEmail()); // Nobody learns that there is no such account.
    await other.client.forgotPassword(email);
    const { purpose, token } = mailLink(await linkTo(email));
    assert.equal(purpose, "reset-password");
    await assert.rejects(other.client.resetPassword(token, "short"), { status: 400, code: "validation_failed" });
    await other.client.resetPassword(token, NEW_PASSWORD);
    assert.equal(await other.client.signedIn(), false);
    await assert.rejects(other.client.resetPassword(token, PASSWORD), { status: 400, code: "invalid_mail_token" });
    assert.equal((await client.fetch(`${url}/user`)).status, 401);
    await until("the listener knows", () => changes.at(-1) === "needs-sign-in");
    await assert.rejects(client.signIn(email, PASSWORD), { code: "invalid_credentials" });
    await client.signIn(email, NEW_PASSWORD);
    assert.equal((await client.user()).email_verified, true);
});

test("the email changes when the owner of the new one uses the link", async () => {
    const { url } = await proxy();
    const { client, email } = await signedIn(url);
    const { id } = await client.user();
    const newEmail = uniqueEmail();
    await assert.rejects(client.changeEmail(newEmail, NEW_PASSWORD), { status: 403, code: "wrong_password" });
    await client.changeEmail(newEmail, PASSWORD);
    assert.equal((await client.user()).email, email);
    const { purpose, token } = mailLink(await linkTo(newEmail));
    assert.equal(purpose, "change-email");
    await clientOf(url).client.verifyEmail(token);
    assert.equal((await client.fetch(`${url}/user`)).status, 401);
    await assert.rejects(client.signIn(email, PASSWORD), { code: "invalid_credentials" });
    await client.signIn(newEmail, PASSWORD);
    const profile = await client.user();
    assert.deepEqual([profile.id, profile.email, profile.email_verified], [id, newEmail, true]);
});

test("a sign-in with a second factor has no session before the code", async () => {
    const { url, sent } = await proxy();
    const { client, email, changes, secret } = await withSecondFactor(url);
    const required = await failureOf(client.signIn(email, PASSWORD));
    assert.ok(required instanceof AuthError);
    assert.deepEqual([required.status, required.code, required.mfaExpiresIn], [401, "mfa_required", 300]);
    assert.equal(await client.signedIn(), false);
    const wrong = await failureOf(client.signInWithCode(required.mfaToken, codeOf(secret, 100)));
    assert.deepEqual([wrong.status, wrong.code, wrong.mfaToken], [401, "invalid_code", null]);
    await client.signInWithCode(required.mfaToken, codeOf(secret, 1));
    assert.equal((await client.user()).email, email);
    await until("the listener knows", () => changes.length === 3);
    assert.deepEqual(changes, ["signed-in", "signed-out", "signed-in"]);
    assert.equal(sent(TOTP).length, 2);
    await assert.rejects(client.signInWithCode("a.b.c", codeOf(secret)), { status: 401, code: "invalid_mfa_token" });
    assert.equal(await client.signedIn(), true);
});

test("a sign-in asks for a code until it is right, or until the user gives up", async () => {
    const { url, sent } = await proxy();
    const { client, email, secret, recoveryCodes } = await withSecondFactor(url);
    const answers = [codeOf(secret, 100), "a code of no form", recoveryCodes[0].toLowerCase()];
    const asked = [];
    await client.signIn(email, PASSWORD, { code: async (refused) => (asked.push(refused?.code ?? null), answers.shift()) });
    assert.deepEqual(asked, [null, "invalid_code", "validation_failed"]);
    assert.equal((await client.user()).email, email);
    await client.signOut();
    await assert.rejects(client.signIn(email, PASSWORD, { code: () => null }), { code: "mfa_required" });
    const broken = new Error("the form is broken");
    await assert.rejects(client.signIn(email, PASSWORD, { code: () => { throw broken; } }), broken);
    const signal = AbortSignal.timeout(100);
    await assert.rejects(client.signIn(email, PASSWORD, { code: () => new Promise(() => {}), signal }), { name: "TimeoutError" });
    assert.equal(await client.signedIn(), false);
    assert.equal(sent("/authenticate").length, 5);
});

test("a second factor is set up with a code, and removed with a recovery code", async () => {
    const { url } = await proxy();
    const { client, email } = await verified(url);
    await assert.rejects(client.confirmTotp("123456"), { status: 404, code: "totp_not_started" });
    await assert.rejects(client.startTotp(NEW_PASSWORD), { status: 403, code: "wrong_password" });
    const { secret, otpauth_url, expires_in } = await client.startTotp(PASSWORD);
    assert.equal(new URL(otpauth_url).searchParams.get("secret"), secret);
    assert.equal(expires_in, 600);
    await assert.rejects(client.confirmTotp(codeOf(secret, 100)), { status: 403, code: "wrong_code" });
    const recoveryCodes = await client.confirmTotp(codeOf(secret));
    assert.equal(new Set(recoveryCodes).size, 10);
    await assert.rejects(client.startTotp(PASSWORD), { status: 409, code: "totp_already_enabled" });
    await client.removeTotp(PASSWORD, recoveryCodes[9]);
    await assert.rejects(client.removeTotp(PASSWORD, recoveryCodes[8]), { status: 404, code: "totp_not_enabled" });
    await client.signIn(email, PASSWORD);
});

test("what works once is sent again only if the server did nothing, and a request for a mail after each 503", async () => {
    let faults = [];
    const { url, sent } = await proxy({ fault: () => faults.shift() });
    const { client, email, recoveryCodes } = await withSecondFactor(url);
    const failing = (code) => ({ status: 503, headers: { "Retry-After": "0" }, body: JSON.stringify({ error: "no", code }) });
    const { mfaToken } = await failureOf(client.signIn(email, PASSWORD));
    for (const [path, call] of [
        [TOTP, () => client.signInWithCode(mfaToken, recoveryCodes[0])],
        ["/password/reset", () => client.resetPassword("reset_a", NEW_PASSWORD)],
        ["/email/verify", () => client.verifyEmail("verify_a")],
    ]) {
        const before = sent(path).length;
        faults = [failing("store_timeout")];
        await assert.rejects(call(), { status: 503, code: "store_timeout" });
        assert.equal(sent(path).length, before + 1);
        faults = [failing("overloaded")];
        await call().catch(({ code }) => assert.equal(code, "invalid_mail_token"));
        assert.equal(sent(path).length, before + 3);
    }
    faults = [failing("store_timeout")];
    await client.forgotPassword(email);
    assert.equal(sent("/password/forgot").length, 2);
});

test("an error that is logged does not show the token of the second step", async () => {
    const { url } = await proxy();
    const storage = memoryStorage();
    const { email } = await withSecondFactor(url);
    const error = await failureOf(clientOf(url, { storage }).client.signIn(email, PASSWORD));
    assert.equal(error.mfaToken.split(".").length, 3);
    for (const text of [inspect(error), JSON.stringify(error), `${error}`, error.stack]) {
        assert.ok(!text.includes(error.mfaToken), text);
    }
    assert.equal(storage.get(), null);
});
