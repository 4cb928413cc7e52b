// OPA's TypeScript SDK, unchanged, against the base URL in SDK_BASE. SDK_BATCH=yes says that the
// server has a batch API, which OPA itself has not, and SDK_DIFFERS=yes that it differs from OPA as
// docs/data-api.md says. Prints what fails, and `N passed, N failed`.
import { OPAClient } from "@open-policy-agent/opa";
import { OpaApiClient } from "@open-policy-agent/opa/sdk/index.js";
import { ClientError, ConnectionError, SDKError, SDKValidationError, ServerError } from "@open-policy-agent/opa/sdk/models/errors";
import { isDeepStrictEqual } from "node:util";

const base = process.env.SDK_BASE;
const hasBatch = process.env.SDK_BATCH === "yes";
const differs = process.env.SDK_DIFFERS === "yes";
if (!base) throw new Error("SDK_BASE is not set: the base URL of OPA, or of a tenant's root");

let passed = 0;
let failed = 0;
async function check(name, expected, action) {
  let actual;
  try {
    actual = await action();
  } catch (error) {
    actual = error;
  }
  if (isDeepStrictEqual(actual, expected)) {
    passed += 1;
  } else {
    failed += 1;
    console.log(name, "\n  expected", expected, "\n  got     ", actual);
  }
}

/** What a call failed with, so that it can be compared. */
async function failure(call) {
  try {
    return { resolved: await call() };
  } catch (error) {
    if (error instanceof ServerError || error instanceof ClientError) {
      const { code, errors } = error.data$ ?? error;
      const kind = error instanceof ServerError ? "ServerError" : "ClientError";
      return { kind, code, ...(errors && { inner: errors.map((inner) => inner.code) }) };
    }
    if (error instanceof SDKError) return { kind: "SDKError", status: error.httpMeta.response.status };
    if (error instanceof SDKValidationError) return { kind: "SDKValidationError" };
    if (error instanceof ConnectionError) return { kind: "ConnectionError" };
    return { thrown: error };
  }
}

const opa = new OPAClient(base);
const admin = { subject: { role: "admin" } };
const reader = { subject: { role: "reader" }, action: "read" };
const writer = { subject: { role: "reader" }, action: "write" };
const conflict = { conflict: true };
const failedConflict = { kind: "ServerError", code: "internal_error", inner: ["eval_conflict_error"] };

// evaluate
await check("an allow", true, () => opa.evaluate("tenants/t/allow", admin));
await check("a deny", false, () => opa.evaluate("tenants/t/allow", writer));
await check("a set", ["pii.email", "pii.phone"], () => opa.evaluate("tenants/t/redact", reader));
await check("an object", { allow: true, redact: [], at: 3 }, () => opa.evaluate("tenants/t/decision", { ...admin, n: 3 }));
await check("no input", 42, () => opa.evaluate("tenants/t/number"));
await check("no input, and the rule sees none", true, () => opa.evaluate("tenants/t/no_input"));
await check("an undefined document", undefined, () => opa.evaluate("tenants/t/undefined_rule", {}));
await check("an undefined document without input", undefined, () => opa.evaluate("tenants/t/nothing"));
await check("null, which it does not take", { kind: "SDKValidationError" }, () => failure(() => opa.evaluate("tenants/t/null_rule", {})));
await check("a path with a space", "space", () => opa.evaluate("tenants/t/object/ ", {}));
await check("a path with an umlaut", "umlaut", () => opa.evaluate("tenants/t/object/ü", {}));
await check("a segment that is a number", 31, () => opa.evaluate("tenants/t/array/2/1", {}));
await check("a base document", "Deutschland", () => opa.evaluate("eu/region/de/name"));
await check("a whole package", true, async () => "allow" in (await opa.evaluate("tenants/t", {})));
for (const input of [true, false, 0, 1.5, "", "text", "é😀 <&>", [], [1, [2, { a: null }]], {}, { a: { b: ["c"] } }]) {
  await check(`the input ${JSON.stringify(input)}`, input, () => opa.evaluate("tenants/t/echo", input));
}
await check("an input that converts itself", { from: "toInput" }, () =>
  opa.evaluate("tenants/t/echo", { toInput: () => ({ from: "toInput" }) }),
);
await check("a result that is converted", "yes", () =>
  opa.evaluate("tenants/t/decision", { ...admin, n: 1 }, { fromResult: (result) => (result.allow ? "yes" : "no") }),
);
await check("headers of its own", 42, () => new OPAClient(base, { headers: { "X-Of-Its-Own": "x" } }).evaluate("tenants/t/number", {}));
await check("a base URL that ends in a slash", 42, () => new OPAClient(`${base}/`).evaluate("tenants/t/number", {}));
await check("an evaluation that fails", failedConflict, () => failure(() => opa.evaluate("tenants/t/conflict", conflict)));
const badPath = differs ? { kind: "ClientError", code: "invalid_parameter" } : { kind: "ServerError", code: "internal_error" };
await check("a path that is not valid", badPath, () => failure(() => opa.evaluate('tenants/t/"', {})));
await check("a server that has no such route", { kind: "SDKError", status: 404 }, () =>
  failure(() => new OPAClient(`${base}/nothing`).evaluate("tenants/t/number", {})),
);
await check("no server", { kind: "ConnectionError" }, () => failure(() => new OPAClient("http://127.0.0.1:1").evaluate("tenants/t/number", {})));
await check("many at once", Array(50).fill(true), () => Promise.all(Array.from({ length: 50 }, () => opa.evaluate("tenants/t/allow", admin))));

