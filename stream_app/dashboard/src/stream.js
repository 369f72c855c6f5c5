/**
 * The one stream of a token: all groups that any tab watches with it, over one connection, for as long as somebody watches.
 *
 * Place: between `hub` and the API. Invariants: there is at most one connection at a time; a document that is held is not sent again after a new
 * connection (its id goes back to the server); what was shown stays, and is said to be stale, while changes can't be seen. A refused token ends
 * the stream; a group that is refused leaves the others alone.
 */

import { Parser } from './events.js';

/** @typedef {{operatorId: string, groupId: string}} Group */
/** @typedef {'connecting' | 'live' | 'disconnected' | 'expired' | 'denied' | 'error'} Status */
/**
 * `stale`: numbers are there, and changes of them can't be seen now; `since`: the as-of they have.
 * @typedef {{status: Status, code?: number, message?: string, stale: boolean, since: string | null}} State
 */
/** @typedef {{type: 'monthly' | 'distribution' | 'as-of' | 'state', operatorId: string, groupId: string, data: any}} LiveEvent */

const SILENCE_MS_MAX = 12_000; // the server says something every 5 s
const GATHER_MS = 20; // tabs that open together make one connection
const RETRY_MS = 2_000;
const RETRY_MS_MAX = 15_000;
const REFUSED_MS = 5_000; // until a group that no store could answer is asked for again
const NO_DATA = 40302;
const BAD_PARAMETER = 40001;
const ID_CODE_POINTS_MAX = 200;

/** Names a group in maps. @param {string} operatorId @param {string} groupId */
export function keyOf(operatorId, groupId) {
  return JSON.stringify([operatorId, groupId]);
}

/** Can an id be asked for? One that can't would be an error for all groups. @param {string} id */
function usable(id) {
  const length = [...id].length;
  return length > 0 && length <= ID_CODE_POINTS_MAX && !/[\p{Cc}\p{Cs}]/u.test(id);
}

/** What is known of a group. */
class Topic {
  lastEventId = '';
  asked = true;
  /** @type {Map<string, LiveEvent>} */
  last = new Map();
  /** @type {State} */
  state = { status: 'connecting', stale: false, since: null };

  /** @param {Group} group */
  constructor({ operatorId, groupId }) {
    this.group = { operatorId, groupId };
  }

  /** Is there anything to show? */
  get shown() {
    return this.last.has('monthly') || this.last.has('distribution');
  }

  /** Up to when what is shown holds. @returns {string | null} */
  get asOf() {
    const said = ['as-of', 'monthly', 'distribution'].map((type) => this.last.get(type)?.data.asOf ?? '');
    return said[0] || (said[1] && said[2] ? (said[1] < said[2] ? said[1] : said[2]) : said[1] || said[2]) || null;
  }
}

/** An answer that is an error of the API. */
class Refused extends Error {
  /** @param {number} status @param {number} code @param {string} message @param {number} retryMs */
  constructor(status, code, message, retryMs) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryMs = retryMs;
  }
}

export class Stream {
  #url;
  #token;
  #emit;
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  #attempt = new AbortController();
  #running = false;
  #over = false;
  #wake = () => {};
  #gathering = 0;
  #failures = 0;
  #retryMs = RETRY_MS;
  /** @type {State | null} why it is over, for who comes later */
  #verdict = null;

