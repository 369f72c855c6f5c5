/**
 * What the API answers, as types. Money and averages are decimal strings; they are never made numbers to be shown, only to be drawn.
 *
 * @typedef {object} Month
 * @property {string} month 2026-11
 * @property {string} receivedAmount
 * @property {string} discountAmount
 * @property {string} refundedAmount
 * @property {number} paymentCount
 * @property {number} payingCustomers
 * @property {string} perCapitaPayment
 * @property {number} sessionCount
 * @property {number} chargingCustomers
 * @property {string} perCapitaFrequency
 * @property {string} anonymousAmount
 * @property {number} anonymousSessionCount
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

/** Does nothing count in any of its months? @param {Monthly} monthly */
export const isNothing = ({ months }) => months.every((month) => !month.paymentCount && !month.sessionCount);
