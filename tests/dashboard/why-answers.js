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

/** Roles, denied: a loop of which some attempts held, statements of one line, an `else`, and a text of wide letters. @param {string} tenant @param {string} revision */
export function roles(tenant, revision) {
  const of = `data.tenants.${tenant}`;
  const attempts = (/** @type {[boolean, Record<string, string|null>][]} */ ...all) => all.map(([held, values]) => ({ held, values: valuesOf(values) }));
  return explanation(`${of}.allow`, [
    rule(`${of}.allow`, 8, "allow if count(granting_roles) > 0", "failed", [
      statement(8, 10, "count(granting_roles) > 0", "failed", { [`${of}.granting_roles`]: "[]", "count(granting_roles)": "0" }),
    ]),
    rule(`${of}.allow`, 10, 'allow if { input.subject.on_call; input.environment.ticket; input.action != "delete" }', "failed", [
      statement(10, 12, "input.subject.on_call", "held", { "input.subject.on_call": "true" }),
      statement(10, 35, "input.environment.ticket", "failed", { "input.environment.ticket": null }),
      statement(10, 61, 'input.action != "delete"', "not_reached"),
    ]),
    rule(`${of}.allow`, 6, "default allow := false", "held", [], { value: "false", is_default: true }),
    rule(`${of}.granting_roles`, 27, "granting_roles contains role if {\n\tsome role in data.user_roles[input.subject.user_id]\n\tsome permission in data.role_permissions[role]\n\tpermission.action == input.action\n\tpermission.resource == input.resource.type\n}", "failed", [
      statement(28, 2, "some role in data.user_roles[input.subject.user_id]", "held", {}, { held: 2, attempts: attempts([true, { "input.subject.user_id": '"bob"', role: '"operator"' }], [true, { "input.subject.user_id": '"bob"', role: '"監査役"' }]) }),
      statement(29, 2, "some permission in data.role_permissions[role]", "held", {}, { held: 3, attempts: attempts([true, { permission: '{"action":"read","resource":"device"}' }], [true, { permission: '{"action":"restart","resource":"device"}' }]) }),
      statement(30, 2, "permission.action == input.action", "held", {}, { held: 1, failed: 2, attempts: attempts([false, { "permission.action": '"read"', "input.action": '"restart"' }], [true, { "permission.action": '"restart"', "input.action": '"restart"' }]) }),
      statement(31, 2, "permission.resource == input.resource.type", "failed", { "permission.resource": '"device"', "input.resource.type": '"ゲートウェイ"' }),
    ]),
  ], revision);
}
