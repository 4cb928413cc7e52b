// An OpenID provider with keys that change while it runs. It reads a command a line, and answers each
// with a line: "keys k1 k2" has these keys, of which the first signs; "down" and "up" end and begin to
// listen. The keys are made as they are named, ES256.
import { createServer } from "node:https";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const [directory, port] = process.argv.slice(2);
const issuer = `https://127.0.0.1:${port}`;
const keys = new Map();

function key(kid) {
  if (!keys.has(kid)) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    keys.set(kid, { ...privateKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" });
  }
  return keys.get(kid);
}

function provider(kids) {
  return new Provider(issuer, {
    jwks: { keys: kids.map(key) },
    cookies: { keys: ["not used"] },
    clients: [{
      client_id: "gateway", client_secret: "the-secret", grant_types: ["client_credentials"],
      redirect_uris: [], response_types: [], token_endpoint_auth_method: "client_secret_post",
      id_token_signed_response_alg: "ES256",
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "https://enforcer.example",
        getResourceServerInfo: () => ({
          scope: "decide", audience: "enforcer", accessTokenTTL: 600, accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    ttl: { ClientCredentials: 600 },
    extraTokenClaims: () => ({ roles: ["decide"], tenants: ["acme"] }),
  }).callback();
}

let answer = provider(["k1"]);
const options = { key: readFileSync(`${directory}/server.key`), cert: readFileSync(`${directory}/server.pem`) };
const server = createServer(options, (request, response) => answer(request, response));
const up = () => new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
const down = () => new Promise((resolve) => {
  server.close(resolve);
  server.closeAllConnections();
});
await up();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...kids] = line.split(" ");
  if (command === "keys") answer = provider(kids);
  if (command === "down") await down();
  if (command === "up") await up();
  console.log("done");
}
