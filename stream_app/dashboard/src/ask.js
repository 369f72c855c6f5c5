/**
 * The API's questions, asked by GET with the token of the page.
 *
 * Place: under everything that shows numbers at once; what changes afterwards comes through `live`. Invariant: the token goes into the header,
 * never into the address.
 */

import { expired, token } from './token.js';

const SECONDS_MAX = 20;

/** An answer that is an error, or none (`httpStatus` 0). `code` is one of the API's table, 0 for none of it. */
export class ApiError extends Error {
  /** @param {number} code @param {number} httpStatus @param {string} message @param {string | null} requestId */
  constructor(code, httpStatus, message, requestId) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.httpStatus = httpStatus;
    this.requestId = requestId;
  }
}

/**
 * Ask one of monthlyIndex, chargingDistribute, groups, operators. `Throws` ApiError.
 * @param {string} question
 * @param {Record<string, string | number | null | undefined>} [parameters] those of null or undefined are left out
 * @returns {Promise<{data: any, asOf: string | null}>}
 */
export const ask = (question, parameters = {}) => askAt(`smart-bi/crm/${question}`, parameters);

/**
 * The same at any path of the API. `Throws` ApiError.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [parameters]
 * @param {number} [secondsMax]
 * @returns {Promise<{data: any, asOf: string | null}>}
 */
export async function askAt(path, parameters = {}, secondsMax = SECONDS_MAX) {
  const url = new URL(path, document.baseURI);
  url.hash = url.search = '';
  for (const [name, value] of Object.entries(parameters)) if (value != null) url.searchParams.set(name, String(value));
  const asker = token();
  if (asker === null) throw new ApiError(40101, 401, 'no token', null);
  /** @type {Response} */
  let answer;
  /** @type {any} */
  let body;
  try {
    answer = await fetch(url, {
      headers: { Authorization: `Bearer ${asker}` },
      signal: AbortSignal.timeout(secondsMax * 1000),
    });
    body = await answer.json();
  } catch (error) {
    if (error instanceof SyntaxError) throw new ApiError(0, 502, 'the answer is not JSON', null);
    throw new ApiError(0, 0, 'no answer', null);
  }
  if (answer.ok) return { data: body.data, asOf: answer.headers.get('X-Data-As-Of') };
  if (answer.status === 401 && asker === token()) expired();
  throw new ApiError(body.code ?? 0, answer.status, body.message ?? '', answer.headers.get('X-Request-Id'));
}
