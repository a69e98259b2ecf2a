// An OpenID provider with accounts for anybody: whoever logs in as "<name>" has the address <name>@example.com, which is proven
// unless the name begins with "unproven". PORT and REDIRECT_URIS (separated by blanks) come from the environment.
// The client "machine" gets tokens for itself; "resource" is a resource server, which may ask about tokens.
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
    {
      client_id: "machine",
      client_secret: "a secret of the machine's, long enough",
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
    },
    {
      client_id: "resource",
      client_secret: "a secret of the resource server's, long enough",
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  scopes: ["openid", "email", "offline_access"],
  pkce: { required: () => true },
  cookies: { keys: ["a key of the provider's cookies"] },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === "resource" },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Tokens for a resource whose URL ends so are opaque, those for any other are JWTs.
      getResourceServerInfo: (_, resource) => ({
        audience: resource,
        scope: "orders:read orders:write",
        ...(resource.endsWith("/opaque")
          ? { accessTokenFormat: "opaque" }
          : { accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
      }),
    },
  },
  async findAccount(_, id) {
    const claims = { sub: id, email: `${id}@example.com`, email_verified: !id.startsWith("unproven") };
    if (id.startsWith("nomail")) delete claims.email;
    return { accountId: id, claims: async () => claims };
  },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
