/**
 * What the API answers, as types. Money and averages are decimal strings, and so is energy; they are never made numbers to be shown, only to be drawn.
 *
 * @typedef {number | string} Value of a figure
 * @typedef {{month: string} & Record<string, Value>} Month figures by name; `month` as 2026-11
 *
 * @typedef {object} Monthly
 * @property {string} operatorId
 * @property {string} groupId
 * @property {string} timezone
 * @property {string} currency
 * @property {string[]} currencies
 * @property {string} asOf
 * @property {number} version
 * @property {Month[]} months
 *
 * @typedef {object} Slot
 * @property {number} slot
 * @property {string} start
 * @property {string} end
 * @property {number} chargeCount
 *
 * @typedef {object} Distribution
 * @property {string} operatorId
 * @property {string} groupId
 * @property {string} timezone
 * @property {string} asOf
 * @property {number} version
 * @property {string} from
 * @property {string} to
 * @property {number} total
 * @property {Slot[]} slots
 *
 * @typedef {{groupId: string, name: string | null}} Group
 * @typedef {{operatorId: string, name: string | null, timezone: string, currency: string}} Operator
 */

export const ALL = 'ALL';