  /**
   * @param {string} url
   * @param {string} token
   * @param {(event: LiveEvent) => void} emit
   */
  constructor(url, token, emit) {
    this.#url = url;
    this.#token = token;
    this.#emit = emit;
    globalThis.addEventListener('online', this.#online);
  }

  /**
   * Watch these groups and no others.
   * @param {Map<string, Group>} wanted by key
   */
  watch(wanted) {
    const gone = [...this.#topics.keys()].filter((key) => !wanted.has(key));
    const come = [...wanted].filter(([key]) => !this.#topics.has(key));
    for (const key of gone) this.#topics.delete(key);
    for (const [key, group] of come) {
      const topic = new Topic(group);
      topic.state = this.#verdict ?? topic.state;
      if (!usable(group.operatorId) || !usable(group.groupId)) {
        topic.state = { status: 'error', code: BAD_PARAMETER, message: 'not an id', stale: false, since: null };
        topic.asked = false;
      }
      this.#topics.set(key, topic);
    }
    if (!gone.length && !come.length) return;
    clearTimeout(this.#gathering);
    this.#gathering = Number(setTimeout(() => this.#again(), GATHER_MS));
  }

  /** What is known of a group, to be told to somebody who comes later. @param {string} key @returns {LiveEvent[]} */
  known(key) {
    const topic = this.#topics.get(key);
    return topic ? [...topic.last.values(), this.#said(topic)] : [];
  }

  get #asked() {
    return [...this.#topics.values()].filter(({ asked }) => asked);
  }

  /** End it. */
  close() {
    this.#over = true;
    clearTimeout(this.#gathering);
    globalThis.removeEventListener('online', this.#online);
    this.#again();
  }

  #online = () => this.#wake();

  /** Connect anew: other groups are wanted. */
  #again() {
    this.#attempt.abort();
    this.#wake();
    if (!this.#running && !this.#over) this.#run();
  }

  async #run() {
    this.#running = true;
    while (!this.#over && this.#asked.length) {
      const attempt = (this.#attempt = new AbortController());
      let waitMs = 0;
      try {
        await this.#read(attempt);
        waitMs = Math.random() * 300; // it ended by itself: the server stops, or the token has expired
      } catch (error) {
        if (!attempt.signal.aborted || attempt.signal.reason === 'silent') waitMs = this.#failed(error);
      }
      attempt.abort();
      if (waitMs) await this.#sleep(waitMs);
    }
    this.#running = false;
  }

  /** Tell what went wrong. @param {unknown} error @returns {number} milliseconds until the next attempt */
  #failed(error) {
    const wait = Math.min(RETRY_MS_MAX, this.#retryMs * 2 ** this.#failures++) * (0.25 + 0.75 * Math.random());
    if (!(error instanceof Refused)) {
      this.#tellAll('disconnected');
      return wait;
    }
    const { status, code, message, retryMs } = error;
    this.#over = status === 401 || status === 403;
    this.#tellAll(status === 401 ? 'expired' : status === 403 ? 'denied' : status === 429 ? 'disconnected' : 'error', code, message);
    return this.#over ? 0 : Math.max(retryMs, wait);
  }

  /** Resolves when the server has ended the stream. @param {AbortController} attempt */
  async #read(attempt) {
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = Number(setTimeout(() => attempt.abort('silent'), SILENCE_MS_MAX));
    };
    const again = () => this.#again();
    let later = 0;
    try {
      heard();
      const answer = await this.#ask(attempt.signal);
      const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
      const parser = new Parser();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        for (const { event, data, id } of parser.take(decoder.decode(value, { stream: true }))) {
          if (this.#take(event, JSON.parse(data), id)) this.#failures = 0;
          else later ||= Number(setTimeout(again, REFUSED_MS));
        }
        this.#retryMs = parser.retry ?? this.#retryMs;
      }
    } finally {
      clearTimeout(silence);
      clearTimeout(later);
    }
  }

  /** @param {AbortSignal} signal @returns {Promise<Response>} */
  async #ask(signal) {
    const watch = this.#asked.map(({ group, lastEventId }) => ({ ...group, lastEventId: lastEventId || null }));
    const answer = await fetch(this.#url, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ watch }),
      cache: 'no-store',
      signal,
    });
    if (answer.ok) return answer;
    const { code = 0, message = '' } = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, code, message, 1000 * (Number(answer.headers.get('Retry-After')) || 0));
  }

  /**
   * Take an event of the server.
   * @param {string} type @param {any} data @param {string} id
   * @returns {boolean} false: no store could answer for its group, which is to be asked for again
   */
  #take(type, data, id) {
    const topic = this.#topics.get(keyOf(data.operatorId, data.groupId));
    if (!topic) return true; // nobody watches it any more
    if (type === 'refused') {
      const status = data.code === NO_DATA ? 'denied' : 'error';
      this.#tell(topic, { status, code: data.code, message: data.message, ...this.#staleness(topic) });
      return data.code === NO_DATA;
    }
    let stale = topic.state.status === 'live' && topic.state.stale;
    if (type === 'monthly' || type === 'distribution') {
      topic.lastEventId = id;
      this.#keep(topic, { type, ...topic.group, data });
    } else if (type === 'as-of' || type === 'stale') {
      this.#keep(topic, { type: 'as-of', ...topic.group, data });
      stale = type === 'stale';
    }
    this.#tell(topic, { status: 'live', ...(stale ? this.#staleness(topic) : { stale, since: null }) });
    return true;
  }

  /** @param {Topic} topic @param {LiveEvent} event */
  #keep(topic, event) {
    topic.last.set(event.type, event);
    this.#emit(event);
  }

  /** @param {Topic} topic */
  #staleness(topic) {
    return { stale: topic.shown, since: topic.shown ? topic.asOf : null };
  }

  /** @param {Status} status @param {number} [code] @param {string} [message] */
  #tellAll(status, code, message) {
    const why = code === undefined ? {} : { code, message };
    for (const topic of this.#asked) this.#tell(topic, { status, ...why, ...this.#staleness(topic) });
    if (this.#over) this.#verdict = { status, ...why, stale: false, since: null };
  }

  /** @param {Topic} topic @param {State} state */
  #tell(topic, state) {
    if (JSON.stringify(state) === JSON.stringify(topic.state)) return;
    topic.state = state;
    this.#emit(this.#said(topic));
  }

  /** @param {Topic} topic @returns {LiveEvent} */
  #said(topic) {
    return { type: 'state', ...topic.group, data: topic.state };
  }

  /** Wait, unless there is reason to try at once. @param {number} ms @returns {Promise<void>} */
  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
