// Answers of /v1/tenants/{id}/why, in the form of the real ones.

/** @param {Record<string, string|null>} values what each has as JSON; null: it is undefined */
export const valuesOf = (values) => Object.entries(values).map(([name, value]) => ({ name, value }));

/**
 * @param {number} row @param {number} col @param {string} source @param {"held"|"failed"|"not_reached"} outcome
 * @param {Record<string, string|null>} [values] @param {object} [more]
 */
export function statement(row, col, source, outcome, values = {}, more = {}) {
  const isReached = outcome !== "not_reached";
  return {
    place: { file: "policy.rego", row, col }, source, outcome, held: outcome === "held" ? 1 : 0, failed: outcome === "failed" ? 1 : 0,
    attempts: isReached ? [{ held: outcome === "held", values: valuesOf(values) }] : [], inside: [], ...more,
  };
}

/**
 * @param {string} name @param {number} row @param {string} source @param {"held"|"failed"|"not_reached"} outcome
 * @param {any[]} [statements] @param {object} [more]
 */
export function rule(name, row, source, outcome, statements = [], more = {}) {
  return { name, place: { file: "policy.rego", row, col: 1 }, source, outcome, value: null, is_default: false, is_else: false, evaluations: outcome === "not_reached" ? 0 : 1, statements, ...more };
}

/** @param {string} document @param {any[]} rules @param {string} revision @param {object} [more] */
export function explanation(document, rules, revision, more = {}) {
  return { result: { document, value: "false", error: null, rules, is_truncated: false, ...more }, revision };
}

/** Data residency, denied: the example tenant's. @param {string} tenant @param {string} revision */
export function residency(tenant, revision) {
  const of = `data.tenants.${tenant}`;
  return explanation(`${of}.allow`, [
    rule(`${of}.allow`, 12, "allow if {\n\treading\n\tresident\n\tnot suspended\n}", "failed", [
      statement(13, 2, "reading", "held", { [`${of}.reading`]: "true" }),
      statement(14, 2, "resident", "failed", { [`${of}.resident`]: null }),
      statement(15, 2, "not suspended", "not_reached"),
    ]),
    rule(`${of}.allow`, 10, "default allow := false", "held", [], { value: "false", is_default: true }),
    rule(`${of}.reading`, 37, 'reading if input.action == "read"', "held", [statement(37, 12, 'input.action == "read"', "held", { "input.action": '"read"' })], { value: "true" }),
    rule(`${of}.resident`, 40, "resident if input.resource.region in data.residency[input.resource.type]", "failed", [
      statement(40, 13, "input.resource.region in data.residency[input.resource.type]", "failed", { "input.resource.region": '"US"', "input.resource.type": '"sensor_data"', "data.residency[input.resource.type]": '["EU","EEA"]' }),
    ]),
    rule(`${of}.suspended`, 44, "suspended if input.subject.user_id in data.suspended", "not_reached"),
  ], revision);
}
