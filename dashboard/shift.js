// Whether a tenant denies another share of its requests than it did. Denials are what a policy is
// for, so no number of them is an alert; a policy or a client that suddenly behaves differently is.

/** Fewer decisions than this say nothing about a share. */
export const MIN_DECISIONS = 30;
/** A difference of shares that matters to somebody. */
const MIN_DIFFERENCE = 0.2;
/**
 * Standard errors between the two shares. Thousands of tenants are looked at every few seconds,
 * all day: at 5, chance alone says something about once in a million looks.
 */
const MIN_ERRORS = 5;

/**
 * @typedef {object} Shift
 * @property {number} was share of denials before, between 0 and 1
 * @property {number} is share of denials now
 * @property {number} before decisions
 * @property {number} now decisions
 */

/**
 * A test of two proportions, each given as how many were allowed and how many denied.
 * @param {[number, number]} before @param {[number, number]} now
 * @returns {Shift|null} null where there is no marked change
 */
export function shiftOf([allowedBefore, deniedBefore], [allowedNow, deniedNow]) {
  const before = allowedBefore + deniedBefore;
  const now = allowedNow + deniedNow;
  if (before < MIN_DECISIONS || now < MIN_DECISIONS) return null;
  const was = deniedBefore / before;
  const is = deniedNow / now;
  if (Math.abs(is - was) < MIN_DIFFERENCE) return null;
  const pooled = (deniedBefore + deniedNow) / (before + now);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / before + 1 / now));
  return Math.abs(is - was) / error < MIN_ERRORS ? null : { was, is, before, now };
}
