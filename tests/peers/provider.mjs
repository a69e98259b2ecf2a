// An OpenID provider with accounts for anybody: whoever logs in as "<name>" has the address <name>@example.com, which is proven
// unless the name begins with "unproven". From the environment come PORT, and separated by blanks REDIRECT_URIS and
// POST_LOGOUT_REDIRECT_URIS; BACKCHANNEL_LOGOUT_URI, where logout tokens are sent; ACCESS_TOKEN_SECONDS; JWKS, its keys.
// "client" authenticates in the body and "basic" by header, "public" has no secret, "plain" need not use PKCE; each of them has
// every flow of a user. "machine" gets tokens for itself; "resource" is a resource server, which may ask about tokens.
import Provider from "oidc-provider";

const { env } = process;
const port = Number(env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const urls = (name) => (env[name] ?? "").split(" ").filter(Boolean);
const user = {
  redirect_uris: urls("REDIRECT_URIS"),
  post_logout_redirect_uris: urls("POST_LOGOUT_REDIRECT_URIS"),
  grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
  ...(env.BACKCHANNEL_LOGOUT_URI
    ? { backchannel_logout_uri: env.BACKCHANNEL_LOGOUT_URI, backchannel_logout_session_required: true }
    : {}),
};
const machine = { redirect_uris: [], response_types: [] };
const provider = new Provider(issuer, {
  clients: [
    {
      ...user,
      client_id: "client",
      client_secret: "a secret of the client's, long enough",
      token_endpoint_auth_method: "client_secret_post",
    },
    { ...user, client_id: "basic", client_secret: "a secret of basic: with %, + and :, long enough" },
    { ...user, client_id: "public", token_endpoint_auth_method: "none" },
    { ...user, client_id: "plain", client_secret: "a secret of the plain client's, long enough" },
    {
      ...machine,
      client_id: "machine",
      client_secret: "a secret of the machine's, long enough",
      grant_types: ["client_credentials"],
    },
    {
      ...machine,
      client_id: "resource",
      client_secret: "a secret of the resource server's, long enough",
      grant_types: [],
    },
  ],
  ...(env.JWKS ? { jwks: JSON.parse(env.JWKS) } : {}),
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  scopes: ["openid", "email", "profile", "offline_access"],
  pkce: { required: (_, client) => client.clientId !== "plain" },
  cookies: { keys: ["a key of the provider's cookies"] },
  ttl: { AccessToken: Number(env.ACCESS_TOKEN_SECONDS ?? 3600) },
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: () => true,
  // Logout tokens go to this machine, where a provider on the internet would send nothing.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
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
    const claims = { sub: id, name: id, email: `${id}@example.com`, email_verified: !id.startsWith("unproven") };
    if (id.startsWith("nomail")) delete claims.email;
    return { accountId: id, claims: async () => claims };
  },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
