/**
 * How a tab reaches the hub.
 *
 * Place: between `live` and `hub`. The hub is in a shared worker; where there is none (Chrome on Android), in the tab that holds the lock of the
 * leader, reached by a broadcast channel; where there is neither (an address without TLS, a frame
 * whose storage is blocked), in the tab itself. Invariant: `ready` is called
 * whenever there is a hub that knows nothing of this tab.
 */

import { Hub, NAME } from './hub.js';

/** @typedef {import('./hub.js').Wish} Wish */
/** @typedef {import('./stream.js').LiveEvent} LiveEvent */
/** @typedef {{send: (wish: Wish) => void, close: () => void}} Link */

const TICK_MS = 5_000;
const SILENCE_MS_MAX = 15_000;
const LEADER = `${NAME}:leader`;

/** @param {string} name */
const address = (name) => new URL(name, document.baseURI).href.replace(/[?#].*/, '');

/**
 * Connect to the hub.
 * @param {string} tab
 * @param {boolean} locks may locks be used?
 * @param {(event: LiveEvent) => void} receive
 * @param {() => void} ready
 * @returns {Link}
 */
export function connect(tab, locks, receive, ready) {
  /** @type {Link} */
  let link;
  const without = () => {
    link = locks && typeof BroadcastChannel === 'function' ? elected(tab, receive, ready) : own(receive, ready);
  };
  try {
    link = shared(receive, ready, without);
  } catch {
    without(); // there are none, or storage is blocked
  }
  return { send: (wish) => link.send(wish), close: () => link.close() };
}

/** @param {(event: LiveEvent) => void} receive @param {() => void} ready @param {() => void} failed @returns {Link} */
function shared(receive, ready, failed) {
  const worker = new SharedWorker(address('worker.js'), { name: NAME });
  const { port } = worker;
  worker.onerror = () => {
    port.close();
    failed();
  };
  port.onmessage = ({ data }) => receive(data);
  queueMicrotask(ready);
  return { send: (wish) => port.postMessage(wish), close: () => port.close() };
}

/**
 * A hub of this tab's own. It lets go while nobody looks at the tab, for a host has six connections, and there may be more tabs.
 * @param {(event: LiveEvent) => void} receive @param {() => void} ready @returns {Link}
 */
function own(receive, ready) {
  const hub = new Hub(address('smart-bi/crm/stream'));
  /** @type {Wish | null} */
  let wanted = null;
  const settle = () => {
    if (wanted) hub.hear(document.visibilityState === 'hidden' ? { ...wanted, groups: [] } : wanted, receive);
  };
  document.addEventListener('visibilitychange', settle);
  queueMicrotask(ready);
  return {
    send: (wish) => {
      wanted = wish;
      settle();
    },
    close: () => {
      document.removeEventListener('visibilitychange', settle);
      hub.close();
    },
  };
}

/** @param {string} tab @param {(event: LiveEvent) => void} receive @param {() => void} ready @returns {Link} */
function elected(tab, receive, ready) {
  const channel = new BroadcastChannel(NAME);
  let heard = performance.now();
  let leading = false;
  let leave = () => {};
  let closed = false;

  channel.onmessage = ({ data: { to, event } }) => {
    if (to === 'hub') return;
    heard = performance.now();
    if (to === tab) receive(event);
    else if (event === 'new') ready();
  };

  /** Lead until this tab ends, or another one takes over. */
  const lead = () =>
    /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        if (closed) return resolve();
        const end = serve();
        leading = true;
        leave = () => {
          leading = false;
          end();
          resolve();
        };
      })
    );
  const stand = () => {
    navigator.locks.request(LEADER, lead).catch(() => {
      leave();
      stand();
    });
  };
  stand();
  // A leader in a tab that the browser has put to sleep holds its lock and says nothing: who is looked at takes over.
  const watch = setInterval(() => {
    if (leading || document.visibilityState !== 'visible' || performance.now() - heard < SILENCE_MS_MAX) return;
    heard = performance.now();
    navigator.locks.request(LEADER, { steal: true }, lead).catch(() => leave());
  }, TICK_MS);
  ready();
  return {
    send: (wish) => channel.postMessage({ to: 'hub', wish }),
    close: () => {
      closed = true;
      clearInterval(watch);
      leave();
      channel.close();
    },
  };
}

/** Be the hub of all tabs. @returns {() => void} ends it */
function serve() {
  const hub = new Hub(address('smart-bi/crm/stream'));
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = ({ data: { to, wish } }) => {
    if (to === 'hub') hub.hear(wish, (event) => channel.postMessage({ to: wish.tab, event }));
  };
  const say = (/** @type {string} */ event) => channel.postMessage({ to: 'all', event });
  const ticking = setInterval(() => say('tick'), TICK_MS);
  say('new');
  return () => {
    clearInterval(ticking);
    hub.close();
    channel.close();
  };
}