// evaluateDefault: POST to the base URL itself
await check("the default decision", true, () => opa.evaluateDefault(admin));
await check("the default decision with an input that converts itself", true, () => opa.evaluateDefault({ toInput: () => admin }));
await check("a default decision that is false", { thrown: "no result in API response" }, () => failure(() => opa.evaluateDefault(writer)));
await check("the default decision without input", { thrown: "no result in API response" }, () => failure(() => opa.evaluateDefault()));

// evaluateBatch
const batchAnswer = (call) => (hasBatch ? call : { kind: "SDKError", status: 404 });
await check("a batch", batchAnswer({ resolved: { a: true, b: false } }), () =>
  failure(() => opa.evaluateBatch("tenants/t/allow", { a: admin, b: writer })),
);
const falling = new OPAClient(base);
// The second time it may remember that there is no batch API.
for (const time of ["first", "second"]) {
  await check(`a batch with a fallback, the ${time} time`, { a: true, b: false, c: true }, () =>
    falling.evaluateBatch("tenants/t/allow", { a: admin, b: writer, c: reader }, { fallback: true }),
  );
  await check(`a batch with an undefined result, the ${time} time`, { a: undefined, b: 4 }, () =>
    falling.evaluateBatch("tenants/t/echo/n", { a: {}, b: { n: 4 } }, { fallback: true }),
  );
  await check(`a batch where one fails, the ${time} time`, ["internal_error", "500", undefined], async () => {
    const { a, b } = await falling.evaluateBatch("tenants/t/conflict", { a: conflict, b: {} }, { fallback: true });
    return [a.code, a.httpStatusCode, b];
  });
  await check(`a batch where all fail, the ${time} time`, true, async () => {
    const answer = await failure(() => falling.evaluateBatch("tenants/t/conflict", { a: conflict, b: conflict }, { fallback: true }));
    // The batch API answers 500 as a whole, the fallback each of them.
    return hasBatch ? answer.resolved === undefined : answer.resolved.a.code === "internal_error" && answer.resolved.b.code === "internal_error";
  });
  await check(`a batch that is rejected for one failure, the ${time} time`, undefined, async () => {
    const answer = await failure(() => falling.evaluateBatch("tenants/t/conflict", { a: conflict, b: {} }, { fallback: true, rejectMixed: true }));
    return answer.resolved;
  });
}
await check("a batch of results that are converted", { a: "yes", b: "no" }, () =>
  falling.evaluateBatch("tenants/t/decision", { a: { ...admin, n: 1 }, b: { ...writer, n: 1 } }, { fallback: true, fromResult: (result) => (result.allow ? "yes" : "no") }),
);
await check("an empty batch", {}, () => falling.evaluateBatch("tenants/t/allow", {}, { fallback: true }));

// The generated client below, with parameters and headers.
const api = new OpaApiClient({ serverURL: base });
await check("health", 200, async () => (await api.health()).httpMeta.response.status);
await check("health with bundles and plugins", 200, async () => (await api.health(true, true, ["x"])).httpMeta.response.status);
// Not provenance: it demands a time of the build, which an OPA built by `go install` does not have.
await check("metrics", ["number", true], async () => {
  const { successfulPolicyResponse: answer } = await api.executePolicyWithInput({
    path: "tenants/t/allow",
    metrics: true,
    requestBody: { input: admin },
  });
  return [typeof answer.metrics.timer_rego_query_eval_ns, answer.result];
});
await check("switches that are off", [undefined, undefined, true], async () => {
  const { successfulPolicyResponse: answer } = await api.executePolicyWithInput({
    path: "tenants/t/allow",
    metrics: false,
    provenance: false,
    pretty: false,
    instrument: false,
    strictBuiltinErrors: false,
    requestBody: { input: admin },
  });
  return [answer.metrics, answer.provenance, answer.result];
});
await check("pretty, compressed", { b: [1] }, async () => {
  const { successfulPolicyResponse: answer } = await api.executePolicyWithInput({
    path: "tenants/t/echo",
    pretty: true,
    acceptEncoding: "gzip",
    requestBody: { input: { b: [1] } },
  });
  return answer.result;
});
await check("a large answer, compressed", 2000, async () => {
  const { successfulPolicyResponse: answer } = await api.executePolicyWithInput({
    path: "tenants/t/big",
    acceptEncoding: "gzip",
    requestBody: { input: { lines: 2000 } },
  });
  return answer.result.length;
});
await check("strict errors of built-ins", { kind: "ServerError", code: "internal_error", inner: ["eval_builtin_error"] }, () =>
  failure(() => api.executePolicyWithInput({ path: "tenants/t/division", strictBuiltinErrors: true, requestBody: { input: { divisor: 0 } } })),
);
await check("a decision id", ["string", 36], async () => {
  const { successfulPolicyResponse: answer } = await api.executePolicy({ path: "tenants/t/number" });
  return [typeof answer.decisionId, answer.decisionId?.length];
});
// The SDK does not compress, whatever the header says. OPA closes the connection when that is the
// first compressed body that it gets, so that this is for our answer alone.
if (hasBatch) {
  await check("a body that is not what its header says", { kind: "ClientError", code: "invalid_parameter" }, () =>
    failure(() => api.executePolicyWithInput({ path: "tenants/t/echo", contentEncoding: "gzip", requestBody: { input: {} } })),
  );
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
