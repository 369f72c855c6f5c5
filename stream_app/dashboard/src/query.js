/**
 * What the address says is shown, and back. Pure.
 *
 * Invariant: `read(write(query))` is the query; what is the default is not written, what can't be used is the default.
 *
 * @typedef {'en' | 'zh'} Language
 * @typedef {'light' | 'dark'} Theme
 * @typedef {object} Query
 * @property {string | null} operatorId null: the first that the token covers
 * @property {string} groupId
 * @property {string | null} compare the group beside it
 * @property {string | null} currency null: the operator's
 * @property {number} months
 * @property {string | null} endMonth null: the current one
 * @property {number} days
 * @property {string | null} endDate null: today
 * @property {Language | null} lang null: the browser's
 * @property {Theme | null} theme null: the system's
 */

import { ALL } from './answers.js';

export const MONTHS = 6;
export const MONTHS_CHOICES = [6, 13, 25];
export const DAYS = 30;
export const DAYS_CHOICES = [7, 30, 60, 92];

/**
 * @param {string | null} text
 * @param {RegExp} pattern
 */
const matching = (text, pattern) => (text !== null && pattern.test(text) ? text : null);

/**
 * @param {string | null} text
 * @param {number} max
 * @param {number} otherwise
 */
function whole(text, max, otherwise) {
  const number = Number(matching(text, /^\d{1,3}$/) ?? 0);
  return number >= 1 && number <= max ? number : otherwise;
}

/**
 * @param {string} search
 * @returns {Query}
 */
export function read(search) {
  const given = new URLSearchParams(search);
  const groupId = given.get('groupId') || ALL;
  const compare = given.get('compare') || null;
  return {
    operatorId: given.get('operatorId') || null,
    groupId,
    compare: compare === groupId ? null : compare,
    currency: matching(given.get('currency'), /^[A-Z]{3}$/),
    months: whole(given.get('months'), 25, MONTHS),
    endMonth: matching(given.get('endMonth'), /^\d{4}-(0[1-9]|1[0-2])$/),
    days: whole(given.get('days'), 92, DAYS),
    endDate: matching(given.get('endDate'), /^\d{4}-\d\d-\d\d$/),
    lang: /** @type {Language | null} */ (matching(given.get('lang'), /^(en|zh)$/)),
    theme: /** @type {Theme | null} */ (matching(given.get('theme'), /^(light|dark)$/)),
  };
}

/**
 * @param {Query} query
 * @returns {string} with its question mark, or empty
 */
export function write(query) {
  const written = new URLSearchParams();
  /** @type {Partial<Record<keyof Query, string | number>>} */
  const defaults = { groupId: ALL, months: MONTHS, days: DAYS };
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== defaults[/** @type {keyof Query} */ (name)]) written.set(name, String(value));
  }
  return written.size ? `?${written}` : '';
}

/** @param {Query} query */
export const monthsAreDefault = (query) => query.months === MONTHS && query.endMonth === null;

/** @param {Query} query */
export const daysAreDefault = (query) => query.days === DAYS && query.endDate === null;
