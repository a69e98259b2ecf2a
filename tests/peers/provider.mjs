// An OpenID provider with accounts for anybody: whoever logs in as "<name>" has the address <name>@example.com, which is proven
// unless the name begins with "unproven". PORT and REDIRECT_URIS (separated by blanks) come from the environment.
import Provider from "oidc-provider";

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "client",
      client_secret: "a secret of the client's, long enough",
      redirect_uris: process.env.REDIRECT_URIS.split(" "),
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  scopes: ["openid", "email", "offline_access"],
  pkce: { required: () => true },
  cookies: { keys: ["a key of the provider's cookies"] },
  features: { devInteractions: { enabled: true } },
  async findAccount(_, id) {
    const claims = { sub: id, email: `${id}@example.com`, email_verified: !id.startsWith("unproven") };
    if (id.startsWith("nomail")) delete claims.email;
    return { accountId: id, claims: async () => claims };
  },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
