import { AuthClient, AuthError, mailLink, memoryStorage, webStorage } from "auth-service-client";
import type { Change, ErrorCode, MailLink, Profile, SessionStorage, TotpSetup } from "auth-service-client";

const client = new AuthClient({ url: "/auth", origins: [new URL("https://api.example.com")], storage: webStorage(localStorage) });
const stop: () => void = client.onChange((change: Change) => console.log(change));
await client.signUp("ada@example.com", "correct horse", { signal: new AbortController().signal });
await client.signIn("ada@example.com", "correct horse");
await client.signIn("ada@example.com", "correct horse", { code: async (refused) => (refused?.retryAfter ? null : "081804") });
const profile: Profile = await client.user();
const response: Response = await client.fetch("https://api.example.com/things", { method: "POST" });
const token: string | null = await client.accessToken();
await client.changePassword("correct horse", "battery staple");
const verified: boolean | undefined = profile.email_verified;
const hasSecondFactor: boolean = profile.totp_enabled ?? false;
const link: MailLink | null = mailLink();
if (link?.purpose === "reset-password") await client.resetPassword(link.token, "battery staple");
else if (link) await client.verifyEmail(link.token);
const setup: TotpSetup = await client.startTotp("correct horse");
const codes: string[] = await client.confirmTotp("081804");
await client.removeTotp("correct horse", codes[0] ?? setup.secret);
try {
    await client.signOut();
} catch (error) {
    if (error instanceof AuthError) {
        const code: ErrorCode = error.code;
        const wait: number | null = error.retryAfter;
        console.log(code, error.status.toFixed(), wait, error.fields.map(({ field, message }) => field + message));
        if (error.code === "too_many_attempts") stop();
        if (error.mfaToken !== null) await client.signInWithCode(error.mfaToken, "081804");
        // @ts-expect-error a code that does not exist
        if (error.code === "too_many_attemps") stop();
    }
}
const own: SessionStorage = { get: async () => null, set: async (text: string) => console.log(text.length) };
new AuthClient({ url: new URL("https://auth.example.com"), storage: own, fetch: (request) => fetch(request) });
new AuthClient({ url: "/auth", storage: memoryStorage(), timeout: 1000, retryFor: 1000 });
console.log(profile.email, response.status, token, verified, hasSecondFactor);
client.close();

// @ts-expect-error the URL is missing
new AuthClient({});
// @ts-expect-error the password is missing
await client.signIn("ada@example.com");
// @ts-expect-error there may be no link
mailLink(new URL("https://app.example.com/account")).token;
// @ts-expect-error a purpose that does not exist
if (mailLink()?.purpose === "reset") stop();
// @ts-expect-error a code is text
await client.signInWithCode("token", 81804);
// @ts-expect-error there may be no token
const certain: string = await client.accessToken();
// @ts-expect-error the profile cannot be changed
profile.email = "eve@example.com";
// @ts-expect-error no such change
client.onChange((change: "signed-up") => console.log(change));
// @ts-expect-error a storage without set
new AuthClient({ url: "/auth", storage: { get: () => null } });
// @ts-expect-error a misspelt option
new AuthClient({ url: "/auth", retryfor: 1000 });
export { certain };
