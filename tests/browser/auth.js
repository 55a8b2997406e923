// The client of the page that links in mails open.

import { AuthClient } from "/auth-service.js";

const { api } = await (await fetch("/plan")).json();
export const auth = new AuthClient({ url: api });
