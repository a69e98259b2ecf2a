// An OpenID provider for the examples of an OAuth client and a resource server, to try every flow without an account anywhere.
// `make provider` runs it at http://localhost:9000 for an application at http://localhost:8000; PORT and CLIENT_URL change that.
//
// It is the certified npm package oidc-provider, with settings for development: everything is in memory, its keys are known to
// everybody, and anybody logs in, with any name and any password. Whoever is "alice" has the address alice@example.com, proven.
//
// The client is "client", its secret as below; its browsers come back to /authzcode of the application, or of one of the paths
// in REDIRECT_PATHS. Its flows: authorization code (PKCE needed), refresh (tokens rotate), client credentials, device code,
// password. The application is told of logouts at /backchannellogout.
//
// Access tokens are opaque and for the userinfo endpoint, unless the scope has orders:read or orders:write, or the client names
// a `resource`: then they are JWTs for that resource (RESOURCE, by default the application), which a resource server with this
// provider as issuer and the resource as audience accepts: examples/resource_server.py.
import Provider, { errors } from "../tests/peers/node_modules/oidc-provider/lib/index.js";

const { env } = process;
const port = Number(env.PORT ?? 9000);
const app = (env.CLIENT_URL ?? "http://localhost:8000").replace(/\/$/, "");
const api = env.RESOURCE ?? app;
const apiScopes = ["orders:read", "orders:write"];
const paths = (env.REDIRECT_PATHS ?? "/authzcode /oauth/authzcode /auth/authzcode").split(" ");
// The same machine has two names.
const sites = [app, app.replace("//localhost", "//127.0.0.1")];
const everywhere = (path) => [...new Set(sites.map((site) => site + path))];

const claims = (id) => ({
  sub: id,
  name: id,
  preferred_username: id,
  email: `${id}@example.com`,
  email_verified: true,
});
const findAccount = async (_, id) => ({ accountId: id, claims: async () => claims(id) });

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: "client",
      client_secret: "a secret of the client's, long enough",
      client_name: "Example",
      redirect_uris: paths.flatMap(everywhere),
      post_logout_redirect_uris: ["", "/", "/loggedout"].flatMap(everywhere),
      backchannel_logout_uri: `${app}/backchannellogout`,
      backchannel_logout_session_required: true,
      grant_types: [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
      ],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  scopes: ["openid", "email", "profile", "offline_access"],
  // The claims are in the ID token too.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["a key of the provider's cookies, for development"] },
  routes: { userinfo: "/userinfo" },
  // So short that refreshing is seen.
  ttl: { AccessToken: 300, ClientCredentials: 300, IdToken: 3600, RefreshToken: 14 * 86400, Grant: 14 * 86400, Session: 86400 },
  extraTokenClaims: (_, token) => (token.accountId ? { username: token.accountId } : undefined),
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
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) =>
        (ctx.oidc.params.scope ?? "").split(" ").some((scope) => apiScopes.includes(scope)) ? api : undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== api && !resource.startsWith(app)) throw new errors.InvalidTarget();
        const scope = apiScopes.join(" ");
        return { audience: resource, scope, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } };
      },
    },
  },
  findAccount,
});

// The password grant (RFC 6749 section 4.3), which no certified provider has: OAuth 2.1 leaves it out.
async function password(ctx) {
  const { client, params } = ctx.oidc;
  if (!params.username || !params.password) throw new errors.InvalidGrant("wrong username or password");
  const scope = (params.scope ?? "").split(" ").filter((name) => ["openid", "email", "profile"].includes(name)).join(" ");
  const accountId = params.username;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const issued = { accountId, client, grantId: await grant.save(), gty: "password", scope };
  const token = new provider.AccessToken(issued);
  ctx.oidc.entity("AccessToken", token);
  const body = { access_token: await token.save(), expires_in: token.expiration, scope, token_type: token.tokenType };
  const authTime = Math.floor(Date.now() / 1000);
  body.refresh_token = await new provider.RefreshToken({ ...issued, authTime, rotations: 0 }).save();
  if (scope.includes("openid")) {
    const idToken = new provider.IdToken({ ...claims(accountId), auth_time: authTime }, { ctx });
    idToken.scope = scope;
    body.id_token = await idToken.issue({ use: "idtoken" });
  }
  ctx.body = body;
}
provider.registerGrantType("password", password, ["username", "password", "scope"]);

provider.listen(port, "localhost", () => console.log(`An OpenID provider is at ${provider.issuer}, for ${app}`));
