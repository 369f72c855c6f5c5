/**
 * Documents of groups as they change, for a page.
 *
 * Place: the page's side of the live layer; `link` leads to the hub, which all tabs share. Invariants: a group that is watched is told at once what
 * is known of it; the page hears of no group that it does not watch; a new token takes the place of the old one without a reload.
 */

import { lockOf } from './hub.js';
import { connect } from './link.js';
import { keyOf } from './stream.js';
import { expired, onToken, token } from './token.js';

export { ApiError, ask } from './ask.js';

/** @typedef {import('./stream.js').Group} Group */
/** @typedef {import('./stream.js').State} State */
/** @typedef {import('./stream.js').LiveEvent} LiveEvent */
/** @typedef {{watch: (operatorId: string, groupId: string) => () => void, close: () => void}} Live */

/**
 * Begin. Events are `monthly` and `distribution` with the data of the default answers, `as-of` with `asOf`, and `state` with a State.
 * @param {(event: LiveEvent) => void} onEvent
 * @returns {Live}
 */
export function openLive(onEvent) {
  const tab = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('');
  /** @type {Map<string, {group: Group & {watch: number}, watchers: number}>} */
  const watched = new Map();
  const held = hold(tab);
  /** @type {import('./link.js').Link | null} */
  let link = null;
  let watches = 0;
  let locked = false;
  let due = false;
  let closed = false;

  const receive = (/** @type {LiveEvent} */ event) => {
    if (!watched.has(keyOf(event.operatorId, event.groupId))) return;
    if (event.type === 'state' && event.data.status === 'expired') expired();
    onEvent(event);
  };
  const groups = () => [...watched.values()].map(({ group }) => group);
  const tell = (/** @type {ReturnType<typeof groups>} */ wanted) => {
    const asker = token();
    if (asker !== null) link?.send({ tab, token: asker, locked, groups: wanted });
    else for (const group of wanted) onEvent({ type: 'state', operatorId: group.operatorId, groupId: group.groupId, data: NO_TOKEN });
  };
  /** Tell the hub what is wanted, once for all that changes now. */
  const changed = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      if (!closed) tell(groups());
    });
  };
  const hidden = () => tell([]); // it may come back; a lock tells of the tabs that can't say so
  const stopTokens = onToken(changed);
  window.addEventListener('pagehide', hidden);
  window.addEventListener('pageshow', changed);
  held.granted.then((granted) => {
    if (closed) return;
    locked = granted;
    link = connect(tab, granted, receive, changed);
  });

  return {
    watch(operatorId, groupId) {
      const key = keyOf(operatorId, groupId);
      const entry = watched.get(key) ?? { group: { operatorId, groupId, watch: 0 }, watchers: 0 };
      entry.watchers += 1;
      entry.group.watch = ++watches;
      watched.set(key, entry);
      changed();
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        entry.watchers -= 1;
        if (entry.watchers) return;
        watched.delete(key);
        changed();
      };
    },
    close() {
      tell([]);
      closed = true;
      stopTokens();
      window.removeEventListener('pagehide', hidden);
      window.removeEventListener('pageshow', changed);
      link?.close();
      held.release();
    },
  };
}

/** @type {State} */
const NO_TOKEN = { status: 'expired', code: 40101, message: 'no token', stale: false, since: null };

/**
 * Hold the lock of this tab for as long as it lives. Locks need TLS or loopback, and storage that is not blocked.
 * @param {string} tab
 */
function hold(tab) {
  let release = () => {};
  /** @type {Promise<boolean>} */
  const granted = new Promise((resolve) => {
    if (!navigator.locks) return resolve(false);
    navigator.locks
      .request(lockOf(tab), () => {
        resolve(true);
        return /** @type {Promise<void>} */ (new Promise((free) => (release = free)));
      })
      .catch(() => resolve(false));
  });
  return { granted, release: () => release() };
}
