/**
 * The token of this page.
 *
 * Place: read by `ask` and `live`, before anything is asked. It comes in the address's fragment, which no browser sends, or from a page that
 * embeds this one and whose origin is allowed. Invariants: it leaves the address at once; it is never part of an address nor of a log; in a tab
 * of its own it is kept for a reload of that tab, in a frame not at all, for the embedding page hands it over again.
 */

const KEY = 'crm-stats:token';
const FRAGMENT = /(^|&)token=([^&]*)/;
const framed = window.parent !== window;

/** @type {Set<(token: string) => void>} */
const listeners = new Set();
/** @type {string | null} */
let current = stored();

/** The token, if there is one. @returns {string | null} */
export function token() {
  return current;
}

/**
 * Call with each new token.
 * @param {(token: string) => void} listener
 * @returns {() => void} ends it
 */
export function onToken(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tell the embedding page that the token is no longer accepted; it may hand over another one. */
export function expired() {
  if (framed) window.parent.postMessage({ type: 'crm-stats:expired' }, '*');
}

/** @returns {string | null} */
function stored() {
  try {
    return framed ? null : sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is blocked: a reload asks for the token again
  }
}

/** @param {string} token */
function take(token) {
  if (token === current) return;
  current = token;
  try {
    if (!framed) sessionStorage.setItem(KEY, token);
  } catch {
    // see stored
  }
  for (const listener of listeners) listener(token);
}

/** Take the token out of the fragment, and leave what else stands there. */
function takeFromAddress() {
  const fragment = location.hash.slice(1);
  const found = FRAGMENT.exec(fragment);
  if (!found) return;
  const rest = fragment.replace(FRAGMENT, '').replace(/^&/, '');
  history.replaceState(history.state, '', location.pathname + location.search + (rest && `#${rest}`));
  const given = decoded(found[2] ?? '');
  if (given) take(given);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Listen to the pages that embed this one, and tell them so. */
async function listenToAncestors() {
  /** @type {string[]} */
  const allowed = (await (await fetch(new URL('dashboard.json', document.baseURI))).json()).ancestors;
  window.addEventListener('message', ({ data, origin, source }) => {
    const token = data?.type === 'crm-stats:token' && data.token;
    if (typeof token === 'string' && token && allowed.includes(origin) && isAncestor(source)) take(token);
  });
  window.parent.postMessage({ type: 'crm-stats:ready' }, '*');
}

/** @param {MessageEventSource | null} source */
function isAncestor(source) {
  for (let frame = window; frame !== frame.parent; frame = /** @type {typeof window} */ (frame.parent)) {
    if (frame.parent === source) return true;
  }
  return false;
}

takeFromAddress();
window.addEventListener('hashchange', takeFromAddress);
if (framed) listenToAncestors().catch(() => console.error('dashboard.json can not be read, so no token can be handed over'));
